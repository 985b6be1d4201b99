//! One face from several findings of it.

use super::{Area, Face};

/// Two findings with more in common than this (intersection over union) are one face.
const SAME: f64 = 0.3;

/// So are two of which one lies in the other by more than this: a part of a face, seen at a larger scale.
const INSIDE: f64 = 0.7;

/// Keeps the surest finding of each face; the surest face first.
pub(super) fn merge(mut faces: Vec<Face>) -> Vec<Face> {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Face> = Vec::new();
    for face in faces {
        if kept.iter().all(|other| !same(&face.area, &other.area)) {
            kept.push(face);
        }
    }
    kept
}

fn same(a: &Area, b: &Area) -> bool {
    let overlap = |a: (f64, f64), b: (f64, f64)| ((a.0 + a.1).min(b.0 + b.1) - a.0.max(b.0)).max(0.0);
    let common = overlap((a.left, a.width), (b.left, b.width)) * overlap((a.top, a.height), (b.top, b.height));
    let (own, other) = (a.width * a.height, b.width * b.height);
    common > SAME * (own + other - common) || common > INSIDE * own.min(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(score: f64, left: f64, side: f64) -> Face {
        let area = Area { left, top: left, width: side, height: side };
        Face { score, area, landmarks: [[0.0; 2]; 5] }
    }

    #[test]
    fn the_surest_of_each_is_kept() {
        let found = vec![face(0.8, 0.0, 10.0), face(0.9, 1.0, 10.0), face(0.85, 2.0, 4.0), face(0.7, 8.0, 10.0)];
        assert_eq!(merge(found.clone()), [found[1], found[3]]);
        assert_eq!(merge(Vec::new()), []);
    }
}
