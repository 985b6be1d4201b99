//! Foreign ONNX files.

use std::io::Cursor;

use proptest::prelude::*;
use proptest::sample::Index;
use remaster_shared::catalogue::Kind;
use remaster_weights::{Architecture, ConvertError, Description, Expected, OnnxError, WeightFile, convert};

use crate::fixtures::{ANY, ncnn, take};

/// An ONNX file of scale 2.
fn model() -> Vec<u8> {
    take(ncnn(4)).unwrap().onnx
}

/// YuNet as it is part of the binary.
fn yunet() -> WeightFile {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../bundled/face_detection_yunet_2026may.onnx");
    WeightFile::Onnx(std::fs::read(path).unwrap())
}

#[test]
fn a_file_is_kept_but_for_its_description() {
    let second = convert(WeightFile::Onnx(model()), &Expected { id: "second", ..ANY }).unwrap();
    assert_eq!((second.description.scale, second.description.id.as_str()), (2, "second"));
    let half = model().len() / 2;
    assert_eq!(second.onnx[..half], model()[..half]);
    assert_eq!(Description::read(&mut Cursor::new(&second.onnx)).unwrap(), Some(second.description.clone()));
    // The old description is cut out, so that repeating it does not make the file longer.
    let again = convert(WeightFile::Onnx(second.onnx.clone()), &Expected { id: "second", ..ANY }).unwrap();
    assert_eq!(again, second);
    let error = convert(WeightFile::Onnx(model()), &Expected { scale: Some(4), ..ANY }).unwrap_err();
    assert_eq!(error, ConvertError::ScaleDiffers { expected: 4, got: 2 });
}

#[test]
fn a_file_that_does_not_tell_its_scale_needs_one() {
    let mut bytes = model();
    // The same model with its metadata keys renamed.
    while let Some(at) = bytes.windows(9).position(|window| window == b"remaster.") {
        bytes[at..at + 9].copy_from_slice(b"whatever.");
    }
    assert_eq!(take(WeightFile::Onnx(bytes.clone())).unwrap_err(), ConvertError::ScaleUnknown);
    let given = Expected { scale: Some(2), architecture: Some("span"), ..ANY };
    let made = convert(WeightFile::Onnx(bytes), &given).unwrap();
    assert_eq!((made.description.scale, made.description.architecture.as_str()), (2, "span"));
}

#[test]
fn yunet_is_known_by_its_outputs() {
    let made = take(yunet()).unwrap().description;
    assert_eq!((made.kind, made.architecture.as_str(), made.scale), (Kind::Detector, "yunet", 1));
    let error = convert(yunet(), &Expected { architecture: Some("srvgg"), ..ANY }).unwrap_err();
    let expected = ConvertError::ArchitectureDiffers { expected: "srvgg".into(), got: Architecture::Yunet };
    assert_eq!(error, expected);
    let error = convert(WeightFile::Onnx(model()), &Expected { architecture: Some("yunet"), ..ANY }).unwrap_err();
    assert_eq!(error, ConvertError::Onnx(OnnxError::NotYunet));
}

proptest! {
    /// A cut between two fields leaves a whole file with fewer fields; any other cut is refused.
    #[test]
    fn a_cut_file_does_no_harm(at in any::<Index>()) {
        let whole = model();
        let cut = whole[..at.index(whole.len())].to_vec();
        if let Ok(made) = take(WeightFile::Onnx(cut.clone())) {
            prop_assert!(made.onnx.len() >= cut.len().min(whole.len() / 2));
        }
    }

    #[test]
    fn a_changed_byte_does_no_harm(at in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = model();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = take(WeightFile::Onnx(bytes));
    }
}
