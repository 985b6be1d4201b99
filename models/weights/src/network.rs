//! Networks as ONNX graphs, built block by block from named weights.
//!
//! The architecture and its size are read from the tensors themselves. Each tensor has to be there in the shape that
//! the others ask for, and no tensor may be left over. An upscaler's graph takes `[N,3,H,W]` float32 RGB in 0..1 and
//! gives `[N,3,S*H,S*W]` in the same range, for any N, H and W. The modules of the networks for faces say what those
//! take and give.

mod blocks;
mod folded;
mod gfpgan;
mod parsenet;
mod retinaface;
mod rrdbnet;
mod srvgg;

#[cfg(test)]
mod tests;

use remaster_shared::catalogue::Kind;

use self::blocks::Net;
use crate::architecture::Architecture;
use crate::checkpoint::{Weights, WeightsError};
use crate::onnx::build::Builder;
use crate::onnx::meta::Description;
use crate::onnx::ports::Ports;
use crate::onnx::proto::Model;

/// A network that became a graph.
#[derive(Debug)]
pub(crate) struct Network {
    pub architecture: Architecture,
    /// What the network is for.
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

/// How an architecture is recognised and built.
struct Family {
    architecture: Architecture,
    kind: Kind,
    /// The tensor by which the architecture is recognised.
    telltale: &'static str,
    /// Adds the network to the graph; returns its scale and its ports.
    build: fn(&mut Net<'_>) -> Result<(u32, Ports), WeightsError>,
}

/// In the order of looking: GFPGAN has tensors whose names others have too.
const FAMILIES: [Family; 5] = [
    Family {
        architecture: Architecture::Gfpgan,
        kind: Kind::FaceRestorer,
        telltale: "stylegan_decoder.constant_input.weight",
        build: |net| Ok((1, gfpgan::build(net)?)),
    },
    Family {
        architecture: Architecture::Retinaface,
        kind: Kind::Detector,
        telltale: "ClassHead.0.conv1x1.weight",
        build: |net| Ok((1, retinaface::build(net)?)),
    },
    Family {
        architecture: Architecture::Parsenet,
        kind: Kind::FaceParser,
        telltale: "out_mask_conv.conv2d.weight",
        build: |net| Ok((1, parsenet::build(net)?)),
    },
    Family {
        architecture: Architecture::Rrdbnet,
        kind: Kind::Upscaler,
        telltale: "conv_first.weight",
        build: |net| Ok((rrdbnet::build(net)?, Ports::images())),
    },
    Family {
        architecture: Architecture::Srvgg,
        kind: Kind::Upscaler,
        telltale: "body.0.weight",
        build: |net| Ok((srvgg::build(net)?, Ports::images())),
    },
];

/// Builds the network that `weights` are of.
///
/// # Errors
/// Weights of no known architecture; a missing, surplus or misshaped tensor, by name.
pub(crate) fn build(weights: Weights<'_>) -> Result<Network, WeightsError> {
    let mut net = Net::new(weights.without_module());
    let Some(family) = FAMILIES.iter().find(|family| net.weights.has(family.telltale)) else {
        return Err(WeightsError::Unknown(net.weights.names().next().unwrap_or_default().to_owned()));
    };
    let (scale, ports) = (family.build)(&mut net)?;
    net.weights.finish()?;
    Ok(Network { architecture: family.architecture, kind: family.kind, scale, ports, graph: net.graph })
}
