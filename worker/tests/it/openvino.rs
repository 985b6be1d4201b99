//! The engine over OpenVINO: bfloat16 where the CPU has it and a network agrees, a run that ends when nobody waits, and settings
//! that cannot be met.

use std::time::{Duration, Instant};

use ndarray::Array4;
use remaster_engine::{Device, Engine, EngineSettings, OnnxEngine, Precision, StartError, Tensor};
use remaster_models::{ImportOptions, Library, import};
use remaster_shared::job::ModelId;

use crate::fixtures::{photo, reference};
use crate::real::{engine, engines, library, openvino, settings};

/// A library of its own with one model and its hash, so that what is recorded of it is this test's.
fn with_only(folder: &std::path::Path, model: &str) -> Library {
    let path = remaster_testkit::library().model_path(model);
    for suffix in ["", ".sha256"] {
        let from = format!("{}{suffix}", path.display());
        std::os::unix::fs::symlink(std::fs::canonicalize(from).unwrap(), folder.join(format!("{model}.onnx{suffix}")))
            .unwrap();
    }
    Library::open(folder.to_path_buf()).unwrap()
}

/// The photo's middle as an upscaler takes it.
fn input(side: u32) -> Tensor {
    let photo = photo(160, 40, side, side).into_rgb8();
    Array4::from_shape_fn((1, 3, side as usize, side as usize), |(_, c, y, x)| {
        f32::from(photo.get_pixel(x as u32, y as u32)[c]) / 255.0
    })
}

/// The peak signal-to-noise ratio in dB of samples in 0..=1.
fn psnr(a: &Tensor, b: &Tensor) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    -10.0 * (squares / a.len() as f64).log10()
}

#[tokio::test]
async fn bfloat16_is_used_where_it_agrees() {
    let Some(float32) = openvino() else {
        return println!("NOT TESTED: no OpenVINO is listed for this platform");
    };
    let folder = tempfile::tempdir().unwrap();
    let model = ModelId::parse(remaster_testkit::SMALL_MODEL).unwrap();
    let library = with_only(folder.path(), model.as_str());
    let settings = EngineSettings { precision: Precision::Auto, ..settings(Device::Auto) };
    let engine = OnnxEngine::start(library.clone(), &settings).unwrap();
    let running_on = engine.running_on().unwrap();
    assert_eq!(running_on.device, "openvino", "{}", running_on.reason);

    let output = engine.run(&model, input(96)).await.unwrap();
    let single = float32.run(&model, input(96)).await.unwrap();
    let installed = library.get(model.as_str()).unwrap();
    if running_on.precision == "fp32" {
        assert_eq!(library.agreement(&installed, "bf16"), None);
        assert_eq!(output, single);
        assert_eq!(engine.precision(&model), Some("fp32"));
        assert!(!running_on.reason.contains("does not run"), "{}", running_on.reason);
        return println!("NOT TESTED: this CPU has no bfloat16, or is no faster in it");
    }
    let recorded = library.agreement(&installed, "bf16").expect("it was measured");
    let agrees = psnr(&output, &single);
    assert!((recorded - agrees).abs() < 6.0, "recorded {recorded} dB, on another part of the photo {agrees} dB");
    if recorded >= 48.0 {
        assert_ne!(output, single);
        assert_eq!(engine.precision(&model), Some("bf16"));
    } else {
        assert_eq!(output, single);
        assert_eq!(engine.precision(&model), Some("fp32"));
    }

    // What is recorded decides, so that it is not measured at each start.
    for (agreement, alike) in [(20.0, true), (60.0, false)] {
        library.record_agreement(&installed, "bf16", agreement).unwrap();
        let again =
            OnnxEngine::start(library.clone(), &EngineSettings { device: Device::OpenVino, ..settings.clone() });
        let output = again.unwrap().run(&model, input(96)).await.unwrap();
        assert_eq!(output == single, alike, "{agreement} dB");
    }
}

/// Networks in two parts are compiled for a large size alone, and anew for the next one.
#[tokio::test]
async fn sizes_may_change_from_one_run_to_the_next() {
    let Some(openvino) = openvino() else {
        return println!("NOT TESTED: no OpenVINO is listed for this platform");
    };
    let weights = reference("pytorch").join("rrdbnet-x4.pth");
    import(&weights, "sizes", &library(), &ImportOptions::default()).unwrap();
    let model = ModelId::parse("sizes").unwrap();
    for (height, width) in [(40, 60), (400, 360), (360, 400), (360, 400), (40, 60), (400, 360)] {
        let input = Array4::from_shape_fn((1, 3, height, width), |(_, c, y, x)| {
            0.5 + 0.5 * ((c + 1) as f32 * y as f32 / 17.0).sin() * (x as f32 / 11.0).cos()
        });
        let made = openvino.run(&model, input.clone()).await.unwrap();
        let expected = engine().run(&model, input).await.unwrap();
        assert_eq!(made.dim(), expected.dim());
        let worst = made.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{height}x{width}: {worst}");
    }
}

/// A run of seconds on the slowest network gives way to another within a fraction of its time.
#[tokio::test]
async fn a_run_for_which_nobody_waits_ends() {
    for engine in engines() {
        let (slow, fast) =
            (ModelId::parse("realesrgan-x4plus").unwrap(), ModelId::parse(remaster_testkit::SMALL_MODEL).unwrap());
        engine.run(&fast, input(32)).await.unwrap();
        engine.run(&slow, input(32)).await.unwrap();
        let began = Instant::now();
        engine.run(&slow, input(64)).await.unwrap();
        let sixteenth = began.elapsed();
        let dropped = tokio::time::timeout(sixteenth, engine.run(&slow, input(256))).await;
        assert!(dropped.is_err(), "sixteen times the work took no longer");
        let began = Instant::now();
        engine.run(&fast, input(32)).await.unwrap();
        let waited = began.elapsed();
        assert!(waited < 4 * sixteenth + Duration::from_secs(1), "waited {waited:?}, a sixteenth is {sixteenth:?}");
    }
}

#[tokio::test]
async fn settings_that_cannot_be_met_are_named() {
    let started = |settings: EngineSettings| OnnxEngine::start(library(), &settings).map(|_| ()).unwrap_err();
    let missing = started(EngineSettings { openvino: None, ..settings(Device::OpenVino) });
    assert!(matches!(missing, StartError::OpenVinoMissing));
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("libopenvino_c.so");
    std::fs::write(&other, "no library").unwrap();
    let broken = started(EngineSettings { openvino: Some(other.clone()), ..settings(Device::OpenVino) }).to_string();
    assert!(broken.contains("OpenVINO does not start") && broken.contains("libopenvino_c.so"), "{broken}");
    let bf16 = started(EngineSettings { precision: Precision::BFloat16, ..settings(Device::Cpu) }).to_string();
    assert_eq!(bf16, "PRECISION cannot be used: bf16 needs OpenVINO; possible: auto, fp32 or fp16");
    // Neither is a GPU silently left out. The test library is for the CPU.
    for device in [Device::Cuda(vec![0]), Device::TensorRt(vec![0])] {
        let cuda = started(settings(device)).to_string();
        assert!(cuda.contains("remaster models pull onnxruntime-cuda"), "{cuda}");
    }
    // A library that is there and broken is no reason not to serve.
    let auto = EngineSettings { openvino: Some(other), ..settings(Device::Auto) };
    let running_on = OnnxEngine::start(library(), &auto).unwrap().running_on().unwrap();
    assert_eq!(running_on.device, "cpu", "{}", running_on.reason);
    if remaster_testkit::openvino().is_some() {
        let fp16 = started(EngineSettings { precision: Precision::Half, ..settings(Device::OpenVino) }).to_string();
        assert_eq!(fp16, "PRECISION cannot be used: OpenVINO has no fp16; possible: auto, fp32 or bf16");
    }
}
