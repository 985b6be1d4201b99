//! A face in a picture.

/// A point in pixels: x to the right, y down. The centre of the first pixel is (0, 0).
pub type Point = [f64; 2];

/// The smallest distance between the eyes, in pixels, of a face that is restored. GFPGAN skips smaller faces too.
const MIN_EYE_DISTANCE: f64 = 5.0;

/// A face that a detector found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// The confidence of the detector, 0..=1.
    pub score: f64,
    /// The bounding box of the face.
    pub bbox: BoundingBox,
    /// Image-left eye, image-right eye, nose, image-left and image-right corner of the mouth.
    pub landmarks: [Point; 5],
}

impl Face {
    /// Whether the face is large enough to be restored.
    pub fn is_restorable(&self) -> bool {
        let [left, right, ..] = self.landmarks;
        (right[0] - left[0]).hypot(right[1] - left[1]) >= MIN_EYE_DISTANCE
    }
}

/// An upright rectangle in pixels, which may reach past the edges of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    /// The x of the left edge.
    pub left: f64,
    /// The y of the top edge.
    pub top: f64,
    /// From the left edge to the right one.
    pub width: f64,
    /// From the top edge to the bottom one.
    pub height: f64,
}
