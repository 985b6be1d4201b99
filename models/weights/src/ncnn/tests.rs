//! A small network with every kind of layer that is translated, the graph it has to become, and what happens when it is
//! cut or changed.

use half::f16;
use proptest::prelude::*;
use remaster_shared::catalogue::Kind;

use super::{NcnnError, translate};
use crate::onnx::meta::Description;
use crate::onnx::proto::{Attribute, Model};

const PARAM: &str = "7767517
11 15
Input        in    0 1 data
Split        copy  1 2 data a b
Convolution  conv  1 1 a c 0=12 1=3 4=1 5=1 6=324 9=2 -23310=1,2.000000e-01
PReLU        slope 1 1 c d 0=12
PixelShuffle shuf  1 1 d e 0=2
Interp       near  1 1 b f 0=1 1=2.000000e+00 2=2.000000e+00
Eltwise      sum   2 1 e f g 0=1 -23301=2,2.000000e-01,1.000000e+00
BinaryOp     half  1 1 g h 0=2 1=1 2=5.000000e-01
Concat       cat   1 1 h i 0=0
Interp       soft  1 1 i j 0=2 1=2.000000e+00 2=2.000000e+00
Convolution  last  1 1 j out 0=3 1=1 5=0 6=9 9=1
";

const GOLDEN: &str = "\
Conv conv [input, w:conv.weight, w:conv.bias] -> p:conv dilations=[1, 1] kernel_shape=[3, 3] pads=[1, 1, 1, 1] strides=[1, 1]
LeakyRelu conv/activation [p:conv] -> t:c alpha=0.2
PRelu slope [t:c, w:slope.slope] -> t:d
DepthToSpace shuf [t:d] -> t:e blocksize=2 mode=CRD
Resize near [input, , c:1:1,1,2,2] -> t:f coordinate_transformation_mode=asymmetric mode=nearest nearest_mode=floor
Mul sum/scaled.0 [t:e, c:0:0.2] -> m:sum.0
Add sum [m:sum.0, t:f] -> t:g
Mul half [t:g, c:0:0.5] -> t:h
Concat cat [t:h] -> t:i axis=1
Resize soft [t:i, , c:1:1,1,2,2] -> t:j coordinate_transformation_mode=half_pixel mode=linear
Conv last [t:j, w:last.weight] -> p:last dilations=[1, 1] kernel_shape=[1, 1] pads=[0, 0, 0, 0] strides=[1, 1]
Relu last/activation [p:last] -> output
";

const HALF: u32 = 0x0130_6B47;

/// The weights: those of `conv` in float16 (324 values need no padding), its bias, the slopes, and those of `last` in
/// float32.
fn bin() -> Vec<u8> {
    let mut bytes = HALF.to_le_bytes().to_vec();
    (0..324).for_each(|at| bytes.extend(f16::from_f32(at as f32 / 8.0).to_le_bytes()));
    (0..24).for_each(|at| bytes.extend((at as f32).to_le_bytes()));
    bytes.extend([0; 4]);
    (0..9).for_each(|at| bytes.extend((at as f32).to_le_bytes()));
    bytes
}

fn model(param: &str, bin: &[u8]) -> Model {
    let description = Description {
        id: "small".into(),
        kind: Kind::Upscaler,
        architecture: "custom".into(),
        scale: 4,
        source_sha256: String::new(),
    };
    translate(param, bin).unwrap().into_model(&description)
}

fn attribute(attribute: &Attribute) -> String {
    let value = match attribute {
        Attribute { f: Some(f), .. } => f.to_string(),
        Attribute { i: Some(i), .. } => i.to_string(),
        Attribute { s: Some(s), .. } => String::from_utf8_lossy(s).into_owned(),
        Attribute { ints, .. } => format!("{ints:?}"),
    };
    format!(" {}={value}", attribute.name)
}

#[test]
fn the_graph_is_the_golden_one() {
    let graph = model(PARAM, &bin()).graph.unwrap();
    let lines = graph.node.iter().map(|node| {
        let attributes: String = node.attribute.iter().map(attribute).collect();
        format!("{} {} [{}] -> {}{attributes}\n", node.op_type, node.name, node.input.join(", "), node.output[0])
    });
    assert_eq!(lines.collect::<String>(), GOLDEN);
    let weight = graph.initializer.iter().find(|tensor| tensor.name == "w:conv.weight").unwrap();
    assert_eq!(weight.dims, [12, 3, 3, 3]);
    let raw = weight.raw_data.as_ref().unwrap();
    assert_eq!((raw.len(), &raw[4..8]), (324 * 4, &0.125_f32.to_le_bytes()[..]));
    assert_eq!(translate(PARAM, &bin()).unwrap().scale, 4);
}

#[test]
fn surplus_weights_are_refused() {
    let mut long = bin();
    long.push(0);
    let error = translate(PARAM, &long).unwrap_err().to_string();
    assert!(error.contains("1 bytes more") && error.contains("last"), "{error}");
}

#[test]
fn what_is_not_translated_is_named() {
    for (from, to, named) in [
        ("PReLU        slope", "Softmax      slope", "layer slope (Softmax)"),
        ("9=1\n", "9=7\n", "activation 7"),
        ("0=12 1=3", "0=12 1=3 3=2", "stride 2"),
        ("4=1 5=1", "4=0 5=1", "padding"),
        ("6=324", "6=325", "layer conv"),
        ("0=12\n", "0=13\n", "13 slopes"),
        ("0=12\n", "0=12 7=1\n", "parameter 7"),
        ("1=2.000000e+00 2", "1=1.500000e+00 2", "factors"),
        ("e f g", "e x g", "more than one output"),
        ("1 1 h i", "2 1 h j i", "takes j"),
        ("1 1 h i", "2 1 h b i", "differ in size"),
        ("-23301=2,", "-23301=3,", "announces 3"),
        ("0=2 1=1", "0=6 1=1", "operation 6"),
        ("0=3 1=1 5=0 6=9", "0=9 1=1 5=0 6=27", "last"),
        ("Split        copy", "Split        in", "used twice"),
    ] {
        let text = PARAM.replacen(from, to, 1);
        assert_ne!(text, PARAM, "{from}");
        let error = translate(&text, &bin()).unwrap_err().to_string();
        assert!(error.contains(named), "{to:?}: {error}");
        assert_eq!(error.lines().count(), 1);
    }
}

proptest! {
    #[test]
    fn a_cut_bin_is_refused(end in 0..bin().len()) {
        let error = translate(PARAM, &bin()[..end]).unwrap_err();
        let named = matches!(error, NcnnError::Layer { .. });
        prop_assert!(named, "{}", error);
    }

    /// A line that is cut within its last value may still be whole, so the cut is before that value.
    #[test]
    fn a_cut_param_is_refused(end in 0..PARAM.trim_end().rfind("6=9").unwrap() + 3) {
        prop_assert!(translate(&PARAM[..end], &bin()).is_err());
    }

    /// Whatever a file says, there is no panic and no absurd allocation.
    #[test]
    fn a_changed_param_does_no_harm(at in 0..PARAM.len(), insert in "[0-9]{19}|[0-9a-z=,. \\n-]{0,3}", cut in 0..2_usize) {
        let text = format!("{}{insert}{}", &PARAM[..at], &PARAM[at + cut..]);
        let _ = translate(&text, &bin());
    }

    #[test]
    fn a_changed_bin_does_no_harm(at in 0..bin().len(), byte in any::<u8>()) {
        let mut bytes = bin();
        bytes[at] = byte;
        let _ = translate(PARAM, &bytes);
    }
}
