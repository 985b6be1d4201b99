//! PNG: every sample as it is, in the depth of the picture.

use std::borrow::Cow;
use std::io::{self, Write};

use png::StreamWriter;

use crate::picture::iptc;
use crate::picture::{Chunk, Header, Layout, Samples, Strip};

/// The keyword of the text chunk with an XMP packet, in the
/// [specification of XMP, part 3](https://developer.adobe.com/xmp/docs/XMPSpecifications/).
const XMP: &str = "XML:com.adobe.xmp";
/// The largest piece of compressed data that is held before it is written, in bytes.
const BUFFER: usize = 64 << 10;

/// A file that is written row by row.
pub(super) struct Rows<W: Write + 'static>(StreamWriter<'static, W>);

impl<W: Write + 'static> Rows<W> {
    /// Writes what comes before the pixels.
    pub(super) fn new(header: &Header, out: W) -> io::Result<Self> {
        // On a network's output the slower settings take 30 times as long for a file of about the same size.
        let mut encoder = png::Encoder::with_info(out, info(header))?;
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::Adaptive);
        if let Some(xmp) = &header.metadata.xmp {
            encoder.add_itxt_chunk(XMP.into(), xmp.clone())?;
        }
        if let Some(iptc) = &header.metadata.iptc {
            encoder.add_ztxt_chunk(iptc::KEYWORD.into(), iptc::text(iptc))?;
        }
        let mut encoder = encoder.write_header()?;
        for Chunk { name, data } in &header.metadata.chunks {
            // A file has either of the two.
            if !(name == b"sRGB" && header.metadata.icc.is_some()) {
                encoder.write_chunk(png::chunk::ChunkType(*name), data)?;
            }
        }
        Ok(Self(encoder.into_stream_writer_with_size(BUFFER)?))
    }

    /// Writes the next rows.
    pub(super) fn push(&mut self, strip: &Strip) -> io::Result<()> {
        let samples = strip.rows.width * strip.rows.layout.channels();
        match &strip.rows.samples {
            Samples::U8(all) => all.chunks_exact(samples).try_for_each(|row| self.0.write_all(row)),
            Samples::U16(all) => all.chunks_exact(samples).try_for_each(|row| {
                let bytes: Vec<u8> = row.iter().flat_map(|sample| sample.to_be_bytes()).collect();
                self.0.write_all(&bytes)
            }),
        }
    }

    /// Ends the file. Its last chunk is written when the encoder is dropped, and whether that fails only `out` knows.
    pub(super) fn finish(self) -> io::Result<()> {
        Ok(self.0.finish()?)
    }
}

fn info(header: &Header) -> png::Info<'static> {
    let mut info = png::Info::with_size(header.width as u32, header.height as u32);
    info.color_type = match header.layout {
        Layout::Gray => png::ColorType::Grayscale,
        Layout::GrayAlpha => png::ColorType::GrayscaleAlpha,
        Layout::Rgb => png::ColorType::Rgb,
        Layout::Rgba => png::ColorType::Rgba,
    };
    info.bit_depth = if header.is_deep { png::BitDepth::Sixteen } else { png::BitDepth::Eight };
    info.icc_profile = header.metadata.icc.clone().map(Cow::Owned);
    info.exif_metadata = header.metadata.exif_of(header.width, header.height).map(Cow::Owned);
    info
}
