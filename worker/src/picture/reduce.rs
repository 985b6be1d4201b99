//! Reducing a picture with a Lanczos filter while it is made, strip by strip.

use super::lanczos::{REACH, ResizeError, resize_part};
use super::raster::Picture;
use super::strip::Strip;

/// Reduces a picture to another size. It gives the same pixels as a reduction of the whole picture, but for the rounding of the filter.
pub struct Reducer {
    /// The height of the picture that comes.
    from: usize,
    /// The size of the picture that is made.
    to: (usize, usize),
    /// The rows that are still needed, and the first of them.
    waiting: Option<Strip>,
    /// How many rows are made.
    made: usize,
}

impl Reducer {
    /// From a picture of `from` rows to one of `to` pixels, which is not larger.
    pub fn new(from: usize, to: (usize, usize)) -> Self {
        Self { from, to, waiting: None, made: 0 }
    }

    /// Takes the next rows, and returns those that can be made now.
    ///
    /// # Errors
    /// Those of the filter.
    pub fn push(&mut self, strip: Strip) -> Result<Option<Strip>, ResizeError> {
        let mut waiting = match self.waiting.take() {
            None => strip,
            Some(Strip { top, mut rows }) => {
                rows.append(strip.rows);
                Strip { top, rows }
            }
        };
        let (width, height) = self.to;
        let ratio = self.from as f64 / height as f64;
        let bottom = waiting.top + waiting.rows.height;
        // The rows that are seen in full, and those of them that are far enough from what is not there yet.
        let seen = if bottom == self.from { height } else { (bottom as f64 / ratio) as usize };
        let ready = if bottom == self.from { height } else { seen.saturating_sub(REACH) };
        if ready <= self.made {
            self.waiting = Some(waiting);
            return Ok(None);
        }
        let first = self.made.saturating_sub(REACH);
        // Rounding may bring the end of the part behind the last row by less than anybody sees.
        let top = (first as f64 * ratio - waiting.top as f64).max(0.0);
        let rows = ((seen - first) as f64 * ratio).min(waiting.rows.height as f64 - top);
        let mut reduced: Picture = resize_part(&waiting.rows, (top, rows), width, seen - first)?;
        reduced.crop_rows(self.made - first..ready - first);
        let made = Strip { top: self.made, rows: reduced };
        self.made = ready;
        let needed = ((ready.saturating_sub(REACH) as f64 * ratio) as usize).saturating_sub(waiting.top);
        let passed = needed.min(waiting.rows.height);
        waiting.rows.crop_rows(passed..waiting.rows.height);
        waiting.top += passed;
        self.waiting = Some(waiting);
        Ok(Some(made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::fixtures::{Depth, LAYOUTS, pattern};
    use crate::picture::{Header, Samples, resize};

    #[test]
    fn a_picture_in_strips_is_reduced_like_a_whole_one() {
        for layout in LAYOUTS {
            for depth in [Depth::Eight, Depth::Sixteen] {
                for (to, parts) in [
                    ((30, 41), vec![50, 3, 120, 27]),
                    ((97, 199), vec![100, 100]),
                    ((3, 2), vec![1; 200]),
                    ((1, 1), vec![200]),
                ] {
                    let whole = pattern(97, 200, layout, depth);
                    let expected = resize(&whole, to.0, to.1).unwrap();
                    let mut reducer = Reducer::new(200, to);
                    let (mut got, mut top) = (Header::like(&whole, to).whole(), 0);
                    let mut next = 0;
                    for rows in parts {
                        let mut part = whole.clone();
                        part.crop_rows(top..top + rows);
                        if let Some(strip) = reducer.push(Strip { top, rows: part }).unwrap() {
                            assert_eq!(strip.top, next);
                            next += strip.rows.height;
                            got.put(&strip);
                        }
                        top += rows;
                    }
                    assert_eq!(next, to.1);
                    let worst = match (&got.samples, &expected.samples) {
                        (Samples::U8(a), Samples::U8(b)) => {
                            a.iter().zip(b).map(|(a, b)| u16::from(a.abs_diff(*b))).max()
                        }
                        (Samples::U16(a), Samples::U16(b)) => a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max(),
                        _ => None,
                    };
                    assert!(worst.unwrap() <= 2, "{layout:?} {depth:?} {to:?}: {worst:?}");
                }
            }
        }
    }
}
