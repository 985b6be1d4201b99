//! Uploads that are whole, damaged, crafted or too large.

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, RgbImage, RgbaImage};
use proptest::prelude::*;
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{EnhanceParams, InputInfo, ModelId, OutputFormat, PictureFormat, Scale};

use tiff::encoder::colortype::RGBA8;
use tiff::tags::Tag;

use super::inspect::inspect;
use super::limits::PixelLimits;

const FORMATS: [ImageFormat; 6] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff, ImageFormat::Gif, ImageFormat::Bmp];

fn encoded(format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * 6) as u8, (y * 8) as u8, (x * y) as u8]));
    let mut out = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// What the header tells, or the code of the error.
fn inspected(bytes: &[u8]) -> Result<InputInfo, ErrorCode> {
    inspect(Cursor::new(bytes), bytes.len() as u64, None).map_err(|error| error.code)
}

#[test]
fn the_bytes_decide_the_format() {
    for (format, expected) in [
        (ImageFormat::Jpeg, PictureFormat::Jpeg),
        (ImageFormat::Png, PictureFormat::Png),
        (ImageFormat::WebP, PictureFormat::Webp),
        (ImageFormat::Tiff, PictureFormat::Tiff),
        (ImageFormat::Gif, PictureFormat::Gif),
        (ImageFormat::Bmp, PictureFormat::Bmp),
    ] {
        let info = inspected(&encoded(format)).unwrap();
        assert_eq!((info.format, info.width, info.height), (Some(expected), 40, 30));
    }
    for bytes in [&b"just some text"[..], b"", b"qoif\0\0\0\x01\0\0\0\x01\x03\0", b"\xFF"] {
        assert_eq!(inspected(bytes), Err(ErrorCode::UnsupportedFormat));
    }
}

#[test]
fn an_alpha_channel_is_told() {
    let picture = DynamicImage::ImageRgba8(RgbaImage::from_pixel(8, 8, image::Rgba([9, 9, 9, 128])));
    for format in FORMATS {
        let opaque = inspected(&encoded(format)).unwrap();
        assert!(!opaque.alpha, "{format:?}");
        if matches!(format, ImageFormat::Png | ImageFormat::WebP | ImageFormat::Tiff) {
            let mut out = Cursor::new(Vec::new());
            picture.write_to(&mut out, format).unwrap();
            assert!(inspected(&out.into_inner()).unwrap().alpha, "{format:?}");
        }
    }
}

/// A HEIC of 700 x 600 pixels, which is coded in tiles, with alpha if that is asked for.
fn heic(alpha: bool) -> Vec<u8> {
    let rgba: Vec<u8> = (0..700 * 600_u32)
        .flat_map(|at| [(at % 700 / 3) as u8, (at / 2400) as u8, 90, if alpha { at as u8 } else { 255 }])
        .collect();
    heifer::encode_rgba8(700, 600, &rgba, &heifer::EncodeOptions::default()).unwrap()
}

#[test]
fn the_boxes_of_a_heic_tell_what_it_shows() {
    for alpha in [false, true] {
        let info = inspected(&heic(alpha)).unwrap();
        assert_eq!((info.format, info.width, info.height), (Some(PictureFormat::Heic), 700, 600));
        assert_eq!((info.alpha, info.frames), (alpha, None));
    }
    let whole = heic(false);
    for cut in (0..whole.len()).step_by(7) {
        let code = inspected(&whole[..cut]).unwrap_err();
        assert!(cut < 12 || code == ErrorCode::ImageCorrupt, "cut to {cut} of {}: {code:?}", whole.len());
    }
    // What cameras append.
    assert!(inspected(&[&whole[..], &[9; 100]].concat()).is_ok());
}

#[test]
fn what_is_no_hevc_is_named() {
    let avif = [&[0, 0, 0, 24], &b"ftypavif\0\0\0\0avifmif1"[..]].concat();
    let error = inspect(Cursor::new(&avif), avif.len() as u64, None).unwrap_err();
    assert!(error.code == ErrorCode::UnsupportedFormat && error.message.contains("AVIF is not read"), "{error:?}");
    let mut other = heic(false);
    let kinds: Vec<usize> = (0..other.len() - 4)
        .filter(|at| [b"grid", b"hvc1"].contains(&&other[*at..][..4].try_into().unwrap()))
        .collect();
    kinds.iter().for_each(|at| other[*at..][..4].copy_from_slice(b"av01"));
    let error = inspect(Cursor::new(&other), other.len() as u64, None).unwrap_err();
    assert!(error.code == ErrorCode::UnsupportedFormat && error.message.contains("av01"), "{error:?}");
}

/// Boxes that would keep a parser busy are not read.
#[test]
fn a_heic_of_nothing_but_boxes_is_corrupt() {
    let whole = heic(false);
    let first = u32::from_be_bytes(whole[..4].try_into().unwrap()) as usize;
    let large = [&whole[..first], &(200_008_u32).to_be_bytes(), b"meta", &[0; 200_000]].concat();
    let many = [&whole[..first], &[&8_u32.to_be_bytes()[..], b"free"].concat().repeat(100_000)].concat();
    for bytes in [large, many] {
        assert_eq!(inspected(&bytes), Err(ErrorCode::ImageCorrupt));
    }
}

#[test]
fn a_file_cut_anywhere_is_corrupt_or_unknown() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
        let whole = encoded(format);
        // The last four bytes of a PNG are the checksum of its empty end chunk, which nobody needs.
        for cut in 0..whole.len() - 4 {
            assert!(inspected(&whole[..cut]).is_err(), "{format:?} cut to {cut} of {}", whole.len());
        }
    }
}

#[test]
fn bytes_after_the_picture_do_not_matter() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let mut bytes = encoded(format);
        bytes.extend_from_slice(&[0; 100]);
        assert!(inspected(&bytes).is_ok());
    }
}

#[test]
fn a_file_tells_how_many_pictures_it_has() {
    let frames = |bytes: &[u8]| inspected(bytes).unwrap().frames;
    for format in FORMATS {
        assert_eq!(frames(&encoded(format)), None, "{format:?}");
    }
    let picture = RgbaImage::new(4, 4);
    let mut gif = Vec::new();
    GifEncoder::new(&mut gif).encode_frames((0..3).map(|_| Frame::new(picture.clone()))).unwrap();
    assert_eq!(frames(&gif), Some(3));
    // The third picture is not whole.
    assert_eq!(frames(&gif[..gif.len() - 3]), Some(2));

    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 4, 4);
    encoder.set_animated(2, 0).unwrap();
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header().unwrap();
    (0..2).for_each(|_| writer.write_image_data(&picture).unwrap());
    drop(writer);
    assert_eq!(frames(&png), Some(2));

    let mut tiff = Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut tiff).unwrap();
    (0..2).for_each(|_| encoder.write_image::<RGBA8>(4, 4, &picture).unwrap());
    assert_eq!(frames(tiff.get_ref()), Some(2));
    let mut tiff = Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new_big(&mut tiff).unwrap();
    encoder.write_image::<RGBA8>(4, 4, &picture).unwrap();
    let mut copy = encoder.new_image::<RGBA8>(4, 4).unwrap();
    copy.encoder().write_tag(Tag::NewSubfileType, 1_u32).unwrap();
    copy.write_data(&picture).unwrap();
    assert_eq!(frames(tiff.get_ref()), None);
}

#[test]
fn a_thumbnail_does_not_make_a_jpeg_whole() {
    let whole = encoded(ImageFormat::Jpeg);
    let mut bytes = whole[..2].to_vec();
    bytes.extend_from_slice(&[0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9]);
    bytes.extend_from_slice(&whole[2..]);
    assert!(inspected(&bytes).is_ok());
    bytes.truncate(bytes.len() - 2);
    assert_eq!(inspected(&bytes), Err(ErrorCode::ImageCorrupt));
}

#[test]
fn fill_bytes_before_a_marker_do_not_matter_and_rare_codings_are_named() {
    let whole = encoded(ImageFormat::Jpeg);
    let at = whole.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
    let filled = [&whole[..at], &[0xFF, 0xFF], &whole[at..]].concat();
    assert_eq!(inspected(&filled).map(|info| (info.width, info.height)), Ok((40, 30)));
    for (marker, coding) in [(0xC3, "lossless"), (0xC9, "arithmetic")] {
        let mut rare = whole.clone();
        rare[at + 1] = marker;
        let error = inspect(Cursor::new(&rare), rare.len() as u64, None).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnsupportedFormat);
        assert!(error.message.contains(coding), "{}", error.message);
    }
}

#[test]
fn a_file_of_nothing_but_markers_is_corrupt() {
    for filler in [&[0xFF_u8, 0xD0][..], &[0xFF]] {
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 2];
        bytes.extend(filler.iter().cycle().take(2_000_000));
        assert_eq!(inspected(&bytes), Err(ErrorCode::ImageCorrupt));
    }
}

#[test]
fn limits_name_the_setting() {
    let limits = PixelLimits { input: 1000, output: 4000 };
    let params = |scale| EnhanceParams { scale, ..EnhanceParams::of(ModelId::parse("a").unwrap()) };
    assert!(limits.check(10, 100, &params(Scale::X2)).is_ok());
    let error = limits.check(10, 101, &params(Scale::X2)).unwrap_err();
    assert_eq!(error.code, ErrorCode::ImageTooLarge);
    assert!(error.message.contains("MAX_INPUT_PIXELS"));
    assert!(limits.check(10, 100, &params(Scale::X4)).unwrap_err().message.contains("MAX_OUTPUT_PIXELS"));
    assert!(limits.check(u32::MAX, u32::MAX, &params(Scale::X4)).is_err());
}

#[test]
fn a_result_fits_its_format() {
    let limits = PixelLimits { input: u64::MAX, output: u64::MAX };
    let params = EnhanceParams { scale: Scale::X4, ..EnhanceParams::of(ModelId::parse("a").unwrap()) };
    let webp = EnhanceParams { format: OutputFormat::Webp, ..params.clone() };
    let reduced = EnhanceParams { max_side: Some("16383".parse().unwrap()), ..webp.clone() };
    assert!(limits.check(4096, 1, &params).is_ok());
    assert!(limits.check(4095, 1, &webp).is_ok());
    let error = limits.check(1, 4096, &webp).unwrap_err();
    assert_eq!(error.code, ErrorCode::ImageTooLarge);
    assert!(error.message.contains("16383") && error.message.contains("max_side"), "{}", error.message);
    assert!(limits.check(1, 4096, &reduced).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_behind_a_signature_are_answered(
        format in prop::sample::select(FORMATS.as_slice()),
        kept in 0_usize..64,
        bytes in prop::collection::vec(any::<u8>(), 0..512),
    ) {
        let mut file = encoded(format);
        file.truncate(kept);
        file.extend(bytes);
        match inspected(&file) {
            Ok(info) => prop_assert!(info.width > 0 && info.height > 0),
            Err(code) => prop_assert!(matches!(code, ErrorCode::ImageCorrupt | ErrorCode::UnsupportedFormat)),
        }
    }
}
