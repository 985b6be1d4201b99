//! The image pyramid in which faces are searched, and the tiles of each level.
//!
//! At one level the detector finds faces of up to about 300 pixels: reliably from about 40 pixels, and clear ones from 24.
//! The picture is searched at its own size, at every half of the size before until its longer side is at most
//! [`LAST_LEVEL`], and at double size unless it is large. A level leaves faces larger than [`MAX_FACE_SIDE`] to the next
//! one, which shows them at half the size; the last one takes all. Tiles overlap by more than such a face, so each face is
//! whole in one of them, and memory is bounded by the tile.

use crate::picture::Window;

/// The longer side of the last level is at most this, in pixels.
const LAST_LEVEL: usize = 320;

/// Pictures of up to this many pixels are also searched at double size. Small faces gain most: of the faces of 25 pixels
/// in scikit-image's subset of LFW, 89 % are found instead of 1 %.
const MAX_DOUBLED_PIXELS: usize = 4_000_000;

/// The largest side in pixels of a tile. A multiple of [`SIDE_MULTIPLE`].
const TILE: usize = 1024;

/// The larger side in pixels of the largest face that is taken from a level other than the last.
pub(super) const MAX_FACE_SIDE: f64 = 224.0;

/// The least overlap of neighbouring tiles in pixels. More than [`MAX_FACE_SIDE`].
const OVERLAP: usize = 256;

/// Inputs are padded to a multiple of this many pixels, the largest stride of the detectors.
pub(super) const SIDE_MULTIPLE: usize = 32;

/// The width and height of each level in pixels, the largest level first.
pub(super) fn levels(width: usize, height: usize) -> Vec<(usize, usize)> {
    let mut levels = Vec::new();
    if width * height <= MAX_DOUBLED_PIXELS {
        levels.push((2 * width, 2 * height));
    }
    let (mut width, mut height) = (width, height);
    levels.push((width, height));
    while width.max(height) > LAST_LEVEL {
        (width, height) = (width.div_ceil(2), height.div_ceil(2));
        levels.push((width, height));
    }
    levels
}

/// Tiles that cover a level of `width` x `height` pixels.
pub(super) fn tiles(width: usize, height: usize) -> Vec<Window> {
    let columns = starts(width);
    let tile = |x, y| Window { x: x as isize, y: y as isize, width: width.min(TILE), height: height.min(TILE) };
    starts(height).into_iter().flat_map(|y| columns.iter().map(move |x| tile(*x, y))).collect()
}

/// Where tiles start along a side of `length` pixels.
fn starts(length: usize) -> Vec<usize> {
    if length <= TILE {
        return vec![0];
    }
    let gaps = (length - TILE).div_ceil(TILE - OVERLAP);
    (0..=gaps).map(|tile| tile * (length - TILE) / gaps).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_face_up_to_the_limit_is_whole_in_a_tile(length in 1_usize..8000) {
            let starts = starts(length);
            for at in 0..length.saturating_sub(MAX_FACE_SIDE as usize) {
                let end = at + MAX_FACE_SIDE as usize;
                let whole = starts.iter().any(|start| *start <= at && end <= start + length.min(TILE));
                prop_assert!(whole, "{at} of {length}");
            }
            prop_assert_eq!(starts[starts.len() - 1] + length.min(TILE), length);
        }
    }

    #[test]
    fn levels_reach_from_double_size_to_the_last() {
        assert_eq!(levels(300, 200), [(600, 400), (300, 200)]);
        assert_eq!(levels(1001, 500), [(2002, 1000), (1001, 500), (501, 250), (251, 125)]);
        assert_eq!(levels(1, 1), [(2, 2), (1, 1)]);
        let large = levels(7300, 5500);
        assert_eq!((large[0], *large.last().unwrap()), ((7300, 5500), (229, 172)));
        assert!(tiles(7300, 5500).len() <= 80);
    }
}
