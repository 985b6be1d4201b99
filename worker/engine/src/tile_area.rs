//! How large tiles may be where the setting `TILE` is auto. A larger tile has less overlap, and takes more memory.

/// The pixels of a tile for a network that runs in one part, whose activations at the size of the output take most.
const WHOLE: usize = 640 * 640;

/// The most pixels of a tile for a network that runs in two parts. Two such tiles in the place of one that would be larger have a tenth
/// more pixels, for their overlap, and still larger ones hardly save anything.
const LARGEST: usize = 1616 * 1616;
/// The fewest: with smaller tiles most of the work would be overlap.
const SMALLEST: usize = 320 * 320;

/// The memory in bytes that a network in two parts takes for a pixel of its input, with its features and its output in float32 and the next
/// tile in preparation, and besides (docs/operations.md).
const PER_PIXEL: u64 = 3000;
const BESIDES: u64 = 750 << 20;
/// The part of the memory that this process may use, as a divisor, which a network is to take at most: pictures need some as well, and
/// networks that are used in turn keep theirs.
const PART: u64 = 3;

/// The pixels of the largest tile, overlap included, of a network that works on blocks of `align` x `align` pixels, where the process may
/// use `memory` bytes.
pub fn tile_area(in_two_parts: bool, align: usize, memory: Option<u64>) -> usize {
    let blocks = match memory.filter(|_| in_two_parts) {
        None => WHOLE,
        Some(memory) => {
            let fit = (memory / PART).saturating_sub(BESIDES) / PER_PIXEL;
            usize::try_from(fit).unwrap_or(usize::MAX).clamp(SMALLEST, LARGEST)
        }
    };
    blocks * align * align
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_grow_with_the_memory_between_bounds() {
        const GB: u64 = 1 << 30;
        let area = |memory| tile_area(true, 1, Some(memory));
        assert_eq!((area(0), area(GB), area(100 * GB)), (SMALLEST, SMALLEST, LARGEST));
        assert!(area(4 * GB) > SMALLEST && area(6 * GB) > area(4 * GB) && area(12 * GB) < LARGEST);
        assert_eq!(tile_area(true, 2, Some(100 * GB)), 4 * LARGEST);
        assert_eq!((tile_area(false, 1, Some(100 * GB)), tile_area(true, 1, None)), (WHOLE, WHOLE));
    }
}
