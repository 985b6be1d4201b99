//! JPEG files of four inks, as printers use them, become pictures of red, green and blue.

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Pixels in sRGB of the light that four inks leave, which is what files store: through `profile` where that describes inks, else as if each
/// ink took away the light of one primary.
pub(super) fn to_rgb(light: &[u8], profile: Option<&[u8]>) -> Vec<u8> {
    profile.and_then(|profile| through(profile, light)).unwrap_or_else(|| plainly(light))
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
