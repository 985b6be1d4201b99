//! How many pictures a file has. Only the first is used, and the caller should know that there were others.

use std::io::{BufRead, Result, Seek, SeekFrom};

use remaster_shared::job::PictureFormat;

use super::gif::{bytes, pictures};
use super::{directories, heif};

/// The most chunks or directories that are looked at. A crafted file could keep the search busy.
const MOST: usize = 10_000;

/// How many pictures `file` has, where it has more than one.
pub(super) fn frames(file: &mut (impl BufRead + Seek), format: PictureFormat, bytes: u64) -> Option<u32> {
    let count = match format {
        PictureFormat::Jpeg | PictureFormat::Bmp => return None,
        PictureFormat::Png => png(file),
        PictureFormat::Webp => webp(file),
        PictureFormat::Gif => pictures(file).map(|pictures| pictures.count() as u32),
        PictureFormat::Heic => heif::shown(file, bytes).map(|shown| shown.map_or(1, |shown| shown.pictures)),
        PictureFormat::Tiff => directories::pages(file, MOST),
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
