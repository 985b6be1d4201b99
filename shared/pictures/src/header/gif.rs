//! The blocks of a GIF: its pictures, and what stands between them.

use std::io::{BufRead, Result, Seek, SeekFrom};

/// The most blocks that are looked at. A crafted file could keep the search busy.
const MAX_BLOCKS: usize = 1_000_000;

/// The whole pictures of `file`, each looked for when it is asked for. What cannot be read ends the search.
///
/// # Errors
/// The file ends within its header.
pub(super) fn pictures(file: &mut (impl BufRead + Seek)) -> Result<impl Iterator<Item = ()>> {
    file.seek(SeekFrom::Start(10))?;
    let [flags, _, _] = bytes(file)?;
    file.seek_relative(palette(flags))?;
    let mut left = MAX_BLOCKS;
    let blocks = std::iter::from_fn(move || block(file, &mut left).ok().flatten());
    Ok(blocks.filter(|is_picture| *is_picture).map(drop))
}

/// Passes a block, and says whether it is a picture; `None` behind the last one.
fn block(file: &mut (impl BufRead + Seek), left: &mut usize) -> Result<Option<bool>> {
    let [kind] = bytes(file)?;
    match kind {
        0x2C => {
            let [.., flags] = bytes::<9>(file)?;
            // The size of the codes follows the palette.
            file.seek_relative(palette(flags) + 1)?;
        }
        0x21 => {
            bytes::<1>(file)?;
        }
        _ => return Ok(None),
    }
    loop {
        let [length] = bytes(file)?;
        *left = left.saturating_sub(1);
        match length {
            _ if *left == 0 => return Ok(None),
            0 => return Ok(Some(kind == 0x2C)),
            _ => pass(file, length.into())?,
        }
    }
}

/// The length in bytes of the palette that `flags` tell of.
fn palette(flags: u8) -> i64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Passes `length` bytes, all of which have to be there.
fn pass(file: &mut (impl BufRead + Seek), length: i64) -> Result<()> {
    file.seek_relative(length - 1)?;
    bytes::<1>(file).map(drop)
}

/// The next `N` bytes.
///
/// # Errors
/// The file ends before.
pub(super) fn bytes<const N: usize>(file: &mut impl BufRead) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
