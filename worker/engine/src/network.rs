//! A loaded network, whole or in two parts.

use ndarray::{Array4, s};
use ort::session::{NoSelectedOutputs, RunOptions, Session};
use ort::value::{Tensor as OrtTensor, ValueRef};

use crate::error::{Cause, EngineError};
use crate::port::{Output, Tensor};

/// The size of a strip in pixels of the features: large enough to keep the cores busy, and small beside the features of a tile.
const STRIP: usize = 32_768;
/// The fewest rows of a strip; with fewer most of the work would be the rows around it.
const MIN_ROWS: usize = 16;

/// A loaded network.
pub enum Network {
    /// In one session.
    Whole(Session),
    /// In two: the trunk runs on the whole input, the tail on strips of its features. The result is that of the whole network, for a
    /// fraction of its memory.
    Split {
        trunk: Session,
        tail: Session,
        /// Rows of features that a strip needs around its own.
        halo: usize,
        /// Output pixels per input pixel along one side.
        scale: usize,
    },
}

impl Network {
    /// Runs the network on `[n, c, h, w]` and returns all its outputs.
    ///
    /// # Errors
    /// The run fails, or was terminated.
    pub fn run(&mut self, input: Tensor, options: &RunOptions<NoSelectedOutputs>) -> Result<Vec<Output>, EngineError> {
        match self {
            Network::Whole(session) => outputs(session, input, options),
            Network::Split { trunk, tail, halo, scale } => {
                let (_, _, height, width) = input.dim();
                let features = first(outputs(trunk, input, options)?)?;
                let enlarged = strips(tail, &features, *halo, options)?;
                // Features of whole blocks of pixels reach past the input.
                let image = enlarged.slice_move(s![.., .., ..height * *scale, ..width * *scale]);
                Ok(vec![Output { name: "output".into(), values: image.into_dyn() }])
            }
        }
    }
}

/// The tail's output for all features, strip by strip.
fn strips(
    tail: &mut Session,
    features: &Tensor,
    halo: usize,
    options: &RunOptions<NoSelectedOutputs>,
) -> Result<Tensor, EngineError> {
    let (batch, _, rows, columns) = features.dim();
    let strip = (STRIP / columns.max(1)).max(MIN_ROWS);
    let mut image = Tensor::default((0, 0, 0, 0));
    for top in (0..rows).step_by(strip) {
        let bottom = (top + strip).min(rows);
        let (from, to) = (top.saturating_sub(halo), (bottom + halo).min(rows));
        let part = first(outputs(tail, features.slice(s![.., .., from..to, ..]).to_owned(), options)?)?;
        let (_, channels, height, width) = part.dim();
        let factor = height / (to - from);
        if image.is_empty() {
            image = Array4::zeros((batch, channels, rows * factor, width));
        }
        let own = part.slice(s![.., .., (top - from) * factor..(bottom - from) * factor, ..]);
        image.slice_mut(s![.., .., top * factor..bottom * factor, ..]).assign(&own);
    }
    Ok(image)
}

/// The first output, which has to be a tensor of four dimensions.
pub fn first(outputs: Vec<Output>) -> Result<Tensor, EngineError> {
    let output = outputs.into_iter().next().ok_or_else(|| EngineError::Run("no output".into()))?;
    output.values.into_dimensionality().map_err(|error| EngineError::Run(error.into()))
}

fn outputs(
    session: &mut Session,
    input: Tensor,
    options: &RunOptions<NoSelectedOutputs>,
) -> Result<Vec<Output>, EngineError> {
    let input = OrtTensor::from_array(input).map_err(run_error)?;
    let outputs = session.run_with_options(ort::inputs![input], options).map_err(run_error)?;
    let owned = |(name, value): (&str, ValueRef<'_>)| {
        let values = value.try_extract_array::<f32>().map_err(run_error)?.to_owned();
        Ok(Output { name: name.to_owned(), values })
    };
    outputs.iter().map(owned).collect()
}

/// Tells an exhausted memory from other failures. ONNX Runtime has no error code for it, so the messages of its
/// allocators decide.
fn run_error(error: ort::Error) -> EngineError {
    const MESSAGES: [&str; 5] =
        ["out of memory", "failed to allocate", "bad_alloc", "bad allocation", "cudaerrormemoryallocation"];
    let text = error.to_string().to_lowercase();
    let cause: Cause = error.into();
    if MESSAGES.iter().any(|message| text.contains(message)) {
        EngineError::OutOfMemory(cause)
    } else {
        EngineError::Run(cause)
    }
}
