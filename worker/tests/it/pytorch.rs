//! The graphs of PyTorch weights against PyTorch's own output, kept as fixtures (`models/reference/pytorch.py`).

use std::path::Path;

use remaster_models::{ImportOptions, import};
use remaster_shared::job::ModelId;
use remaster_worker::engine::Tensor;

use crate::real::{engine, library};

/// The shapes that the script writes, one behind the other; odd sides too.
const SHAPES: [(usize, usize, usize, usize); 2] = [(1, 3, 16, 20), (3, 3, 9, 13)];

/// The script's formula for an input in 0..1.
fn picture(shape: (usize, usize, usize, usize)) -> Tensor {
    let mut at = 0_u32;
    Tensor::from_shape_simple_fn(shape, || {
        let value = at.wrapping_mul(2_654_435_761) >> 24;
        at += 1;
        value as f32 / 255.0
    })
}

async fn matches(folder: &Path, file: &str) {
    let id = file.split('.').next().unwrap();
    let scale = import(&folder.join(file), id, &library(), &ImportOptions::default()).unwrap().scale as usize;
    let expected = std::fs::read(folder.join(format!("{id}.f32"))).unwrap();
    let mut expected = expected.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value));
    for shape in SHAPES {
        let output = engine().run(&ModelId::parse(id).unwrap(), picture(shape)).await.unwrap();
        assert_eq!(output.dim(), (shape.0, 3, scale * shape.2, scale * shape.3), "{file}");
        let worst = output.iter().map(|got| (got - expected.next().unwrap()).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{file} at {shape:?}: {worst}");
    }
    assert_eq!(expected.next(), None);
}

#[tokio::test]
async fn imported_weights_equal_pytorch() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/reference/pytorch");
    for file in ["rrdbnet-x4.pth", "rrdbnet-x2.pth", "srvgg-x4.pth", "srvgg-x2.safetensors"] {
        matches(&folder, file).await;
    }
}

/// The script's faces in -1..1, each darker than the one before.
fn faces(batch: usize, side: usize) -> Tensor {
    let mut faces = picture((batch, 3, side, side));
    for (number, mut face) in faces.outer_iter_mut().enumerate() {
        face.mapv_inplace(|value| value * (1.0 - 0.1 * number as f32) * 2.0 - 1.0);
    }
    faces
}

#[tokio::test]
async fn imported_gfpgan_equals_pytorch() {
    const SIDE: usize = 64;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/reference/pytorch");
    import(&folder.join("gfpgan.pth"), "face", &library(), &ImportOptions::default()).unwrap();
    let expected = std::fs::read(folder.join("gfpgan.f32")).unwrap();
    let mut expected = expected.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value));
    for batch in [1, 3] {
        let output = engine().run(&ModelId::parse("face").unwrap(), faces(batch, SIDE)).await.unwrap();
        assert_eq!(output.dim(), (batch, 3, SIDE, SIDE));
        let worst = output.iter().map(|got| (got - expected.next().unwrap()).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-3, "{batch} faces: {worst}");
    }
    assert_eq!(expected.next(), None);
}

/// The script keeps every 73rd pixel of every 73rd row, the last ones included.
#[tokio::test]
async fn imported_parsenet_equals_pytorch() {
    const STEP: usize = 73;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/reference/pytorch");
    import(&folder.join("parsenet.pth"), "parser", &library(), &ImportOptions::default()).unwrap();
    let expected = std::fs::read(folder.join("parsenet.f32")).unwrap();
    let mut expected = expected.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value));
    for batch in [1, 3] {
        let output = engine().run(&ModelId::parse("parser").unwrap(), faces(batch, 512)).await.unwrap();
        assert_eq!(output.dim(), (batch, 19, 512, 512));
        let kept = output.indexed_iter().filter(|((_, _, y, x), _)| y % STEP == 0 && x % STEP == 0);
        let worst = kept.map(|(_, got)| (got - expected.next().unwrap()).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{batch} faces: {worst}");
    }
    assert_eq!(expected.next(), None);
}

/// Networks behind a pixel unshuffle pad for themselves, down to a single pixel.
#[tokio::test]
async fn no_size_is_too_odd() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/reference/pytorch");
    import(&folder.join("rrdbnet-x2.pth"), "x2", &library(), &ImportOptions::default()).unwrap();
    for (batch, height, width) in [(1, 1, 1), (2, 1, 5), (1, 7, 2), (1, 3, 3)] {
        let output = engine().run(&ModelId::parse("x2").unwrap(), picture((batch, 3, height, width))).await.unwrap();
        assert_eq!(output.dim(), (batch, 3, 2 * height, 2 * width));
        assert!(output.iter().all(|value| value.is_finite()));
    }
}
