//! Alpha that does not change is kept exactly. A network gives it back a little different, and needs its time for that.

use ndarray::Array4;

use super::tiles::Tile;
use crate::picture::{Patch, Picture, Window};

/// How far from a change of alpha a network's output is used, in input pixels. What it does to an edge ends before.
const RADIUS: usize = 8;

/// The alpha of a tile where it is flat.
pub(super) struct FlatAlpha {
    width: usize,
    /// The alpha of each pixel of the tile, 0..=1; none where alpha changes nearby.
    values: Vec<Option<f32>>,
}

impl FlatAlpha {
    /// The flat parts of `tile`.
    pub(super) fn of(picture: &Picture, tile: Tile) -> Self {
        let window = Window { x: tile.x as isize, y: tile.y as isize, width: tile.width, height: tile.height };
        let opaque = picture.samples.max();
        let values = picture.flat_alpha(window, RADIUS).into_iter();
        Self { width: tile.width, values: values.map(|value| value.map(|value| f32::from(value) / opaque)).collect() }
    }

    /// Whether alpha is flat in the whole tile.
    pub(super) fn is_everywhere(&self) -> bool {
        self.values.iter().all(Option::is_some)
    }

    /// The patch of a tile in which alpha is flat everywhere.
    pub(super) fn patch(&self, target: Window) -> Patch {
        let tensor = Array4::zeros((1, 3, target.height, target.width));
        let mut patch = Patch { target, tensor, left: 0, top: 0 };
        self.keep(&mut patch);
        patch
    }

    /// Puts the flat parts in the place of what the network made of them.
    pub(super) fn keep(&self, patch: &mut Patch) {
        let scale = patch.target.width / self.width;
        let Patch { target, tensor, left, top } = patch;
        for y in 0..target.height {
            let values = &self.values[y / scale * self.width..][..self.width];
            for channel in 0..3 {
                let mut row = tensor.slice_mut(ndarray::s![0, channel, *top + y, *left..*left + target.width]);
                for (x, out) in row.iter_mut().enumerate() {
                    if let Some(value) = values[x / scale] {
                        *out = value;
                    }
                }
            }
        }
    }
}
