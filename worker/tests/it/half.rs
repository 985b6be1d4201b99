//! The engine in float16, on the CPU: near to float32, detectors unchanged, no overflow comes out.
//!
//! The runtime has one environment per process, so the float32 half of the test is this test run once more.

use std::process::Command;

use ndarray::Array4;
use remaster_engine::{Device, Engine, EngineSettings, OnnxEngine, Precision};
use remaster_shared::job::ModelId;

use crate::real::library;

const WRITE_TO: &str = "REMASTER_TEST_SINGLE_PRECISION";

/// What a network makes of a picture, and of one that float16 cannot hold; then what the detector makes of a plain one.
async fn outputs(precision: Precision) -> [Vec<f32>; 3] {
    let settings =
        EngineSettings { runtime: remaster_testkit::runtime(), device: Device::Cpu, precision, threads: None };
    let engine = OnnxEngine::start(library(), &settings).unwrap();
    let small = ModelId::parse(remaster_testkit::SMALL_MODEL).unwrap();
    let sample = |c: usize, y: usize, x: usize| ((c * 37 + y * 11 + x * 5) % 256) as f32 / 255.0;
    let picture = Array4::from_shape_fn((1, 3, 24, 32), |(_, c, y, x)| sample(c, y, x));
    let huge = picture.mapv(|value| value * 1e6);
    let plain = engine.run(&small, picture).await.unwrap();
    let overflowing = engine.run(&small, huge).await.unwrap();
    let yunet = ModelId::parse("yunet-2026may").unwrap();
    let found = engine.outputs(&yunet, Array4::from_elem((1, 3, 32, 32), 100.0)).await.unwrap();
    let found = found.into_iter().flat_map(|output| output.values.into_iter()).collect();
    [plain.into_iter().collect(), overflowing.into_iter().collect(), found]
}

#[tokio::test]
async fn float16_is_near_and_never_overflows() {
    if let Some(path) = std::env::var_os(WRITE_TO) {
        let bytes =
            outputs(Precision::Single).await.concat().iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        return std::fs::write(path, bytes).unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let name = "half::float16_is_near_and_never_overflows";
    let again =
        Command::new(std::env::current_exe().unwrap()).args(["--exact", name]).env(WRITE_TO, file.path()).output();
    assert!(again.unwrap().status.success());
    let bytes = std::fs::read(file.path()).unwrap();
    let mut single = bytes.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value));

    let [plain, overflowing, found] = outputs(Precision::Half).await;
    let off = plain.iter().map(|value| (value - single.next().unwrap()).abs()).fold(0.0, f32::max);
    assert!(off > 0.0 && off < 2.0 / 255.0, "{off}");
    // Whether the runtime's own arithmetic overflowed, so that it was done again, or not: what comes out is right.
    let near = |value: &f32| (value - single.next().unwrap()).abs() < 0.01 * 1e6;
    assert!(overflowing.iter().all(near), "an overflow came out");
    assert!(found.iter().all(|value| Some(*value) == single.next()), "detectors compute in float32");
    assert_eq!(single.next(), None);
}
