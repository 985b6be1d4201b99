//! Files that are cut off, that would run a command, or that would inflate.

use std::io::{Cursor, Write};

use proptest::prelude::*;
use proptest::sample::Index;
use remaster_weights::{ConvertError, WeightFile};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::fixtures::{bytes, file, take};
use crate::pytorch::FIXTURES;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cut_file_is_refused(fixture in 0..FIXTURES.len(), at in any::<Index>()) {
        let name = FIXTURES[fixture].0;
        let mut bytes = bytes(name);
        bytes.truncate(at.index(bytes.len()));
        prop_assert!(matches!(take(file(name, bytes)), Err(ConvertError::Weights(_))), "{}", name);
    }
}

#[test]
fn a_file_without_its_last_byte_is_refused() {
    for (name, ..) in FIXTURES {
        let mut bytes = bytes(name);
        bytes.pop();
        assert!(matches!(take(file(name, bytes)), Err(ConvertError::Weights(_))), "{name}");
    }
}

/// A file that would run a command, as PyTorch writes it now and as it did before 1.6, and one that would inflate.
#[test]
fn nothing_is_executed_and_nothing_is_inflated() {
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("executed");
    let command = format!("touch {}", told.display());
    let length = (command.len() as u32).to_le_bytes();
    let attack = [b"\x80\x02cposix\nsystem\nX", &length[..], command.as_bytes(), b"\x85R."].concat();
    let zipped = |bytes: &[u8], method| {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("archive/data.pkl", SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let old = [b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", &attack[..]].concat();
    let bomb = zipped(&vec![0; 64 << 20], CompressionMethod::Deflated);
    assert!(bomb.len() < 1 << 20);
    for (file, named) in
        [(zipped(&attack, CompressionMethod::Stored), "posix.system"), (old, "posix.system"), (bomb, "is compressed")]
    {
        let error = take(WeightFile::Pth(file)).unwrap_err().to_string();
        assert!(error.contains(named) && error.lines().count() == 1, "{error}");
    }
    assert!(!told.exists());
}
