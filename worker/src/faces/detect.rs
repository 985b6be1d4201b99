//! Finding the faces of a picture, from 16 pixels wide to as large as the picture.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use remaster_engine::SharedEngine;

use super::detector::Detector;
use super::error::FacesError;
use super::face::{BoundingBox, Face};
use super::nms::{merge_levels, nms};
use super::pyramid::{MAX_FACE_SIDE, levels, tiles};
use crate::blocking::blocking;
use crate::picture::{Picture, Plane, Window, resize};

/// Tiles in preparation: one that the engine runs and one that is ready when the engine has finished.
const TILES_IN_FLIGHT: usize = 2;

/// A box that comes nearer than this to the edge of a tile counts as cut off, in pixels.
const EDGE_MARGIN: f64 = 2.0;

/// The faces of the picture in its own pixels, by falling score.
///
/// # Errors
/// The detector cannot be run, or its output cannot be used.
pub async fn detect(
    engine: &SharedEngine,
    detector: &Detector,
    picture: &Arc<Picture>,
) -> Result<Vec<Face>, FacesError> {
    let levels = levels(picture.width, picture.height);
    let last = levels.len() - 1;
    let mut detections = Vec::new();
    let mut smaller = Arc::clone(picture);
    for (index, (width, height)) in levels.into_iter().enumerate() {
        // Each half is made from the level before, the doubled picture from the picture itself.
        let from = Arc::clone(if width > picture.width { picture } else { &smaller });
        let resized = if (width, height) == (from.width, from.height) {
            from
        } else {
            Arc::new(blocking(move || resize(&from, width, height)).await??)
        };
        let max_face_side = if index == last { f64::INFINITY } else { MAX_FACE_SIDE };
        let level = Level { engine, detector, picture: Arc::clone(&resized), max_face_side };
        let to_picture = ToPicture { x: picture.width as f64 / width as f64, y: picture.height as f64 / height as f64 };
        detections.extend(nms(level.detections().await?).iter().map(|face| to_picture.face(face)));
        if width <= picture.width {
            smaller = resized;
        }
    }
    Ok(merge_levels(detections))
}

/// The factors from a level of the pyramid to the picture.
struct ToPicture {
    x: f64,
    y: f64,
}

impl ToPicture {
    fn face(&self, face: &Face) -> Face {
        // The edges of pixels coincide at all levels, their centres do not.
        let point = |[x, y]: [f64; 2]| [(x + 0.5) * self.x - 0.5, (y + 0.5) * self.y - 0.5];
        let BoundingBox { left, top, width, height } = face.bbox;
        let [left, top] = point([left, top]);
        let bbox = BoundingBox { left, top, width: width * self.x, height: height * self.y };
        Face { score: face.score, bbox, landmarks: face.landmarks.map(point) }
    }
}

/// The picture at one level of the pyramid.
struct Level<'a> {
    engine: &'a SharedEngine,
    detector: &'a Detector,
    picture: Arc<Picture>,
    /// Larger faces are left to the next level, in pixels of this one.
    max_face_side: f64,
}

impl Level<'_> {
    /// The detections of all tiles, in pixels of the level. Where tiles overlap, a face is found in each.
    async fn detections(&self) -> Result<Vec<Face>, FacesError> {
        let tiles = tiles(self.picture.width, self.picture.height);
        let runs = stream::iter(tiles).map(|tile| self.tile(tile)).buffered(TILES_IN_FLIGHT);
        runs.try_concat().await
    }

    /// The faces that are whole in the tile, in pixels of the level.
    async fn tile(&self, tile: Window) -> Result<Vec<Face>, FacesError> {
        let (picture, detector) = (Arc::clone(&self.picture), self.detector.clone());
        let input = blocking(move || detector.input(&picture.to_tensor(Plane::Color, tile))).await?;
        let (_, _, height, width) = input.dim();
        let outputs = self.engine.outputs(self.detector.model(), input).await?;
        let mut faces = self.detector.faces(&outputs, [width, height])?;
        faces.retain(|face| {
            face.bbox.width.max(face.bbox.height) <= self.max_face_side && self.is_whole(tile, &face.bbox)
        });
        let (x, y) = (tile.x as f64, tile.y as f64);
        for face in &mut faces {
            face.bbox.left += x;
            face.bbox.top += y;
            face.landmarks.iter_mut().for_each(|point| *point = [point[0] + x, point[1] + y]);
        }
        Ok(faces)
    }

    /// Whether no edge of the tile cuts the box. An edge that is also an edge of the picture does not.
    fn is_whole(&self, tile: Window, bbox: &BoundingBox) -> bool {
        let clear = |from: f64, length: f64, tile_from: isize, tile_length: usize, whole: usize| {
            let end = tile_from as usize + tile_length;
            (tile_from == 0 || from >= EDGE_MARGIN)
                && (end == whole || from + length <= tile_length as f64 - EDGE_MARGIN)
        };
        clear(bbox.left, bbox.width, tile.x, tile.width, self.picture.width)
            && clear(bbox.top, bbox.height, tile.y, tile.height, self.picture.height)
    }
}
