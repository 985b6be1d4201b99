//! A loaded network, whole or in two parts.

use ndarray::{Array4, ArrayView4, s};

use crate::error::EngineError;
use crate::graph::{Graph, Stop};
use crate::port::{Output, Tensor};

/// The size of a strip in pixels of the features: large enough to keep the cores busy, and small beside the features of a tile.
const STRIP: usize = 32_768;
/// The fewest rows of a strip; with fewer most of the work would be the rows around it.
const MIN_ROWS: usize = 16;

/// A loaded network.
pub enum Network {
    /// In one graph.
    Whole(Box<dyn Graph>),
    /// In two: the trunk runs on the whole input, the tail on strips of its features. The result is that of the whole network, for a
    /// fraction of its memory.
    Split {
        trunk: Box<dyn Graph>,
        tail: Box<dyn Graph>,
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
    /// The run fails, or was stopped.
    pub fn run(&mut self, input: Tensor, stop: &Stop) -> Result<Vec<Output>, EngineError> {
        match self {
            Network::Whole(graph) => graph.run(input, stop),
            Network::Split { trunk, tail, halo, scale } => {
                let (_, _, height, width) = input.dim();
                let mut enlarged = Tensor::default((0, 0, 0, 0));
                trunk.run_and_read(input, stop, &mut |_, features| {
                    let features: ArrayView4<'_, f32> =
                        features.into_dimensionality().map_err(|error| EngineError::Run(error.into()))?;
                    enlarged = strips(tail.as_mut(), features, *halo, stop)?;
                    Ok(())
                })?;
                // Features of whole blocks of pixels reach past the input.
                let image = enlarged.slice_move(s![.., .., ..height * *scale, ..width * *scale]);
                Ok(vec![Output { name: "output".into(), values: image.into_dyn() }])
            }
        }
    }
}

/// The tail's output for all features, strip by strip.
fn strips(
    tail: &mut dyn Graph,
    features: ArrayView4<'_, f32>,
    halo: usize,
    stop: &Stop,
) -> Result<Tensor, EngineError> {
    let (batch, _, rows, columns) = features.dim();
    let strip = (STRIP / columns.max(1)).max(MIN_ROWS);
    let mut image = Tensor::default((0, 0, 0, 0));
    for top in (0..rows).step_by(strip) {
        let bottom = (top + strip).min(rows);
        let (from, to) = (top.saturating_sub(halo), (bottom + halo).min(rows));
        let part = first(tail.run(features.slice(s![.., .., from..to, ..]).to_owned(), stop)?)?;
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
