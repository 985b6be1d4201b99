//! Every tensor of every architecture is needed, in its shape, and no other is accepted.

use std::path::Path;

use super::{FAMILIES, build};
use crate::checkpoint::{Weights, WeightsError, read_pth};

const FILES: [&str; 6] = ["rrdbnet-x4", "rrdbnet-x2", "srvgg-x4", "gfpgan", "retinaface", "parsenet"];

/// Applies `change` to each tensor of every architecture in turn, and gives the tensor's name (without `module.`) and the
/// outcome to `expect`.
fn each(change: fn(&mut Weights<'_>, &str), expect: fn(&str, Result<(), WeightsError>)) {
    for file in FILES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../reference/pytorch/{file}.pth"));
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
            Err(WeightsError::Unknown(_)) => assert!(FAMILIES.iter().any(|family| family.telltale == name), "{name}"),
            // Files from before PyTorch had these counters do without them.
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
