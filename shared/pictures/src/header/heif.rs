//! HEIF files. HEIC, the kind that phones make, is a picture coded as HEVC, often in tiles, and described by boxes at the front.

use std::io::{BufRead, Error, ErrorKind, Read, Result, Seek, SeekFrom};

use heifer_isobmff::boxes::{ConstructionMethod, Property};
use heifer_isobmff::{HeifFile, read_box_header};

/// The kinds of HEIF whose pictures may be coded as HEVC, as the first box names them. The last two say nothing of the coding.
const BRANDS: [&[u8; 4]; 8] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2"];

/// The items that are HEVC pictures, or are put together from such.
const PICTURES: [&[u8; 4]; 4] = [b"hvc1", b"grid", b"iovl", b"iden"];

/// What an alpha channel calls itself.
const ALPHA: [&str; 2] = ["urn:mpeg:hevc:2015:auxid:1", "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"];

/// The most bytes of boxes that describe a picture, in which the parser's work grows with the square of the number of items. A photo of
/// 200 megapixels in tiles has a quarter of that.
const MOST: u64 = 128 << 10;

/// The most boxes that are looked at.
const MAX_BOXES: usize = 1000;

/// What the boxes say of the picture that a viewer shows.
pub(super) struct Shown {
    /// The width in pixels, cropped and turned.
    pub width: u32,
    /// The height in pixels, likewise.
    pub height: u32,
    /// Whether it has an alpha channel.
    pub alpha: bool,
    /// How many pictures the file has.
    pub pictures: u32,
}

/// Whether a file that begins with `head` may be HEIC.
pub(super) fn is_heif(head: &[u8]) -> bool {
    head.get(4..8) == Some(b"ftyp") && head.get(8..12).is_some_and(|brand| BRANDS.iter().any(|known| *known == brand))
}

/// Whether every box of `file`, which is `bytes` long, and every part of a picture is within it.
///
/// # Errors
/// The boxes cannot be read.
pub(super) fn is_whole(file: &mut (impl BufRead + Seek), bytes: u64) -> Result<bool> {
    let Some(boxes) = description(file, bytes)? else { return Ok(false) };
    let heif = HeifFile::parse(&boxes).map_err(invalid)?;
    let locations = heif.items.iter().filter_map(|item| item.location.as_ref());
    let in_file = locations.filter(|location| location.construction_method == ConstructionMethod::File);
    let ends = in_file.flat_map(|location| &location.extents).map(|part| part.offset.saturating_add(part.length));
    Ok(ends.max().unwrap_or(0) <= bytes)
}

/// What is shown of `file`, which is `bytes` long; the name of its coding where that is not HEVC.
///
/// # Errors
/// The boxes cannot be read, or do not say how large the picture is.
pub(super) fn shown(file: &mut (impl BufRead + Seek), bytes: u64) -> Result<std::result::Result<Shown, String>> {
    let boxes = description(file, bytes)?.ok_or(ErrorKind::UnexpectedEof)?;
    let heif = HeifFile::parse(&boxes).map_err(invalid)?;
    let id = heif.primary_id;
    let coding = heif.item(id).map_err(invalid)?.item_type;
    if !PICTURES.contains(&&coding.0) {
        return Ok(Err(coding.to_string()));
    }
    let (mut width, mut height) = heif.image_size(id).map_err(invalid)?.ok_or(ErrorKind::InvalidData)?;
    for property in heif.item_properties(id).map_err(invalid)? {
        match property {
            Property::Rotation(quarters) if quarters % 2 == 1 => (width, height) = (height, width),
            Property::CleanAperture { width: across, height: down, .. } => {
                (width, height) = (rounded(*across).min(width), rounded(*down).min(height));
            }
            _ => {}
        }
    }
    let beside = heif.referencing_items(id, b"auxl");
    let mut beside = beside.into_iter().filter_map(|item| heif.item_properties(item).ok()).flatten();
    let alpha =
        beside.any(|property| matches!(property, Property::AuxiliaryType(name) if ALPHA.contains(&name.as_str())));
    Ok(Ok(Shown { width, height, alpha, pictures: heif.top_level_image_ids().len() as u32 }))
}

fn rounded((number, of): (u32, u32)) -> u32 {
    (f64::from(number) / f64::from(of)).round() as u32
}

/// The boxes that describe the pictures, without those that hold them. `None` where the file ends before they are complete.
fn description(file: &mut (impl BufRead + Seek), bytes: u64) -> Result<Option<Vec<u8>>> {
    let (mut boxes, mut at) = (Vec::new(), 0);
    for _ in 0..MAX_BOXES {
        if at == bytes {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        let mut head = Vec::new();
        file.by_ref().take(32).read_to_end(&mut head)?;
        let header = read_box_header(&head).ok().filter(|header| header.size.is_none_or(|size| size <= bytes - at));
        let Some(header) = header else {
            // The box of the pictures may be cut, which shows in where they end, and what cameras append is no box.
            return Ok(HeifFile::parse(&boxes).is_ok().then_some(boxes));
        };
        let size = header.size.unwrap_or(bytes - at);
        if [b"ftyp", b"meta"].contains(&&header.box_type.0) {
            if boxes.len() as u64 + size > MOST {
                return Err(ErrorKind::InvalidData.into());
            }
            file.seek(SeekFrom::Start(at))?;
            file.by_ref().take(size).read_to_end(&mut boxes)?;
        }
        at += size;
    }
    Ok(Some(boxes))
}

fn invalid(error: heifer_isobmff::Error) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}
