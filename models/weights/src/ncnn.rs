//! [ncnn](https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure) networks: the text `.param` names the
//! layers, and the `.bin` holds their weights in the same order.
//!
//! Every layer and every parameter of it is either translated exactly or refused by name. A size that a file claims is
//! checked against the bytes it has before anything is allocated for it.

mod error;
mod graph;
mod layers;
mod param;
mod params;
mod translate;
mod weights;

#[cfg(test)]
mod tests;

pub use error::NcnnError;
pub(crate) use translate::translate;
