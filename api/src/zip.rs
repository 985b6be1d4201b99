//! A ZIP as it is made: stored entries, one after the other, nothing kept but the directory.

use std::collections::HashSet;
use std::io::{self, Write};
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, Stream, StreamExt};
use jiff::Timestamp;
use remaster_blobs::Blobs;
use remaster_shared::blob_key::BlobKey;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Pieces made and not taken yet.
const AHEAD: usize = 2;
/// Longest name of an entry, in bytes, without its ending.
const NAME: usize = 200;

/// A file of the ZIP: its name, where its bytes are, and how many.
pub struct Entry {
    pub name: String,
    pub key: BlobKey,
    pub bytes: u64,
    /// When it was made.
    pub made: Timestamp,
}

/// The bytes of a ZIP with `entries` in it. An error in it is told to whoever reads: what came before is no whole ZIP.
pub fn stream(blobs: Blobs, entries: Vec<Entry>) -> impl Stream<Item = io::Result<Bytes>> {
    let (mut pieces, made) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        if let Err(error) = write(&blobs, entries, &mut pieces).await {
            tracing::warn!(%error, "a ZIP was cut short");
            // Whoever read it may be the one who went away.
            let _ = pieces.send(Err(error)).await;
        }
    });
    made
}

async fn write(blobs: &Blobs, entries: Vec<Entry>, pieces: &mut mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let written = Written::default();
    let mut zip = ZipWriter::new_stream(written.clone());
    for Entry { name, key, bytes, made } in entries {
        begin(&mut zip, name, bytes, made)?;
        let mut content = blobs.stream(key, None).await.map_err(io::Error::other)?.body;
        while let Some(piece) = content.next().await {
            zip.write_all(&piece.map_err(io::Error::other)?)?;
            hand_over(&written, pieces).await?;
        }
    }
    zip.finish().map_err(io::Error::other)?;
    hand_over(&written, pieces).await
}

fn begin(zip: &mut ZipWriter<StreamWriter<Written>>, name: String, bytes: u64, made: Timestamp) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(dos_time(made))
        .large_file(bytes >= u64::from(u32::MAX));
    zip.start_file(name, options).map_err(io::Error::other)
}

/// UTC, for want of the reader's zone; a time that a ZIP cannot hold is its earliest.
fn dos_time(at: Timestamp) -> DateTime {
    let at = jiff::tz::TimeZone::UTC.to_datetime(at);
    let part = |number: i8| u8::try_from(number).unwrap_or(0);
    u16::try_from(at.year())
        .ok()
        .and_then(|year| {
            let (month, day) = (part(at.month()), part(at.day()));
            DateTime::from_date_and_time(year, month, day, part(at.hour()), part(at.minute()), part(at.second())).ok()
        })
        .unwrap_or_default()
}

async fn hand_over(written: &Written, pieces: &mut mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let piece = take(&mut *written.0.lock().unwrap_or_else(PoisonError::into_inner));
    if piece.is_empty() {
        return Ok(());
    }
    pieces.send(Ok(piece.into())).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
}

/// What the writer has written since it was last taken away.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Names for PNGs made of files with these names: the same, as far as every system can write them, each once whatever
/// the case.
#[derive(Default)]
pub struct Names(HashSet<String>);

impl Names {
    pub fn png(&mut self, original: Option<&str>) -> String {
        let stem = safe(original.unwrap_or("picture"));
        (1_u32..)
            .map(|number| if number == 1 { format!("{stem}.png") } else { format!("{stem} ({number}).png") })
            .find(|name| self.0.insert(name.to_lowercase()))
            .unwrap_or_default()
    }
}

/// The name without its ending and without what some system does not take in a name.
fn safe(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let allowed = |c: char| !c.is_control() && !r#"/\:*?"<>|"#.contains(c);
    let mut stem: String = stem.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    stem.truncate(stem.floor_char_boundary(NAME));
    // A dot first hides a file, dots and spaces last are dropped by some systems.
    let stem = stem.trim_matches(['.', ' ']);
    match stem {
        "" => "picture".to_owned(),
        stem if is_device(stem) => format!("_{stem}"),
        stem => stem.to_owned(),
    }
}

/// Windows takes such a name for a device, whatever follows its first dot.
fn is_device(stem: &str) -> bool {
    let first = stem.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = first.strip_prefix("com").or_else(|| first.strip_prefix("lpt"));
    let digit = |rest: &str| rest.chars().count() == 1 && rest.chars().all(|c| "0123456789¹²³".contains(c));
    ["con", "prn", "aux", "nul"].contains(&first.as_str()) || numbered.is_some_and(digit)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, SeekFrom};

    use super::*;

    #[test]
    fn names_are_safe_and_each_is_there_once() {
        let mut names = Names::default();
        for (original, name) in [
            (Some("a.jpg"), "a.png"),
            (Some("A.JPEG"), "A (2).png"),
            (Some("a.png"), "a (3).png"),
            (Some("a (2).tif"), "a (2) (2).png"),
            (None, "picture.png"),
            (Some(".jpg"), "picture (2).png"),
            (Some("..\\..\\x:y?.jpg"), "_.._x_y_.png"),
            (Some("Großmutter 1932.jpg"), "Großmutter 1932.png"),
            (Some("archive.tar.gz"), "archive.tar.png"),
            (Some("NUL.jpg"), "_NUL.png"),
            (Some("com1.jpg"), "_com1.png"),
            (Some("con.tar.jpg"), "_con.tar.png"),
            (Some("comp.jpg"), "comp.png"),
            (Some("console.jpg"), "console.png"),
            (Some("no ending"), "no ending.png"),
            (Some("dots... .jpg"), "dots.png"),
        ] {
            assert_eq!(names.png(original), name, "{original:?}");
        }
        assert_eq!(names.png(Some(&"ü".repeat(255))).len(), NAME + 4);
    }

    /// Past 4 GiB the directory needs the larger form of its fields. Zeros, so that neither side takes room on the disk.
    #[tokio::test]
    async fn a_large_zip_is_whole() {
        const SIZE: u64 = 2_300_000_000;
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let mut entries = Vec::new();
        for number in 0..2 {
            let key = BlobKey::Output(remaster_shared::job::JobId::random(), 1);
            let path = folder.path().join(key.to_string());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create(path).unwrap().set_len(SIZE).unwrap();
            entries.push(Entry { name: format!("{number}.png"), key, bytes: SIZE, made: Timestamp::UNIX_EPOCH });
        }
        let last = BlobKey::Output(remaster_shared::job::JobId::random(), 1);
        std::fs::create_dir_all(folder.path().join(last.to_string()).parent().unwrap()).unwrap();
        std::fs::write(folder.path().join(last.to_string()), b"the last").unwrap();
        entries.push(Entry {
            name: "last.png".into(),
            key: last,
            bytes: 8,
            made: "2026-03-01T12:34:56Z".parse().unwrap(),
        });

        let path = folder.path().join("large.zip");
        let mut zip = File::create(&path).unwrap();
        let mut pieces = stream(blobs, entries);
        while let Some(piece) = pieces.next().await {
            let piece = piece.unwrap();
            if piece.iter().all(|byte| *byte == 0) {
                zip.seek(SeekFrom::Current(piece.len() as i64)).unwrap();
            } else {
                zip.write_all(&piece).unwrap();
            }
        }
        let mut zip = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
        assert_eq!((zip.len(), zip.by_index(1).unwrap().size()), (3, SIZE));
        let mut entry = zip.by_name("last.png").unwrap();
        assert!(entry.header_start() > u64::from(u32::MAX));
        assert_eq!(entry.last_modified().unwrap().to_string(), "2026-03-01 12:34:56");
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        assert_eq!(content, "the last");
    }
}
