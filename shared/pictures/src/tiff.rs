//! Kinds of TIFF that the crate `image` does not read, and the crate `tiff` nearly does.

use std::io::{Cursor, Read, Seek};

use ::tiff::decoder::Decoder;
use ::tiff::tags::PhotometricInterpretation::{self, BlackIsZero, RGBPalette, WhiteIsZero, YCbCr};
use ::tiff::tags::{CompressionMethod, SampleFormat, Tag};

use crate::header::{jpeg_size, lengths, photometric};

/// The compressions without loss that are read.
const PACKED: [CompressionMethod; 6] = [
    CompressionMethod::None,
    CompressionMethod::LZW,
    CompressionMethod::Deflate,
    CompressionMethod::OldDeflate,
    CompressionMethod::PackBits,
    CompressionMethod::ZSTD,
];

/// One of these kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Each sample is the number of a colour in a table. It has so many bits, at most 8.
    Palette(u8),
    /// Gray of 2 or 4 bits.
    Gray(u8),
    /// Gray of 8 or 16 bits, with alpha.
    GrayAlpha,
    /// Gray in floating point, where 1 is white.
    FloatGray,
    /// A JPEG of brightness and two differences of colour in each strip or tile.
    YCbCr,
}

/// A TIFF of such a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rare {
    /// The kind.
    pub kind: Kind,
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
}

/// What the first picture of `file` is, if it is of a kind above.
pub fn rare(file: impl Read + Seek) -> Option<Rare> {
    let mut decoder = Decoder::new(file).ok()?;
    let (width, height) = decoder.dimensions().ok()?;
    let mut first = |tag, default| first(&mut decoder, tag, default);
    let (samples, bits) = (first(Tag::SamplesPerPixel, 1)?, first(Tag::BitsPerSample, 1)?);
    let photometric = PhotometricInterpretation::from_u16(first(Tag::PhotometricInterpretation, u16::MAX)?)?;
    let format = SampleFormat::from_u16_exhaustive(first(Tag::SampleFormat, 1)?);
    let compression = CompressionMethod::from_u16_exhaustive(first(Tag::Compression, 1)?);
    let is_jpeg = compression == CompressionMethod::ModernJPEG;
    let has_predictor = first(Tag::Predictor, 1)? != 1;
    let is_planar = first(Tag::PlanarConfiguration, 1)? == 2 && samples > 1;
    let has_alpha = matches!(first(Tag::ExtraSamples, 0)?, 1 | 2);
    let is_packed = PACKED.contains(&compression);
    if !is_packed && !is_jpeg || has_predictor && bits < 8 {
        return None;
    }
    let kind = match (photometric, samples, bits, format) {
        (RGBPalette, 1, 1 | 2 | 4 | 8, SampleFormat::Uint) => Kind::Palette(bits as u8),
        (BlackIsZero | WhiteIsZero, 1, 2 | 4, SampleFormat::Uint) => Kind::Gray(bits as u8),
        (BlackIsZero, 2, 8 | 16, SampleFormat::Uint) if has_alpha && !is_planar => Kind::GrayAlpha,
        (BlackIsZero | WhiteIsZero, 1, 32 | 64, SampleFormat::IEEEFP) => Kind::FloatGray,
        (BlackIsZero, 1, 16, SampleFormat::IEEEFP) => Kind::FloatGray,
        (YCbCr, 3, 8, SampleFormat::Uint) if is_jpeg && !is_planar => Kind::YCbCr,
        _ => return None,
    };
    Some(Rare { kind, width, height })
}

/// The first number of a tag, or what stands for a tag that is not there.
fn first<R: Read + Seek>(decoder: &mut Decoder<R>, tag: Tag, default: u16) -> Option<u16> {
    let numbers = decoder.find_tag_unsigned_vec::<u16>(tag).ok()?;
    Some(numbers.and_then(|numbers| numbers.first().copied()).unwrap_or(default))
}

/// The file with its numbers of colours declared to be gray, which is how they are read.
///
/// # Errors
/// The file ends within its directory, or has no such declaration.
pub fn as_gray(file: &[u8]) -> std::io::Result<Vec<u8>> {
    let (at, little) = photometric(&mut Cursor::new(file))?;
    let gray = BlackIsZero.to_u16();
    let mut patched = file.to_vec();
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let value = patched.get_mut(at..at.saturating_add(2)).ok_or(std::io::ErrorKind::UnexpectedEof)?;
    value.copy_from_slice(&if little { gray.to_le_bytes() } else { gray.to_be_bytes() });
    Ok(patched)
}

/// How many bytes each strip or tile is declared to be longer.
const LONGER: u64 = 8;

/// The most strips or tiles that a file is thought to have.
const MOST_CHUNKS: usize = 1 << 20;

/// The file with each strip or tile declared to be a few bytes longer than it is. What follows their end is not looked at, but a decoder of LZW
/// takes a strip whose end it cannot look past for one without an end.
///
/// # Errors
/// The file ends within its directory, or does not say how long its strips are.
pub fn with_longer_chunks(file: &[u8]) -> std::io::Result<Vec<u8>> {
    let (places, width, little) = lengths(&mut Cursor::new(file), MOST_CHUNKS)?;
    let mut patched = [file, &[0; LONGER as usize]].concat();
    let width = width as usize;
    for place in places {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let bytes = patched.get_mut(place..place.saturating_add(width)).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        // Eight bytes with the high ones at 0.
        let mut number = [0; 8];
        if little {
            number[..width].copy_from_slice(bytes)
        } else {
            number[8 - width..].copy_from_slice(bytes)
        }
        let number = if little { u64::from_le_bytes(number) } else { u64::from_be_bytes(number) };
        let longer = number.saturating_add(LONGER);
        if longer >> (8 * width - 1) <= 1 {
            let (low, high) = (longer.to_le_bytes(), longer.to_be_bytes());
            bytes.copy_from_slice(if little { &low[..width] } else { &high[8 - width..] });
        }
    }
    Ok(patched)
}

/// Whether each strip or tile that is a JPEG says that it is no larger than the file says of it. The decoder makes room for what the JPEG says.
pub fn jpegs_fit(file: &[u8]) -> bool {
    let Some(Jpegs { chunks, width, height, .. }) = jpegs(file) else { return true };
    chunks.into_iter().all(|chunk| {
        let size = chunk.and_then(|chunk| jpeg_size(&mut Cursor::new(chunk)));
        // One that cannot be read is the decoder's to refuse.
        size.is_none_or(|size| size.0 <= width && size.1 <= height)
    })
}

/// The strips or tiles of a file that are JPEGs.
#[derive(Debug)]
pub struct Jpegs<'a> {
    /// Each, from left to right and from top to bottom; `None` where the file ends before it does.
    pub chunks: Vec<Option<&'a [u8]>>,
    /// The tables that they share, as a JPEG without a picture.
    pub tables: Vec<u8>,
    /// The width of each in pixels, but for what reaches beyond the picture.
    pub width: u32,
    /// The height of each.
    pub height: u32,
}

/// The strips or tiles of `file`, if they are JPEGs.
pub fn jpegs(file: &[u8]) -> Option<Jpegs<'_>> {
    let mut decoder = Decoder::new(Cursor::new(file)).ok()?;
    if first(&mut decoder, Tag::Compression, 1)? != CompressionMethod::ModernJPEG.to_u16() {
        return None;
    }
    let (width, height) = decoder.chunk_dimensions();
    let mut numbers = |tag| decoder.find_tag_unsigned_vec::<u64>(tag).ok().flatten();
    let offsets = numbers(Tag::StripOffsets).or_else(|| numbers(Tag::TileOffsets))?;
    let lengths = numbers(Tag::StripByteCounts).or_else(|| numbers(Tag::TileByteCounts))?;
    let chunk = |(offset, length)| {
        let offset = usize::try_from(offset).ok()?;
        file.get(offset..offset.checked_add(usize::try_from(length).ok()?)?)
    };
    let chunks = offsets.into_iter().zip(lengths).map(chunk).collect();
    let tables = decoder.get_tag_u8_vec(Tag::JPEGTables).unwrap_or_default();
    Some(Jpegs { chunks, tables, width, height })
}
