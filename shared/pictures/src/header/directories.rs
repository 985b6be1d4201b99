//! The directories of a TIFF file, one for each of its pictures.

use std::io::{BufRead, Result, Seek, SeekFrom};

use super::gif::bytes;

/// The tag that says whether a picture is a smaller copy of another one. It has the smallest number of those in use.
const NEW_SUBFILE_TYPE: u64 = 254;
/// The tag that says what samples mean.
const PHOTOMETRIC: u64 = 262;

/// The tags that say how many bytes each strip or tile has.
const LENGTHS: [u64; 2] = [279, 325];

/// The type of numbers of two bytes.
const SHORT: u64 = 3;
/// Of four.
const LONG: u64 = 4;
/// Of eight.
const LONG8: u64 = 16;

/// How many pages `file` has; smaller copies of a page are not counted. At most `most` directories are looked at.
pub(super) fn pages(file: &mut (impl BufRead + Seek), most: usize) -> Result<u32> {
    let mut walk = Walk::of(file)?;
    let mut count = 0;
    for _ in 0..most {
        if walk.at == 0 {
            break;
        }
        // Entries are sorted.
        let (tag, value) = walk.entry(0)?;
        let is_copy = tag == NEW_SUBFILE_TYPE && walk.number(value, 4)? & 1 == 1;
        count += u32::from(!is_copy);
        walk.advance()?;
    }
    Ok(count)
}

/// Where in `file` it says what the samples of its first picture mean, in two bytes, and whether the low one comes first.
///
/// # Errors
/// The file ends before that, or does not say it in two bytes.
pub(crate) fn photometric(file: &mut (impl BufRead + Seek)) -> Result<(u64, bool)> {
    let mut walk = Walk::of(file)?;
    for entry in 0..walk.entries()? {
        let (tag, value) = walk.entry(entry)?;
        if tag == PHOTOMETRIC && walk.kind(entry)? == SHORT {
            return Ok((value, walk.little));
        }
    }
    Err(std::io::ErrorKind::NotFound.into())
}

/// Where in `file` it says how many bytes the strips or tiles of its first picture have: the place of each number, its bytes, and whether the
/// low one comes first. At most `most` are told.
///
/// # Errors
/// The file ends before that, or does not say it.
pub(crate) fn lengths(file: &mut (impl BufRead + Seek), most: usize) -> Result<(Vec<u64>, u64, bool)> {
    let mut walk = Walk::of(file)?;
    for entry in 0..walk.entries()? {
        let (tag, value) = walk.entry(entry)?;
        if LENGTHS.contains(&tag) {
            let width = match walk.kind(entry)? {
                SHORT => 2,
                LONG => 4,
                LONG8 => 8,
                _ => return Err(std::io::ErrorKind::InvalidData.into()),
            };
            let (offset, _, _) = walk.widths;
            let count = walk.number(walk.place(entry).saturating_add(4), offset)?;
            let fits = count.saturating_mul(width) <= offset;
            let first = if fits { value } else { walk.number(value, offset)? };
            let places = (0..count).take(most).map(|number| first.saturating_add(number * width));
            return Ok((places.collect(), width, walk.little));
        }
    }
    Err(std::io::ErrorKind::NotFound.into())
}

/// A walk through the directories, each of which says where the next one is.
struct Walk<'a, F> {
    file: &'a mut F,
    /// Whether the low byte of a number comes first.
    little: bool,
    /// The bytes of an offset, of the number of entries, and of an entry.
    widths: (u64, u64, u64),
    /// Where the present directory is; 0 behind the last one.
    at: u64,
}

impl<'a, F: BufRead + Seek> Walk<'a, F> {
    /// The walk at the first directory.
    fn of(file: &'a mut F) -> Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        let [order, version] = [bytes::<2>(file)?, bytes(file)?];
        let is_big = [u16::from_le_bytes(version), u16::from_be_bytes(version)].contains(&43);
        let widths = if is_big { (8, 8, 20) } else { (4, 2, 12) };
        let mut walk = Self { file, little: &order == b"II", widths, at: 0 };
        walk.at = walk.number(if is_big { 8 } else { 4 }, widths.0)?;
        Ok(walk)
    }

    /// How many entries the directory has.
    fn entries(&mut self) -> Result<u64> {
        self.number(self.at, self.widths.1)
    }

    /// Where an entry is.
    fn place(&self, number: u64) -> u64 {
        let (_, many, entry) = self.widths;
        self.at.saturating_add(many).saturating_add(number.saturating_mul(entry))
    }

    /// The tag of an entry, and where its value is, or the offset of a value that is too large for the entry.
    fn entry(&mut self, number: u64) -> Result<(u64, u64)> {
        let ((offset, _, entry), place) = (self.widths, self.place(number));
        Ok((self.number(place, 2)?, place.saturating_add(entry - offset)))
    }

    /// The type of an entry's value.
    fn kind(&mut self, number: u64) -> Result<u64> {
        self.number(self.place(number).saturating_add(2), 2)
    }

    /// Goes to the next directory.
    fn advance(&mut self) -> Result<()> {
        // Its offset is behind the last entry.
        let entries = self.entries()?;
        self.at = self.number(self.place(entries), self.widths.0)?;
        Ok(())
    }

    /// The number of `width` bytes, at most 8, at the offset `at`.
    fn number(&mut self, at: u64, width: u64) -> Result<u64> {
        self.file.seek(SeekFrom::Start(at))?;
        let mut number = 0;
        for place in 0..width {
            let [byte] = bytes(self.file)?;
            number |= u64::from(byte) << (8 * if self.little { place } else { width - 1 - place });
        }
        Ok(number)
    }
}
