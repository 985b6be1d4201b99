use std::path::Path;

use super::build;
use crate::import::weights::{WeightsError, read_pth};

/// Every single tensor of every architecture is asked for, by its own name.
#[test]
fn a_missing_tensor_is_named() {
    for file in ["rrdbnet-x4", "rrdbnet-x2", "srvgg-x4", "gfpgan"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("reference/pytorch/{file}.pth"));
        let bytes = std::fs::read(path).unwrap();
        let whole = read_pth(&bytes).unwrap();
        assert!(whole.names().count() > 10);
        for name in whole.names() {
            let mut weights = read_pth(&bytes).unwrap();
            weights.discard(name);
            match build(weights).unwrap_err() {
                WeightsError::Missing(missing) => assert_eq!(missing, name, "{file}"),
                // The tensor by which the architecture is told.
                WeightsError::Unknown(_) => {
                    let telling = ["conv_first.weight", "body.0.weight", "stylegan_decoder.constant_input.weight"];
                    assert!(telling.contains(&name), "{file}: {name}");
                }
                other => panic!("{file} without {name}: {other}"),
            }
        }
        build(whole).unwrap();
    }
}
