//! JPEG files of four inks, as printers use them, become pictures of red, green and blue.

use image::RgbImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::ycbcr;

/// The picture in sRGB where `jpeg` is of four inks: through `profile` where that describes inks, else as if inks took away the light of
/// one primary each. `None` for a JPEG of gray or of three colours.
///
/// # Errors
/// Why the file cannot be decoded, in words.
pub(super) fn decode(jpeg: &[u8], profile: Option<&[u8]>) -> Result<Option<RgbImage>, String> {
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let stored = decoder.input_colorspace();
    if !matches!(stored, Some(ColorSpace::CMYK | ColorSpace::YCCK)) {
        return Ok(None);
    }
    let (Some((width, height)), Some(stored)) = (decoder.dimensions(), stored) else { return Ok(None) };
    decoder.set_options(options.jpeg_set_out_colorspace(stored));
    let mut light = decoder.decode().map_err(|error| error.to_string())?;
    if stored == ColorSpace::YCCK {
        light.chunks_exact_mut(4).for_each(light_of_ycck);
    }
    let rgb = profile.and_then(|profile| through(profile, &light)).unwrap_or_else(|| plainly(&light));
    Ok(RgbImage::from_raw(width as u32, height as u32, rgb))
}

/// Adobe's YCCK is the YCbCr of inks, and black as the light that it leaves. Files store the light that inks leave.
fn light_of_ycck(pixel: &mut [u8]) {
    ycbcr::to_rgb(pixel);
    pixel[..3].iter_mut().for_each(|ink| *ink = 255 - *ink);
}

/// The picture by its profile; `None` where the profile cannot be used.
fn through(profile: &[u8], light: &[u8]) -> Option<Vec<u8>> {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    if profile.color_space != DataColorSpace::Cmyk {
        return None;
    }
    let srgb = ColorProfile::new_srgb();
    // Four channels, whatever they are, are `Rgba` here.
    let transform =
        profile.create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgb, TransformOptions::default()).ok()?;
    let inks: Vec<u8> = light.iter().map(|light| 255 - light).collect();
    let mut rgb = vec![0; light.len() / 4 * 3];
    transform.transform(&inks, &mut rgb).ok()?;
    Some(rgb)
}

/// The picture without a profile.
fn plainly(light: &[u8]) -> Vec<u8> {
    let product = |a: u8, b: u8| ((u16::from(a) * u16::from(b) + 127) / 255) as u8;
    light.chunks_exact(4).flat_map(|pixel| [0, 1, 2].map(|channel| product(pixel[channel], pixel[3]))).collect()
}
