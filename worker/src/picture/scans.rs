//! Whether a progressive JPEG has all of its scans.

use std::collections::HashMap;

/// Whether every coefficient of which a scan gave the high bits was given the low ones by later scans. A file that was cut between two scans
/// and then ended lacks some; a decoder would show it as a coarser picture.
pub(super) fn are_complete(jpeg: &[u8]) -> bool {
    // By component and coefficient: how many low bits are missing.
    let mut missing = HashMap::new();
    for scan in segments(jpeg).filter(|(marker, _)| *marker == 0xDA).map(|(_, content)| content) {
        let Some((count, rest)) = scan.split_first() else { continue };
        let Some((components, &[first, last, bits])) =
            rest.split_at_checked(2 * usize::from(*count)).and_then(|(all, rest)| Some((all, rest.first_chunk()?)))
        else {
            continue;
        };
        for component in components.chunks_exact(2) {
            missing.extend((first..=last.min(63)).map(|coefficient| ((component[0], coefficient), bits & 0x0F)));
        }
    }
    missing.values().all(|bits| *bits == 0)
}

/// The segments up to the end mark, each with its marker and its content. What is between them, the data of scans, is passed over.
fn segments(jpeg: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
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
        let scan = |[first, last, low]: &[u8; 3]| {
            [0xFF, 0xDA, 0, 8, 1, 7, 0, *first, *last, *low, 1, 0xFF, 0, 2, 0xFF, 0xD0, 3]
        };
        let tables = [0xFF, 0xC4, 0, 6, 0xFF, 0xDA, 0, 0];
        [&[0xFF, 0xD8], &tables[..], &scans.iter().flat_map(scan).collect::<Vec<u8>>(), &[0xFF, 0xD9]].concat()
    }

    #[test]
    fn low_bits_have_to_follow_the_high_ones() {
        assert!(are_complete(&file(&[[0, 0, 0x01], [1, 63, 0x02], [1, 63, 0x21], [0, 0, 0x10], [1, 63, 0x10]])));
        assert!(!are_complete(&file(&[[0, 0, 0x01], [1, 63, 0x02], [1, 63, 0x21], [0, 0, 0x10]])));
        assert!(!are_complete(&file(&[[0, 0, 0x01]])));
        // Coefficients that no scan gives are 0, as their writer wanted.
        assert!(are_complete(&file(&[[0, 0, 0], [1, 5, 0]])));
    }

    #[test]
    fn any_bytes_are_walked_through() {
        let file = file(&[[0, 0, 1], [1, 63, 2]]);
        for length in 0..file.len() {
            are_complete(&file[..length]);
        }
        assert!(are_complete(&[0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 0xFF, 0xDA, 0, 0]));
    }
}
