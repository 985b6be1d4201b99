//! The graphs of PyTorch weights against PyTorch's own output, which is kept as fixtures
//! (`models/reference/pytorch.py`).

use std::path::PathBuf;

use remaster_engine::Tensor;
use remaster_models::{ImportOptions, import};
use remaster_shared::job::ModelId;
use remaster_weights::half_precision;

use crate::fixtures::reference;
use crate::real::{engines, library};

/// The shapes of the inputs whose outputs the script writes, one behind the other. Some sides are odd.
const SHAPES: [(usize, usize, usize, usize); 2] = [(1, 3, 16, 20), (3, 3, 9, 13)];

/// An input in 0..=1 by the formula that the script has too.
fn picture(shape: (usize, usize, usize, usize)) -> Tensor {
    let mut at = 0_u32;
    Tensor::from_shape_simple_fn(shape, || {
        let value = at.wrapping_mul(2_654_435_761) >> 24;
        at += 1;
        value as f32 / 255.0
    })
}

/// The precision of the imported weights, with the largest difference that any value may have from PyTorch's float32.
#[derive(Clone, Copy)]
enum Precision {
    Single(f32),
    Half(f32),
}

/// Imports the fixture under an id of its own. Returns the id, the network's scale and the largest difference.
fn installed(file: &str, precision: Precision) -> (ModelId, usize, f32) {
    let stem = file.split('.').next().unwrap();
    let (id, bound) = match precision {
        Precision::Single(bound) => (format!("pytorch-{stem}"), bound),
        Precision::Half(bound) => (format!("pytorch-{stem}-half"), bound),
    };
    let made = import(&fixture(file), &id, &library(), &ImportOptions::default()).unwrap();
    if matches!(precision, Precision::Half(_)) {
        let half = half_precision(&std::fs::read(&made.path).unwrap()).unwrap();
        std::fs::write(&made.path, half).unwrap();
    }
    (ModelId::parse(&id).unwrap(), made.scale as usize, bound)
}

fn fixture(file: &str) -> PathBuf {
    reference("pytorch").join(file)
}

/// The values that PyTorch computed for the fixture.
fn expected(file: &str) -> impl Iterator<Item = f32> {
    let bytes = std::fs::read(fixture(file).with_extension("f32")).unwrap();
    let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
    values.into_iter()
}

async fn matches(file: &str, precision: Precision) {
    let (id, scale, bound) = installed(file, precision);
    for engine in engines() {
        let mut expected = expected(file);
        for shape in SHAPES {
            let output = engine.run(&id, picture(shape)).await.unwrap();
            assert_eq!(output.dim(), (shape.0, 3, scale * shape.2, scale * shape.3), "{file}");
            let worst = output.iter().map(|got| (got - expected.next().unwrap()).abs()).fold(0.0, f32::max);
            assert!(worst < bound, "{id} at {shape:?} on {:?}: {worst}", engine.running_on());
        }
        assert_eq!(expected.next(), None);
    }
}

#[tokio::test]
async fn imported_weights_equal_pytorch() {
    for file in ["rrdbnet-x4.pth", "rrdbnet-x2.pth", "srvgg-x4.pth", "srvgg-x2.safetensors"] {
        matches(file, Precision::Single(1e-4)).await;
    }
}

#[tokio::test]
async fn a_mixture_with_a_weak_denoiser_equals_pytorch() {
    let id = |id| ModelId::parse(id).unwrap();
    for (file, id) in [("srvgg-x4.pth", "realesr-general-x4v3"), ("srvgg-x4-weak.pth", "realesr-general-wdn-x4v3")] {
        import(&fixture(file), id, &library(), &ImportOptions::default()).unwrap();
    }
    let mixed = id("realesr-general-x4v3").denoising(Some("0.35".parse().unwrap()));
    let whole = id("realesr-general-wdn-x4v3").denoising(Some("0.35".parse().unwrap()));
    for engine in engines() {
        assert_eq!(engine.network(&mixed).await.unwrap().scale, 4);
        let mut expected = expected("srvgg-x4-mixed.pth");
        for shape in SHAPES {
            let output = engine.run(&mixed, picture(shape)).await.unwrap();
            let worst = output.iter().map(|got| (got - expected.next().unwrap()).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{shape:?} on {:?}: {worst}", engine.running_on());
        }
        assert_eq!(expected.next(), None);
        let error = engine.run(&whole, picture(SHAPES[0])).await.unwrap_err();
        assert!(error.to_string().contains("weak denoiser"), "{error}");
    }
}

/// The CPU rounds values to float16 and computes with them in float32.
#[tokio::test]
async fn half_precision_is_near() {
    for file in ["rrdbnet-x4.pth", "rrdbnet-x2.pth", "srvgg-x4.pth", "srvgg-x2.safetensors"] {
        matches(file, Precision::Half(1e-2)).await;
    }
    gfpgan(Precision::Half(5e-2)).await;
}

/// Faces by the script's formula, -1..=1, each darker than the one before.
fn faces(batch: usize, side: usize) -> Tensor {
    let mut faces = picture((batch, 3, side, side));
    for (number, mut face) in faces.outer_iter_mut().enumerate() {
        face.mapv_inplace(|value| value * (1.0 - 0.1 * number as f32) * 2.0 - 1.0);
    }
    faces
}

async fn gfpgan(precision: Precision) {
    const SIDE: usize = 64;
    let (id, _, bound) = installed("gfpgan.pth", precision);
    for engine in engines() {
        let mut expected = expected("gfpgan.pth");
        for batch in [1, 3] {
            let output = engine.run(&id, faces(batch, SIDE)).await.unwrap();
            assert_eq!(output.dim(), (batch, 3, SIDE, SIDE));
            let worst = output.iter().map(|got| (got - expected.next().unwrap()).abs()).fold(0.0, f32::max);
            assert!(worst < bound, "{id}, {batch} faces on {:?}: {worst}", engine.running_on());
        }
        assert_eq!(expected.next(), None);
    }
}

#[tokio::test]
async fn imported_gfpgan_equals_pytorch() {
    gfpgan(Precision::Single(1e-3)).await;
}

/// The script keeps every 73rd pixel of every 73rd row, the last ones included.
#[tokio::test]
async fn imported_parsenet_equals_pytorch() {
    const STEP: usize = 73;
    let (id, _, bound) = installed("parsenet.pth", Precision::Single(1e-4));
    for engine in engines() {
        let mut expected = expected("parsenet.pth");
        for batch in [1, 3] {
            let output = engine.run(&id, faces(batch, 512)).await.unwrap();
            assert_eq!(output.dim(), (batch, 19, 512, 512));
            let kept = output.indexed_iter().filter(|((_, _, y, x), _)| y % STEP == 0 && x % STEP == 0);
            let worst = kept.map(|(_, got)| (got - expected.next().unwrap()).abs()).fold(0.0, f32::max);
            assert!(worst < bound, "{batch} faces on {:?}: {worst}", engine.running_on());
        }
        assert_eq!(expected.next(), None);
    }
}

/// RetinaFace takes blue, green, red less their means. The fixture holds the outputs for the script's two shapes, one
/// behind the other.
#[tokio::test]
async fn imported_retinaface_equals_pytorch() {
    const MEANS: [f32; 3] = [104.0, 117.0, 123.0];
    let (id, _, bound) = installed("retinaface.pth", Precision::Single(1e-4));
    for engine in engines() {
        let mut expected = expected("retinaface.pth");
        for (shape, anchors) in [((1, 3, 64, 96), 252), ((3, 3, 45, 37), 86)] {
            let mut input = picture(shape);
            input.indexed_iter_mut().for_each(|((_, channel, _, _), value)| *value = *value * 255.0 - MEANS[channel]);
            let outputs = engine.outputs(&id, input).await.unwrap();
            let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            assert_eq!(names, ["bbox", "conf", "landmarks"]);
            for (output, values) in outputs.iter().zip([4, 2, 10]) {
                assert_eq!(output.values.shape(), [shape.0, anchors, values]);
                let worst = output.values.iter().map(|got| (got - expected.next().unwrap()).abs()).fold(0.0, f32::max);
                assert!(worst < bound, "{} at {shape:?} on {:?}: {worst}", output.name, engine.running_on());
            }
        }
        assert_eq!(expected.next(), None);
    }
}

/// Networks that begin with a pixel unshuffle pad their input to even sides, down to an input of a single pixel.
#[tokio::test]
async fn an_x2_network_takes_odd_sizes() {
    import(&fixture("rrdbnet-x2.pth"), "x2", &library(), &ImportOptions::default()).unwrap();
    for (batch, height, width) in [(1, 1, 1), (2, 1, 5), (1, 7, 2), (1, 3, 3)] {
        for engine in engines() {
            let input = picture((batch, 3, height, width));
            let output = engine.run(&ModelId::parse("x2").unwrap(), input).await.unwrap();
            assert_eq!(output.dim(), (batch, 3, 2 * height, 2 * width));
            assert!(output.iter().all(|value| value.is_finite()));
        }
    }
}
