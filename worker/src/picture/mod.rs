//! Pictures in memory, from the decoded file to the encoded one.
//!
//! Samples stay in the depth of the file (8 or 16 bits) and interleaved, row by row. They become `f32` only tile by
//! tile, on their way into a network and out of it.

mod associated;
mod chunks;
mod cmyk;
mod composite;
mod decode;
mod density;
mod encode;
mod exif;
#[cfg(test)]
pub(crate) mod fixtures;
mod flat;
mod grain;
mod heif;
mod hidden;
mod iptc;
mod jpeg;
mod lanczos;
mod layout;
mod raster;
mod reduce;
mod sample;
mod scans;
mod strip;
mod tensor;
mod tiff;
mod tiff_metadata;
mod window;

pub use composite::Overlay;
pub use decode::{Decoded, decode};
pub use encode::{EncodeError, Encoded, Encoder};
pub use grain::keep_grain;
pub use lanczos::{ResizeError, enlarge, resize, resize_tensor};
pub use layout::{Layout, Plane};
pub use raster::{Chunk, Metadata, Picture, Samples};
pub use reduce::Reducer;
pub use strip::{Header, Strip};
pub use tensor::Patch;
pub use window::Window;
