//! How a picture is cut into tiles.
//!
//! Tiles split the picture without gaps. The network is given each tile with `overlap` pixels of context, or a few more,
//! around it, which are cropped from its output: where two tiles meet, the network has seen enough of the other tile to
//! give the same answer as for the whole picture. What the network is given has one size for all tiles of a picture, so that
//! it can be prepared for that size. At the edge of the picture the tile ends: a reflection there costs time, and
//! takes the result further from what the network makes of a larger picture (docs/performance.md).

use crate::picture::Window;

/// Tiles start at multiples of this many pixels. A network that works on blocks of pixels, such as realesrgan-x2plus,
/// then sees the same blocks in a tile as in the whole picture.
const ALIGNMENT: usize = 4;

/// The smallest side in pixels of a quarter that is tried after running out of memory.
const MIN_QUARTER: usize = 32;

/// The value of the setting `TILE` that leaves the size to the network.
const AUTO: &str = "auto";

/// The part of its work, as a divisor, by which one way to cut a picture may exceed another one that is otherwise worse.
const NEARLY: usize = 32;

/// The smallest value of the setting `TILE`, in pixels. With smaller tiles most of the work would be overlap.
const MIN_TILE: usize = 192;

/// The largest value of the setting `TILE`, in pixels.
const MAX_TILE: usize = 4096;

/// The setting `TILE`: `auto`, or a number of pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TileSettings {
    /// The largest side in pixels of what a network is given, overlap included; none where its area follows from the network.
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

    /// The tiling for a network that needs `overlap` pixels of context on each side of a tile, and whose tiles have `area` pixels at most,
    /// overlap included, where the setting is `auto`.
    pub fn tiling(self, area: usize, overlap: usize) -> Tiling {
        Tiling { limit: self.side.map_or(Limit::Area(area), Limit::Side), overlap }
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

/// How large what the network is given may be, overlap included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// The pixels along a side.
    Side(usize),
    /// The pixels in all.
    Area(usize),
}

/// How pictures are cut into tiles for one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    limit: Limit,
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
        let (columns, rows) = self.parts(width, height);
        let (columns, rows) = (self.split(width, columns), self.split(height, rows));
        let row = |rows: Part| {
            let tile = move |columns: &Part| Tile {
                x: columns.start,
                y: rows.start,
                width: columns.length,
                height: rows.length,
            };
            columns.iter().map(tile)
        };
        rows.into_iter().flat_map(row).collect()
    }

    /// The number of columns and of rows into which a picture is cut: those with nearly the least work that are within the limit.
    fn parts(self, width: usize, height: usize) -> (usize, usize) {
        let area = match self.limit {
            Limit::Side(side) => {
                let side = side.max(self.narrowest());
                return (self.fewest(width, side), self.fewest(height, side));
            }
            Limit::Area(area) => area,
        };
        let choice = |columns| (columns, self.fewest(height, area / self.longest(width, columns)));
        let fits =
            |(columns, rows): &(usize, usize)| self.longest(width, *columns) * self.longest(height, *rows) <= area;
        let work = |(columns, rows)| columns * self.longest(width, columns) * rows * self.longest(height, rows);
        let most = self.fewest(width, self.narrowest());
        let choices = || (1..=most).map(choice).filter(fits);
        let least = choices().map(work).min().unwrap_or(0);
        // Of choices that are nearly equal the one with the lowest rows: the result is made and encoded row by row.
        choices().find(|choice| work(*choice) <= least + least / NEARLY).unwrap_or_else(|| choice(most))
    }

    /// The fewest parts of `length` that have at most `side` pixels each, overlap included.
    fn fewest(self, length: usize, side: usize) -> usize {
        match length {
            length if length <= side => 1,
            length if self.longest(length, 2) <= side => 2,
            length => {
                let shared = 2 * self.overlap + ALIGNMENT;
                let parts = length.saturating_sub(shared).div_ceil(side.max(self.narrowest()) - shared - ALIGNMENT);
                parts.max(1)
            }
        }
    }

    /// The least side of what the network is given for one of many tiles.
    fn narrowest(self) -> usize {
        2 * self.overlap + MIN_QUARTER + ALIGNMENT
    }

    /// The pixels of each of so many parts of `length`, overlap included: as few as go, and so many that the last part begins at a multiple
    /// of [`ALIGNMENT`] and ends with the picture.
    fn longest(self, length: usize, parts: usize) -> usize {
        if parts == 1 {
            return length;
        }
        let shared = (parts - 1) * (2 * self.overlap + ALIGNMENT);
        let least = (length + shared).div_ceil(parts).min(length);
        least + (length - least) % ALIGNMENT
    }

    /// `length` in so many parts.
    fn split(self, length: usize, parts: usize) -> Vec<Part> {
        let given = self.longest(length, parts);
        // One that is hardly longer than its overlap is not cut.
        let parts = if given == length { 1 } else { parts };
        let from = |part: usize| match parts {
            1 => 0,
            parts => part * (length - given) / (parts - 1) / ALIGNMENT * ALIGNMENT,
        };
        let start = |part: usize| match part {
            0 => 0,
            part if part == parts => length,
            part => from(part) + self.overlap,
        };
        let part =
            |part| Part { start: start(part), length: start(part + 1) - start(part), given: (from(part), given) };
        (0..parts).map(part).collect()
    }

    /// What the network is given for `tile` of a picture of `width` x `height` pixels: the tile with its overlap, as far as the picture
    /// goes. For a part of a tile of [`Tiling::tiles`] that is its own overlap.
    pub fn window(self, tile: Tile, width: usize, height: usize) -> Window {
        let (columns, rows) = self.parts(width, height);
        let (x, width) = self.span((tile.x, tile.width), width, columns);
        let (y, height) = self.span((tile.y, tile.height), height, rows);
        Window { x: x as isize, y: y as isize, width, height }
    }

    fn span(self, (start, length): (usize, usize), whole: usize, parts: usize) -> (usize, usize) {
        let part = self.split(whole, parts).into_iter().find(|part| (part.start, part.length) == (start, length));
        part.map_or_else(
            || {
                let from = start.saturating_sub(self.overlap);
                (from, (start + length + self.overlap).min(whole) - from)
            },
            |part| part.given,
        )
    }
}

/// A part of a picture's width or height.
#[derive(Debug, Clone, Copy)]
struct Part {
    start: usize,
    length: usize,
    /// Where what the network is given for it begins, and how long it is.
    given: (usize, usize),
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

    /// Whether the network is given the same size for all tiles, each with its overlap as far as the picture goes, and from a multiple of the
    /// alignment on.
    fn are_given_their_overlap(tiling: Tiling, tiles: &[Tile], width: usize, height: usize) -> bool {
        let first = tiling.window(tiles[0], width, height);
        let enough = |start: usize, length: usize, from: isize, given: usize, whole: usize| {
            let from = from as usize;
            from.is_multiple_of(ALIGNMENT)
                && start.is_multiple_of(ALIGNMENT)
                && from <= start.saturating_sub(tiling.overlap)
                && from + given >= (start + length + tiling.overlap).min(whole)
                && from + given <= whole
        };
        tiles.iter().all(|tile| {
            let window = tiling.window(*tile, width, height);
            (window.width, window.height) == (first.width, first.height)
                && enough(tile.x, tile.width, window.x, window.width, width)
                && enough(tile.y, tile.height, window.y, window.height, height)
        })
    }

    proptest! {
        #[test]
        fn tiles_cover_every_pixel_once_and_windows_fit(
            (width, height) in (1_usize..2100, 1_usize..300),
            side in 192_usize..1100,
            overlap in prop_oneof![Just(8_usize), Just(24), Just(80), Just(160)],
        ) {
            let tiling = TileSettings::new(side).unwrap().tiling(1, overlap);
            let side = side.max(tiling.narrowest());
            let tiles = tiling.tiles(width, height);
            prop_assert!(coverage(&tiles, width, height).iter().all(|count| *count == 1));
            prop_assert!(are_given_their_overlap(tiling, &tiles, width, height));
            for tile in tiles {
                let window = tiling.window(tile, width, height);
                prop_assert!(window.width <= side && window.height <= side, "{tile:?} {window:?}");
            }
        }

        #[test]
        fn tiles_of_a_limited_area_cover_every_pixel_once_and_fit(
            (width, height) in (1_usize..3000, 1_usize..3000),
            side in 320_usize..1500,
            overlap in prop_oneof![Just(8_usize), Just(24), Just(80)],
        ) {
            let tiling = TileSettings::default().tiling(side * side, overlap);
            let tiles = tiling.tiles(width, height);
            prop_assert!(coverage(&tiles, width, height).iter().all(|count| *count == 1));
            prop_assert!(are_given_their_overlap(tiling, &tiles, width, height));
            for tile in tiles {
                let window = tiling.window(tile, width, height);
                prop_assert!(window.width * window.height <= side * side, "{tile:?} {window:?}");
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

    /// The pixels that a network is given for a picture.
    fn work(tiling: Tiling, width: usize, height: usize) -> usize {
        let windows = tiling.tiles(width, height).into_iter().map(|tile| tiling.window(tile, width, height));
        windows.map(|window| window.width * window.height).sum()
    }

    #[test]
    fn a_slightly_larger_picture_is_hardly_more_work() {
        for (side, overlap) in [(1616, 80), (640, 24)] {
            let tiling = TileSettings::default().tiling(side * side, overlap);
            for length in 500..1600 {
                let of = |length: usize| work(tiling, length, length) as f64 / (length * length) as f64;
                assert!(of(length + 1) / of(length) < 1.1, "{length}: {} {}", of(length), of(length + 1));
            }
        }
    }

    #[test]
    fn a_side_that_is_too_small_for_the_overlap_is_raised() {
        let tiling = TileSettings::new(192).unwrap().tiling(1, 160);
        assert_eq!((tiling.parts(356, 356), work(tiling, 356, 356)), ((1, 1), 356 * 356));
    }

    #[test]
    fn a_large_picture_has_little_overlap_and_low_rows() {
        let tiling = TileSettings::default().tiling(1616 * 1616, 80);
        assert!(work(tiling, 4000, 3000) as f64 / (4000.0 * 3000.0) < 1.2);
        assert_eq!(tiling.parts(2048, 1536), (1, 2));
        // A strip of a panorama is not as long as the panorama.
        assert!(tiling.parts(60_000, 2000).0 > 20);
    }

    #[test]
    fn the_setting_has_a_range() {
        assert!("191".parse::<TileSettings>().is_err() && "4097".parse::<TileSettings>().is_err());
        assert!("192".parse::<TileSettings>().is_ok() && "4096".parse::<TileSettings>().is_ok());
        assert_eq!("auto".parse::<TileSettings>().unwrap().tiling(9000, 72).limit, Limit::Area(9000));
        assert_eq!("300".parse::<TileSettings>().unwrap().tiling(9000, 72).limit, Limit::Side(300));
        assert!("big".parse::<TileSettings>().unwrap_err().to_string().contains("192 to 4096"));
    }
}
