//! How many dots of a picture lie along a length on paper. A result keeps the number, and so is printed larger.

use super::raster::Chunk;

const NAME: [u8; 4] = *b"pHYs";
/// Inches in a metre, and centimetres.
pub(super) const INCHES: f64 = 1.0 / 0.0254;
pub(super) const CENTIMETRES: f64 = 100.0;

/// The chunk of a PNG, [`pHYs`](https://www.w3.org/TR/png-3/#11pHYs), that says that so many dots lie along a unit, across and down, of which a
/// metre has `units`. `None` where the numbers cannot be meant.
pub(super) fn chunk(dots: [f64; 2], units: f64) -> Option<Chunk> {
    let per_metre = dots.map(|dots| (dots * units).round());
    if !per_metre.iter().all(|number| (1.0..=f64::from(i32::MAX)).contains(number)) {
        return None;
    }
    let [x, y] = per_metre.map(|number| (number as u32).to_be_bytes());
    Some(Chunk { name: NAME, data: [&x[..], &y, &[1]].concat() })
}

/// Exchanges what lies across and down, if `chunk` is that chunk, for a picture that is turned by a quarter.
pub(super) fn turn(chunk: &mut Chunk) {
    if chunk.name == NAME && chunk.data.len() == 9 {
        chunk.data[..8].rotate_left(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_for_an_inch_become_dots_for_a_metre() {
        let data = |dots, units| chunk(dots, units).map(|chunk| chunk.data);
        assert_eq!(data([300.0, 72.0], INCHES).unwrap(), [0, 0, 0x2E, 0x23, 0, 0, 0x0B, 0x13, 1]);
        assert_eq!(data([118.0, 1.0], CENTIMETRES).unwrap(), [0, 0, 0x2E, 0x18, 0, 0, 0, 100, 1]);
        let mut chunk = chunk([118.0, 1.0], CENTIMETRES).unwrap();
        turn(&mut chunk);
        assert_eq!(chunk.data, [0, 0, 0, 100, 0, 0, 0x2E, 0x18, 1]);
        for dots in [[0.0, 1.0], [1.0, f64::NAN], [f64::INFINITY, 1.0], [-3.0, 1.0], [1e9, 1.0]] {
            assert_eq!(super::chunk(dots, CENTIMETRES), None);
        }
    }
}
