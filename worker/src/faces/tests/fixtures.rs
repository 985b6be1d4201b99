//! Made-up faces and pictures.

use crate::faces::{BoundingBox, FACE_SIZE, Face, LANDMARK_TEMPLATE, Point, Similarity};
use crate::picture::fixtures::picture;
use crate::picture::{Layout, Picture, Samples};

/// A transform that scales, rotates by `angle` in radians and then moves by (`tx`, `ty`).
pub(super) fn similarity(scale: f64, angle: f64, [tx, ty]: Point) -> Similarity {
    Similarity { a: scale * angle.cos(), b: scale * angle.sin(), tx, ty }
}

/// A face whose aligned square is `side` pixels wide, rotated by `angle` in radians, with its centre at `centre`.
pub(super) fn face(side: f64, angle: f64, centre: Point) -> Face {
    let turn = similarity(side / FACE_SIZE as f64, angle, [0.0, 0.0]);
    let [x, y] = turn.apply([255.5, 255.5]);
    let place = Similarity { tx: centre[0] - x, ty: centre[1] - y, ..turn };
    let bbox = BoundingBox { left: 0.0, top: 0.0, width: 0.0, height: 0.0 };
    Face { score: 1.0, bbox, landmarks: LANDMARK_TEMPLATE.map(|point| place.apply(point)) }
}

/// Waves so long that every way of interpolating gives the same result.
pub(super) fn smooth(width: usize, height: usize, layout: Layout) -> Picture {
    let wave = |x: usize, y: usize, channel: usize| {
        let phase = x as f64 / (23.0 + channel as f64) + y as f64 / (31.0 - channel as f64);
        128.0 + 90.0 * phase.sin()
    };
    let channels = layout.channels();
    let at = |index: usize| wave(index / channels % width, index / channels / width, index % channels);
    let samples = Samples::U8((0..width * height * channels).map(|index| at(index) as u8).collect());
    Picture { width, height, ..picture(layout, samples) }
}
