//! How a picture is cut into tiles.
//!
//! Tiles split the picture evenly and without gaps. The network is given each tile with `overlap` pixels of context
//! around it, which are cropped from its output: where two tiles meet, the network has seen enough of the other tile to
//! give the same answer as for the whole picture. At the edge of the picture the tile ends: a reflection there costs time, and
//! takes the result further from what the network makes of a larger picture (docs/performance.md).

use crate::picture::Window;

/// Tiles start at multiples of this many pixels. A network that works on blocks of pixels, such as realesrgan-x2plus,
/// then sees the same blocks in a tile as in the whole picture.
const ALIGNMENT: usize = 4;

/// The smallest side in pixels of a quarter that is tried after running out of memory.
const MIN_QUARTER: usize = 32;

/// The side of tiles where the setting `TILE` is `auto`, in pixels, for a network whose memory does not allow for more.
const AUTO_TILE: usize = 640;

/// The value of the setting `TILE` that leaves the size to the network.
const AUTO: &str = "auto";

/// The smallest value of the setting `TILE`, in pixels. With smaller tiles most of the work would be overlap.
const MIN_TILE: usize = 192;

/// The largest value of the setting `TILE`, in pixels.
const MAX_TILE: usize = 4096;

/// The setting `TILE`: `auto`, or a number of pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TileSettings {
    /// The largest side in pixels of what a network is given, overlap included; none where it follows from the network.
    side: Option<usize>,
}

/// The value of `TILE` is no number or out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("auto, or a whole number of pixels from {MIN_TILE} to {MAX_TILE}")]
pub struct TileSettingsError;

impl TileSettings {
    /// Tiles whose sides, overlap included, are at most `side` pixels.
    ///
    /// # Errors
    /// `side` is not in 192..=4096.
    pub fn new(side: usize) -> Result<Self, TileSettingsError> {
        if (MIN_TILE..=MAX_TILE).contains(&side) { Ok(Self { side: Some(side) }) } else { Err(TileSettingsError) }
    }

    /// The tiling for a network that needs `overlap` pixels of context on each side of a tile, and whose tiles are `stretch` times as
    /// large as usual along a side where the setting is `auto`.
    pub fn tiling(self, stretch: usize, overlap: usize) -> Tiling {
        let side = self.side.unwrap_or(AUTO_TILE * stretch);
        Tiling { side: side.max(2 * overlap + MIN_QUARTER + ALIGNMENT), overlap }
    }
}

impl std::str::FromStr for TileSettings {
    type Err = TileSettingsError;

    fn from_str(text: &str) -> Result<Self, TileSettingsError> {
        if text == AUTO {
            return Ok(Self::default());
        }
        text.parse().map_err(|_| TileSettingsError).and_then(Self::new)
    }
}

impl std::fmt::Display for TileSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.side {
            Some(side) => side.fmt(f),
            None => AUTO.fmt(f),
        }
    }
}

/// How pictures are cut into tiles for one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// The largest side in pixels of what the network is given.
    side: usize,
    /// Pixels of context on each side of a tile.
    overlap: usize,
}

/// The part of a picture that one run of the network produces, in input pixels and without its overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// The leftmost column.
    pub x: usize,
    /// The topmost row.
    pub y: usize,
    /// The number of columns.
    pub width: usize,
    /// The number of rows.
    pub height: usize,
}

impl Tile {
    /// The tile in four parts, or `None` when they would be too small.
    pub fn quarters(self) -> Option<[Tile; 4]> {
        if self.width.min(self.height) < 2 * MIN_QUARTER {
            return None;
        }
        let (left, top) = (self.width / 2 / ALIGNMENT * ALIGNMENT, self.height / 2 / ALIGNMENT * ALIGNMENT);
        let part = |x, y, width, height| Tile { x: self.x + x, y: self.y + y, width, height };
        Some([
            part(0, 0, left, top),
            part(left, 0, self.width - left, top),
            part(0, top, left, self.height - top),
            part(left, top, self.width - left, self.height - top),
        ])
    }
}

impl Tiling {
    /// The tiles of a picture of `width` x `height` pixels, row by row.
    pub fn tiles(self, width: usize, height: usize) -> Vec<Tile> {
        let columns = self.split(width);
        let rows = self.split(height);
        rows.iter()
            .flat_map(|&(y, height)| columns.iter().map(move |&(x, width)| Tile { x, y, width, height }))
            .collect()
    }

    /// `length` in as few even parts as fit, each as its start and its length.
    fn split(self, length: usize) -> Vec<(usize, usize)> {
        let parts =
            if length <= self.side { 1 } else { length.div_ceil(self.side - 2 * self.overlap - ALIGNMENT).max(1) };
        let start = |part: usize| if part == parts { length } else { part * length / parts / ALIGNMENT * ALIGNMENT };
        (0..parts).map(|part| (start(part), start(part + 1) - start(part))).collect()
    }

    /// What the network is given for `tile` of a picture of `width` x `height` pixels: the tile with its overlap, as far as the picture
    /// goes.
    pub fn window(self, tile: Tile, width: usize, height: usize) -> Window {
        let (x, right) = self.span(tile.x, tile.width, width);
        let (y, bottom) = self.span(tile.y, tile.height, height);
        Window { x: x as isize, y: y as isize, width: right - x, height: bottom - y }
    }

    fn span(self, start: usize, length: usize, whole: usize) -> (usize, usize) {
        (start.saturating_sub(self.overlap), (start + length + self.overlap).min(whole))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How often each pixel of a picture is in one of `tiles`.
    fn coverage(tiles: &[Tile], width: usize, height: usize) -> Vec<u8> {
        let mut seen = vec![0_u8; width * height];
        for tile in tiles {
            for y in tile.y..tile.y + tile.height {
                seen[y * width + tile.x..][..tile.width].iter_mut().for_each(|count| *count += 1);
            }
        }
        seen
    }

    proptest! {
        #[test]
        fn tiles_cover_every_pixel_once_and_windows_fit(
            (width, height) in (1_usize..2100, 1_usize..300),
            side in 192_usize..1100,
            overlap in prop_oneof![Just(8_usize), Just(24), Just(72)],
        ) {
            let tiling = TileSettings::new(side).unwrap().tiling(1, overlap);
            let tiles = tiling.tiles(width, height);
            prop_assert!(coverage(&tiles, width, height).iter().all(|count| *count == 1));
            for tile in tiles {
                let window = tiling.window(tile, width, height);
                prop_assert!(window.width <= side && window.height <= side, "{tile:?} {window:?}");
                prop_assert!(tile.x % ALIGNMENT == 0 && tile.y % ALIGNMENT == 0, "{tile:?}");
            }
        }

        #[test]
        fn quarters_cover_the_tile_once(width in 64_usize..300, height in 64_usize..300) {
            let quarters = Tile { x: 0, y: 0, width, height }.quarters().unwrap();
            prop_assert!(coverage(&quarters, width, height).iter().all(|count| *count == 1));
            prop_assert!(quarters.iter().all(|part| part.width >= MIN_QUARTER && part.height >= MIN_QUARTER));
        }
    }

    #[test]
    fn a_small_tile_is_not_quartered() {
        assert!(Tile { x: 4, y: 8, width: 63, height: 90 }.quarters().is_none());
    }

    #[test]
    fn the_setting_has_a_range() {
        assert!("191".parse::<TileSettings>().is_err() && "4097".parse::<TileSettings>().is_err());
        assert!("192".parse::<TileSettings>().is_ok() && "4096".parse::<TileSettings>().is_ok());
        assert_eq!("auto".parse::<TileSettings>().unwrap().tiling(2, 72).side, 1280);
        assert_eq!("300".parse::<TileSettings>().unwrap().tiling(2, 72).side, 300);
        assert!("big".parse::<TileSettings>().unwrap_err().to_string().contains("192 to 4096"));
    }
}
