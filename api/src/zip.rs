//! A ZIP as it is made: stored entries, one after the other, nothing kept but the directory.

use std::collections::HashSet;
use std::io::{self, Write};
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, Stream, StreamExt};
use remaster_shared::blob::{BlobKey, Blobs};
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
    for Entry { name, key, bytes } in entries {
        begin(&mut zip, name, bytes)?;
        let mut content = blobs.stream(key, None).await.map_err(io::Error::other)?.body;
        while let Some(piece) = content.next().await {
            zip.write_all(&piece.map_err(io::Error::other)?)?;
            hand_over(&written, pieces).await?;
        }
    }
    zip.finish().map_err(io::Error::other)?;
    hand_over(&written, pieces).await
}

fn begin(zip: &mut ZipWriter<StreamWriter<Written>>, name: String, bytes: u64) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .large_file(bytes >= u64::from(u32::MAX));
    zip.start_file(name, options).map_err(io::Error::other)
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
    let device = ["con", "prn", "aux", "nul"].contains(&stem.to_lowercase().as_str())
        || stem.len() == 4 && ["com", "lpt"].contains(&stem.to_lowercase().get(..3).unwrap_or_default());
    match stem {
        "" => "picture".to_owned(),
        stem if device => format!("{stem}_"),
        stem => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
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
            (Some("NUL.jpg"), "NUL_.png"),
            (Some("com1.jpg"), "com1_.png"),
            (Some("no ending"), "no ending.png"),
            (Some("dots... .jpg"), "dots.png"),
        ] {
            assert_eq!(names.png(original), name, "{original:?}");
        }
        assert_eq!(names.png(Some(&"ü".repeat(255))).len(), NAME + 4);
    }
}
