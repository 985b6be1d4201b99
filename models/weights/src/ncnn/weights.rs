//! The `.bin`: the weights of each layer in the order of the `.param`, read as little-endian float32 bytes.

use half::f16;

/// The tag of a block of float16 values, which is padded to four bytes.
const HALF: u32 = 0x0130_6B47;
/// The tags of a block of float32 values.
const SINGLE: [u32; 2] = [0, 0x0002_C056];
/// The size that the weights of a model may have in float32: a protobuf message ends at 2 GiB.
const MAX_EXPANDED: usize = (1 << 31) - (1 << 24);

/// Reads the file from its beginning.
pub(crate) struct Weights<'a> {
    /// What is not read yet.
    left: &'a [u8],
    /// The bytes given out so far, as float32.
    expanded: usize,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes, expanded: 0 }
    }

    /// How many bytes are not read yet.
    pub(crate) fn left(&self) -> usize {
        self.left.len()
    }

    /// Reads a block of `count` values, which begins with a tag that tells their precision.
    pub(crate) fn tagged(&mut self, count: usize) -> Result<Vec<u8>, String> {
        let tag = self.take(4, count)?;
        let tag = u32::from_le_bytes([tag[0], tag[1], tag[2], tag[3]]);
        if SINGLE.contains(&tag) {
            return self.plain(count);
        }
        if tag != HALF {
            return Err(format!("weights of storage {tag:#010x} are not supported, only fp16 and fp32"));
        }
        let size = count.checked_mul(2).and_then(|size| size.checked_next_multiple_of(4)).ok_or("too many weights")?;
        let raw = self.take(size, count)?;
        let values = raw[..count * 2].chunks_exact(2).map(|two| f16::from_le_bytes([two[0], two[1]]).to_f32());
        self.admit(count)?;
        finite(values)
    }

    /// Reads a block of `count` float32 values, which has no tag.
    pub(crate) fn plain(&mut self, count: usize) -> Result<Vec<u8>, String> {
        let raw = self.take(count.checked_mul(4).ok_or("too many weights")?, count)?;
        self.admit(count)?;
        finite(raw.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])))
    }

    fn take(&mut self, size: usize, count: usize) -> Result<&'a [u8], String> {
        let (taken, left) = self.left.split_at_checked(size).ok_or_else(|| {
            format!("the .bin ends within its weights: {count} values do not fit in {} bytes", self.left.len())
        })?;
        self.left = left;
        Ok(taken)
    }

    fn admit(&mut self, count: usize) -> Result<(), String> {
        let grown = count.checked_mul(4).and_then(|size| self.expanded.checked_add(size));
        self.expanded = grown.filter(|&size| size <= MAX_EXPANDED).ok_or("more weights than an ONNX file can hold")?;
        Ok(())
    }
}

fn finite(values: impl ExactSizeIterator<Item = f32>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(values.len() * 4);
    for value in values {
        if !value.is_finite() {
            return Err("a weight is not a finite number".to_owned());
        }
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_precisions_are_read_and_a_third_is_refused() {
        let mut bytes = HALF.to_le_bytes().to_vec();
        bytes.extend([0x00, 0x3c, 0xaa, 0xaa]); // 1.0, then padding
        bytes.extend([0; 4]);
        bytes.extend(0.5_f32.to_le_bytes());
        bytes.extend(0x000D_4B38_u32.to_le_bytes());
        let mut weights = Weights::new(&bytes);
        assert_eq!(weights.tagged(1).unwrap(), 1.0_f32.to_le_bytes());
        assert_eq!(weights.tagged(1).unwrap(), 0.5_f32.to_le_bytes());
        assert!(weights.tagged(1).unwrap_err().contains("0x000d4b38"));
        assert_eq!(weights.left(), 0);
    }

    #[test]
    fn absurd_counts_and_values_are_refused() {
        let tag = HALF.to_le_bytes();
        for count in [1, usize::MAX / 2, usize::MAX] {
            assert!(Weights::new(&tag).tagged(count).is_err());
            assert!(Weights::new(&[]).plain(count).is_err());
        }
        assert!(Weights::new(&f32::NAN.to_le_bytes()).plain(1).is_err());
    }
}
