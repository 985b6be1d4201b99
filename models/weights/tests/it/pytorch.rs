//! PyTorch weights: small networks in the official layouts. What the graphs compute is compared in the worker's tests.

use std::collections::HashMap;

use remaster_shared::catalogue::Kind;
use remaster_weights::{Architecture, ConvertError, Expected, WeightFile, WeightsError, convert, split};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::fixtures::{ANY, bytes, file, take};

/// Each file, and what it has to become: its kind, architecture and scale.
pub const FIXTURES: [(&str, Kind, Architecture, u32); 7] = [
    ("rrdbnet-x4.pth", Kind::Upscaler, Architecture::Rrdbnet, 4),
    ("rrdbnet-x2.pth", Kind::Upscaler, Architecture::Rrdbnet, 2),
    ("srvgg-x4.pth", Kind::Upscaler, Architecture::Srvgg, 4),
    ("srvgg-x2.safetensors", Kind::Upscaler, Architecture::Srvgg, 2),
    ("gfpgan.pth", Kind::FaceRestorer, Architecture::Gfpgan, 1),
    ("retinaface.pth", Kind::Detector, Architecture::Retinaface, 1),
    ("parsenet.pth", Kind::FaceParser, Architecture::Parsenet, 1),
];

#[test]
fn the_architecture_and_the_scale_are_read_from_the_tensors() {
    for (name, kind, architecture, scale) in FIXTURES {
        let made = take(file(name, bytes(name))).unwrap();
        let described = &made.description;
        assert_eq!((described.kind, described.scale), (kind, scale), "{name}");
        assert_eq!(described.architecture, architecture.as_str());
        assert!(take(file(name, bytes(name))).unwrap() == made, "{name}");
    }
}

#[test]
fn a_network_that_is_not_the_expected_one_is_refused() {
    let with =
        |scale, architecture| convert(WeightFile::Pth(bytes("srvgg-x4.pth")), &Expected { scale, architecture, ..ANY });
    assert_eq!(with(Some(2), None).unwrap_err(), ConvertError::ScaleDiffers { expected: 2, got: 4 });
    let expected = ConvertError::ArchitectureDiffers { expected: "rrdbnet".into(), got: Architecture::Srvgg };
    assert_eq!(with(None, Some("rrdbnet")).unwrap_err(), expected);
    with(Some(4), Some("srvgg")).unwrap();
}

/// Tensors by name, as their shape and their bfloat16 bytes.
type Tensors = HashMap<String, (Vec<usize>, Vec<u8>)>;

#[test]
fn a_missing_surplus_or_misshaped_tensor_is_named() {
    let bytes = bytes("srvgg-x2.safetensors");
    let parsed = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Tensors = parsed
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec())))
        .collect();
    let attempt = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = tensors.clone();
        change(&mut tensors);
        let views = tensors
            .iter()
            .map(|(name, (dims, raw))| (name.as_str(), TensorView::new(Dtype::BF16, dims.clone(), raw).unwrap()));
        match take(WeightFile::Safetensors(safetensors::serialize(views, None).unwrap())) {
            Err(ConvertError::Weights(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    for name in tensors.keys() {
        let missing = attempt(&|tensors| drop(tensors.remove(name)));
        let known = match &missing {
            WeightsError::Missing(missing) => missing == name,
            // The architecture is recognised by the weight of the first convolution.
            WeightsError::Unknown(_) => name == "body.0.weight",
            _ => false,
        };
        assert!(known, "{name}: {missing}");
        let shape = attempt(&|tensors| {
            let tensor = tensors.get_mut(name).unwrap();
            tensor.0[0] *= 2;
            let again = tensor.1.clone();
            tensor.1.extend(again);
        });
        assert!(shape.to_string().contains("tensor \"body."), "{shape}");
    }
    let one = (vec![1], vec![0, 0]);
    for surplus in ["other", "body.0.other", "body.99999.weight", "body.x", "conv_last.weight"] {
        let error = attempt(&|tensors| drop(tensors.insert(surplus.into(), one.clone())));
        assert_eq!(error, WeightsError::Surplus(surplus.into()));
    }
    let error = attempt(&|tensors| drop(tensors.insert("conv_first.weight".into(), (vec![1; 4], vec![0, 0]))));
    assert!(matches!(error, WeightsError::Missing(name) if name.starts_with("body.0.rdb1")));
}

/// Whether the two parts give what the whole gives is a test of the worker, which has a runtime.
#[test]
fn rrdbnets_are_split_where_their_features_are_enlarged() {
    for (name, ..) in FIXTURES {
        let whole = take(file(name, bytes(name))).unwrap().onnx;
        let parts = split(&whole);
        assert_eq!(parts.is_some(), name.starts_with("rrdbnet"), "{name}");
        let Some(parts) = parts else { continue };
        assert_eq!(parts.halo, 3);
        assert!(parts.trunk.len() + parts.tail.len() < whole.len() + 2000, "weights are in one of the parts");
        assert_eq!(split(&parts.trunk), None);
    }
    assert_eq!(split(b"no model"), None);
}
