//! The colours of pixels that cannot be seen.
//!
//! A file may have any colour where its alpha is 0. A network looks at these pixels too, and what it makes of them reaches visible ones:
//! a dark fringe around a cut-out, or the remains of what was cut away. They are therefore given the colours of what is visible around
//! them, by pushing averages up a pyramid and pulling them down again (Gortler et al., "The Lumigraph", 1996).

use super::composite::Overlay;
use super::raster::Picture;
use super::window::Window;

impl Picture {
    /// Gives the pixels of alpha 0 the colours of the visible ones around them. Where nothing is visible they become black. Pixels with
    /// any alpha stay as they are.
    pub fn fill_hidden(&mut self) {
        let (width, height) = (self.width, self.height);
        if !self.layout.has_alpha() {
            return;
        }
        let hidden: Vec<bool> = (0..width * height).map(|at| self.alpha(at % width, at / width) == 0.0).collect();
        if !hidden.contains(&true) {
            return;
        }
        let seen = |x, y| Cell { rgb: self.rgb(x, y), weight: self.alpha(x, y) };
        let around = Level::above(width, height, seen).filled();
        let whole = Window { x: 0, y: 0, width, height };
        let fill =
            |x: usize, y: usize| hidden[y * width + x].then(|| Overlay { rgb: around.below(x, y), opacity: 1.0 });
        self.composite(whole, fill);
    }
}

/// A mean colour, and how much of it was seen: 0 is nothing, 1 a whole pixel or more.
#[derive(Clone, Copy)]
struct Cell {
    rgb: [f32; 3],
    weight: f32,
}

/// A level of the pyramid. A cell stands for 2 x 2 cells of the level below.
struct Level {
    width: usize,
    height: usize,
    cells: Vec<Cell>,
}

impl Level {
    /// The level above one of `width` x `height` cells.
    fn above(width: usize, height: usize, cell: impl Fn(usize, usize) -> Cell) -> Self {
        let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
        let mean = |at: usize| {
            let (x, y) = (at % columns * 2, at / columns * 2);
            let (mut rgb, mut weight) = ([0.0; 3], 0.0);
            for (x, y) in [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)] {
                if x < width && y < height {
                    let cell = cell(x, y);
                    rgb.iter_mut().zip(cell.rgb).for_each(|(sum, value)| *sum += value * cell.weight);
                    weight += cell.weight;
                }
            }
            if weight > 0.0 {
                rgb = rgb.map(|sum| sum / weight);
            }
            Cell { rgb, weight: weight.min(1.0) }
        };
        Self { width: columns, height: rows, cells: (0..columns * rows).map(mean).collect() }
    }

    /// The level where each cell in which nothing was seen has the colour of what is around it.
    fn filled(mut self) -> Self {
        let nothing_seen = |cell: &Cell| cell.weight == 0.0;
        if self.cells.len() == 1 || !self.cells.iter().any(nothing_seen) {
            return self;
        }
        let around = Level::above(self.width, self.height, |x, y| self.cells[y * self.width + x]).filled();
        for (at, cell) in self.cells.iter_mut().enumerate().filter(|(_, cell)| nothing_seen(cell)) {
            cell.rgb = around.below(at % self.width, at / self.width);
        }
        self
    }

    /// The colour at a cell of the level below, interpolated between this level's.
    fn below(&self, x: usize, y: usize) -> [f32; 3] {
        // The nearest cell along an axis, and the next nearest, which counts a quarter.
        let nearest = |at: usize, length: usize| {
            let cell = at / 2;
            let next = if at.is_multiple_of(2) { cell.saturating_sub(1) } else { (cell + 1).min(length - 1) };
            [(cell, 0.75), (next, 0.25)]
        };
        let mut rgb = [0.0; 3];
        for (row, vertical) in nearest(y, self.height) {
            for (column, horizontal) in nearest(x, self.width) {
                let cell = self.cells[row * self.width + column].rgb;
                rgb.iter_mut().zip(cell).for_each(|(sum, value)| *sum += value * vertical * horizontal);
            }
        }
        rgb
    }
}

#[cfg(test)]
mod tests {
    use crate::picture::fixtures::{Depth, LAYOUTS, pattern, picture};
    use crate::picture::{Layout, Samples};

    #[test]
    fn what_cannot_be_seen_has_the_colour_of_what_can() {
        let (red, nothing, hidden_blue) = ([200, 10, 20, 255], [0, 0, 0, 0], [0, 0, 255, 0]);
        let samples = [red, nothing, hidden_blue, nothing, nothing].concat();
        let mut row = picture(Layout::Rgba, Samples::U8(samples));
        row.fill_hidden();
        let Samples::U8(samples) = row.samples else { panic!() };
        assert_eq!(samples[..4], red);
        assert!(samples[4..].chunks(4).all(|pixel| pixel == [200, 10, 20, 0]), "{samples:?}");
    }

    #[test]
    fn colours_change_smoothly_between_what_can_be_seen() {
        let mut samples = vec![0_u8; 64 * 2];
        samples[..2].copy_from_slice(&[0, 255]);
        samples[126..].copy_from_slice(&[240, 255]);
        let mut row = picture(Layout::GrayAlpha, Samples::U8(samples));
        row.fill_hidden();
        let Samples::U8(samples) = row.samples else { panic!() };
        let grays: Vec<u8> = samples.chunks(2).map(|pixel| pixel[0]).collect();
        assert!(grays.is_sorted() && grays.windows(2).all(|pair| pair[1] - pair[0] < 60), "{grays:?}");
    }

    #[test]
    fn what_can_be_seen_stays_as_it_is() {
        for layout in LAYOUTS {
            let source = pattern(9, 7, layout, Depth::Sixteen);
            let mut filled = source.clone();
            filled.fill_hidden();
            let channels = layout.channels();
            let (Samples::U16(before), Samples::U16(after)) = (&source.samples, &filled.samples) else { panic!() };
            for (before, after) in before.chunks(channels).zip(after.chunks(channels)) {
                assert!(before == after || before.last() == Some(&0) && after.last() == Some(&0));
            }
        }
    }
}
