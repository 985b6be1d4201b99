//! Enlarging a picture by a network, tile by tile. Memory is bounded by the tile, not by the picture.
//!
//! The networks are those of [Real-ESRGAN](https://github.com/xinntao/Real-ESRGAN). Unlike its tiles, those here
//! overlap by as much as the network needs, so that the result equals that of an untiled run within 1/255 on a photo.

mod alpha;
mod error;
mod network;
#[cfg(test)]
mod tests;
mod tiles;

pub use error::UpscaleError;
pub use network::{Strips, Upscaler};
pub use tiles::{Tile, TileSettings, TileSettingsError, Tiling};
