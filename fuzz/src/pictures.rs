//! Uploaded pictures: the look at the header, and the decoder.

use std::io::Cursor;

use remaster_pictures::header::{PixelLimits, inspect};
use remaster_shared::job::{EnhanceParams, MetadataPolicy, ModelId};

/// What the API reads of an upload.
pub fn header(bytes: &[u8]) {
    let Ok(info) = inspect(Cursor::new(bytes), bytes.len() as u64, None) else { return };
    assert!(info.format.is_some() && info.width > 0 && info.height > 0, "an accepted picture has a kind and a size");
    let limits = PixelLimits { input: 52_000_000, output: 208_000_000 };
    let _ = limits.check(info.width, info.height, &EnhanceParams::of(ModelId::parse("auto").unwrap()));
}

/// What a worker does with it. Pictures are small, for many to be tried.
pub fn decode(bytes: &[u8]) {
    let Ok(info) = inspect(Cursor::new(bytes), bytes.len() as u64, None) else { return };
    if u64::from(info.width) * u64::from(info.height) > 1 << 16 {
        return;
    }
    let Ok(decoded) = remaster_worker::picture::decode(bytes, &info) else { return };
    let picture = decoded.upright(MetadataPolicy::Keep);
    let (width, height) = (info.width as usize, info.height as usize);
    assert!([(width, height), (height, width)].contains(&(picture.width, picture.height)));
}
