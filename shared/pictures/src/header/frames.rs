//! How many pictures a file has. Only the first is used, and the caller should know that there were others.

use std::io::{BufRead, Result, Seek, SeekFrom};

use remaster_shared::job::PictureFormat;

use super::gif::{bytes, pictures};

/// The most chunks or directories that are looked at. A crafted file could keep the search busy.
const MOST: usize = 10_000;

/// How many pictures `file` has, where it has more than one.
pub(super) fn frames(file: &mut (impl BufRead + Seek), format: PictureFormat) -> Option<u32> {
    let count = match format {
        PictureFormat::Jpeg | PictureFormat::Bmp => return None,
        PictureFormat::Png => png(file),
        PictureFormat::Webp => webp(file),
        PictureFormat::Gif => pictures(file).map(|pictures| pictures.count() as u32),
        PictureFormat::Tiff => tiff(file),
    };
    count.ok().filter(|count| *count > 1)
}

/// An animated PNG says in front of its first picture how many it has (acTL).
fn png(file: &mut (impl BufRead + Seek)) -> Result<u32> {
    file.seek(SeekFrom::Start(8))?;
    for _ in 0..MOST {
        let [length, name] = [bytes(file)?, bytes::<4>(file)?];
        match &name {
            b"acTL" => return Ok(u32::from_be_bytes(bytes(file)?)),
            b"IDAT" => break,
            _ => file.seek_relative(i64::from(u32::from_be_bytes(length)) + 4)?,
        }
    }
    Ok(1)
}

/// An animated WebP has a chunk for each of its pictures (ANMF).
fn webp(file: &mut (impl BufRead + Seek)) -> Result<u32> {
    file.seek(SeekFrom::Start(12))?;
    let mut count = 0;
    for _ in 0..MOST {
        let Ok(name) = bytes::<4>(file) else { break };
        let length = u32::from_le_bytes(bytes(file)?);
        count += u32::from(&name == b"ANMF");
        // Chunks have an even number of bytes.
        file.seek_relative(i64::from(length) + i64::from(length % 2))?;
    }
    Ok(count)
}

/// Each page of a TIFF has a directory, which says where the next one is. Smaller copies of a page are not counted.
fn tiff(file: &mut (impl BufRead + Seek)) -> Result<u32> {
    file.seek(SeekFrom::Start(0))?;
    let [order, version] = [bytes::<2>(file)?, bytes(file)?];
    let mut numbers = Numbers { file, little: &order == b"II" };
    let big = [u16::from_le_bytes(version), u16::from_be_bytes(version)].contains(&43);
    // The width of an offset, of the number of entries, and of an entry.
    let (offset, many, entry) = if big { (8, 8, 20) } else { (4, 2, 12) };
    let mut at = numbers.at(if big { 8 } else { 4 }, offset)?;
    let mut count = 0;
    for _ in 0..MOST {
        if at == 0 {
            break;
        }
        let entries = numbers.at(at, many)?;
        let first = at.saturating_add(many);
        // Entries are sorted, and this one, NewSubfileType, has the smallest number of those in use.
        let tag = numbers.at(first, 2)?;
        let is_copy = tag == 254 && numbers.at(first.saturating_add(entry - offset), 4)? & 1 == 1;
        count += u32::from(!is_copy);
        at = numbers.at(first.saturating_add(entries.saturating_mul(entry)), offset)?;
    }
    Ok(count)
}

/// The numbers in a file, in its order of bytes.
struct Numbers<'a, F> {
    file: &'a mut F,
    little: bool,
}

impl<F: BufRead + Seek> Numbers<'_, F> {
    /// The number of `width` bytes, at most 8, at the offset `at`.
    fn at(&mut self, at: u64, width: u64) -> Result<u64> {
        self.file.seek(SeekFrom::Start(at))?;
        let mut number = 0;
        for place in 0..width {
            let [byte] = bytes(self.file)?;
            number |= u64::from(byte) << (8 * if self.little { place } else { width - 1 - place });
        }
        Ok(number)
    }
}
