//! PNG: every sample as it is, in the depth of the picture.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::picture::{Chunk, Layout, Picture, Samples};

/// The keyword of the text chunk with an XMP packet, in the
/// [specification of XMP, part 3](https://developer.adobe.com/xmp/docs/XMPSpecifications/).
const XMP: &str = "XML:com.adobe.xmp";
/// The largest piece of compressed data that is held before it is written, in bytes.
const BUFFER: usize = 64 << 10;

/// Writes `picture` row by row.
pub(super) fn write(picture: &Picture, out: impl Write) -> io::Result<()> {
    // On a network's output the slower settings take 30 times as long for a file of about the same size.
    let mut encoder = png::Encoder::with_info(out, header(picture))?;
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Adaptive);
    if let Some(xmp) = &picture.metadata.xmp {
        encoder.add_itxt_chunk(XMP.into(), xmp.clone())?;
    }
    let mut encoder = encoder.write_header()?;
    for Chunk { name, data } in &picture.metadata.chunks {
        // A file has either of the two.
        if !(name == b"sRGB" && picture.metadata.icc.is_some()) {
            encoder.write_chunk(png::chunk::ChunkType(*name), data)?;
        }
    }
    let mut rows = encoder.stream_writer_with_size(BUFFER)?;
    let samples = picture.width * picture.layout.channels();
    match &picture.samples {
        Samples::U8(all) => all.chunks_exact(samples).try_for_each(|row| rows.write_all(row))?,
        Samples::U16(all) => all.chunks_exact(samples).try_for_each(|row| {
            let bytes: Vec<u8> = row.iter().flat_map(|sample| sample.to_be_bytes()).collect();
            rows.write_all(&bytes)
        })?,
    }
    rows.finish()?;
    Ok(encoder.finish()?)
}

fn header(picture: &Picture) -> png::Info<'_> {
    let mut info = png::Info::with_size(picture.width as u32, picture.height as u32);
    info.color_type = match picture.layout {
        Layout::Gray => png::ColorType::Grayscale,
        Layout::GrayAlpha => png::ColorType::GrayscaleAlpha,
        Layout::Rgb => png::ColorType::Rgb,
        Layout::Rgba => png::ColorType::Rgba,
    };
    info.bit_depth = match picture.samples {
        Samples::U8(_) => png::BitDepth::Eight,
        Samples::U16(_) => png::BitDepth::Sixteen,
    };
    info.icc_profile = picture.metadata.icc.as_deref().map(Cow::Borrowed);
    info.exif_metadata = picture.metadata.exif.as_deref().map(Cow::Borrowed);
    info
}
