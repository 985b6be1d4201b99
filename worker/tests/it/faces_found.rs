//! Detection with the real network: landmarks against those of OpenCV, faces of every size and rotation, and pictures
//! without a face.

use std::sync::Arc;

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use remaster_shared::job::ModelId;
use remaster_worker::faces::{Detector, Face, detect};
use remaster_worker::picture::{Layout, Metadata, Picture, Samples};
use serde_json::Value;

use crate::fixtures::{face, reference};
use crate::real::engines;

/// The faces that each engine finds.
async fn found(image: &RgbImage) -> Vec<Vec<Face>> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let samples = Samples::U8(image.as_raw().clone());
    let picture = Arc::new(Picture { width, height, layout: Layout::Rgb, samples, metadata: Metadata::default() });
    let detector = Detector::Yunet(ModelId::parse("yunet-2026may").unwrap());
    let mut found = Vec::new();
    for engine in engines() {
        found.push(detect(&engine, &detector, &picture).await.unwrap());
    }
    found
}

fn centre(face: &Face) -> [f64; 2] {
    [face.bbox.left + face.bbox.width / 2.0, face.bbox.top + face.bbox.height / 2.0]
}

#[tokio::test]
async fn landmarks_are_near_those_of_opencv() {
    let expected = std::fs::read_to_string(reference("faces/yunet.json")).unwrap();
    let expected: Vec<Value> = serde_json::from_str(&expected).unwrap();
    for expected in expected {
        let size = expected["size"].as_u64().unwrap() as u32;
        let filter = if size < 512 { FilterType::Triangle } else { FilterType::CatmullRom };
        for faces in found(&imageops::resize(&remaster_testkit::photo(), size, size, filter)).await {
            assert_eq!(faces.len(), 1, "{size}: {faces:?}");
            assert!(faces[0].score > 0.9);
            // Three pixels of the photo in its own size.
            let near = 3.0 * f64::from(size) / 512.0;
            for (at, [x, y]) in faces[0].landmarks.into_iter().enumerate() {
                let landmark = |axis: usize| expected["landmarks"][at][axis].as_f64().unwrap();
                let distance = (x - landmark(0)).hypot(y - landmark(1));
                assert!(distance <= near, "landmark {at} at {size}: {distance}");
            }
        }
    }
}

#[tokio::test]
async fn every_face_of_a_montage_is_found_and_none_besides() {
    let mut canvas = RgbImage::from_fn(2100, 1500, |x, y| Rgb([(x / 12) as u8, (y / 8) as u8, 90]));
    let mut expected = Vec::new();
    let (mut left, mut top) = (10, 10);
    for angle in [0.0, 30.0, -30.0] {
        // The faces of one angle are in one row, by size. The largest one fits into the canvas only once.
        let widths: &[f64] = if angle == 0.0 { &[400.0, 200.0, 96.0, 48.0, 24.0] } else { &[200.0, 96.0, 48.0, 24.0] };
        let row = widths[0];
        for width in widths {
            let piece = face(*width, angle);
            imageops::replace(&mut canvas, &piece, left, top);
            let half = f64::from(piece.width()) / 2.0;
            expected.push(([left as f64 + half, top as f64 + half], *width));
            left += i64::from(piece.width()) + 20;
            assert!(left < 2100);
        }
        (left, top) = if row == 400.0 { (10, 920) } else { (1000, 920) };
    }
    for faces in found(&canvas).await {
        for ([x, y], width) in &expected {
            let near = |face: &&Face| (centre(face)[0] - x).hypot(centre(face)[1] - y) < 0.3 * width;
            let found: Vec<_> = faces.iter().filter(near).collect();
            assert_eq!(found.len(), 1, "{width} at {x},{y}: {faces:?}");
            assert!((0.7..1.5).contains(&(found[0].bbox.width / width)), "{found:?}");
        }
        assert_eq!(faces.len(), expected.len(), "{faces:?}");
    }
}

#[tokio::test]
async fn from_sixteen_pixels_to_the_whole_picture() {
    for width in [16.0, 20.0, 300.0, 500.0] {
        let picture = face(width, 0.0);
        assert!(found(&picture).await.iter().all(|faces| faces.len() == 1), "{width}");
    }
    // The face's box alone, so that it fills the picture.
    for width in [120, 600, 1200] {
        let box_only = imageops::crop_imm(&remaster_testkit::photo(), 174, 60, 98, 120).to_image();
        let filled = imageops::resize(&box_only, width, width * 120 / 98, FilterType::CatmullRom);
        assert!(found(&filled).await.iter().all(|faces| faces.len() == 1), "filling {width}");
    }
}

#[tokio::test]
async fn a_picture_without_a_face_has_none() {
    let hash =
        |x: u32, y: u32| (x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77)).wrapping_mul(0xC2B2_AE3D) >> 24;
    let octaves =
        |x: u32, y: u32| (0..5).map(|octave| hash(x >> octave, (y >> octave) + 999) << octave).sum::<u32>() / 31;
    let wave = |x: u32, y: u32| 127.0 + 60.0 * (f64::from(x) / 9.0).sin() + 60.0 * (f64::from(y) / 7.0).cos();
    let (width, height) = (640, 480);
    let made: [RgbImage; 5] = [
        RgbImage::from_pixel(width, height, Rgb([90, 120, 140])),
        RgbImage::from_fn(width, height, |x, y| Rgb([(x / 3) as u8, (y / 2) as u8, 200])),
        RgbImage::from_fn(width, height, |x, y| Rgb([hash(x, y) as u8, hash(x + 7, y) as u8, hash(x, y + 7) as u8])),
        RgbImage::from_fn(width, height, |x, y| Rgb([octaves(x, y) as u8, octaves(x, y + 5000) as u8, 80])),
        RgbImage::from_fn(width, height, |x, y| Rgb([wave(x, y) as u8, wave(y, x) as u8, (x / 20 % 2 * 255) as u8])),
    ];
    let photo = remaster_testkit::photo();
    let crops = [(0, 0, 150, 200), (290, 0, 222, 512), (0, 230, 512, 282)];
    let crops = crops.map(|(x, y, width, height)| imageops::crop_imm(&photo, x, y, width, height).to_image());
    for (number, picture) in made.iter().chain(&crops).enumerate() {
        assert!(found(picture).await.iter().all(Vec::is_empty), "picture {number}");
    }
}
