//! The file that a result is: its format, its quality, its size, and what it carries beside the pixels.

use std::io::Cursor;
use std::sync::Arc;

use image::codecs::gif::GifEncoder;
use image::{
    ColorType, DynamicImage, Frame, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, Rgb, Rgba, RgbaImage,
};
use remaster_engine::{SharedEngine, fake::FakeEngine};
use remaster_shared::job::{EnhanceParams, MetadataPolicy, OutputFormat, Scale};
use remaster_worker::upscale::TileSettings;

use crate::fixtures::{encoded, enhance, params, photo};

const FORMATS: [(OutputFormat, ImageFormat); 3] = [
    (OutputFormat::Png, ImageFormat::Png),
    (OutputFormat::Webp, ImageFormat::WebP),
    (OutputFormat::Jpeg, ImageFormat::Jpeg),
];

async fn made(input: Vec<u8>, params: &EnhanceParams) -> Vec<u8> {
    let engine: SharedEngine = Arc::new(FakeEngine::default());
    enhance(&engine, TileSettings::default(), input, params).await.unwrap().file
}

fn of(format: OutputFormat, quality: &str) -> EnhanceParams {
    EnhanceParams { format, quality: quality.parse().unwrap(), ..params("fake", Scale::X2) }
}

fn decoded(file: &[u8], format: ImageFormat) -> DynamicImage {
    assert_eq!(image::guess_format(file).unwrap(), format);
    image::load_from_memory(file).unwrap()
}

/// The mean difference of the samples of two pictures, in 8 bits.
fn mean_difference(a: &DynamicImage, b: &DynamicImage) -> f64 {
    let (a, b) = (a.to_rgba8(), b.to_rgba8());
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: u64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.as_raw().len() as f64
}

#[tokio::test]
async fn each_format_shows_the_same_picture_and_quality_decides_how_closely() {
    let input = encoded(&photo(150, 50, 120, 90), ImageFormat::Png);
    let png = decoded(&made(input.clone(), &of(OutputFormat::Png, "90")).await, ImageFormat::Png);
    let lossless = made(input.clone(), &of(OutputFormat::Webp, "100")).await;
    assert_eq!(decoded(&lossless, ImageFormat::WebP).into_rgb8(), png.to_rgb8());
    for (format, as_image) in &FORMATS[1..] {
        let [low, high] =
            [made(input.clone(), &of(*format, "20")).await, made(input.clone(), &of(*format, "95")).await];
        let [far, near] = [&low, &high].map(|file| mean_difference(&decoded(file, *as_image), &png));
        assert!(near < 2.0 && near < far && far < 10.0, "{format:?}: {near}, {far}");
        assert!(low.len() * 2 < high.len() && high.len() < lossless.len(), "{} {}", low.len(), high.len());
    }
}

#[tokio::test]
async fn transparency_is_kept_or_shown_on_white() {
    let source: DynamicImage =
        ImageBuffer::from_fn(16, 16, |x, _| Rgba([200_u8, 10, 10, if x < 8 { 0 } else { 255 }])).into();
    let input = encoded(&source, ImageFormat::Png);
    let webp = decoded(&made(input.clone(), &of(OutputFormat::Webp, "100")).await, ImageFormat::WebP);
    assert_eq!(webp.color(), ColorType::Rgba8);
    assert_eq!([webp.to_rgba8().get_pixel(1, 9).0[3], webp.to_rgba8().get_pixel(30, 9).0[3]], [0, 255]);
    let jpeg = decoded(&made(input, &of(OutputFormat::Jpeg, "95")).await, ImageFormat::Jpeg).into_rgb8();
    assert!(jpeg.get_pixel(1, 9).0.iter().all(|sample| *sample > 250), "{:?}", jpeg.get_pixel(1, 9));
    let [red, green, blue] = jpeg.get_pixel(30, 9).0;
    assert!(red > 190 && green < 25 && blue < 25, "{:?}", jpeg.get_pixel(30, 9));
}

#[tokio::test]
async fn gray_stays_gray_and_16_bits_become_8_where_the_format_has_no_more() {
    let source: DynamicImage = ImageBuffer::from_fn(16, 16, |x, _| image::Luma([x as u16 * 4000])).into();
    let input = encoded(&source, ImageFormat::Png);
    let png = decoded(&made(input.clone(), &of(OutputFormat::Png, "90")).await, ImageFormat::Png);
    assert_eq!(png.color(), ColorType::L16);
    let jpeg = decoded(&made(input.clone(), &of(OutputFormat::Jpeg, "100")).await, ImageFormat::Jpeg);
    assert_eq!(jpeg.color(), ColorType::L8);
    let webp = decoded(&made(input, &of(OutputFormat::Webp, "100")).await, ImageFormat::WebP);
    for (x, y, pixel) in webp.to_rgb8().enumerate_pixels() {
        let expected = (u32::from(png.as_luma16().unwrap().get_pixel(x, y).0[0]) + 128) / 257;
        assert!(pixel.0.iter().all(|sample| u32::from(*sample) == expected), "{pixel:?} at {x},{y}");
        assert!(u32::from(jpeg.as_luma8().unwrap().get_pixel(x, y).0[0]).abs_diff(expected) <= 3);
    }
}

/// The caption "dog", as IPTC has it.
const CAPTION: &[u8] = b"\x1C\x02\x78\0\x03dog";
/// The same in a PNG, as a resource of Photoshop.
const CAPTION_IN_PNG: &str = "\niptc\n      20\n3842494d04040000000000081c02780003646f67\n";

/// A PNG with a colour profile, an EXIF block, an XMP packet, a caption and a density.
fn with_metadata() -> Vec<u8> {
    let mut info = png::Info::with_size(8, 8);
    info.color_type = png::ColorType::Rgb;
    info.icc_profile = Some(vec![7; 600].into());
    info.exif_metadata = Some(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0".to_vec().into());
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::with_info(&mut bytes, info).unwrap();
    encoder.add_itxt_chunk("XML:com.adobe.xmp".into(), "<x:xmpmeta/>".into()).unwrap();
    encoder.add_ztxt_chunk("Raw profile type iptc".into(), CAPTION_IN_PNG.into()).unwrap();
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: 11_800, yppu: 5_900, unit: png::Unit::Meter }));
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[100; 8 * 8 * 3]).unwrap();
    drop(writer);
    bytes
}

#[tokio::test]
async fn metadata_is_kept_in_each_format_and_goes_by_default() {
    for (format, as_image) in FORMATS {
        for metadata in [MetadataPolicy::Strip, MetadataPolicy::Keep] {
            let file = made(with_metadata(), &EnhanceParams { metadata, ..of(format, "90") }).await;
            let mut decoder = ImageReader::with_format(Cursor::new(&file), as_image).into_decoder().unwrap();
            let kept = metadata == MetadataPolicy::Keep;
            assert_eq!(decoder.icc_profile().unwrap(), Some(vec![7; 600]), "{format:?}");
            assert_eq!(decoder.exif_metadata().unwrap().is_some(), kept, "{format:?}");
            assert_eq!(
                decoder.xmp_metadata().unwrap().as_deref(),
                kept.then_some(b"<x:xmpmeta/>".as_slice()),
                "{format:?}"
            );
            let has_caption = match format {
                OutputFormat::Png => {
                    decoder.iptc_metadata().unwrap().is_some_and(|text| text == CAPTION_IN_PNG.as_bytes())
                }
                OutputFormat::Jpeg | OutputFormat::Webp => file.windows(CAPTION.len()).any(|bytes| bytes == CAPTION),
            };
            // A WebP has no place for one.
            assert_eq!(has_caption, kept && format != OutputFormat::Webp, "{format:?}");
            assert_eq!(DynamicImage::from_decoder(decoder).unwrap().width(), 16);
            if format == OutputFormat::Jpeg {
                // JFIF 1.2, in dots per centimetre.
                assert_eq!(file[11..18], [1, 2, 2, 0, 118, 0, 59], "{:?}", &file[..20]);
            }
        }
    }
}

#[tokio::test]
async fn results_have_every_scale_and_no_side_larger_than_asked_for() {
    let input = encoded(&photo(150, 50, 60, 40), ImageFormat::Png);
    let size = |scale, max_side: Option<&str>, background| {
        let max_side = max_side.map(|side| side.parse().unwrap());
        let params = EnhanceParams { max_side, background, ..params("fake", scale) };
        let input = input.clone();
        async move {
            let made = image::load_from_memory(&made(input, &params).await).unwrap();
            (made.width(), made.height())
        }
    };
    for background in [true, false] {
        assert_eq!(size(Scale::X1, None, background).await, (60, 40));
        assert_eq!(size(Scale::X3, None, background).await, (180, 120));
        assert_eq!(size(Scale::X4, Some("150"), background).await, (150, 100));
        assert_eq!(size(Scale::X4, Some("240"), background).await, (240, 160));
        assert_eq!(size(Scale::X2, Some("7"), background).await, (7, 5));
    }
}

#[tokio::test]
async fn grain_is_that_of_the_original() {
    let grainy = RgbaImage::from_fn(60, 40, |x, y| Rgba([100 + (x * 37 + y * 101) as u8 % 23, 90, 80, 255]));
    let input = encoded(&DynamicImage::from(grainy).to_rgb8().into(), ImageFormat::Png);
    let spread = |file: Vec<u8>| {
        let made = image::load_from_memory(&file).unwrap().into_rgb8();
        let values: Vec<f64> = made.pixels().map(|pixel| f64::from(pixel.0[0])).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    };
    // It leaves nothing of a picture.
    let smooth: SharedEngine = Arc::new(FakeEngine { darker: 1.0, ..FakeEngine::default() });
    let mut spreads = Vec::new();
    for grain in [0.0, 0.5, 1.0] {
        let params = EnhanceParams { grain, ..params("fake", Scale::X4) };
        let made = enhance(&smooth, TileSettings::default(), input.clone(), &params).await.unwrap();
        spreads.push(spread(made.file));
    }
    assert_eq!(spreads[0], 0.0);
    assert!(spreads[1] > 2.0 && (1.8..2.2).contains(&(spreads[2] / spreads[1])), "{spreads:?}");
}

#[tokio::test]
async fn gif_and_bmp_are_read() {
    let source = RgbaImage::from_fn(12, 8, |x, y| Rgba([x as u8 * 20, y as u8 * 30, 90, 255]));
    let bmp = made(
        encoded(&DynamicImage::from(source.clone()).to_rgb8().into(), ImageFormat::Bmp),
        &params("fake", Scale::X4),
    )
    .await;
    for (x, y, pixel) in image::load_from_memory(&bmp).unwrap().into_rgb8().enumerate_pixels() {
        let expected = source.get_pixel(x / 4, y / 4).0;
        assert_eq!(pixel, &Rgb([expected[0], expected[1], expected[2]]));
    }

    let see_through = RgbaImage::from_pixel(12, 8, Rgba([0, 0, 0, 0]));
    for (first, second, color) in [(&source, &see_through, ColorType::Rgb8), (&see_through, &source, ColorType::Rgba8)]
    {
        let mut gif = Vec::new();
        GifEncoder::new(&mut gif).encode_frames([first, second].map(|frame| Frame::new(frame.clone()))).unwrap();
        let made = image::load_from_memory(&made(gif, &params("fake", Scale::X4)).await).unwrap();
        assert_eq!(made.color(), color);
        for (x, y, pixel) in made.into_rgba8().enumerate_pixels() {
            let expected = first.get_pixel(x / 4, y / 4);
            assert!(pixel.0[3] == expected.0[3]);
            // A GIF has at most 256 colours.
            let near = pixel.0.iter().zip(expected.0).all(|(a, b)| a.abs_diff(b) < 12);
            assert!(near || pixel.0[3] == 0, "{pixel:?} at {x},{y}");
        }
    }
}

#[tokio::test]
async fn a_file_that_ends_within_its_picture_is_damaged() {
    let source = photo(150, 50, 40, 30);
    for format in [ImageFormat::Gif, ImageFormat::Bmp] {
        let whole = encoded(&source, format);
        let engine: SharedEngine = Arc::new(FakeEngine::default());
        let cut = whole[..whole.len() * 2 / 3].to_vec();
        assert!(
            enhance(&engine, TileSettings::default(), cut, &params("fake", Scale::X2)).await.is_err(),
            "{format:?}"
        );
    }
}
