//! What a TIFF says of its picture besides the pixels. The fields of EXIF lie among those that tell where the pixels are.

use std::io::Cursor;

use ::tiff::TiffResult;
use ::tiff::decoder::{Decoder, IfdDecoder};
use ::tiff::encoder::{DirectoryEncoder, TiffEncoder, TiffKindStandard};
use ::tiff::tags::{ByteOrder, Tag, Type, ValueBuffer};

/// The tag of an XMP packet.
const XMP: Tag = Tag::Unknown(700);
/// The fields of the main directory that are about the picture as a whole: what it shows, who made it, when and by what, its density, and
/// the rights to it.
const ABOUT: [u16; 12] = [269, 270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432];
/// The directories that it points to.
const DIRECTORIES: [Tag; 2] = [Tag::ExifDirectory, Tag::GpsDirectory];
/// Fields that tell where something else is, which would be elsewhere in a copy: a maker's notes, and one more directory.
const PLACES: [u16; 2] = [0x927C, 0xA005];

/// The most bytes of an EXIF block.
const MOST: usize = 1 << 20;

/// The XMP packet.
pub(super) fn xmp(file: &[u8]) -> Option<String> {
    let packet = Decoder::new(Cursor::new(file)).ok()?.get_tag_u8_vec(XMP).ok()?;
    String::from_utf8(packet).ok()
}

/// The fields of EXIF as a block. `None` where there are none. Fields that are damaged or too large are left out.
pub(super) fn exif(file: &[u8]) -> Option<Vec<u8>> {
    block(file).ok().flatten()
}

fn block(file: &[u8]) -> TiffResult<Option<Vec<u8>>> {
    let mut decoder = Decoder::new(Cursor::new(file))?;
    let mut block = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut block)?;
    let (mut room, mut pointers) = (MOST, Vec::new());
    for pointer in DIRECTORIES {
        let place = decoder.find_tag(pointer)?.and_then(|place| place.into_ifd_pointer().ok());
        let Some(Ok(directory)) = place.map(|place| decoder.read_directory(place)) else { continue };
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

/// Copies the fields with these tags, as far as they can be read and `room` in bytes goes. Returns whether there is one.
fn copied(
    from: &mut IfdDecoder<'_>,
    tags: impl Iterator<Item = Tag>,
    to: &mut DirectoryEncoder<'_, &mut Cursor<Vec<u8>>, TiffKindStandard>,
    room: &mut usize,
) -> TiffResult<bool> {
    let mut any = false;
    for tag in tags {
        // It has at least as many bytes as values.
        if from.find_entry(tag).is_none_or(|entry| entry.count() > *room as u64) {
            continue;
        }
        let mut value = ValueBuffer::empty(Type::BYTE);
        let read = from.find_tag_buf(tag, &mut value).is_ok();
        if let Some(left) = room.checked_sub(value.as_bytes().len()).filter(|_| read) {
            *room = left;
            value.set_byte_order(ByteOrder::native());
            to.write_tag_buf(tag, &value)?;
            any = true;
        }
    }
    Ok(any)
}

#[cfg(test)]
mod tests {
    use ::tiff::encoder::colortype::Gray8;
    use image::metadata::Orientation;

    use super::super::exif::tests::number;
    use super::*;

    const XMP_PACKET: &str = "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"/>";

    /// A TIFF of one pixel with fields of each kind.
    fn file(with: impl Fn(&mut TiffEncoder<&mut Cursor<Vec<u8>>>) -> Vec<(u16, u32)>) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut file).unwrap();
        let pointers = with(&mut encoder);
        let mut image = encoder.new_image::<Gray8>(1, 1).unwrap();
        image.encoder().write_tag(Tag::Artist, "Someone").unwrap();
        image.encoder().write_tag(Tag::Orientation, 6_u16).unwrap();
        image.encoder().write_tag(XMP, &XMP_PACKET.as_bytes()).unwrap();
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
        let exif = exif(&file).unwrap();
        assert!(exif.windows(7).any(|bytes| bytes == b"Someone"));
        assert_eq!(number(&exif, 0x8769, 0xA002), Some(640));
        assert_eq!(number(&exif, 0x8769, 0x927C), None);
        assert_eq!(number(&exif, 0x8825, 1), Some(78));
        assert_eq!(Orientation::from_exif_chunk(&exif), None);
        assert_eq!(xmp(&file).as_deref(), Some(XMP_PACKET));
    }

    #[test]
    fn a_directory_that_is_nowhere_is_left_out() {
        let file = file(|_| vec![(0x8769, 1 << 30)]);
        let exif = exif(&file).unwrap();
        assert!(exif.windows(7).any(|bytes| bytes == b"Someone"));
        assert_eq!(number(&exif, 0x8769, 0xA002), None);
        assert_eq!(xmp(&file).as_deref(), Some(XMP_PACKET));
        assert_eq!((super::exif(b"no file"), xmp(b"no file")), (None, None));
    }
}
