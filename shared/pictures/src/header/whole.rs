//! Whether a file reaches the end mark of its format.
//!
//! Decoders fill with gray what a truncated file lacks, so truncation has to be noticed before. Bytes after the mark do
//! not matter, because cameras append data.

use std::io::{BufRead, Seek, SeekFrom};

use remaster_shared::job::PictureFormat;

use super::{gif, heif, jpeg};

/// The most chunks that are looked at. No picture has so many; a crafted file could keep the search busy.
const MAX_CHUNKS: usize = 200_000;

/// Whether `file`, which is `bytes` long, is whole.
///
/// # Errors
/// The file cannot be read or ends within its header.
pub(super) fn is_whole(file: &mut (impl BufRead + Seek), format: PictureFormat, bytes: u64) -> std::io::Result<bool> {
    match format {
        PictureFormat::Jpeg => jpeg_is_whole(file),
        PictureFormat::Png => png_is_whole(file),
        PictureFormat::Webp => webp_is_whole(file, bytes),
        // The first picture is the one that is used.
        PictureFormat::Heic => heif::is_whole(file, bytes),
        PictureFormat::Gif => Ok(gif::pictures(file)?.next().is_some()),
        // The strips of a TIFF may lie anywhere in the file, and the rows of a BMP have no end mark; their decoders fail when some are missing.
        PictureFormat::Tiff | PictureFormat::Bmp => Ok(true),
    }
}

/// A WebP is a RIFF file: bytes 4..8 hold the length of all that follows them.
fn webp_is_whole(file: &mut (impl BufRead + Seek), bytes: u64) -> std::io::Result<bool> {
    let mut length = [0; 4];
    file.seek(SeekFrom::Start(4))?;
    file.read_exact(&mut length)?;
    Ok(u64::from(u32::from_le_bytes(length)) + 8 <= bytes)
}

/// Searches for the end mark (FFD9) behind the first start of scan.
fn jpeg_is_whole(file: &mut (impl BufRead + Seek)) -> std::io::Result<bool> {
    Ok(jpeg::frame(file)?.is_some() && contains(file, &[0xFF, 0xD9])?)
}

/// Walks the chunks up to the end chunk (IEND), each by its own length.
fn png_is_whole(file: &mut (impl BufRead + Seek)) -> std::io::Result<bool> {
    file.seek(SeekFrom::Start(8))?;
    for _ in 0..MAX_CHUNKS {
        let mut chunk = [0; 8];
        let Some(()) = read(file, &mut chunk) else { return Ok(false) };
        if &chunk[4..] == b"IEND" {
            return Ok(true);
        }
        let length = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        file.seek_relative(i64::from(length) + 4)?;
    }
    Ok(false)
}

/// Fills `buffer`; `None` at the end of the file.
fn read(file: &mut impl BufRead, buffer: &mut [u8]) -> Option<()> {
    file.read_exact(buffer).ok()
}

/// Whether the two bytes `needle` occur from the current position on.
fn contains(file: &mut impl BufRead, needle: &[u8; 2]) -> std::io::Result<bool> {
    let mut last = 0_u8;
    loop {
        let buffer = file.fill_buf()?;
        let Some((&first, &end)) = buffer.first().zip(buffer.last()) else { return Ok(false) };
        if [last, first] == *needle || memchr::memmem::find(buffer, needle).is_some() {
            return Ok(true);
        }
        last = end;
        let taken = buffer.len();
        file.consume(taken);
    }
}
