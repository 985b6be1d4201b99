//! Networks as ONNX graphs, built block by block from named weights.
//!
//! Which architecture it is, and of what size, is read from the tensors themselves. Each tensor has to be there in the
//! shape that the others ask for, and no tensor may be left over. The graph takes `[N,3,H,W]` float32 in 0..1 and gives
//! `[N,3,S*H,S*W]`, for any N, H and W.

mod blocks;
mod rrdbnet;
mod srvgg;

use super::weights::{Weights, WeightsError};
use crate::onnx::build::Builder;
use crate::onnx::meta::Description;
use crate::onnx::proto::Model;

/// A network that became a graph.
#[derive(Debug)]
pub(crate) struct Network {
    /// Its family, by the manifest's name.
    pub architecture: &'static str,
    /// Output pixels per input pixel along one side.
    pub scale: u32,
    graph: Builder,
}

impl Network {
    pub(crate) fn into_model(self, description: &Description) -> Model {
        self.graph.finish(description)
    }
}

/// Builds the network that `weights` are of.
pub(crate) fn build(weights: Weights<'_>) -> Result<Network, WeightsError> {
    let mut net = blocks::Net::new(weights);
    let (architecture, scale) = if net.weights.has("conv_first.weight") {
        (rrdbnet::NAME, rrdbnet::build(&mut net)?)
    } else if net.weights.has("body.0.weight") {
        (srvgg::NAME, srvgg::build(&mut net)?)
    } else {
        let first = net.weights.names().next().unwrap_or_default().to_owned();
        return Err(WeightsError::Unknown(first));
    };
    net.weights.finish()?;
    Ok(Network { architecture, scale, graph: net.graph })
}
