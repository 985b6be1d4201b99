//! Whether a JPEG has all of its scans.

use std::collections::HashMap;
use std::ops::RangeInclusive;

/// The coefficients of a block.
const COEFFICIENTS: u8 = 64;
/// The marks of frames, of which the last one is progressive, and of a scan.
const FRAMES: RangeInclusive<u8> = 0xC0..=PROGRESSIVE;
const PROGRESSIVE: u8 = 0xC2;
const SCAN: u8 = 0xDA;

/// Whether scans give every bit of every coefficient. A file that was cut between two scans and then ended lacks some; a decoder would show it
/// as a coarser picture.
pub(super) fn are_complete(jpeg: &[u8]) -> bool {
    // By component and coefficient: how many low bits are missing, or that all are.
    let mut missing = HashMap::new();
    let mut is_progressive = false;
    for (marker, content) in segments(jpeg) {
        let given = if FRAMES.contains(&marker) {
            is_progressive = marker == PROGRESSIVE;
            components_of_frame(content)
        } else if marker == SCAN {
            components_of_scan(content, is_progressive)
        } else {
            continue;
        };
        let Some((components, coefficients, bits)) = given else { return false };
        for component in components {
            missing.extend(coefficients.clone().map(|coefficient| ((component, coefficient), bits)));
        }
    }
    missing.values().all(|bits| *bits == 0)
}

/// Whether a frame that is not progressive has one scan, or one for each component.
pub(super) fn are_of_one_kind(jpeg: &[u8]) -> bool {
    let counts = || segments(jpeg).filter(|(marker, _)| *marker == SCAN).map(|(_, content)| content.first().copied());
    counts().count() == 1 || counts().all(|count| count == Some(1))
}

/// Components, coefficients of them, and how many of their low bits are not given.
type Given = (Vec<u8>, RangeInclusive<u8>, u8);

/// A frame gives nothing yet.
fn components_of_frame(content: &[u8]) -> Option<Given> {
    let (head, components) = content.split_first_chunk::<6>()?;
    let components = components.get(..3 * usize::from(head[5]))?;
    Some((components.iter().step_by(3).copied().collect(), 0..=COEFFICIENTS - 1, u8::MAX))
}

/// Only a scan of a progressive frame gives less than all.
fn components_of_scan(content: &[u8], is_progressive: bool) -> Option<Given> {
    let (count, rest) = content.split_first()?;
    let (components, rest) = rest.split_at_checked(2 * usize::from(*count))?;
    let [first, last, bits]: [u8; 3] = if is_progressive { *rest.first_chunk()? } else { [0, COEFFICIENTS - 1, 0] };
    // The first coefficient is given by itself, and the others of one component at a time.
    if is_progressive && last > 0 && (first == 0 || *count > 1) {
        return None;
    }
    Some((components.iter().step_by(2).copied().collect(), first..=last.min(COEFFICIENTS - 1), bits & 0x0F))
}

/// The segments up to the end mark, each with its marker and its content. What is between them, the data of scans, is passed over.
pub(super) fn segments(jpeg: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = jpeg.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            let at = memchr::memchr(0xFF, rest)?;
            let marker = *rest.get(at + 1)?;
            rest = &rest[at + 1..];
            match marker {
                0xD9 => return None,
                // A byte of data, a filling byte, or a mark without content.
                0x00 | 0x01 | 0xFF | 0xD0..=0xD8 => {}
                _ => {
                    let length = usize::from(u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?]));
                    let content = rest.get(3..1 + length)?;
                    rest = &rest[1 + length..];
                    return Some((marker, content));
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of scans of one component, each with its first and last coefficient and the low bits that it leaves out.
    fn file(scans: &[[u8; 3]]) -> Vec<u8> {
        let frame = [0xFF, 0xC2, 0, 11, 8, 0, 8, 0, 8, 1, 7, 0x11, 0];
        let tables = [0xFF, 0xC4, 0, 6, 0xFF, 0xDA, 0, 0];
        let scan = |[first, last, low]: &[u8; 3]| {
            [0xFF, 0xDA, 0, 8, 1, 7, 0, *first, *last, *low, 1, 0xFF, 0, 2, 0xFF, 0xD0, 3]
        };
        let scans: Vec<u8> = scans.iter().flat_map(scan).collect();
        [&[0xFF, 0xD8], &frame[..], &tables[..], &scans, &[0xFF, 0xD9]].concat()
    }

    #[test]
    fn every_bit_of_every_coefficient_is_given() {
        let all = [[0, 0, 0x01], [1, 63, 0x02], [1, 63, 0x21], [0, 0, 0x10], [1, 63, 0x10]];
        assert!(are_complete(&file(&all)));
        (0..all.len()).for_each(|scans| assert!(!are_complete(&file(&all[..scans])), "{scans}"));
        assert!(are_complete(&file(&[[0, 0, 0], [1, 63, 0]])));
        assert!(!are_complete(&file(&[[0, 0, 0], [1, 62, 0]])));
        // No decoder takes a scan of all.
        assert!(!are_complete(&file(&[[0, 63, 0]])));
    }

    #[test]
    fn a_scan_of_a_baseline_frame_gives_all_of_its_components() {
        let frame = [0xFF, 0xC0, 0, 14, 8, 0, 8, 0, 8, 2, 1, 0x11, 0, 2, 0x11, 0];
        let scan = |component| [0xFF, 0xDA, 0, 8, 1, component, 0, 0, 0, 0, 5];
        let file = |scans: &[u8]| [&[0xFF, 0xD8], &frame[..], scans, &[0xFF, 0xD9]].concat();
        assert!(are_complete(&file(&[scan(1), scan(2)].concat())));
        assert!(!are_complete(&file(&scan(1))));
        assert!(are_of_one_kind(&file(&scan(1))) && are_of_one_kind(&file(&[scan(1), scan(2)].concat())));
        let both = [0xFF, 0xDA, 0, 10, 2, 1, 0, 2, 0, 0, 63, 0, 5];
        assert!(are_of_one_kind(&file(&both)) && !are_of_one_kind(&file(&[&scan(1)[..], &both].concat())));
    }

    #[test]
    fn any_bytes_are_walked_through() {
        let file = file(&[[0, 0, 1], [1, 63, 2]]);
        for length in 0..file.len() {
            are_complete(&file[..length]);
        }
        assert!(!are_complete(&[0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 0xFF, 0xDA, 0, 0]));
    }
}
