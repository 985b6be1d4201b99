//! The grain of the original, laid over the picture that was made of it.
//!
//! A network takes grain for damage and leaves skin and skies smooth. What the finished picture, reduced to the size of the original,
//! lacks of it is grain where the finished picture is smooth. At its edges it is what the network made sharper, and that stays.

use ndarray::s;
use remaster_engine::Tensor;

use super::lanczos::{ResizeError, resize_tensor};
use super::layout::Plane;
use super::raster::Picture;
use super::tensor::Patch;
use super::window::Window;

/// How far the filters reach that reduce the finished picture and enlarge the grain, in pixels of the original.
const REACH: usize = 8;

/// About so many pixels of the finished picture are worked on at once.
const STRIP_PIXELS: usize = 1 << 20;

/// The step between neighbouring pixels, 0..=1, at which half of the grain is left.
const EDGE: f32 = 8.0 / 255.0;

/// Lays `amount`, 0..=1, of the grain of `original` over `finished`, which is a whole number of times as wide and as high. Alpha stays as it
/// is.
///
/// # Errors
/// Those of [`resize_tensor`].
pub fn keep_grain(original: &Picture, mut finished: Picture, amount: f64) -> Result<Picture, ResizeError> {
    let scale = finished.width / original.width;
    let rows = (STRIP_PIXELS / (finished.width * scale)).max(REACH);
    // A strip is pasted once the next one is made, which still sees what was under it.
    let mut waiting: Option<Patch> = None;
    for top in (0..original.height).step_by(rows) {
        let strip = strip(original, &finished, top, rows.min(original.height - top), amount as f32)?;
        if let Some(patch) = waiting.replace(strip) {
            finished.paste(Plane::Color, &patch);
        }
    }
    if let Some(patch) = waiting {
        finished.paste(Plane::Color, &patch);
    }
    Ok(finished)
}

/// What becomes of the rows that were made of `rows` rows of the original from `top` on.
fn strip(original: &Picture, finished: &Picture, top: usize, rows: usize, amount: f32) -> Result<Patch, ResizeError> {
    let scale = finished.width / original.width;
    let first = top.saturating_sub(REACH);
    let height = (top + rows + REACH).min(original.height) - first;
    let window = |scale: usize| Window {
        x: 0,
        y: (first * scale) as isize,
        width: original.width * scale,
        height: height * scale,
    };
    let mut made = finished.to_tensor(Plane::Color, window(scale));
    let reduced = match scale {
        1 => made.clone(),
        _ => resize_tensor(&made, original.width, height)?,
    };
    let mut grain = original.to_tensor(Plane::Color, window(1)) - &reduced;
    grain.indexed_iter_mut().for_each(|((_, channel, y, x), grain)| {
        let step = step(&reduced, channel, y, x) / EDGE;
        *grain *= amount / (1.0 + step * step);
    });
    made += &match scale {
        1 => grain,
        _ => resize_tensor(&grain, original.width * scale, height * scale)?,
    };
    let target = Window { x: 0, y: (top * scale) as isize, width: finished.width, height: rows * scale };
    Ok(Patch { target, tensor: made, left: 0, top: (top - first) * scale })
}

/// The largest difference between a value and its neighbours.
fn step(values: &Tensor, channel: usize, y: usize, x: usize) -> f32 {
    let (_, _, height, width) = values.dim();
    let (rows, columns) = (y.saturating_sub(1)..(y + 2).min(height), x.saturating_sub(1)..(x + 2).min(width));
    let here = values[(0, channel, y, x)];
    values.slice(s![0, channel, rows, columns]).iter().map(|value| (value - here).abs()).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::fixtures::{LAYOUTS, eight_bit, picture};
    use crate::picture::{Layout, Samples, enlarge};

    /// What looks like noise: the same at each call.
    fn noise(at: usize) -> i32 {
        (at.wrapping_mul(2_654_435_761) >> 7) as i32 % 21 - 10
    }

    /// A flat picture with a step in its middle, each sample changed by what `change` says of its index.
    fn flat(layout: Layout, (width, height): (usize, usize), change: impl Fn(usize) -> i32) -> Picture {
        let sample = |index: usize| {
            let base = if index / layout.channels() % width < width / 2 { 60 } else { 190 };
            if layout.has_alpha() && index % layout.channels() == layout.channels() - 1 {
                200
            } else {
                base + change(index)
            }
        };
        let samples = (0..width * height * layout.channels()).map(|index| sample(index) as u8).collect();
        Picture { width, height, ..picture(layout, Samples::U8(samples)) }
    }

    /// The spread of the first channel of rows that are away from the step.
    fn spread(picture: &Picture) -> f64 {
        let channels = picture.layout.channels();
        let rows = eight_bit(picture).chunks(picture.width * channels);
        let values: Vec<f64> = rows
            .flat_map(|row| row[..picture.width / 3 * channels].iter().step_by(channels))
            .map(|v| f64::from(*v))
            .collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn grain_comes_back_as_far_as_it_is_asked_for() {
        for layout in LAYOUTS {
            let (clean, grainy) = (flat(layout, (60, 40), |_| 0), flat(layout, (60, 40), noise));
            for scale in [1, 2, 4] {
                let finished = enlarge(&clean, scale).unwrap();
                let keep = |amount| keep_grain(&grainy, finished.clone(), amount).unwrap();
                let [half, whole] = [0.5, 1.0].map(|amount| spread(&keep(amount)));
                // Enlarging is a little softer than the original.
                let own = spread(&grainy);
                assert!((0.8..1.05).contains(&(whole / own)), "{layout:?} {scale}: {whole} of {own}");
                assert!((0.45..0.55).contains(&(half / whole)), "{layout:?} {scale}: {half} of {whole}");
            }
        }
    }

    #[test]
    fn what_is_like_the_original_stays_and_so_does_alpha() {
        for layout in LAYOUTS {
            let clean = flat(layout, (60, 40), |_| 0);
            for scale in [1, 2, 3] {
                let finished = enlarge(&clean, scale).unwrap();
                let kept = keep_grain(&clean, finished.clone(), 1.0).unwrap();
                let pairs = eight_bit(&kept).iter().zip(eight_bit(&finished)).enumerate();
                for (index, (kept, finished)) in pairs {
                    let is_alpha = layout.has_alpha() && index % layout.channels() == layout.channels() - 1;
                    assert!(kept.abs_diff(*finished) <= if is_alpha { 0 } else { 2 }, "{layout:?} {scale}");
                }
            }
        }
    }

    /// An edge that the network made sharper is not made soft again.
    #[test]
    fn edges_stay_as_they_were_made() {
        let sharp = flat(Layout::Gray, (60, 40), |_| 0);
        let soft = {
            let row: Vec<u8> = (0..60).map(|x: i32| (60 + (x - 27).clamp(0, 5) * 26) as u8).collect();
            Picture { width: 60, height: 40, ..picture(Layout::Gray, Samples::U8(row.repeat(40))) }
        };
        let finished = enlarge(&sharp, 2).unwrap();
        let kept = keep_grain(&soft, finished.clone(), 1.0).unwrap();
        let row = |picture: &Picture| eight_bit(picture)[120 * 20 + 57..][..6].to_vec();
        let (kept, made) = (row(&kept), row(&finished));
        let worst = kept.iter().zip(&made).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 12, "{kept:?} {made:?}");
    }

    /// Strips do not show: a picture that is made in many is the same as one that is made in one.
    #[test]
    fn strips_do_not_show() {
        let (width, height) = (3000, 300);
        let grainy = flat(Layout::Gray, (width, height), noise);
        let finished = enlarge(&flat(Layout::Gray, (width, height), |_| 0), 2).unwrap();
        assert!(STRIP_PIXELS / (finished.width * 2) < height / 3);
        let kept = keep_grain(&grainy, finished.clone(), 1.0).unwrap();
        let mut whole = finished.clone();
        whole.paste(Plane::Color, &strip(&grainy, &finished, 0, height, 1.0).unwrap());
        assert!(kept == whole);
    }
}
