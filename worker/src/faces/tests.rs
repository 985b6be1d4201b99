//! Faces and pictures that are made up, for the tests of how faces get out of a picture and back into it.

mod blending;
mod reference;

use super::align::{SIDE, Similarity, TEMPLATE};
use super::{Area, Face, Point};
use crate::picture::{Layout, Metadata, Picture, Samples};

/// Numbers in 0..1 from a seed.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }

    fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.next()
    }
}

fn similarity(scale: f64, angle: f64, [right, down]: Point) -> Similarity {
    Similarity { cos: scale * angle.cos(), sin: scale * angle.sin(), right, down }
}

/// A face whose aligned square is `side` pixels wide, turned by `angle`, with its middle at `middle`.
fn face(side: f64, angle: f64, middle: Point) -> Face {
    let turn = similarity(side / SIDE as f64, angle, [0.0, 0.0]);
    let [x, y] = turn.apply([255.5, 255.5]);
    let place = Similarity { right: middle[0] - x, down: middle[1] - y, ..turn };
    let area = Area { left: 0.0, top: 0.0, width: 0.0, height: 0.0 };
    Face { score: 1.0, area, landmarks: TEMPLATE.map(|point| place.apply(point)) }
}

/// Waves so long that every way of interpolating agrees.
fn smooth(width: usize, height: usize, layout: Layout) -> Picture {
    let wave = |x: usize, y: usize, channel: usize| {
        let phase = x as f64 / (23.0 + channel as f64) + y as f64 / (31.0 - channel as f64);
        128.0 + 90.0 * phase.sin()
    };
    let channels = layout.channels();
    let at = |index: usize| wave(index / channels % width, index / channels / width, index % channels);
    let samples = Samples::U8((0..width * height * channels).map(|index| at(index) as u8).collect());
    Picture { width, height, layout, samples, metadata: Metadata::default() }
}

fn samples(picture: &Picture) -> &[u8] {
    let Samples::U8(samples) = &picture.samples else { panic!() };
    samples
}
