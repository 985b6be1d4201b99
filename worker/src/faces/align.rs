//! The similarity transform that brings a face's landmarks to the places where restoration networks expect them.

use super::face::{Face, Point};

/// The width and height of an aligned face, in pixels.
pub const FACE_SIZE: usize = 512;

/// The landmarks of an aligned face, in pixels and in the order of [`Face::landmarks`]: those of the FFHQ data set, as
/// [facexlib](https://github.com/xinntao/facexlib) has them.
pub const LANDMARK_TEMPLATE: [Point; 5] = [
    [192.98138, 239.94708],
    [318.90277, 240.1936],
    [256.63416, 314.01935],
    [201.26117, 371.41043],
    [313.08905, 371.15118],
];

/// A rotation with uniform scaling and translation: (x, y) becomes (`a` x - `b` y + `tx`, `b` x + `a` y + `ty`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// The scale times the cosine of the angle.
    pub a: f64,
    /// The scale times the sine of the angle.
    pub b: f64,
    /// The translation along x, in pixels.
    pub tx: f64,
    /// The translation along y, in pixels.
    pub ty: f64,
}

impl Similarity {
    /// The transform that brings the points `from` to `to` with the least sum of squared distances; `None` when all of
    /// `from` are one point or any is not finite.
    ///
    /// This is the estimate of Umeyama, "Least-squares estimation of transformation parameters between two point
    /// patterns", 1991, [doi:10.1109/34.88573](https://doi.org/10.1109/34.88573). In two dimensions and without
    /// reflection it has this closed form.
    pub fn fit(from: &[Point; 5], to: &[Point; 5]) -> Option<Self> {
        let mean = |points: &[Point; 5], axis: usize| points.iter().map(|point| point[axis]).sum::<f64>() / 5.0;
        let ([from_x, from_y], [to_x, to_y]) = ([mean(from, 0), mean(from, 1)], [mean(to, 0), mean(to, 1)]);
        let (mut dot, mut cross, mut variance) = (0.0, 0.0, 0.0);
        for (from, to) in from.iter().zip(to) {
            let ([x, y], [u, v]) = ([from[0] - from_x, from[1] - from_y], [to[0] - to_x, to[1] - to_y]);
            dot += x * u + y * v;
            cross += x * v - y * u;
            variance += x * x + y * y;
        }
        let (a, b) = (dot / variance, cross / variance);
        let fitted = Self { a, b, tx: to_x - a * from_x + b * from_y, ty: to_y - b * from_x - a * from_y };
        (fitted.scale().is_finite() && fitted.scale() > 0.0).then_some(fitted)
    }

    /// The transform from the picture that `face` was found in to the aligned face.
    pub fn aligning(face: &Face) -> Option<Self> {
        Self::fit(&face.landmarks, &LANDMARK_TEMPLATE)
    }

    /// Where the transform brings the point.
    pub fn apply(&self, [x, y]: Point) -> Point {
        [self.a * x - self.b * y + self.tx, self.b * x + self.a * y + self.ty]
    }

    /// The factor by which lengths grow.
    pub fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// The transform back.
    pub fn inverse(&self) -> Self {
        let squared = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / squared, -self.b / squared);
        let (tx, ty) = (self.tx, self.ty);
        Self { a, b, tx: b * ty - a * tx, ty: -b * tx - a * ty }
    }

    /// The same transform, for a picture enlarged `scale` times. The edges of pixels coincide in both pictures, not
    /// their centres, so pixel x of the enlarged one is at (x - (`scale` - 1) / 2) / `scale` of the smaller one.
    pub fn from_enlarged(&self, scale: usize) -> Self {
        let scale = scale as f64;
        let offset = (scale - 1.0) / 2.0;
        let (a, b) = (self.a / scale, self.b / scale);
        Self { a, b, tx: self.tx - a * offset + b * offset, ty: self.ty - b * offset - a * offset }
    }
}
