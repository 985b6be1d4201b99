//! [EXIF](https://www.cipa.jp/std/documents/download_e.html?DC-008-Translation-2023-E) blocks, which are made like a TIFF file.

/// Where the directory with the fields of EXIF itself is.
const EXIF_DIRECTORY: u16 = 0x8769;
/// The fields that tell the size of the picture in pixels: `PixelXDimension` and `PixelYDimension`.
const SIZE: [u16; 2] = [0xA002, 0xA003];

/// The bytes of an entry of a directory: its tag, its type, the number of its values, and a value or where the values are.
const ENTRY: usize = 12;
/// The type of whole numbers of 32 bits.
const LONG: u16 = 4;

/// `exif` of a picture of `width` x `height` pixels. Where it tells no size, or cannot be read, it stays as it is.
pub(super) fn with_size(mut exif: Vec<u8>, (width, height): (usize, usize)) -> Vec<u8> {
    let sides = [width, height].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    for (tag, side) in SIZE.into_iter().zip(sides) {
        if let Some((order, at)) = find_behind(&exif, EXIF_DIRECTORY, tag) {
            order.put(&mut exif, at + 2, LONG.into(), 2);
            order.put(&mut exif, at + 4, 1, 4);
            order.put(&mut exif, at + 8, side, 4);
        }
    }
    exif
}

/// The entry with that tag in the directory that an entry of the main directory points to.
fn find_behind(exif: &[u8], pointer: u16, tag: u16) -> Option<(Order, usize)> {
    let order = Order::of(exif)?;
    let own = find(exif, order, order.get(exif, 4, 4)?, pointer)?;
    Some((order, find(exif, order, order.get(exif, own + 8, 4)?, tag)?))
}

/// Where the entry with that tag begins in the directory at `directory`.
fn find(exif: &[u8], order: Order, directory: u32, tag: u16) -> Option<usize> {
    let directory = directory as usize;
    let count = order.get(exif, directory, 2)? as usize;
    let entries = (0..count).map(|index| directory.saturating_add(2 + index * ENTRY));
    let whole = entries.take_while(|at| at.checked_add(ENTRY).is_some_and(|end| end <= exif.len()));
    whole.into_iter().find(|at| order.get(exif, *at, 2) == Some(tag.into()))
}

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    /// That of the block.
    fn of(exif: &[u8]) -> Option<Self> {
        match exif.get(..4)? {
            b"II*\0" => Some(Self::Little),
            b"MM\0*" => Some(Self::Big),
            _ => None,
        }
    }

    /// The number of `bytes` bytes at `at`.
    fn get(self, exif: &[u8], at: usize, bytes: usize) -> Option<u32> {
        let number = exif.get(at..at.checked_add(bytes)?)?.iter();
        let add = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        Some(match self {
            Self::Little => number.rev().fold(0, add),
            Self::Big => number.fold(0, add),
        })
    }

    /// Writes a number of `bytes` bytes, for which there is room at `at`.
    fn put(self, exif: &mut [u8], at: usize, number: u32, bytes: usize) {
        for (index, byte) in exif[at..at + bytes].iter_mut().enumerate() {
            let place = if self == Self::Little { index } else { bytes - 1 - index };
            *byte = (number >> (8 * place)) as u8;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The number in the value of such an entry.
    pub fn number(exif: &[u8], pointer: u16, tag: u16) -> Option<u32> {
        let (order, at) = find_behind(exif, pointer, tag)?;
        order.get(exif, at + 8, 4)
    }

    /// A block that tells a width of 640 in 16 bits and a height of 480 in 32.
    fn block(order: Order) -> Vec<u8> {
        let mut exif = if order == Order::Little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        let mut put = |number: u32, bytes: usize| {
            let at = exif.len();
            exif.resize(at + bytes, 0);
            order.put(&mut exif, at, number, bytes);
        };
        let numbers = [(8, 4), (1, 2), (EXIF_DIRECTORY.into(), 2), (4, 2), (1, 4), (26, 4), (0, 4)];
        numbers.into_iter().for_each(|(number, bytes)| put(number, bytes));
        let sides =
            [(2, 2), (0xA002, 2), (3, 2), (1, 4), (640, 2), (0, 2), (0xA003, 2), (4, 2), (1, 4), (480, 4), (0, 4)];
        sides.into_iter().for_each(|(number, bytes)| put(number, bytes));
        exif
    }

    #[test]
    fn the_size_becomes_that_of_the_result() {
        for order in [Order::Little, Order::Big] {
            let exif = with_size(block(order), (70_000, 1920));
            assert_eq!(number(&exif, EXIF_DIRECTORY, 0xA002), Some(70_000));
            assert_eq!(number(&exif, EXIF_DIRECTORY, 0xA003), Some(1920));
            assert_eq!(exif.len(), block(order).len());
        }
    }

    proptest! {
        #[test]
        fn a_damaged_block_is_no_panic(mut exif in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..64, at in 0_usize..64, byte: u8) {
            with_size(exif.clone(), (1, 1));
            exif.splice(0..exif.len().min(4), *b"II*\0");
            with_size(exif, (1, 1));
            let mut block = block(Order::Big);
            block[at.min(55)] = byte;
            block.truncate(block.len() - cut.min(block.len()));
            with_size(block, (1, 1));
        }
    }
}
