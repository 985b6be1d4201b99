//! Finding the faces of a picture, from 16 pixels to the whole of it.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::detector::Detector;
use super::pyramid::{TRUSTED, scales, tiles};
use super::{Area, Face, merge};
use crate::enhance::EnhanceError;
use crate::picture::{Band, Picture, Window};
use crate::upscale::{blocking, resized};
use remaster_engine::SharedEngine;

/// Tiles in preparation: one in the engine, one ready behind it.
const AHEAD: usize = 2;

/// How near to a tile's edge a box may come before it counts as cut off, in pixels.
const CLEAR: f64 = 2.0;

/// The picture's faces, the surest first.
///
/// # Errors
/// The engine's.
pub async fn detect(
    engine: &SharedEngine,
    detector: &Detector,
    picture: &Arc<Picture>,
) -> Result<Vec<Face>, EnhanceError> {
    let scales = scales(picture.width, picture.height);
    let last = scales.len() - 1;
    let mut found = Vec::new();
    let mut smaller = Arc::clone(picture);
    for (index, (width, height)) in scales.into_iter().enumerate() {
        // Halves are made from halves; the double and the picture itself from the picture.
        let from = Arc::clone(if width > picture.width { picture } else { &smaller });
        let scaled = if (width, height) == (from.width, from.height) {
            from
        } else {
            Arc::new(blocking(move || resized(&from, width, height)).await??)
        };
        let largest = if index == last { f64::INFINITY } else { TRUSTED };
        let scale = Scale { engine, detector, picture: Arc::clone(&scaled), largest };
        let back = Back { x: picture.width as f64 / width as f64, y: picture.height as f64 / height as f64 };
        found.extend(merge::surest(scale.faces().await?).iter().map(|face| back.face(face)));
        if width <= picture.width {
            smaller = scaled;
        }
    }
    Ok(merge::combined(found))
}

/// From a scale to the picture.
struct Back {
    x: f64,
    y: f64,
}

impl Back {
    fn face(&self, face: &Face) -> Face {
        // Pixels' edges coincide at all scales, their centres do not.
        let point = |[x, y]: [f64; 2]| [(x + 0.5) * self.x - 0.5, (y + 0.5) * self.y - 0.5];
        let Area { left, top, width, height } = face.area;
        let [left, top] = point([left, top]);
        let area = Area { left, top, width: width * self.x, height: height * self.y };
        Face { score: face.score, area, landmarks: face.landmarks.map(point) }
    }
}

/// A picture at one scale.
struct Scale<'a> {
    engine: &'a SharedEngine,
    detector: &'a Detector,
    picture: Arc<Picture>,
    /// Larger faces are another scale's.
    largest: f64,
}

impl Scale<'_> {
    async fn faces(&self) -> Result<Vec<Face>, EnhanceError> {
        let tiles = tiles(self.picture.width, self.picture.height);
        let mut runs = stream::iter(tiles).map(|tile| self.tile(tile)).buffered(AHEAD);
        let mut found = Vec::new();
        while let Some(faces) = runs.try_next().await? {
            found.extend(faces);
        }
        Ok(found)
    }

    /// The faces that are whole in the tile, in pixels of the scale.
    async fn tile(&self, tile: Window) -> Result<Vec<Face>, EnhanceError> {
        let (picture, detector) = (Arc::clone(&self.picture), self.detector.clone());
        let input = blocking(move || detector.input(&picture.cut(Band::Color, tile))).await?;
        let (_, _, height, width) = input.dim();
        let outputs = self.engine.outputs(self.detector.model(), input).await?;
        let mut faces = self.detector.faces(&outputs, [width, height])?;
        faces.retain(|face| face.area.width.max(face.area.height) <= self.largest && self.is_whole(tile, &face.area));
        let (x, y) = (tile.x as f64, tile.y as f64);
        for face in &mut faces {
            face.area.left += x;
            face.area.top += y;
            face.landmarks.iter_mut().for_each(|point| *point = [point[0] + x, point[1] + y]);
        }
        Ok(faces)
    }

    /// Whether the tile's own edge, where the picture goes on, leaves the face alone.
    fn is_whole(&self, tile: Window, area: &Area) -> bool {
        let clear = |from: f64, length: f64, tile_from: isize, tile_length: usize, whole: usize| {
            let end = tile_from as usize + tile_length;
            (tile_from == 0 || from >= CLEAR) && (end == whole || from + length <= tile_length as f64 - CLEAR)
        };
        clear(area.left, area.width, tile.x, tile.width, self.picture.width)
            && clear(area.top, area.height, tile.y, tile.height, self.picture.height)
    }
}
