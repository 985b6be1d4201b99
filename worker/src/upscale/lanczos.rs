//! Lanczos-3: a network's output brought to another size, and whole pictures enlarged without a network.

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
    pixels,
};
use ndarray::Array4;

use crate::picture::{Layout, Picture, Samples};
use remaster_engine::{EngineError, Tensor};

fn options() -> ResizeOptions {
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
}

/// `[1, 3, h, w]` to `[1, 3, height, width]`.
pub(super) fn resize(tensor: &Tensor, width: usize, height: usize) -> Result<Tensor, EngineError> {
    let failed = |error: &dyn std::fmt::Display| EngineError::Run(format!("resizing a tile: {error}"));
    let (_, channels, from_height, from_width) = tensor.dim();
    let mut resized = Array4::zeros((1, channels, height, width));
    let mut resizer = Resizer::new();
    for channel in 0..channels {
        let plane = tensor.slice(ndarray::s![0, channel, .., ..]);
        let plane = plane.to_slice().ok_or_else(|| failed(&"not contiguous"))?;
        let bytes: &[u8] = bytemuck::cast_slice(plane);
        let source = fast_image_resize::images::TypedImageRef::<pixels::F32>::from_buffer(
            from_width as u32,
            from_height as u32,
            bytes,
        )
        .map_err(|error| failed(&error))?;
        let mut target = fast_image_resize::images::TypedImage::<pixels::F32>::new(width as u32, height as u32);
        resizer.resize_typed(&source, &mut target, &options()).map_err(|error| failed(&error))?;
        let mut out = resized.slice_mut(ndarray::s![0, channel, .., ..]);
        out.iter_mut().zip(target.pixels()).for_each(|(value, pixel)| *value = pixel.0);
    }
    Ok(resized)
}

/// The whole picture `factor` times as large, in its own depth, without a network.
pub fn enlarge(picture: &Picture, factor: usize) -> Result<Picture, EngineError> {
    resized(picture, picture.width * factor, picture.height * factor)
}

/// The whole picture at another size, in its own depth.
pub(crate) fn resized(picture: &Picture, width: usize, height: usize) -> Result<Picture, EngineError> {
    let failed = |error: &dyn std::fmt::Display| EngineError::Run(format!("resizing a picture: {error}"));
    let mut canvas = picture.blank(width, height);
    let (bytes, wide): (&[u8], bool) = match &picture.samples {
        Samples::U8(samples) => (samples, false),
        Samples::U16(samples) => (bytemuck::cast_slice(samples), true),
    };
    let kind = pixel_type(picture.layout, wide);
    let source = ImageRef::new(picture.width as u32, picture.height as u32, bytes, kind).map_err(|e| failed(&e))?;
    let (width, height) = (canvas.width as u32, canvas.height as u32);
    let out: &mut [u8] = match &mut canvas.samples {
        Samples::U8(samples) => samples,
        Samples::U16(samples) => bytemuck::cast_slice_mut(samples),
    };
    let mut target = Image::from_slice_u8(width, height, out, kind).map_err(|e| failed(&e))?;
    Resizer::new().resize(&source, &mut target, &options()).map_err(|e| failed(&e))?;
    Ok(canvas)
}

fn pixel_type(layout: Layout, wide: bool) -> PixelType {
    match (layout, wide) {
        (Layout::Gray, false) => PixelType::U8,
        (Layout::GrayAlpha, false) => PixelType::U8x2,
        (Layout::Rgb, false) => PixelType::U8x3,
        (Layout::Rgba, false) => PixelType::U8x4,
        (Layout::Gray, true) => PixelType::U16,
        (Layout::GrayAlpha, true) => PixelType::U16x2,
        (Layout::Rgb, true) => PixelType::U16x3,
        (Layout::Rgba, true) => PixelType::U16x4,
    }
}
