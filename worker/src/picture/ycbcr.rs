//! Brightness and two differences of colour, as JPEG stores them.

/// Makes red, green and blue of the first three samples, as [JFIF](https://www.w3.org/Graphics/JPEG/jfif3.pdf) has it.
pub(super) fn to_rgb(pixel: &mut [u8]) {
    let [y, cb, cr] = [0, 1, 2].map(|channel| f32::from(pixel[channel]));
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    let rgb = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
    pixel.iter_mut().zip(rgb).for_each(|(sample, level)| *sample = (level + 0.5).clamp(0.0, 255.0) as u8);
}
