//! The blend masks of a picture's faces: how much of each pixel comes from which restored face.
//!
//! A face's mask is its aligned square, feathered: 0 at the edge of the square, 1 a tenth of its side further in. The
//! feather grows with the face, so that no step is visible at any size. Where no parser tells the face from hair, hat and background, the
//! mask is the oval that faces fill in the square, feathered likewise. Where squares overlap, pixels are divided among
//! the faces by their distance to each face's centre in units of that face's size, with a soft border. Together the
//! faces cover what the strongest of their masks covers, so no gap opens between them, and the result does not depend
//! on their order.

use super::align::{FACE_SIZE, LANDMARK_TEMPLATE, Similarity};
use crate::picture::Window;

/// The width of the feather in pixels of the aligned face. facexlib erodes by half of it and blurs by the other half.
const FEATHER: f64 = FACE_SIZE as f64 / 10.0;

/// The oval of a face: its centre, and its half axes up to where its feather ends, in pixels of the aligned face. It reaches from the
/// forehead to below the chin, and to the ears.
const OVAL_CENTRE: [f64; 2] = [256.0, 288.0];
const OVAL: [f64; 2] = [175.0, 215.0];

/// The distance to a face's centre, in pixels of the aligned face, at which its weight against other faces falls to
/// 1/e.
const WEIGHT_RADIUS: f64 = FACE_SIZE as f64 / 8.0;

/// What of a face's square is taken from the restored face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outline {
    /// All of it: a parser limits it further.
    Square,
    /// The oval that a face fills.
    Oval,
}

/// The masks of all faces of one picture.
pub(super) struct BlendMasks {
    faces: Vec<FaceRegion>,
}

/// A face's square in the picture, and the other faces that it meets there.
struct FaceRegion {
    /// From the picture to the aligned face.
    align: Similarity,
    /// 0 keeps the picture as it is, 1 replaces the face by the restored one.
    strength: f64,
    /// What of the square is face.
    outline: Outline,
    /// The part of the picture that the square covers.
    window: Window,
    /// The faces whose windows intersect this one's.
    neighbours: Vec<usize>,
    /// Those of them with a higher index.
    later_neighbours: Vec<usize>,
}

impl BlendMasks {
    /// The masks of faces whose `aligns` lead from a picture of `size` pixels to the aligned face. Each has a strength: 0 keeps the picture as it is, 1
    /// replaces the face by the restored one.
    pub(super) fn new(aligns: &[Similarity], strengths: &[f64], outline: Outline, size: (usize, usize)) -> Self {
        let windows: Vec<Window> = aligns.iter().map(|align| covered(align, size)).collect();
        let region = |index: usize| {
            let meets = |other: &usize| *other != index && windows[*other].intersects(windows[index]);
            let neighbours: Vec<usize> = (0..aligns.len()).filter(meets).collect();
            let later_neighbours = neighbours.iter().copied().filter(|other| *other > index).collect();
            let (align, strength, window) = (aligns[index], strengths[index], windows[index]);
            FaceRegion { align, strength, outline, window, neighbours, later_neighbours }
        };
        Self { faces: (0..aligns.len()).map(region).collect() }
    }

    /// The part of the picture that the face may change.
    pub(super) fn window(&self, face: usize) -> Window {
        self.faces[face].window
    }

    /// The transform from the picture to the aligned face.
    pub(super) fn align(&self, face: usize) -> Similarity {
        self.faces[face].align
    }

    /// The opacity of the face at (`x`, `y`) of the picture, 0..=1, when the faces are laid over the picture one after
    /// the other in the order of their index. Each face then has the share of the pixel that [`BlendMasks::share`]
    /// gives.
    pub(super) fn opacity(&self, face: usize, x: usize, y: usize) -> f64 {
        let own = self.share(face, x, y);
        if own <= 0.0 || self.faces[face].later_neighbours.is_empty() {
            return own;
        }
        let later: f64 = self.faces[face].later_neighbours.iter().map(|later| self.share(*later, x, y)).sum();
        // Later faces will cover a part of this one, which is made up for here. The opacity is 1 where they leave
        // nothing but this face's share.
        (own / (1.0 - later).max(own)).min(1.0)
    }

    /// The share of the finished pixel that comes from the face, 0..=1. The shares of all faces together are at most
    /// the largest strength.
    fn share(&self, face: usize, x: usize, y: usize) -> f64 {
        let Contribution { mask, weight } = self.contribution(face, x, y);
        if mask == 0.0 || self.faces[face].neighbours.is_empty() {
            return mask * self.faces[face].strength;
        }
        let (mut strongest, mut total_weight) = (mask, weight);
        for neighbour in &self.faces[face].neighbours {
            let neighbour = self.contribution(*neighbour, x, y);
            strongest = strongest.max(neighbour.mask);
            total_weight += neighbour.weight;
        }
        strongest * self.faces[face].strength * weight / total_weight
    }

    fn contribution(&self, face: usize, x: usize, y: usize) -> Contribution {
        let [u, v] = self.faces[face].align.apply([x as f64, y as f64]);
        let mask = match self.faces[face].outline {
            Outline::Square => feather(u) * feather(v),
            Outline::Oval => feather(u) * feather(v) * oval(u, v),
        };
        if mask == 0.0 {
            return Contribution { mask, weight: 0.0 };
        }
        let [centre_u, centre_v] = landmark_centroid();
        let distance = (u - centre_u).hypot(v - centre_v) / WEIGHT_RADIUS;
        Contribution { mask, weight: mask * (-distance * distance).exp() }
    }
}

/// A face at one pixel.
struct Contribution {
    /// The face's own mask, 0..=1.
    mask: f64,
    /// Its weight against other faces, at most `mask`.
    weight: f64,
}

/// The mean of the landmarks of an aligned face.
fn landmark_centroid() -> [f64; 2] {
    let count = LANDMARK_TEMPLATE.len() as f64;
    [0, 1].map(|axis| LANDMARK_TEMPLATE.iter().map(|point| point[axis]).sum::<f64>() / count)
}

/// 0 at both ends of the aligned face, and 1 from [`FEATHER`] pixels further in.
fn feather(at: f64) -> f64 {
    smoothstep(at.min((FACE_SIZE - 1) as f64 - at) / FEATHER)
}

/// 0 outside of the oval, and 1 from some [`FEATHER`] pixels further in.
fn oval(u: f64, v: f64) -> f64 {
    let [centre_u, centre_v] = OVAL_CENTRE;
    let [across, down] = OVAL;
    let radius = ((u - centre_u) / across).hypot((v - centre_v) / down);
    smoothstep((1.0 - radius) * across / FEATHER)
}

/// 0 up to 0, 1 from 1 on, and smooth in between.
fn smoothstep(at: f64) -> f64 {
    let at = at.clamp(0.0, 1.0);
    at * at * (3.0 - 2.0 * at)
}

/// The part of a picture of `width` x `height` pixels that the aligned square covers; empty when the square is outside.
fn covered(align: &Similarity, (width, height): (usize, usize)) -> Window {
    let last = (FACE_SIZE - 1) as f64;
    let corners = [[0.0, 0.0], [last, 0.0], [0.0, last], [last, last]].map(|corner| align.inverse().apply(corner));
    let span = |axis: usize, length: usize| {
        let ends = corners.iter().map(|corner| corner[axis]);
        let from = ends.clone().fold(f64::INFINITY, f64::min).floor().clamp(0.0, length as f64);
        let to = (ends.fold(f64::NEG_INFINITY, f64::max).ceil() + 1.0).clamp(from, length as f64);
        (from as usize, to as usize)
    };
    let ((left, right), (top, bottom)) = (span(0, width), span(1, height));
    Window { x: left as isize, y: top as isize, width: right - left, height: bottom - top }
}
