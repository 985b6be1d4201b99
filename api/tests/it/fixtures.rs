//! Pictures, forms, models and workers.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};
use remaster_shared::catalogue::{Kind, ModelInfo};
use remaster_shared::fleet::Announcement;
use reqwest::multipart::{Form, Part};

/// A PNG of this size.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(width, height, ImageFormat::Png)
}

/// A picture of this size with colours that differ from pixel to pixel.
pub fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]));
    let mut out = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// A form with these files, each in a part named `file`, in order.
pub fn form(files: &[(&str, Vec<u8>)]) -> Form {
    files.iter().fold(Form::new(), |form, (name, bytes)| {
        form.part("file", Part::bytes(bytes.clone()).file_name((*name).to_owned()))
    })
}

/// An upscaler for scale 4.
pub fn model(id: &str, installed: bool) -> ModelInfo {
    ModelInfo {
        id: id.into(),
        kind: Kind::Upscaler,
        architecture: "rrdbnet".into(),
        scale: Some(4),
        licence: "BSD-3-Clause".into(),
        licence_note: None,
        installed,
        rank: None,
        cost: None,
        weak_denoiser: None,
        source_sha256: None,
    }
}

/// A worker with these models.
pub fn worker(models: Vec<ModelInfo>) -> Announcement {
    Announcement {
        name: "w".into(),
        version: "0".into(),
        device: "cpu".into(),
        models,
        jobs: 2,
        in_flight: 1,
        stopping: false,
        paused: None,
    }
}
