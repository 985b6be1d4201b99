//! One face from several findings of it.

use super::{Area, Face};

/// Two findings with more in common than this (intersection over union) are one face.
const SAME: f64 = 0.3;

/// So are two of which one lies in the other by more than this: a part of a face, seen at a larger scale.
const INSIDE: f64 = 0.7;

/// Findings of different scales that have more than this in common agree on where the face is.
const AGREED: f64 = 0.5;

/// Keeps the surest finding of each face in one scale; the surest face first.
pub(super) fn surest(mut faces: Vec<Face>) -> Vec<Face> {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Face> = Vec::new();
    for face in faces {
        if kept.iter().all(|other| !same(&face.area, &other.area)) {
            kept.push(face);
        }
    }
    kept
}

/// One face of the findings of all scales, each scale's being [`surest`]; the surest face first.
///
/// Landmarks are the mean of those that agree: YuNet's are off by some 3 % of the face's width, differently at each scale.
pub(super) fn combined(found: Vec<Face>) -> Vec<Face> {
    let mut faces = surest(found.clone());
    for face in &mut faces {
        let agree = |other: &&Face| common(&other.area, &face.area) > AGREED * united(&other.area, &face.area);
        let agreed: Vec<&Face> = found.iter().filter(agree).collect();
        let mean = |at: usize, axis: usize| {
            agreed.iter().map(|face| face.landmarks[at][axis]).sum::<f64>() / agreed.len() as f64
        };
        face.landmarks = std::array::from_fn(|at| [mean(at, 0), mean(at, 1)]);
    }
    faces
}

fn same(a: &Area, b: &Area) -> bool {
    let common = common(a, b);
    common > SAME * united(a, b) || common > INSIDE * (a.width * a.height).min(b.width * b.height)
}

/// The area of both.
fn common(a: &Area, b: &Area) -> f64 {
    let overlap = |a: (f64, f64), b: (f64, f64)| ((a.0 + a.1).min(b.0 + b.1) - a.0.max(b.0)).max(0.0);
    overlap((a.left, a.width), (b.left, b.width)) * overlap((a.top, a.height), (b.top, b.height))
}

/// The area of either.
fn united(a: &Area, b: &Area) -> f64 {
    a.width * a.height + b.width * b.height - common(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(score: f64, left: f64, side: f64) -> Face {
        let area = Area { left, top: left, width: side, height: side };
        Face { score, area, landmarks: [[left, score]; 5] }
    }

    #[test]
    fn the_surest_of_each_is_kept() {
        let found = vec![face(0.8, 0.0, 10.0), face(0.9, 1.0, 10.0), face(0.85, 2.0, 4.0), face(0.7, 8.0, 10.0)];
        assert_eq!(surest(found.clone()), [found[1], found[3]]);
        assert_eq!(combined(Vec::new()), []);
    }

    #[test]
    fn landmarks_are_the_mean_of_those_that_agree() {
        let made = combined(vec![face(0.8, 0.0, 10.0), face(0.9, 1.0, 10.0), face(0.85, 2.0, 4.0)]);
        assert_eq!((made.len(), made[0].score, made[0].area.left), (1, 0.9, 1.0));
        assert!((made[0].landmarks[2][0] - 0.5).abs() < 1e-12 && (made[0].landmarks[2][1] - 0.85).abs() < 1e-12);
    }
}
