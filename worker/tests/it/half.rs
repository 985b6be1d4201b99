//! The engine in float16, on the CPU: its output is near to that of float32, detectors stay in float32, and a run that
//! overflows is repeated in float32.
//!
//! The runtime has one environment per process, so the test runs itself in a second process for the float32 values.

use std::process::Command;

use ndarray::Array4;
use remaster_engine::{Device, Engine, EngineSettings, OnnxEngine, Precision};
use remaster_shared::job::ModelId;

use crate::real::{library, settings};

/// Names the file into which the second process writes its values.
const WRITE_TO: &str = "REMASTER_TEST_SINGLE_PRECISION";

/// The upscaler's output for a picture, its output for values beyond the range of float16, and the detector's outputs
/// for a gray picture.
async fn outputs(precision: Precision) -> [Vec<f32>; 3] {
    let settings = EngineSettings { precision, ..settings(Device::Cpu) };
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
    // A runtime that computes in float32 between float16 values may not overflow at all; the output has to be right in
    // either case.
    let near = |value: &f32| (value - single.next().unwrap()).abs() < 0.01 * 1e6;
    assert!(overflowing.iter().all(near), "an overflow came out");
    assert!(found.iter().all(|value| Some(*value) == single.next()), "detectors compute in float32");
    assert_eq!(single.next(), None);
}
