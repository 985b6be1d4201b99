//! Faces: found at the input's resolution, restored one by one at a fixed size, blended into the enlarged picture.
//!
//! [`detect`] finds them, [`align`] and [`crop`] bring each to where the restoration network expects eyes, nose and
//! mouth, [`restore`] runs the network on a few at a time, [`mask`] and [`blend`] put them back. Constants are GFPGAN's
//! and facexlib's. Everything is made anew for each picture: no state outlives a call.
//!
//! Points are in pixels of the input picture, the centre of its first pixel being (0, 0).

mod align;
mod blend;
mod crop;
mod detect;
mod detector;
mod mask;
mod merge;
mod models;
mod parse;
mod pyramid;
mod restore;
mod retinaface;
#[cfg(test)]
mod tests;
mod yunet;

pub use align::{SIDE, Similarity, TEMPLATE};
pub use crop::crop;
pub use detect::detect;
pub use detector::Detector;
pub use models::FaceModels;
pub use restore::{Restoration, restore};

/// x to the right, y down.
pub type Point = [f64; 2];

/// A face that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// How sure the detector is, 0..=1.
    pub score: f64,
    pub area: Area,
    /// Image-left eye, image-right eye, nose, image-left and image-right corner of the mouth.
    pub landmarks: [Point; 5],
}

/// An upright rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// Eyes closer than this hold nothing to restore.
const LEAST_EYE_DISTANCE: f64 = 5.0;

impl Face {
    /// Whether it is large enough to be restored.
    pub fn is_restorable(&self) -> bool {
        let [left, right, ..] = self.landmarks;
        (right[0] - left[0]).hypot(right[1] - left[1]) >= LEAST_EYE_DISTANCE
    }
}
