//! ncnn networks from outside; the translation of each layer has tests of its own.

use std::io::Cursor;

use remaster_shared::catalogue::Kind;
use remaster_weights::{ConvertError, Description, Expected, NcnnError, WeightFile, convert};

use crate::fixtures::{ANY, ncnn, take};

#[test]
fn a_network_becomes_an_upscaler_that_describes_itself() {
    let made = take(ncnn(4)).unwrap();
    let described = &made.description;
    assert_eq!((described.scale, described.kind, described.architecture.as_str()), (2, Kind::Upscaler, "custom"));
    assert_eq!((described.id.as_str(), described.source_sha256.as_str()), ("net", "5e"));
    assert_eq!(Description::read(&mut Cursor::new(&made.onnx)).unwrap().as_ref(), Some(described));
    assert_eq!(take(ncnn(4)).unwrap(), made);
    let named = convert(ncnn(4), &Expected { architecture: Some("span"), scale: Some(2), ..ANY }).unwrap();
    assert_eq!(named.description.architecture, "span");
}

#[test]
fn another_scale_or_a_binary_param_is_refused() {
    let error = convert(ncnn(4), &Expected { scale: Some(4), ..ANY }).unwrap_err();
    assert_eq!(error, ConvertError::ScaleDiffers { expected: 4, got: 2 });
    let error = take(WeightFile::Ncnn { param: vec![0xff], bin: Vec::new() }).unwrap_err();
    assert_eq!(error, ConvertError::Ncnn(NcnnError::Binary));
}
