//! A picture's rows in 8 bits a sample, for formats that have no more.

use std::borrow::Cow;

use crate::picture::{Picture, Samples};

impl Picture {
    /// The samples of row `y`, each rounded to 8 bits.
    pub(super) fn row_of_bytes(&self, y: usize) -> Cow<'_, [u8]> {
        let length = self.width * self.layout.channels();
        let row = y * length..(y + 1) * length;
        match &self.samples {
            Samples::U8(samples) => Cow::Borrowed(&samples[row]),
            // 257 is what 65535 has for each of 255.
            Samples::U16(samples) => {
                Cow::Owned(samples[row].iter().map(|sample| ((u32::from(*sample) + 128) / 257) as u8).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Layout;
    use crate::picture::fixtures::picture;

    #[test]
    fn samples_are_rounded() {
        let row = picture(Layout::Gray, Samples::U16(vec![0, 128, 129, 257, 65_535, 65_406, 65_407]));
        assert_eq!(&*row.row_of_bytes(0), [0, 0, 1, 1, 255, 254, 255]);
    }
}
