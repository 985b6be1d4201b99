//! Files of every kind that is read, written by other programs (`corpus.py`), and what the pipeline sees in them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use image::DynamicImage;
use remaster_engine::{SharedEngine, fake::FakeEngine};
use remaster_shared::job::Scale;
use remaster_testkit::python_for_pictures;
use remaster_worker::upscale::TileSettings;
use serde_json::Value;

use crate::fixtures::{enhance, params};

#[tokio::test]
async fn files_of_other_programs_are_read_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus.py");
    let status = python_for_pictures().arg(script).arg(folder.path()).status().unwrap();
    assert!(status.success());
    let files: Vec<Value> = serde_json::from_slice(&fs::read(folder.path().join("files.json")).unwrap()).unwrap();
    assert!(files.len() >= 200, "{}", files.len());
    let engine: SharedEngine = Arc::new(FakeEngine { scale: 2, ..FakeEngine::default() });
    let mut wrong = Vec::new();
    for file in &files {
        let name = file["file"].as_str().unwrap();
        let input = fs::read(folder.path().join(name)).unwrap();
        let expected = fs::read(folder.path().join(format!("{name}.raw"))).unwrap();
        match enhance(&engine, TileSettings::default(), input, &params("fake", Scale::X2)).await {
            Ok(made) => wrong.extend(difference(&made.image(), file, &expected).map(|what| format!("{name}: {what}"))),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

/// What is wrong with a picture whose pixels were repeated, if anything is. Colours that cannot be seen do not matter.
fn difference(made: &DynamicImage, file: &Value, expected: &[u8]) -> Option<String> {
    let number = |name: &str| file[name].as_u64().unwrap();
    let color = made.color();
    let kept = (u64::from(color.channel_count()), u64::from(color.bits_per_pixel() / u16::from(color.channel_count())));
    if kept != (number("channels"), number("bits")) {
        return Some(format!("{} channels of {} bits", kept.0, kept.1));
    }
    let (width, height) = (number("width") as u32, number("height") as u32);
    if (made.width(), made.height()) != (2 * width, 2 * height) {
        return Some(format!("{}x{}", made.width(), made.height()));
    }
    let made = made.to_rgba16();
    let (mut largest, mut sum) = (0, 0);
    for (at, expected) in expected.chunks_exact(8).enumerate() {
        let pixel = made.get_pixel(at as u32 % width * 2, at as u32 / width * 2).0;
        let expected: Vec<u16> = expected.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
        let hidden = expected[3] == 0 && pixel[3] == 0;
        let off = pixel.iter().zip(expected).map(|(got, expected)| got.abs_diff(expected)).max().unwrap();
        if !hidden {
            largest = largest.max(u64::from(off));
            sum += u64::from(off);
        }
    }
    // However far a few are off, the others are not.
    let mean = sum / (u64::from(width) * u64::from(height));
    (largest > number("off") || mean > 257).then(|| format!("off by {largest} of 65535, {mean} on average"))
}
