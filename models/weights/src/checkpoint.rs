//! Weight files of PyTorch networks: `.pth` and `.safetensors`, as named tensors.
//!
//! Nothing in a file is executed: the pickle inside a `.pth` goes through a machine that knows the few things that
//! `torch.save` writes, and refuses everything else by name. A size that a file claims is checked against the bytes it
//! has before anything is allocated for it; tensors stay where they lie in the file until they are taken.

mod archive;
mod error;
mod legacy;
mod pickle;
mod pth;
mod safetensors;
mod tensors;

#[cfg(test)]
mod tests;

pub use error::WeightsError;
pub(crate) use pth::read as read_pth;
pub(crate) use safetensors::read as read_safetensors;
pub(crate) use tensors::Weights;
