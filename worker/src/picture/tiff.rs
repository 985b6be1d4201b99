//! TIFF files of kinds that the crate `image` does not read.

use std::io::Cursor;

use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::Tag;
use ::tiff::{TiffError, TiffFormatError, TiffResult};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, Pixel, RgbImage, imageops};
use remaster_pictures::tiff::{Jpegs, Kind, Rare, as_gray, jpegs};

use super::raster::Metadata;
use super::{jpeg, tiff_metadata};

/// The marks at the two ends of a JPEG.
const BEGIN: [u8; 2] = [0xFF, 0xD8];
const END: [u8; 2] = [0xFF, 0xD9];
/// How many times the length of the file its tables may be long, together for all chunks: those of the smallest tiles are longer than what they
/// are for.
const MOST_READ_AGAIN: usize = 16;

/// The picture, how it is turned, and what else its file says.
pub(super) type Content = (DynamicImage, Orientation, Metadata);

/// Decodes a file of which [`remaster_pictures::tiff::rare`] said this. The decoder may allocate `limit` bytes for its pixels.
///
/// # Errors
/// The file is damaged, or compressed in a way that is not read.
pub(super) fn decode(file: &[u8], rare: Rare, limit: u64) -> TiffResult<Content> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = usize::try_from(limit).unwrap_or(usize::MAX);
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    let mut decoder = Decoder::new(Cursor::new(file))?.with_limits(limits.clone());
    let metadata = Metadata { icc: decoder.get_tag_u8_vec(Tag::IccProfile).ok(), ..tiff_metadata::of(file) };
    let turned = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten().and_then(Orientation::from_exif);
    let size = (rare.width, rare.height);
    let image = match rare.kind {
        Kind::Palette(bits) => {
            let colours = decoder.get_tag_u16_vec(Tag::ColorMap)?;
            let gray = as_gray(file)?;
            let numbers = Decoder::new(Cursor::new(gray))?.with_limits(limits).read_image()?;
            coloured(&unpacked(bytes(numbers)?, bits, size), &colours, size)?
        }
        Kind::Gray(bits) => {
            let levels = u8::MAX / ((1 << bits) - 1);
            let gray = unpacked(bytes(decoder.read_image()?)?, bits, size);
            DynamicImage::ImageLuma8(image_of(size, gray.into_iter().map(|level| level * levels).collect())?)
        }
        Kind::GrayAlpha => match decoder.read_image()? {
            DecodingResult::U8(samples) => DynamicImage::ImageLumaA8(image_of(size, samples)?),
            DecodingResult::U16(samples) => DynamicImage::ImageLumaA16(image_of(size, samples)?),
            _ => return Err(inconsistent()),
        },
        Kind::FloatGray => DynamicImage::ImageLuma16(image_of(size, levels(decoder.read_image()?)?)?),
        Kind::YCbCr => DynamicImage::ImageRgb8(of_jpegs(file, size, limit).ok_or_else(inconsistent)?),
    };
    Ok((image, turned.unwrap_or(Orientation::NoTransforms), metadata))
}

fn inconsistent() -> TiffError {
    TiffFormatError::InconsistentSizesEncountered.into()
}

fn bytes(samples: DecodingResult) -> TiffResult<Vec<u8>> {
    match samples {
        DecodingResult::U8(samples) => Ok(samples),
        _ => Err(inconsistent()),
    }
}

fn image_of<P: Pixel>(
    (width, height): (u32, u32),
    samples: Vec<P::Subpixel>,
) -> TiffResult<ImageBuffer<P, Vec<P::Subpixel>>> {
    ImageBuffer::from_raw(width, height, samples).ok_or_else(inconsistent)
}

/// The picture that JPEGs are the strips or tiles of. `None` where one of them is damaged.
fn of_jpegs(file: &[u8], (width, height): (u32, u32), limit: u64) -> Option<RgbImage> {
    let Jpegs { chunks, tables, width: across, height: down } = jpegs(file)?;
    let bytes: usize = chunks.iter().flatten().map(|chunk| chunk.len()).sum();
    // Chunks that lie on each other, and large tables for each, would take far longer than the file's length lets expect.
    let read_again = tables.len().saturating_mul(chunks.len()) / MOST_READ_AGAIN;
    if bytes.max(read_again) > file.len() || across == 0 || down == 0 {
        return None;
    }
    let mut picture = RgbImage::new(width, height);
    let columns = width.div_ceil(across);
    let places = (0..height.div_ceil(down)).flat_map(|row| (0..columns).map(move |column| (column, row)));
    let mut chunks = chunks.into_iter();
    for (column, row) in places {
        // The tables come before the picture, within one file.
        let jpeg = match tables.strip_suffix(&END) {
            Some(tables) => [tables, chunks.next()??.strip_prefix(&BEGIN)?].concat(),
            None => chunks.next()??.to_vec(),
        };
        let (chunk, _) = jpeg::decode(&jpeg, u64::from(across) * u64::from(down), limit).ok()?;
        let (left, top) = (column * across, row * down);
        if chunk.width() < across.min(width - left) || chunk.height() < down.min(height - top) {
            return None;
        }
        imageops::replace(&mut picture, &chunk.into_rgb8(), left.into(), top.into());
    }
    Some(picture)
}

/// One sample to a byte. Each row begins with a byte of its own, and the high bits come first.
fn unpacked(packed: Vec<u8>, bits: u8, (width, height): (u32, u32)) -> Vec<u8> {
    if bits == 8 {
        return packed;
    }
    let (width, each) = (width as usize, usize::from(8 / bits));
    let rows = packed.chunks_exact(width.div_ceil(each).max(1)).take(height as usize);
    let mask = u8::MAX >> (8 - bits);
    let sample = |row: &[u8], x: usize| row[x / each] >> (bits as usize * (each - 1 - x % each)) & mask;
    rows.flat_map(|row| (0..width).map(move |x| sample(row, x))).collect()
}

/// The colours of a table, which has all the reds first, in 16 bits. A number without a colour is an error.
fn coloured(numbers: &[u8], table: &[u16], size: (u32, u32)) -> TiffResult<DynamicImage> {
    let count = table.len() / 3;
    // Some programs write 8 bits where there is room for 16.
    let shift = if table.iter().all(|level| *level < 256) { 0 } else { 8 };
    let colour = |number: u8| {
        let number = usize::from(number);
        (number < count).then(|| [0, 1, 2].map(|channel| (table[channel * count + number] >> shift) as u8))
    };
    let mut samples = Vec::with_capacity(numbers.len() * 3);
    for number in numbers {
        samples.extend(colour(*number).ok_or_else(inconsistent)?);
    }
    Ok(DynamicImage::ImageRgb8(image_of(size, samples)?))
}

/// Floating-point samples in 16 bits.
fn levels(samples: DecodingResult) -> TiffResult<Vec<u16>> {
    // What is no number is black.
    let level = |sample: f64| (sample.clamp(0.0, 1.0) * f64::from(u16::MAX)).round() as u16;
    Ok(match samples {
        DecodingResult::F16(samples) => samples.into_iter().map(|sample| level(sample.to_f64())).collect(),
        DecodingResult::F32(samples) => samples.into_iter().map(|sample| level(sample.into())).collect(),
        DecodingResult::F64(samples) => samples.into_iter().map(level).collect(),
        _ => return Err(inconsistent()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_few_bits_are_unpacked_row_by_row() {
        assert_eq!(unpacked(vec![0b1101_1000, 0b0111_0000], 2, (2, 2)), [3, 1, 1, 3]);
        assert_eq!(unpacked(vec![0b1010_0000, 0b0100_0000], 1, (3, 2)), [1, 0, 1, 0, 1, 0]);
        assert_eq!(unpacked(vec![0x1F, 0x20], 4, (1, 2)), [1, 2]);
    }

    #[test]
    fn a_number_without_a_colour_is_an_error() {
        let table = [0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000];
        let image = coloured(&[1, 0], &table, (2, 1)).unwrap();
        assert_eq!(image.as_bytes(), [0x20, 0x40, 0x60, 0x10, 0x30, 0x50]);
        assert!(coloured(&[2], &table, (1, 1)).is_err());
    }
}
