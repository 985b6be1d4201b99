//! The look at a header takes little memory, whatever the file says of itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Cursor, Write};

use flate2::{Compression, write::ZlibEncoder};
use image::{ImageFormat, RgbImage};
use peak_alloc::PeakAlloc;
use remaster_pictures::header::inspect;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// A file of `format`, whose picture is small.
fn small(format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    RgbImage::new(8, 8).write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// A PNG with a colour profile of 512 MiB, in half a megabyte.
fn bomb() -> Vec<u8> {
    let mut packed = ZlibEncoder::new(b"p\0\0".to_vec(), Compression::best());
    let piece = vec![0; 1 << 20];
    (0..512).for_each(|_| packed.write_all(&piece).unwrap());
    let data = packed.finish().unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(b"iCCP");
    crc.update(&data);
    let length = (data.len() as u32).to_be_bytes();
    let chunk = [&length, b"iCCP".as_slice(), &data, &crc.sum().to_be_bytes()].concat();
    // Behind the signature and the header.
    let mut file = small(ImageFormat::Png);
    file.splice(33..33, chunk);
    file
}

/// A JPEG of 40 MB, most of which is metadata.
fn long() -> Vec<u8> {
    let segment = [vec![0xFF, 0xEF, 0xFF, 0xFF], vec![0; 0xFFFD]].concat();
    let mut file = small(ImageFormat::Jpeg);
    file.splice(2..2, segment.repeat(620));
    file
}

/// A TIFF whose first tag says that it has 2^31 values.
fn boastful() -> Vec<u8> {
    let mut file = small(ImageFormat::Tiff);
    let directory = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
    file[directory + 6..][..4].copy_from_slice(&(1_u32 << 31).to_le_bytes());
    file
}

#[test]
fn it_takes_little_memory() {
    for (name, file, is_read) in [("bomb", bomb(), true), ("long", long(), true), ("boastful", boastful(), false)] {
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let seen = inspect(Cursor::new(&file), file.len() as u64, None);
        assert_eq!(seen.is_ok(), is_read, "{name}: {seen:?}");
        let taken = ALLOCATED.peak_usage() - before;
        assert!(taken < 10 << 20, "{name}: {taken} bytes");
    }
}
