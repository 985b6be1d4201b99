//! Where a picture's alpha does not change.

use super::layout::Plane;
use super::raster::{Picture, Samples};
use super::window::Window;

impl Picture {
    /// For each pixel of `window`, row by row, the alpha that it shares with all pixels at most `radius` away along both axes, in the depth
    /// of the samples; none where alpha changes there. `window` has to be inside the picture, whose layout has to have alpha.
    pub fn flat_alpha(&self, window: Window, radius: usize) -> Vec<Option<u16>> {
        let (left, top) = (window.x as usize, window.y as usize);
        let (from, to) = (top.saturating_sub(radius), (top + window.height + radius).min(self.height));
        let rows: Vec<Vec<Option<u16>>> =
            (from..to).map(|y| shared(&self.alphas(y), left..left + window.width, radius)).collect();
        let mut flat = vec![None; window.width * window.height];
        for x in 0..window.width {
            let column: Vec<Option<u16>> = rows.iter().map(|row| row[x]).collect();
            let values = shared(&column, top - from..top - from + window.height, radius);
            values.into_iter().enumerate().for_each(|(y, value)| flat[y * window.width + x] = value);
        }
        flat
    }

    /// The alphas of a row, in the depth of the samples.
    fn alphas(&self, y: usize) -> Vec<Option<u16>> {
        let channels = self.layout.channels();
        let [alpha, ..] = self.layout.tensor_channels(Plane::Alpha);
        let places = (y * self.width..(y + 1) * self.width).map(|pixel| pixel * channels + alpha);
        match &self.samples {
            Samples::U8(samples) => places.map(|at| Some(samples[at].into())).collect(),
            Samples::U16(samples) => places.map(|at| Some(samples[at])).collect(),
        }
    }
}

/// For each place in `range` of `line`, the value that all places at most `radius` away share; none where one of them is different or has
/// none.
fn shared(line: &[Option<u16>], range: std::ops::Range<usize>, radius: usize) -> Vec<Option<u16>> {
    // Where the run of equal values that a place belongs to ends.
    let mut ends = vec![line.len(); line.len()];
    for at in (0..line.len().saturating_sub(1)).rev() {
        ends[at] = if line[at] == line[at + 1] { ends[at + 1] } else { at + 1 };
    }
    let flat = |at: usize| ends[at.saturating_sub(radius)] > (at + radius).min(line.len() - 1);
    range.map(|at| line[at].filter(|_| flat(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Layout;
    use crate::picture::fixtures::picture;

    #[test]
    fn alpha_is_flat_where_it_does_not_change_within_the_radius() {
        let mut samples = [9, 255].repeat(12 * 8);
        // Pixel (8, 3).
        samples[(3 * 12 + 8) * 2 + 1] = 254;
        let source = Picture { width: 12, height: 8, ..picture(Layout::GrayAlpha, Samples::U8(samples)) };
        let flat = source.flat_alpha(Window { x: 4, y: 0, width: 8, height: 8 }, 2);
        for (at, value) in flat.into_iter().enumerate() {
            let (x, y) = (at % 8 + 4, at / 8);
            let near = x.abs_diff(8) <= 2 && y.abs_diff(3) <= 2;
            assert_eq!(value, if near { None } else { Some(255) }, "{x} {y}");
        }
    }
}
