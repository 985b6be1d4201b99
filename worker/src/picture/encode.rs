//! Pixels to a PNG file, which is hashed while it is written.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::layout::Layout;
use super::raster::{Chunk, Picture, Samples};

/// The keyword of the text chunk with an XMP packet, in the
/// [specification of XMP, part 3](https://developer.adobe.com/xmp/docs/XMPSpecifications/).
const XMP: &str = "XML:com.adobe.xmp";
/// The largest piece of compressed data that is held before it is written, in bytes.
const BUFFER: usize = 64 << 10;

/// A PNG in a temporary file, which is deleted when this value is dropped.
#[derive(Debug)]
pub struct Encoded {
    /// The file, written to its end.
    pub file: NamedTempFile,
    /// The length of the file.
    pub bytes: u64,
    /// The SHA-256 of the file's bytes, in lower-case hexadecimal digits.
    pub sha256: String,
}

/// Writes `picture` with its metadata as PNG into a temporary file in `folder`, row by row.
///
/// # Errors
/// The file cannot be made or written, as on a full disk.
pub fn encode(picture: &Picture, folder: &Path) -> io::Result<Encoded> {
    let file = NamedTempFile::new_in(folder)?;
    let mut writer = HashingWriter { out: BufWriter::new(file), bytes: 0, hash: Sha256::new() };
    // On a network's output the slower settings take 30 times as long for a file of about the same size.
    let mut encoder = png::Encoder::with_info(&mut writer, header(picture))?;
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
    encoder.finish()?;
    writer.flush()?;
    let file = writer.out.into_inner().map_err(io::IntoInnerError::into_error)?;
    let sha256 = writer.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Encoded { file, bytes: writer.bytes, sha256 })
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

/// Counts and hashes the bytes that pass through it.
struct HashingWriter {
    out: BufWriter<NamedTempFile>,
    bytes: u64,
    hash: Sha256,
}

impl Write for HashingWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
