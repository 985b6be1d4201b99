//! Networks as ONNX graphs, built block by block from named weights.
//!
//! Which architecture it is, and of what size, is read from the tensors themselves. Each tensor has to be there in the
//! shape that the others ask for, and no tensor may be left over. An upscaler's graph takes `[N,3,H,W]` float32 in 0..1
//! and gives `[N,3,S*H,S*W]`, for any N, H and W; what the networks for faces take and give, their modules say.

mod blocks;
mod folded;
mod gfpgan;
mod parsenet;
mod retinaface;
mod rrdbnet;
mod srvgg;

#[cfg(test)]
mod tests;

use super::weights::{Weights, WeightsError};
use crate::manifest::Kind;
use crate::onnx::build::Builder;
use crate::onnx::meta::Description;
use crate::onnx::ports::Ports;
use crate::onnx::proto::Model;

/// A network that became a graph.
#[derive(Debug)]
pub(crate) struct Network {
    /// Its family, by the manifest's name.
    pub architecture: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// Output pixels per input pixel along one side.
    pub scale: u32,
    ports: Ports,
    graph: Builder,
}

impl Network {
    pub(crate) fn into_model(self, description: &Description) -> Model {
        self.graph.finish(description, self.ports)
    }
}

/// Builds the network that `weights` are of.
pub(crate) fn build(weights: Weights<'_>) -> Result<Network, WeightsError> {
    let mut net = blocks::Net::new(weights.without_module());
    let (kind, architecture, scale, ports) = if net.weights.has("stylegan_decoder.constant_input.weight") {
        (Kind::FaceRestorer, gfpgan::NAME, 1, gfpgan::build(&mut net)?)
    } else if net.weights.has("ClassHead.0.conv1x1.weight") {
        (Kind::Detector, retinaface::NAME, 1, retinaface::build(&mut net)?)
    } else if net.weights.has("out_mask_conv.conv2d.weight") {
        (Kind::FaceParser, parsenet::NAME, 1, parsenet::build(&mut net)?)
    } else if net.weights.has("conv_first.weight") {
        (Kind::Upscaler, rrdbnet::NAME, rrdbnet::build(&mut net)?, Ports::images())
    } else if net.weights.has("body.0.weight") {
        (Kind::Upscaler, srvgg::NAME, srvgg::build(&mut net)?, Ports::images())
    } else {
        let first = net.weights.names().next().unwrap_or_default().to_owned();
        return Err(WeightsError::Unknown(first));
    };
    net.weights.finish()?;
    Ok(Network { architecture, kind, scale, ports, graph: net.graph })
}
