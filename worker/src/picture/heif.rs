//! HEIC files to pixels, cropped and turned as they are to be shown.

use heifer::heifer_isobmff::boxes::{ColorInfo, Property};
use heifer::heifer_isobmff::{HeifFile, ItemId};
use heifer::{Error, Image, Options};
use image::{DynamicImage, ImageBuffer, Rgba, RgbaImage};

use super::raster::{Chunk, Metadata};

/// The most pixels of a tile, which may be larger than the picture that it is a part of.
const TILE: u64 = 1 << 22;

/// What a picture may be derived from may be derived too.
const MAX_DEPTH: usize = 4;

/// Decodes the picture that `heic` shows, which has `pixels` pixels.
///
/// # Errors
/// It cannot be decoded, or is of a kind that is not read.
pub(super) fn decode(heic: &[u8], pixels: u64) -> Result<(DynamicImage, Metadata), Error> {
    let options = Options { max_threads: 0, max_pixels: pixels + TILE };
    let file = HeifFile::parse(heic)?;
    let coded = coded(&file)?;
    let is_gray = file.hevc_config(coded)?.is_some_and(|config| config.chroma_format == 0);
    let picture = heifer::decode_with_options(heic, &options)?;
    let colors = colors(&file, coded)?;
    let said = heifer::item_metadata(&file, file.primary_id)?;
    let metadata = Metadata {
        chunks: if said.icc_profile.is_none() { colors.into_iter().collect() } else { Vec::new() },
        icc: said.icc_profile,
        exif: said.exif,
        xmp: said.xmp.and_then(|xmp| String::from_utf8(xmp).ok()),
        iptc: None,
    };
    let image = image(picture, is_gray).ok_or(Error::Invalid("its size and its samples differ"))?;
    Ok((image, metadata))
}

/// The picture itself, or the first tile that it is put together from.
fn coded(file: &HeifFile<'_>) -> Result<ItemId, Error> {
    let mut item = file.primary_id;
    for _ in 0..MAX_DEPTH {
        match file.referenced_items(item, b"dimg").first() {
            Some(part) if file.hevc_config(item)?.is_none() => item = *part,
            _ => break,
        }
    }
    Ok(item)
}

/// How colours are to be shown, as a PNG says it, where that is not as in sRGB.
fn colors(file: &HeifFile<'_>, coded: ItemId) -> Result<Option<Chunk>, Error> {
    let said = |item| {
        let mut properties = file.item_properties(item)?.filter_map(|property| match property {
            Property::Color(ColorInfo::Nclx { primaries, transfer, .. }) => Some((*primaries, *transfer)),
            _ => None,
        });
        Ok::<_, Error>(properties.next())
    };
    let said = match said(file.primary_id)? {
        None => said(coded)?,
        own => own,
    };
    // By the numbers of ITU-T H.273: the primaries of BT.709 or none that are named, and its transfer or similar ones.
    let named = said.filter(|said| !matches!(said, (1 | 2, 1 | 2 | 6 | 13 | 14 | 15)));
    Ok(named.map(|(primaries, transfer)| Chunk { name: *b"cICP", data: vec![primaries as u8, transfer as u8, 0, 1] }))
}

/// The picture with 8 or 16 bits, and with no more channels than it needs.
fn image(picture: Image, is_gray: bool) -> Option<DynamicImage> {
    let (width, height, has_alpha) = (picture.width, picture.height, picture.has_alpha);
    let most = u32::from(picture.max_value());
    let wide = |sample: u16| (u32::from(sample) * u32::from(u16::MAX) + most / 2) / most;
    if picture.bit_depth > 8 {
        let samples = picture.data.into_iter().map(|sample| wide(sample).min(u32::from(u16::MAX)) as u16).collect();
        let image = DynamicImage::from(ImageBuffer::<Rgba<u16>, Vec<u16>>::from_raw(width, height, samples)?);
        Some(match (has_alpha, is_gray) {
            (true, _) => image,
            (false, true) => image.into_luma16().into(),
            (false, false) => image.into_rgb16().into(),
        })
    } else {
        let samples = picture.data.into_iter().map(|sample| sample as u8).collect();
        let image = DynamicImage::from(RgbaImage::from_raw(width, height, samples)?);
        Some(match (has_alpha, is_gray) {
            (true, _) => image,
            (false, true) => image.into_luma8().into(),
            (false, false) => image.into_rgb8().into(),
        })
    }
}
