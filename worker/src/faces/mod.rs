//! Faces: found at the input's resolution, restored one by one at a fixed size, blended into the enlarged picture.
//!
//! [`detect()`] finds faces, [`Similarity`] and [`crop()`] bring each to where the restoration network expects eyes, nose
//! and mouth, and [`restore()`] runs the network on a few faces at a time and blends them in. The constants are those of
//! [GFPGAN](https://github.com/TencentARC/GFPGAN) and [facexlib](https://github.com/xinntao/facexlib). No state
//! outlives a call, so faces of one picture cannot reach another.
//!
//! Points are in pixels of the input picture; the centre of its first pixel is (0, 0).

mod align;
mod blend;
mod color;
mod crop;
mod detect;
mod detector;
mod error;
mod face;
mod mask;
mod models;
mod nms;
mod pyramid;
mod restore;
mod retinaface;
mod rows;
mod segmentation;
#[cfg(test)]
mod tests;
mod yunet;

pub use align::{FACE_SIZE, LANDMARK_TEMPLATE, Similarity};
pub use blend::RestoredFaces;
pub use crop::crop;
pub use detect::detect;
pub use detector::Detector;
pub use error::FacesError;
pub use face::{BoundingBox, Face, Point};
pub use models::FaceModels;
pub use restore::{Restoration, restore};
