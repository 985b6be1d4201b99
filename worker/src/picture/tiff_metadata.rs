//! What a TIFF says of its picture besides the pixels. The fields of EXIF lie among those that tell where the pixels are.

use std::io::Cursor;

use ::tiff::TiffResult;
use ::tiff::decoder::ifd::{Entry, Value};
use ::tiff::decoder::{Decoder, IfdDecoder};
use ::tiff::encoder::{DirectoryEncoder, TiffEncoder, TiffKindStandard};
use ::tiff::tags::{ByteOrder, IfdPointer, Tag, Type, ValueBuffer};

use super::raster::{Chunk, Metadata};
use super::{density, iptc};

/// The tag of an XMP packet.
const XMP: Tag = Tag::Unknown(700);
/// The tag of the fields of IPTC, and of what Photoshop adds, which may hold them too.
const IPTC: [Tag; 2] = [Tag::Unknown(33723), Tag::Unknown(34377)];
/// The fields of the main directory that are about the picture as a whole: what it shows, who made it, when and by what, its density, and
/// the rights to it.
const ABOUT: [u16; 12] = [269, 270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432];
/// The directories that it points to.
const DIRECTORIES: [Tag; 2] = [Tag::ExifDirectory, Tag::GpsDirectory];
/// Fields that tell where something else is, which would be elsewhere in a copy: a maker's notes, and one more directory.
const PLACES: [u16; 2] = [0x927C, 0xA005];

/// The most bytes of an EXIF block. A JPEG has room for little more.
const MOST: usize = 60_000;
/// What a field takes besides its value.
const ENTRY: usize = 12;
/// The most bytes of an XMP packet, and of the fields of IPTC.
const LARGEST_PACKET: usize = 4 << 20;

/// A file that is open at its first picture.
type File<'a> = Decoder<Cursor<&'a [u8]>>;

/// All of it but the colour profile. Whether it is kept is not decided here.
pub(super) fn of(file: &[u8]) -> Metadata {
    let Ok(mut decoder) = Decoder::new(Cursor::new(file)) else { return Metadata::default() };
    Metadata {
        icc: None,
        exif: exif(&mut decoder),
        xmp: xmp(&mut decoder),
        iptc: iptc(&mut decoder),
        chunks: density(&mut decoder).into_iter().collect(),
    }
}

/// The density of the picture. Without a unit the numbers are a ratio.
fn density(decoder: &mut File<'_>) -> Option<Chunk> {
    let units = match decoder.find_tag_unsigned::<u16>(Tag::ResolutionUnit).ok()? {
        None | Some(2) => density::INCHES,
        Some(3) => density::CENTIMETRES,
        Some(_) => return None,
    };
    let mut dots = |tag| match decoder.find_tag(tag).ok()?? {
        Value::Rational(dots, parts) => Some(f64::from(dots) / f64::from(parts)),
        _ => None,
    };
    density::chunk([dots(Tag::XResolution)?, dots(Tag::YResolution)?], units)
}

/// The XMP packet.
fn xmp(decoder: &mut File<'_>) -> Option<String> {
    String::from_utf8(packet(decoder, XMP)?).ok()
}

/// The fields of IPTC.
fn iptc(decoder: &mut File<'_>) -> Option<Vec<u8>> {
    IPTC.into_iter().find_map(|tag| iptc::fields(&packet(decoder, tag)?))
}

/// A value that is a file of its own, as it is stored.
fn packet(decoder: &mut File<'_>, tag: Tag) -> Option<Vec<u8>> {
    let mut main = decoder.image_ifd();
    main.find_entry(tag).filter(|entry| bytes(entry) <= LARGEST_PACKET)?;
    let mut packet = ValueBuffer::empty(Type::BYTE);
    main.find_tag_buf(tag, &mut packet).ok()?;
    Some(packet.as_bytes().to_vec())
}

/// The fields of EXIF as a block. `None` where there are none. Fields that are damaged or too large are left out.
fn exif(decoder: &mut File<'_>) -> Option<Vec<u8>> {
    block(decoder).ok().flatten()
}

fn block(decoder: &mut File<'_>) -> TiffResult<Option<Vec<u8>>> {
    let mut block = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut block)?;
    let (mut room, mut pointers) = (MOST, Vec::new());
    for pointer in DIRECTORIES {
        let Some(place) = place(&mut decoder.image_ifd(), pointer) else { continue };
        let Ok(directory) = decoder.read_directory(place) else { continue };
        let tags = directory.iter().map(|(tag, _)| tag).filter(|tag| !PLACES.contains(&tag.to_u16()));
        let mut copy = encoder.extra_directory()?;
        if copied(&mut decoder.read_directory_tags(&directory), tags, &mut copy, &mut room)? {
            pointers.push((pointer, copy.finish_with_offsets()?.offset));
        }
    }
    let mut main = encoder.image_directory()?;
    let about = ABOUT.into_iter().map(Tag::from_u16_exhaustive);
    let has_about = copied(&mut decoder.image_ifd(), about, &mut main, &mut room)?;
    let is_empty = pointers.is_empty() && !has_about;
    for (pointer, offset) in pointers {
        main.write_tag(pointer, offset)?;
    }
    main.finish()?;
    Ok((!is_empty).then(|| block.into_inner()))
}

/// Where a directory points to with that tag.
fn place(from: &mut IfdDecoder<'_>, pointer: Tag) -> Option<IfdPointer> {
    from.find_entry(pointer).filter(|entry| entry.count() == 1)?;
    from.find_tag(pointer).ok()??.into_ifd_pointer().ok()
}

/// The bytes of a value.
fn bytes(entry: &Entry) -> usize {
    let each = match entry.field_type() {
        Type::BYTE | Type::SBYTE | Type::ASCII | Type::UNDEFINED => 1,
        Type::SHORT | Type::SSHORT => 2,
        Type::LONG | Type::SLONG | Type::FLOAT | Type::IFD => 4,
        _ => 8,
    };
    usize::try_from(entry.count()).unwrap_or(usize::MAX).saturating_mul(each)
}

/// Copies the fields with these tags, as far as they can be read and `room` in bytes goes. Returns whether there is one.
fn copied(
    from: &mut IfdDecoder<'_>,
    tags: impl Iterator<Item = Tag>,
    to: &mut DirectoryEncoder<'_, &mut Cursor<Vec<u8>>, TiffKindStandard>,
    room: &mut usize,
) -> TiffResult<bool> {
    let (mut any, mut value) = (false, ValueBuffer::empty(Type::BYTE));
    for tag in tags {
        let size = from.find_entry(tag).map(|entry| bytes(&entry).saturating_add(ENTRY));
        let Some(left) = size.and_then(|size| room.checked_sub(size)) else { continue };
        // A value that cannot be read takes room as well: there may be thousands of them.
        *room = left;
        if from.find_tag_buf(tag, &mut value).is_ok() {
            value.set_byte_order(ByteOrder::native());
            to.write_tag_buf(tag, &value)?;
            any = true;
        }
    }
    Ok(any)
}

#[cfg(test)]
mod tests {
    use ::tiff::Directory;
    use ::tiff::encoder::Rational;
    use ::tiff::encoder::colortype::Gray8;
    use image::metadata::Orientation;

    use super::super::exif::tests::number;
    use super::*;

    const FIELDS: [u8; 7] = [0x1C, 2, 120, 0, 2, b'a', b'b'];
    const XMP_PACKET: &str = "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"/>";

    /// A TIFF of one pixel with fields of each kind.
    fn file(with: impl Fn(&mut TiffEncoder<&mut Cursor<Vec<u8>>>) -> Vec<(u16, u32)>) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut file).unwrap();
        let pointers = with(&mut encoder);
        let mut image = encoder.new_image::<Gray8>(1, 1).unwrap();
        image.encoder().write_tag(Tag::Artist, "Someone").unwrap();
        image.encoder().write_tag(Tag::Orientation, 6_u16).unwrap();
        image.encoder().write_tag(XMP, XMP_PACKET.as_bytes()).unwrap();
        image.encoder().write_tag(IPTC[0], &FIELDS[..]).unwrap();
        image.encoder().write_tag(Tag::XResolution, Rational { n: 600, d: 2 }).unwrap();
        image.encoder().write_tag(Tag::YResolution, Rational { n: 72, d: 1 }).unwrap();
        image.encoder().write_tag(Tag::ResolutionUnit, 2_u16).unwrap();
        for (tag, offset) in pointers {
            image.encoder().write_tag(Tag::from_u16_exhaustive(tag), offset).unwrap();
        }
        image.write_data(&[7]).unwrap();
        file.into_inner()
    }

    #[test]
    fn what_is_about_the_picture_becomes_an_exif_block() {
        let file = file(|encoder| {
            let mut directory = |tags: &[(u16, u32)]| {
                let mut directory = encoder.extra_directory().unwrap();
                for (tag, value) in tags {
                    directory.write_tag(Tag::from_u16_exhaustive(*tag), *value).unwrap();
                }
                directory.finish_with_offsets().unwrap().offset
            };
            vec![(0x8769, directory(&[(0xA002, 640), (0x927C, 5)])), (0x8825, directory(&[(1, 78)]))]
        });
        let exif = of(&file).exif.unwrap();
        assert!(exif.windows(7).any(|bytes| bytes == b"Someone"));
        assert_eq!(number(&exif, 0x8769, 0xA002), Some(640));
        assert_eq!(number(&exif, 0x8769, 0x927C), None);
        assert_eq!(number(&exif, 0x8825, 1), Some(78));
        assert_eq!(Orientation::from_exif_chunk(&exif), None);
        let all = of(&file);
        assert_eq!((all.exif, all.xmp.as_deref()), (Some(exif), Some(XMP_PACKET)));
        assert_eq!(
            (all.iptc.as_deref(), all.chunks),
            (Some(&FIELDS[..]), vec![density::chunk([300.0, 72.0], density::INCHES).unwrap()])
        );
    }

    #[test]
    fn thousands_of_large_values_are_not_copied() {
        let file = file(|encoder| {
            let mut directory = encoder.extra_directory().unwrap();
            let value = directory.write_entry(&[7_u8; 50_000][..]).unwrap();
            let mut many = Directory::empty();
            many.extend((1000..9000).map(|tag| (Tag::from_u16_exhaustive(tag), value.clone())));
            directory.extend_from(&many);
            vec![(0x8769, directory.finish_with_offsets().unwrap().offset)]
        });
        let exif = of(&file).exif.unwrap();
        assert!((50_000..60_000).contains(&exif.len()), "{}", exif.len());
        // There is room for what is small.
        assert!(exif.windows(7).any(|bytes| bytes == b"Someone"));
    }

    #[test]
    fn a_directory_that_is_nowhere_is_left_out() {
        let file = file(|_| vec![(0x8769, 1 << 30)]);
        let exif = of(&file).exif.unwrap();
        assert!(exif.windows(7).any(|bytes| bytes == b"Someone"));
        assert_eq!(number(&exif, 0x8769, 0xA002), None);
        assert_eq!(of(&file).xmp.as_deref(), Some(XMP_PACKET));
        assert_eq!(of(b"no file"), Metadata::default());
    }
}
