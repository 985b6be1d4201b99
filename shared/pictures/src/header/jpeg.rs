//! The segments of a JPEG up to its first scan.

use std::io::{BufRead, Seek, SeekFrom};

/// The most segments that are looked at. No picture has so many; a crafted file could keep the search busy.
const MAX_SEGMENTS: usize = 200_000;

/// The frame of a JPEG: how it is coded, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// The marker that it begins with.
    marker: u8,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Frame {
    /// The name of its coding, where that is none of baseline, extended and progressive by Huffman codes.
    pub(super) fn rare_coding(self) -> Option<&'static str> {
        match self.marker {
            0xC0..=0xC2 => None,
            0xC3 => Some("lossless"),
            0xC5..=0xC7 => Some("hierarchical"),
            _ => Some("arithmetic"),
        }
    }
}

/// The width and the height that the frame of a JPEG says.
pub(crate) fn jpeg_size(file: &mut (impl BufRead + Seek)) -> Option<(u32, u32)> {
    frame(file).ok()?.map(|frame| (frame.width, frame.height))
}

/// Walks the marker segments, each by its own length, up to the first start of scan (FFDA), behind which `file` stands then. So what is in
/// a thumbnail inside EXIF is not taken for the picture's. `None` where the file ends before, or has no frame.
///
/// # Errors
/// The file cannot be read.
pub(super) fn frame(file: &mut (impl BufRead + Seek)) -> std::io::Result<Option<Frame>> {
    file.seek(SeekFrom::Start(2))?;
    let mut frame = None;
    for _ in 0..MAX_SEGMENTS {
        let [mut fill, mut marker] = [0; 2];
        if read(file, std::slice::from_mut(&mut fill)).is_none() || fill != 0xFF {
            return Ok(None);
        }
        while read(file, std::slice::from_mut(&mut marker)).is_some() && marker == 0xFF {}
        match marker {
            0xDA => return Ok(frame),
            0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let mut length = [0; 2];
        let Some(()) = read(file, &mut length) else { return Ok(None) };
        let Some(mut rest) = u16::from_be_bytes(length).checked_sub(2) else { return Ok(None) };
        // A start of frame; the other three define tables, and are an extension.
        if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
            let mut head = [0; 5];
            let (Some(()), Some(left)) = (read(file, &mut head), rest.checked_sub(5)) else { return Ok(None) };
            let [_, height @ .., w, v] = head;
            let (width, height) = (u16::from_be_bytes([w, v]).into(), u16::from_be_bytes(height).into());
            frame = Some(Frame { marker, width, height });
            rest = left;
        }
        file.seek_relative(rest.into())?;
    }
    Ok(None)
}

/// Fills `buffer`; `None` at the end of the file.
fn read(file: &mut impl BufRead, buffer: &mut [u8]) -> Option<()> {
    file.read_exact(buffer).ok()
}
