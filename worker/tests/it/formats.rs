//! What a result keeps of its input: depth, channels, orientation, colour profile, metadata.

use std::io::Cursor;
use std::sync::Arc;

use image::codecs::jpeg::JpegEncoder;
use image::{
    ColorType, DynamicImage, ExtendedColorType, GrayImage, ImageBuffer, ImageDecoder, ImageEncoder, ImageFormat,
    ImageReader, Luma, LumaA, Rgb, Rgba,
};
use remaster_engine::{SharedEngine, fake::FakeEngine};
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{EnhanceParams, MetadataPolicy, Scale};
use remaster_testkit::SMALL_MODEL;
use remaster_worker::enhance::EnhanceError;
use remaster_worker::upscale::TileSettings;

use crate::fixtures::{difference, encoded, enhance, params, photo};
use crate::real::engine;

fn fake() -> SharedEngine {
    Arc::new(FakeEngine::default())
}

async fn x4(input: Vec<u8>) -> DynamicImage {
    enhance(&fake(), TileSettings::default(), input, &params("fake", Scale::X4)).await.unwrap().image()
}

#[tokio::test]
async fn depth_and_channels_are_kept() {
    let pixel = |x: u32, y: u32| [x as u16 * 1000, y as u16 * 1000, 30_000, 20_000 + x as u16 * 50];
    let cases: [(DynamicImage, ColorType); 6] = [
        (GrayImage::from_fn(9, 7, |x, _| Luma([x as u8 * 20])).into(), ColorType::L8),
        (ImageBuffer::from_fn(9, 7, |x, y| LumaA([x as u8 * 20, y as u8 * 30 + 1])).into(), ColorType::La8),
        (ImageBuffer::from_fn(9, 7, |x, y| Rgba([x as u8, y as u8, 9, x as u8 * 9 + 1])).into(), ColorType::Rgba8),
        (ImageBuffer::from_fn(9, 7, |x, y| Luma([pixel(x, y)[0]])).into(), ColorType::L16),
        (ImageBuffer::from_fn(9, 7, |x, y| Rgb([pixel(x, y)[0], pixel(x, y)[1], 7])).into(), ColorType::Rgb16),
        (ImageBuffer::from_fn(9, 7, |x, y| Rgba(pixel(x, y))).into(), ColorType::Rgba16),
    ];
    for (source, color) in cases {
        let made = x4(encoded(&source, ImageFormat::Png)).await;
        assert_eq!((made.color(), made.width(), made.height()), (color, 36, 28));
        // The fake engine repeats pixels, so each can be looked up.
        let (made, source) = (made.into_rgba16(), source.into_rgba16());
        for (x, y, pixel) in made.enumerate_pixels() {
            assert_eq!(pixel, source.get_pixel(x / 4, y / 4), "{color:?} at {x},{y}");
        }
    }
}

#[tokio::test]
async fn a_dark_16_bit_picture_stays_16_bit() {
    let source: DynamicImage = ImageBuffer::from_fn(8, 8, |x, _| Luma([x as u16])).into();
    let made = x4(encoded(&source, ImageFormat::Png)).await;
    assert_eq!(made.color(), ColorType::L16);
    assert_eq!(made.into_luma16().get_pixel(31, 0).0, [7]);
}

/// A little-endian EXIF block that holds nothing but an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    block.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0, 0]);
    block
}

/// A JPEG with metadata; its left half is dark, its right half light.
fn with_metadata(orientation: u8, icc: &[u8]) -> Vec<u8> {
    let picture = ImageBuffer::from_fn(40, 20, |x, _| Rgb(if x < 20 { [10_u8, 10, 10] } else { [240, 240, 240] }));
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 100);
    encoder.set_icc_profile(icc.to_vec()).unwrap();
    encoder.set_exif_metadata(exif(orientation)).unwrap();
    encoder.write_image(picture.as_raw(), 40, 20, ExtendedColorType::Rgb8).unwrap();
    bytes
}

#[tokio::test]
async fn orientation_is_applied_once_and_the_profile_stays() {
    let icc = vec![7; 600];
    for policy in [MetadataPolicy::Strip, MetadataPolicy::Keep] {
        let mut params = params("fake", Scale::X2);
        params.metadata = policy;
        // Orientation 6 is rotated clockwise to be upright, so the left side becomes the top.
        let made = enhance(&fake(), TileSettings::default(), with_metadata(6, &icc), &params).await.unwrap();
        let mut decoder = ImageReader::with_format(Cursor::new(&made.file), ImageFormat::Png).into_decoder().unwrap();
        assert_eq!(decoder.icc_profile().unwrap(), Some(icc.clone()));
        let exif = decoder.exif_metadata().unwrap();
        assert_eq!(exif.is_some(), policy == MetadataPolicy::Keep);
        assert_eq!(decoder.orientation().unwrap(), image::metadata::Orientation::NoTransforms);
        let made = DynamicImage::from_decoder(decoder).unwrap().into_rgb8();
        assert_eq!(made.dimensions(), (40, 80));
        assert!(made.get_pixel(20, 5).0[0] < 30 && made.get_pixel(20, 75).0[0] > 220);
    }
}

/// A photo in tiles, whose EXIF says that it is to be turned, which has been done for all that HEIF says.
#[tokio::test]
async fn a_heic_is_read_with_what_it_carries() {
    let said = heifer::Metadata {
        icc_profile: Some(vec![7; 600]),
        exif: Some(exif(6)),
        xmp: Some(b"<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"/>".to_vec()),
    };
    let data =
        (0..600 * 520_u32).flat_map(|at| [at % 600 / 3, at / 600 / 3, 90, 255].map(|sample| sample as u16)).collect();
    let picture = heifer::Image { width: 600, height: 520, bit_depth: 8, has_alpha: false, data };
    let heic = heifer::encode_with_metadata(&picture, &said, &heifer::EncodeOptions::default()).unwrap();
    for policy in [MetadataPolicy::Strip, MetadataPolicy::Keep] {
        let params = EnhanceParams { metadata: policy, ..params("fake", Scale::X2) };
        let made = enhance(&fake(), TileSettings::default(), heic.clone(), &params).await.unwrap();
        let mut decoder = ImageReader::with_format(Cursor::new(&made.file), ImageFormat::Png).into_decoder().unwrap();
        let kept = policy == MetadataPolicy::Keep;
        assert_eq!(decoder.icc_profile().unwrap(), said.icc_profile);
        assert_eq!(decoder.exif_metadata().unwrap().is_some(), kept);
        assert_eq!(decoder.xmp_metadata().unwrap().is_some(), kept);
        assert_eq!(decoder.orientation().unwrap(), image::metadata::Orientation::NoTransforms);
        let made = DynamicImage::from_decoder(decoder).unwrap().into_rgb8();
        assert_eq!(made.dimensions(), (1200, 1040));
        for (x, y) in [(3, 3), (1030, 500), (600, 1030), (1190, 1030)] {
            let expected = [(x / 2 / 3) as u8, (y / 2 / 3) as u8, 90];
            let off = made.get_pixel(x, y).0.iter().zip(expected).map(|(got, expected)| got.abs_diff(expected)).max();
            assert!(off.unwrap() <= 6, "{x},{y}: {:?} {expected:?}", made.get_pixel(x, y));
        }
    }
    let cut =
        enhance(&fake(), TileSettings::default(), heic[..heic.len() - 40].to_vec(), &params("fake", Scale::X2)).await;
    assert_eq!(cut.err().unwrap().public().code, ErrorCode::ImageCorrupt);
}

#[tokio::test]
async fn damage_past_the_header_is_the_fault_of_the_picture() {
    let picture: DynamicImage =
        ImageBuffer::from_fn(60, 60, |x, y| Rgb([x as u8 * 4, y as u8 * 4, (x * y) as u8])).into();
    let mut png = encoded(&picture, ImageFormat::Png);
    let middle = png.len() / 2;
    png[middle] ^= 0x55;
    let made = enhance(&fake(), TileSettings::default(), png, &params("fake", Scale::X4)).await;
    let error = made.err().unwrap();
    assert!(matches!(&error, EnhanceError::Picture(error) if error.code == ErrorCode::ImageCorrupt), "{error}");
}

#[tokio::test]
async fn without_the_network_lanczos_enlarges() {
    let photo = photo(150, 50, 60, 40);
    let mut params = params("not-installed", Scale::X4);
    params.background = false;
    let engine: SharedEngine = Arc::new(FakeEngine { broken: true, ..FakeEngine::default() });
    let made = enhance(&engine, TileSettings::default(), encoded(&photo, ImageFormat::Png), &params).await.unwrap();
    let reference = photo.resize_exact(240, 160, image::imageops::FilterType::Lanczos3);
    assert!(difference(&made.image(), &reference) <= 3);
}

#[tokio::test]
async fn the_network_adds_detail_that_lanczos_does_not() {
    let input = encoded(&photo(150, 50, 96, 96), ImageFormat::Png);
    let network = params(SMALL_MODEL, Scale::X4);
    let mut lanczos = network.clone();
    lanczos.background = false;
    let mut sharpness = Vec::new();
    let mut means = Vec::new();
    for params in [network, lanczos] {
        let made = enhance(&engine(), TileSettings::default(), input.clone(), &params).await.unwrap();
        let made = made.image().into_luma8();
        let step = |x: u32, y: u32| f64::from(made.get_pixel(x + 1, y).0[0].abs_diff(made.get_pixel(x, y).0[0]));
        sharpness
            .push((0..384).flat_map(|y| (0..383).map(move |x| (x, y))).map(|(x, y)| step(x, y).powi(2)).sum::<f64>());
        means.push(made.pixels().map(|pixel| f64::from(pixel.0[0])).sum::<f64>() / f64::from(384 * 384));
    }
    assert!(sharpness[0] > 1.2 * sharpness[1], "{sharpness:?}");
    // More detail, but neither lighter nor darker.
    assert!((means[0] - means[1]).abs() < 3.0, "{means:?}");
}

#[tokio::test]
async fn the_same_input_gives_the_same_bytes() {
    let input = encoded(&photo(150, 50, 250, 100), ImageFormat::Png);
    let tiles = TileSettings::new(192).unwrap();
    let params = params(SMALL_MODEL, Scale::X2);
    let first = enhance(&engine(), tiles, input.clone(), &params).await.unwrap();
    let second = enhance(&engine(), tiles, input, &params).await.unwrap();
    assert!(first.file == second.file, "the two files differ");
}
