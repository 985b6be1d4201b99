//! The outputs of detectors: tables with a row per cell or anchor.

use ndarray::{ArrayView2, Axis, Ix3};
use remaster_engine::Output;

use crate::output::{OutputError, expect_finite, expect_shape};

/// The output `name`, `[1, rows, columns]` in the graph, as `[rows, columns]`.
///
/// # Errors
/// There is no such output, it has another shape, or not all its values are finite.
pub(super) fn rows<'a>(
    outputs: &'a [Output],
    name: &str,
    [rows, columns]: [usize; 2],
) -> Result<ArrayView2<'a, f32>, OutputError> {
    let missing = || OutputError::Missing(name.into());
    let output = outputs.iter().find(|output| output.name == name).ok_or_else(missing)?;
    expect_shape(name, &output.values, &[1, rows, columns])?;
    expect_finite(name, &output.values)?;
    let values = output.values.view().into_dimensionality::<Ix3>().map_err(|_| missing())?;
    Ok(values.index_axis_move(Axis(0), 0))
}
