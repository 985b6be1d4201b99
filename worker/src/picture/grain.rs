//! The grain of the original, laid over what was made of it.
//!
//! A network takes grain for damage and leaves skin and skies smooth. What its output, reduced to the size of the original, lacks of it is
//! grain where the output is smooth. At the output's edges it is what the network made sharper, and that stays.

use ndarray::s;
use remaster_engine::Tensor;

use super::lanczos::{ResizeError, resize_tensor};

/// The step between neighbouring pixels, 0..=1, at which half of the grain is left.
const EDGE: f32 = 8.0 / 255.0;

/// Lays `amount`, 0..=1, of the grain of `original`, `[n, 3, h, w]`, over `made`, `[n, 3, h s, w s]`, both 0..=1. Within 8 pixels of the
/// original from an edge it depends on what is behind that edge.
///
/// # Errors
/// Those of [`resize_tensor`].
pub fn keep_grain(original: &Tensor, mut made: Tensor, amount: f32) -> Result<Tensor, ResizeError> {
    let (.., rows, columns) = original.dim();
    let (.., height, width) = made.dim();
    let is_larger = (height, width) != (rows, columns);
    let reduced = if is_larger { resize_tensor(&made, columns, rows)? } else { made.clone() };
    let mut grain = original - &reduced;
    grain.indexed_iter_mut().for_each(|((item, channel, y, x), grain)| {
        let step = step(&reduced, (item, channel, y, x)) / EDGE;
        *grain *= amount / (1.0 + step * step);
    });
    made += &if is_larger { resize_tensor(&grain, width, height)? } else { grain };
    made.mapv_inplace(|value| value.clamp(0.0, 1.0));
    Ok(made)
}

/// The largest difference between a value and its neighbours.
fn step(values: &Tensor, (item, channel, y, x): (usize, usize, usize, usize)) -> f32 {
    let (.., height, width) = values.dim();
    let (rows, columns) = (y.saturating_sub(1)..(y + 2).min(height), x.saturating_sub(1)..(x + 2).min(width));
    let here = values[(item, channel, y, x)];
    values.slice(s![item, channel, rows, columns]).iter().map(|value| (value - here).abs()).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    const SIZE: (usize, usize) = (40, 60);

    /// A flat picture with a step in its middle, and what `change` adds to each value by its index.
    fn flat(change: impl Fn(usize) -> f32) -> Tensor {
        Array4::from_shape_fn((1, 3, SIZE.0, SIZE.1), |(_, channel, y, x)| {
            let base = if x < SIZE.1 / 2 { 0.25 } else { 0.75 };
            base + change((y * SIZE.1 + x) * 3 + channel)
        })
    }

    /// What looks like noise: the same at each call.
    fn noise(at: usize) -> f32 {
        ((at.wrapping_mul(2_654_435_761) >> 7) as i32 % 21 - 10) as f32 / 255.0
    }

    fn enlarged(picture: &Tensor, scale: usize) -> Tensor {
        if scale == 1 { picture.clone() } else { resize_tensor(picture, SIZE.1 * scale, SIZE.0 * scale).unwrap() }
    }

    /// The spread of the values that are away from the step.
    fn spread(picture: &Tensor) -> f32 {
        let third = picture.dim().3 / 3;
        picture.slice(s![0, 0, .., ..third]).std(0.0)
    }

    #[test]
    fn grain_comes_back_as_far_as_it_is_asked_for() {
        let (clean, grainy) = (flat(|_| 0.0), flat(noise));
        for scale in [1, 2, 4] {
            let keep = |amount| keep_grain(&grainy, enlarged(&clean, scale), amount).unwrap();
            let [half, whole] = [0.5, 1.0].map(|amount| spread(&keep(amount)));
            // Enlarging is a little softer than the original.
            let own = spread(&grainy);
            assert!((0.8..1.05).contains(&(whole / own)), "{scale}: {whole} of {own}");
            assert!((0.45..0.55).contains(&(half / whole)), "{scale}: {half} of {whole}");
        }
    }

    #[test]
    fn what_is_like_the_original_stays() {
        let clean = flat(|_| 0.0);
        for scale in [1, 2, 3] {
            let made = enlarged(&clean, scale);
            let kept = keep_grain(&clean, made.clone(), 1.0).unwrap();
            let worst = (&kept - &made).iter().fold(0.0_f32, |worst, by| worst.max(by.abs()));
            assert!(worst < 0.01, "{scale}: {worst}");
        }
    }

    /// An edge that the network made sharper is not made soft again.
    #[test]
    fn edges_stay_as_they_were_made() {
        let soft =
            Array4::from_shape_fn((1, 3, SIZE.0, SIZE.1), |(.., x)| 0.25 + x.saturating_sub(27).min(5) as f32 / 10.0);
        let made = enlarged(&flat(|_| 0.0), 2);
        let kept = keep_grain(&soft, made.clone(), 1.0).unwrap();
        let steepest = |picture: &Tensor| {
            (0..SIZE.1 * 2 - 1).map(|x| picture[(0, 0, 40, x + 1)] - picture[(0, 0, 40, x)]).fold(0.0, f32::max)
        };
        let (kept, made) = (steepest(&kept), steepest(&made));
        assert!(kept > 0.9 * made, "{kept} of {made}");
    }
}
