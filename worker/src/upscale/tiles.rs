//! How a picture is cut into tiles.
//!
//! Cells split the picture evenly and without gaps. Each is run through the network with `overlap` pixels around it,
//! which are then cropped: where cells meet, the network has seen enough of the other side to give the same answer.
//! Past the picture's edge it sees the picture mirrored, `EDGE` pixels of it.

use crate::picture::Window;

/// Mirrored pixels around the picture; a multiple of [`GRID`].
const EDGE: usize = 12;

/// Where cells may start.
const GRID: usize = 4;

/// Cells are not quartered below this side.
const SMALLEST: usize = 32;

/// The default of `TILE`.
const DEFAULT_TILE: usize = 640;

/// The least value of `TILE`: below, overlaps would be most of the work.
const LEAST_TILE: usize = 192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileSettings {
    /// Largest side of what the network is given, in pixels.
    side: usize,
}

/// The settings for one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    side: usize,
    /// Context on each side of a cell, in input pixels.
    overlap: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a whole number of pixels from {LEAST_TILE} to 4096")]
pub struct SettingsError;

impl Default for TileSettings {
    fn default() -> Self {
        Self { side: DEFAULT_TILE }
    }
}

impl std::str::FromStr for TileSettings {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        text.parse().map_err(|_| SettingsError).and_then(Self::new)
    }
}

impl std::fmt::Display for TileSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.side.fmt(f)
    }
}

/// A part of the picture that one run produces, in input pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

impl Cell {
    /// The cell in four, or `None` when it is small already.
    pub fn quarters(self) -> Option<[Cell; 4]> {
        if self.width.min(self.height) < 2 * SMALLEST {
            return None;
        }
        let (left, top) = (self.width / 2 / GRID * GRID, self.height / 2 / GRID * GRID);
        let part = |x, y, width, height| Cell { x: self.x + x, y: self.y + y, width, height };
        Some([
            part(0, 0, left, top),
            part(left, 0, self.width - left, top),
            part(0, top, left, self.height - top),
            part(left, top, self.width - left, self.height - top),
        ])
    }
}

impl TileSettings {
    pub fn new(side: usize) -> Result<Self, SettingsError> {
        if (LEAST_TILE..=4096).contains(&side) { Ok(Self { side }) } else { Err(SettingsError) }
    }

    /// For a network that needs `overlap` pixels around each tile.
    pub fn grid(self, overlap: usize) -> Grid {
        Grid { side: self.side.max(2 * overlap + SMALLEST + GRID), overlap }
    }
}

impl Grid {
    /// The cells of a picture, row by row.
    pub fn cells(self, width: usize, height: usize) -> Vec<Cell> {
        let columns = self.split(width);
        let rows = self.split(height);
        rows.iter()
            .flat_map(|&(y, height)| columns.iter().map(move |&(x, width)| Cell { x, y, width, height }))
            .collect()
    }

    /// `length` in as few even parts as fit, as (start, length). Parts start at multiples of [`GRID`], as the whole does:
    /// a network that looks at blocks of pixels (x2plus) then sees the same blocks in a tile as in the whole.
    fn split(self, length: usize) -> Vec<(usize, usize)> {
        let parts = if length + 2 * EDGE <= self.side {
            1
        } else {
            length.div_ceil(self.side - 2 * self.overlap - GRID).max(1)
        };
        let start = |part: usize| if part == parts { length } else { part * length / parts / GRID * GRID };
        (0..parts).map(|part| (start(part), start(part + 1) - start(part))).collect()
    }

    /// What the network is given for `cell`: the cell with its overlap, up to the mirrored edge.
    pub fn window(self, cell: Cell, width: usize, height: usize) -> Window {
        let (x, right) = self.span(cell.x, cell.width, width);
        let (y, bottom) = self.span(cell.y, cell.height, height);
        Window { x, y, width: (right - x) as usize, height: (bottom - y) as usize }
    }

    fn span(self, start: usize, length: usize, whole: usize) -> (isize, isize) {
        let (edge, overlap) = (EDGE as isize, self.overlap as isize);
        let from = (start as isize - overlap).max(-edge);
        let to = ((start + length) as isize + overlap).min(whole as isize + edge);
        (from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cover_every_pixel_once_and_windows_fit() {
        for (width, height) in [(1, 1), (256, 256), (237, 300), (1000, 37), (513, 2049)] {
            for (side, overlap) in [(192, 8), (192, 72), (256, 72), (1024, 24)] {
                let settings = TileSettings::new(side).unwrap().grid(overlap);
                let mut seen = vec![0_u8; width * height];
                for cell in settings.cells(width, height) {
                    for y in cell.y..cell.y + cell.height {
                        seen[y * width + cell.x..][..cell.width].iter_mut().for_each(|count| *count += 1);
                    }
                    let window = settings.window(cell, width, height);
                    assert!(window.width <= side && window.height <= side, "{cell:?} {window:?}");
                    assert!(cell.x % GRID == 0 && cell.y % GRID == 0, "{cell:?}");
                }
                assert!(seen.iter().all(|count| *count == 1), "{width}x{height} at {side}");
            }
        }
    }

    #[test]
    fn quarters_are_the_cell() {
        let cell = Cell { x: 5, y: 7, width: 65, height: 90 };
        let area: usize = cell.quarters().unwrap().iter().map(|part| part.width * part.height).sum();
        assert_eq!(area, 65 * 90);
        assert!(Cell { width: 63, ..cell }.quarters().is_none());
    }

    #[test]
    fn a_tile_too_small_for_its_overlap_is_refused() {
        assert!("191".parse::<TileSettings>().is_err());
        assert!("192".parse::<TileSettings>().is_ok());
        assert!("big".parse::<TileSettings>().unwrap_err().to_string().contains("192 to 4096"));
    }
}
