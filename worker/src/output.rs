//! Checks of a network's output, before anything is made of it.

use ndarray::{ArrayBase, Data, Dimension};

/// Why a network's output cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// The graph has no output of that name.
    #[error("the network has no output {0}")]
    Missing(String),
    /// The output has another shape than the network's architecture promises.
    #[error("{name} has the shape {shape:?}, not {expected:?}")]
    Shape {
        /// Which output it is.
        name: String,
        /// The shape that the output has.
        shape: Vec<usize>,
        /// The shape that it should have.
        expected: Vec<usize>,
    },
    /// The output has values that are NaN or infinite.
    #[error("{0} has values that are NaN or infinite")]
    NotFinite(String),
}

/// Checks that `output` has the `expected` shape; `name` says in the error which output it is.
pub(crate) fn expect_shape<S: Data<Elem = f32>, D: Dimension>(
    name: &str,
    output: &ArrayBase<S, D>,
    expected: &[usize],
) -> Result<(), OutputError> {
    if output.shape() == expected {
        return Ok(());
    }
    Err(OutputError::Shape { name: name.into(), shape: output.shape().into(), expected: expected.into() })
}

/// Checks that no value of `output` is NaN or infinite; `name` says in the error which output it is.
pub(crate) fn expect_finite<S: Data<Elem = f32>, D: Dimension>(
    name: &str,
    output: &ArrayBase<S, D>,
) -> Result<(), OutputError> {
    if output.iter().all(|value| value.is_finite()) { Ok(()) } else { Err(OutputError::NotFinite(name.into())) }
}
