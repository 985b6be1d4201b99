use std::path::Path;

use super::build;
use crate::import::weights::{Weights, WeightsError, read_pth};

const FILES: [&str; 6] = ["rrdbnet-x4", "rrdbnet-x2", "srvgg-x4", "gfpgan", "retinaface", "parsenet"];
/// The tensors by which an architecture is told.
const TELLING: [&str; 5] = [
    "conv_first.weight",
    "body.0.weight",
    "stylegan_decoder.constant_input.weight",
    "ClassHead.0.conv1x1.weight",
    "out_mask_conv.conv2d.weight",
];

/// For every tensor of every architecture, what becomes of the file once `change` was at it; names without `module.`.
fn each(change: fn(&mut Weights<'_>, &str), expect: fn(&str, Result<(), WeightsError>)) {
    for file in FILES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("reference/pytorch/{file}.pth"));
        let bytes = std::fs::read(path).unwrap();
        let whole = read_pth(&bytes).unwrap();
        assert!(whole.names().count() > 10);
        for name in whole.names() {
            let mut weights = read_pth(&bytes).unwrap();
            change(&mut weights, name);
            expect(name.strip_prefix("module.").unwrap_or(name), build(weights).map(drop));
        }
        build(whole).unwrap();
    }
}

#[test]
fn a_missing_tensor_is_named() {
    each(
        |weights, name| weights.discard(name),
        |name, result| match result {
            Err(WeightsError::Missing(missing)) => assert_eq!(missing, name),
            Err(WeightsError::Unknown(_)) => assert!(TELLING.contains(&name), "{name}"),
            // Files from before there were such counters do without.
            Ok(()) => assert!(name.ends_with(".num_batches_tracked"), "{name}"),
            Err(other) => panic!("without {name}: {other}"),
        },
    );
}

#[test]
fn a_misshaped_tensor_is_named() {
    each(
        |weights, name| weights.misshape(name),
        |name, result| match result {
            Err(WeightsError::Shape { name: shaped, .. } | WeightsError::Tensor { name: shaped, .. }) => {
                assert_eq!(shaped, name);
            }
            other => panic!("{name} misshaped: {other:?}"),
        },
    );
}

#[test]
fn a_surplus_tensor_is_named() {
    each(
        |weights, name| weights.double(name),
        |name, result| {
            assert_eq!(result, Err(WeightsError::Surplus(format!("{name}.copy"))));
        },
    );
}
