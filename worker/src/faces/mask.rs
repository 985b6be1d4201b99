//! How much of a picture's pixel comes from which face.
//!
//! A face's mask is its aligned square, feathered: 0 at the square's edge, 1 a tenth of its side further in. So the
//! feather grows with the face, and there is no step anywhere. Where squares overlap, each pixel goes to the face whose
//! middle is nearer, measured by the faces' own sizes, with a soft border between them; together they cover what the
//! strongest mask covers, so no hole opens and no order shows.

use super::align::{SIDE, Similarity, TEMPLATE};
use crate::picture::{Picture, Window};

/// In pixels of the aligned face. facexlib erodes by half of it and blurs by the other half.
const FEATHER: f64 = SIDE as f64 / 10.0;

/// How far a face's own ground reaches, in pixels of the aligned face.
const REACH: f64 = SIDE as f64 / 8.0;

/// The masks of all faces of one picture.
pub(super) struct Masks {
    faces: Vec<Placed>,
    /// 1: the restored face alone.
    strength: f64,
}

struct Placed {
    /// From the picture to the aligned face.
    align: Similarity,
    /// What of the picture the square covers.
    window: Window,
    /// Later faces whose squares meet this one's, and all of them.
    later: Vec<usize>,
    others: Vec<usize>,
}

impl Masks {
    /// For faces whose `aligns` lead from `picture` to the aligned face.
    pub(super) fn new(aligns: &[Similarity], picture: &Picture, strength: f64) -> Self {
        let windows: Vec<Window> = aligns.iter().map(|align| covered(align, picture)).collect();
        let place = |index: usize| {
            let meets = |other: &usize| *other != index && windows[*other].meets(windows[index]);
            let others: Vec<usize> = (0..aligns.len()).filter(meets).collect();
            let later = others.iter().copied().filter(|other| *other > index).collect();
            Placed { align: aligns[index], window: windows[index], later, others }
        };
        Self { faces: (0..aligns.len()).map(place).collect(), strength }
    }

    /// The part of the picture that the face may change.
    pub(super) fn window(&self, face: usize) -> Window {
        self.faces[face].window
    }

    /// From the picture to the aligned face.
    pub(super) fn align(&self, face: usize) -> Similarity {
        self.faces[face].align
    }

    /// How much the face covers of what faces of lower index have left at (`x`, `y`) of the picture, 0..=1.
    ///
    /// Laid over one another in the order of their index, the faces have the shares that [`Masks::share`] tells.
    pub(super) fn cover(&self, face: usize, x: usize, y: usize) -> f64 {
        let own = self.share(face, x, y);
        if own <= 0.0 || self.faces[face].later.is_empty() {
            return own;
        }
        let later: f64 = self.faces[face].later.iter().map(|later| self.share(*later, x, y)).sum();
        // What later faces cover of this one is made up for; 1 where they leave nothing but this one's share.
        (own / (1.0 - later).max(own)).min(1.0)
    }

    /// The face's share of the pixel in the end; all shares together are at most the strength.
    fn share(&self, face: usize, x: usize, y: usize) -> f64 {
        let Ground { mask, claim } = self.ground(face, x, y);
        if mask == 0.0 || self.faces[face].others.is_empty() {
            return mask * self.strength;
        }
        let (mut strongest, mut claims) = (mask, claim);
        for other in &self.faces[face].others {
            let other = self.ground(*other, x, y);
            strongest = strongest.max(other.mask);
            claims += other.claim;
        }
        strongest * self.strength * claim / claims
    }

    fn ground(&self, face: usize, x: usize, y: usize) -> Ground {
        let [u, v] = self.faces[face].align.apply([x as f64, y as f64]);
        let mask = feather(u) * feather(v);
        if mask == 0.0 {
            return Ground { mask, claim: 0.0 };
        }
        let [middle_u, middle_v] = middle();
        let distance = (u - middle_u).hypot(v - middle_v) / REACH;
        Ground { mask, claim: mask * (-distance * distance).exp() }
    }
}

struct Ground {
    /// Of this face alone.
    mask: f64,
    /// What it weighs against other faces.
    claim: f64,
}

/// The middle of the landmarks.
fn middle() -> [f64; 2] {
    [0, 1].map(|axis| TEMPLATE.iter().map(|point| point[axis]).sum::<f64>() / TEMPLATE.len() as f64)
}

/// 0 at both ends of the aligned face, smoothly to 1 at `FEATHER` from them.
fn feather(at: f64) -> f64 {
    let inside = (at.min((SIDE - 1) as f64 - at) / FEATHER).clamp(0.0, 1.0);
    inside * inside * (3.0 - 2.0 * inside)
}

/// The part of `picture` that the aligned square covers; empty when that is none.
fn covered(align: &Similarity, picture: &Picture) -> Window {
    let last = (SIDE - 1) as f64;
    let corners = [[0.0, 0.0], [last, 0.0], [0.0, last], [last, last]].map(|corner| align.inverse().apply(corner));
    let span = |axis: usize, length: usize| {
        let ends = corners.iter().map(|corner| corner[axis]);
        let from = ends.clone().fold(f64::INFINITY, f64::min).floor().clamp(0.0, length as f64);
        let to = (ends.fold(f64::NEG_INFINITY, f64::max).ceil() + 1.0).clamp(from, length as f64);
        (from as usize, to as usize)
    };
    let ((left, right), (top, bottom)) = (span(0, picture.width), span(1, picture.height));
    Window { x: left as isize, y: top as isize, width: right - left, height: bottom - top }
}
