//! The similarity transform that brings a face's landmarks to the places where restoration networks expect them.

use super::{Face, Point};

/// The side of an aligned face, in pixels.
pub const SIDE: usize = 512;

/// Where the landmarks of an aligned face are (FFHQ, as facexlib has it).
pub const TEMPLATE: [Point; 5] = [
    [192.98138, 239.94708],
    [318.90277, 240.1936],
    [256.63416, 314.01935],
    [201.26117, 371.41043],
    [313.08905, 371.15118],
];

/// Turns, scales and moves: (x, y) to (`cos` x - `sin` y + `right`, `sin` x + `cos` y + `down`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    pub cos: f64,
    pub sin: f64,
    pub right: f64,
    pub down: f64,
}

impl Similarity {
    /// The one that brings `from` to `to` with the least squared distance; `None` when all of `from` are one point or
    /// not finite. Without reflection, Umeyama's estimate is this closed form.
    pub fn fit(from: &[Point; 5], to: &[Point; 5]) -> Option<Self> {
        let mean = |points: &[Point; 5], axis: usize| points.iter().map(|point| point[axis]).sum::<f64>() / 5.0;
        let ([fx, fy], [tx, ty]) = ([mean(from, 0), mean(from, 1)], [mean(to, 0), mean(to, 1)]);
        let (mut along, mut across, mut spread) = (0.0, 0.0, 0.0);
        for (from, to) in from.iter().zip(to) {
            let ([x, y], [u, v]) = ([from[0] - fx, from[1] - fy], [to[0] - tx, to[1] - ty]);
            along += x * u + y * v;
            across += x * v - y * u;
            spread += x * x + y * y;
        }
        let (cos, sin) = (along / spread, across / spread);
        let fitted = Self { cos, sin, right: tx - cos * fx + sin * fy, down: ty - sin * fx - cos * fy };
        (fitted.scale().is_finite() && fitted.scale() > 0.0).then_some(fitted)
    }

    /// From the input picture to the aligned face.
    pub fn of(face: &Face) -> Option<Self> {
        Self::fit(&face.landmarks, &TEMPLATE)
    }

    pub fn apply(&self, [x, y]: Point) -> Point {
        [self.cos * x - self.sin * y + self.right, self.sin * x + self.cos * y + self.down]
    }

    /// How much longer lines become.
    pub fn scale(&self) -> f64 {
        self.cos.hypot(self.sin)
    }

    pub fn inverse(&self) -> Self {
        let squared = self.cos * self.cos + self.sin * self.sin;
        let (cos, sin) = (self.cos / squared, -self.sin / squared);
        let (right, down) = (self.right, self.down);
        Self { cos, sin, right: sin * down - cos * right, down: -sin * right - cos * down }
    }

    /// The same for a picture `factor` times as large. Its pixel x lies at (x - (`factor` - 1) / 2) / `factor` of the
    /// smaller one, since the pixels' edges coincide, not their centres.
    pub fn from_enlarged(&self, factor: usize) -> Self {
        let factor = factor as f64;
        let offset = (factor - 1.0) / 2.0;
        let (cos, sin) = (self.cos / factor, self.sin / factor);
        Self {
            cos,
            sin,
            right: self.right - cos * offset + sin * offset,
            down: self.down - sin * offset - cos * offset,
        }
    }
}
