//! What can be known of an upload without decoding it: its format from its first bytes, its size from its header, and
//! whether the file is whole. No pixel is allocated.

mod directories;
mod frames;
mod gif;
mod heif;
mod inspect;
mod jpeg;
mod limits;
#[cfg(test)]
mod tests;
mod whole;

pub(crate) use directories::{lengths, photometric};
pub use inspect::{image_format, inspect};
pub(crate) use jpeg::jpeg_size;
pub use limits::PixelLimits;
