//! Resizing with the Lanczos filter of three lobes: a network's output brought to another size, and whole pictures
//! resized without a network.
//!
//! The filter is the windowed sinc of Duchon, "Lanczos Filtering in One and Two Dimensions", 1979, as
//! [fast_image_resize](https://docs.rs/fast_image_resize) implements it.

use std::ops::Range;

use fast_image_resize::{
    FilterType, ImageBufferError, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef, TypedImage, TypedImageRef},
    pixels,
};
use ndarray::Array4;
use remaster_engine::Tensor;

use super::layout::Layout;
use super::raster::{Picture, Samples};
use super::strip::Strip;

/// How far the filter reaches, in pixels of the smaller of the two pictures, rounded up.
pub(super) const REACH: usize = 4;

/// Why a picture or a tensor could not be resized.
#[derive(Debug, thiserror::Error)]
pub enum ResizeError {
    /// The samples do not fit the size that they are said to have.
    #[error("resizing: {0}")]
    Buffer(#[from] ImageBufferError),
    /// The filter refused the sizes or the pixel type.
    #[error("resizing: {0}")]
    Filter(#[from] fast_image_resize::ResizeError),
    /// The rows of the tensor do not lie one behind the other in memory.
    #[error("resizing: the tensor is not contiguous")]
    NotContiguous,
}

/// Resizes `[n, c, h, w]` to `[n, c, height, width]`. Values may overshoot the range of the input.
///
/// # Errors
/// A tensor that is not contiguous, or a size of 0.
pub fn resize_tensor(tensor: &Tensor, width: usize, height: usize) -> Result<Tensor, ResizeError> {
    let (count, channels, from_height, from_width) = tensor.dim();
    let mut resized = Array4::zeros((count, channels, height, width));
    let mut resizer = Resizer::new();
    for (item, channel) in (0..count).flat_map(|item| (0..channels).map(move |channel| (item, channel))) {
        let plane = tensor.slice(ndarray::s![item, channel, .., ..]);
        let bytes: &[u8] = bytemuck::cast_slice(plane.to_slice().ok_or(ResizeError::NotContiguous)?);
        let source = TypedImageRef::<pixels::F32>::from_buffer(from_width as u32, from_height as u32, bytes)?;
        let mut target = TypedImage::<pixels::F32>::new(width as u32, height as u32);
        resizer.resize_typed(&source, &mut target, &lanczos3())?;
        let mut out = resized.slice_mut(ndarray::s![item, channel, .., ..]);
        out.iter_mut().zip(target.pixels()).for_each(|(value, pixel)| *value = pixel.0);
    }
    Ok(resized)
}

/// What `rows` of the picture become at `scale` times its width and height, in its own depth.
///
/// # Errors
/// Those of [`resize`].
pub fn enlarge(picture: &Picture, rows: Range<usize>, scale: usize) -> Result<Strip, ResizeError> {
    let seen = rows.start.saturating_sub(REACH)..(rows.end + REACH).min(picture.height);
    let part = (seen.start as f64, seen.len() as f64);
    let mut enlarged = resize_part(picture, part, picture.width * scale, seen.len() * scale)?;
    enlarged.crop_rows((rows.start - seen.start) * scale..(rows.end - seen.start) * scale);
    Ok(Strip { top: rows.start * scale, rows: enlarged })
}

/// The picture with `width` x `height` pixels, in its own depth. Colours are weighted by their alpha.
///
/// # Errors
/// Samples that do not fit the picture's size, or a size of 0.
pub fn resize(picture: &Picture, width: usize, height: usize) -> Result<Picture, ResizeError> {
    resize_part(picture, (0.0, picture.height as f64), width, height)
}

/// The part of the picture from a row on, and so many rows high, as `width` x `height` pixels. What is outside of it is not looked at.
pub(super) fn resize_part(
    picture: &Picture,
    (top, rows): (f64, f64),
    width: usize,
    height: usize,
) -> Result<Picture, ResizeError> {
    let mut resized = picture.blank(width, height);
    let pixel_type = pixel_type(picture);
    let bytes: &[u8] = match &picture.samples {
        Samples::U8(samples) => samples,
        Samples::U16(samples) => bytemuck::cast_slice(samples),
    };
    let source = ImageRef::new(picture.width as u32, picture.height as u32, bytes, pixel_type)?;
    let out: &mut [u8] = match &mut resized.samples {
        Samples::U8(samples) => samples,
        Samples::U16(samples) => bytemuck::cast_slice_mut(samples),
    };
    let mut target = Image::from_slice_u8(width as u32, height as u32, out, pixel_type)?;
    let options = lanczos3().crop(0.0, top, picture.width as f64, rows);
    Resizer::new().resize(&source, &mut target, &options)?;
    Ok(resized)
}

fn lanczos3() -> ResizeOptions {
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
}

fn pixel_type(picture: &Picture) -> PixelType {
    match (picture.layout, &picture.samples) {
        (Layout::Gray, Samples::U8(_)) => PixelType::U8,
        (Layout::GrayAlpha, Samples::U8(_)) => PixelType::U8x2,
        (Layout::Rgb, Samples::U8(_)) => PixelType::U8x3,
        (Layout::Rgba, Samples::U8(_)) => PixelType::U8x4,
        (Layout::Gray, Samples::U16(_)) => PixelType::U16,
        (Layout::GrayAlpha, Samples::U16(_)) => PixelType::U16x2,
        (Layout::Rgb, Samples::U16(_)) => PixelType::U16x3,
        (Layout::Rgba, Samples::U16(_)) => PixelType::U16x4,
    }
}
