//! One face of several detections: non-maximum suppression within a level of the pyramid, and merging across levels.

use super::face::{BoundingBox, Face};

/// Two boxes of more intersection over union than this are one face.
const NMS_IOU_THRESHOLD: f64 = 0.3;

/// So are two boxes whose intersection is more than this share of the smaller one: the smaller one is a part of the
/// face, found at a larger scale.
const CONTAINMENT_THRESHOLD: f64 = 0.7;

/// The landmarks of boxes with more intersection over union than this are averaged.
const AGREEMENT_IOU_THRESHOLD: f64 = 0.5;

/// Non-maximum suppression: of the detections that overlap, the one with the highest score stays. Ordered by falling
/// score.
pub(super) fn nms(mut detections: Vec<Face>) -> Vec<Face> {
    detections.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Face> = Vec::new();
    for face in detections {
        if kept.iter().all(|other| !is_same_face(&face.bbox, &other.bbox)) {
            kept.push(face);
        }
    }
    kept
}

/// The faces that the detections of all levels stand for, ordered by falling score. The detections of each level have
/// been through [`nms`].
///
/// A face's landmarks are the mean of those of the detections that agree with it. Those of a single YuNet detection are
/// off by some 3 % of the face's width, differently at each level.
pub(super) fn merge_levels(detections: Vec<Face>) -> Vec<Face> {
    let mut faces = nms(detections.clone());
    for face in &mut faces {
        let agreeing: Vec<&Face> =
            detections.iter().filter(|other| iou(&other.bbox, &face.bbox) > AGREEMENT_IOU_THRESHOLD).collect();
        let mean = |at: usize, axis: usize| {
            agreeing.iter().map(|face| face.landmarks[at][axis]).sum::<f64>() / agreeing.len() as f64
        };
        face.landmarks = std::array::from_fn(|at| [mean(at, 0), mean(at, 1)]);
    }
    faces
}

fn is_same_face(a: &BoundingBox, b: &BoundingBox) -> bool {
    iou(a, b) > NMS_IOU_THRESHOLD || intersection(a, b) > CONTAINMENT_THRESHOLD * area(a).min(area(b))
}

/// Intersection over union, 0..=1.
fn iou(a: &BoundingBox, b: &BoundingBox) -> f64 {
    intersection(a, b) / union(a, b)
}

/// The area that is in both boxes, in square pixels.
fn intersection(a: &BoundingBox, b: &BoundingBox) -> f64 {
    let overlap = |a: (f64, f64), b: (f64, f64)| ((a.0 + a.1).min(b.0 + b.1) - a.0.max(b.0)).max(0.0);
    overlap((a.left, a.width), (b.left, b.width)) * overlap((a.top, a.height), (b.top, b.height))
}

/// The area that is in either box, in square pixels.
fn union(a: &BoundingBox, b: &BoundingBox) -> f64 {
    area(a) + area(b) - intersection(a, b)
}

fn area(bbox: &BoundingBox) -> f64 {
    bbox.width * bbox.height
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn face(score: f64, left: f64, side: f64) -> Face {
        let bbox = BoundingBox { left, top: left, width: side, height: side };
        Face { score, bbox, landmarks: [[left, score]; 5] }
    }

    #[test]
    fn the_highest_score_of_each_face_is_kept() {
        let found = vec![face(0.8, 0.0, 10.0), face(0.9, 1.0, 10.0), face(0.85, 2.0, 4.0), face(0.7, 8.0, 10.0)];
        assert_eq!(nms(found.clone()), [found[1], found[3]]);
        assert_eq!(merge_levels(Vec::new()), []);
    }

    #[test]
    fn landmarks_are_the_mean_of_the_detections_that_agree() {
        let made = merge_levels(vec![face(0.8, 0.0, 10.0), face(0.9, 1.0, 10.0), face(0.85, 2.0, 4.0)]);
        assert_eq!((made.len(), made[0].score, made[0].bbox.left), (1, 0.9, 1.0));
        assert!((made[0].landmarks[2][0] - 0.5).abs() < 1e-12 && (made[0].landmarks[2][1] - 0.85).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_sorted_and_apart(
            boxes in prop::collection::vec((0.0..1.0, 0.0..100.0, 1.0..50.0), 0..20),
        ) {
            let found: Vec<Face> = boxes.into_iter().map(|(score, left, side)| face(score, left, side)).collect();
            let kept = nms(found.clone());
            prop_assert!(kept.is_sorted_by(|a, b| a.score >= b.score));
            for (index, a) in kept.iter().enumerate() {
                prop_assert!(kept[..index].iter().all(|b| iou(&a.bbox, &b.bbox) <= NMS_IOU_THRESHOLD));
            }
            let stands_for = |face: &Face, kept: &Face| kept == face || is_same_face(&kept.bbox, &face.bbox);
            prop_assert!(found.iter().all(|face| kept.iter().any(|kept| stands_for(face, kept))));
        }
    }
}
