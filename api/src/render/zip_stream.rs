//! A ZIP that is written while it is sent: uncompressed entries, one after the other. Only its directory is kept in memory.

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

/// How many pieces are written before the first of them is sent.
const PIECES_AHEAD: usize = 2;

/// A file of the ZIP.
pub struct ZipEntry {
    /// Its name.
    pub name: String,
    /// The object in the storage that has its content.
    pub key: BlobKey,
    /// The length of the content in bytes.
    pub bytes: u64,
    /// When it was last modified.
    pub modified: Timestamp,
}

/// The bytes of a ZIP with `entries`. When an entry cannot be read, the stream ends with an error, so that the connection is
/// broken off and the reader does not take the ZIP for complete.
pub fn zip_stream(blobs: Blobs, entries: Vec<ZipEntry>) -> impl Stream<Item = io::Result<Bytes>> {
    let (mut pieces, stream) = mpsc::channel(PIECES_AHEAD);
    tokio::spawn(async move {
        if let Err(error) = write(&blobs, entries, &mut pieces).await {
            tracing::warn!(%error, "a ZIP was cut short");
            // Sending fails when the reader closed the connection, which may also be why writing failed.
            let _ = pieces.send(Err(error)).await;
        }
    });
    stream
}

async fn write(blobs: &Blobs, entries: Vec<ZipEntry>, pieces: &mut mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let written = Written::default();
    let mut zip = ZipWriter::new_stream(written.clone());
    for ZipEntry { name, key, bytes, modified } in entries {
        start_entry(&mut zip, name, bytes, modified)?;
        let mut content = blobs.stream(key, None).await.map_err(io::Error::other)?.body;
        while let Some(piece) = content.next().await {
            zip.write_all(&piece.map_err(io::Error::other)?)?;
            send_written(&written, pieces).await?;
        }
    }
    zip.finish().map_err(io::Error::other)?;
    send_written(&written, pieces).await
}

fn start_entry(
    zip: &mut ZipWriter<StreamWriter<Written>>,
    name: String,
    bytes: u64,
    modified: Timestamp,
) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(dos_time(modified))
        .large_file(bytes >= u64::from(u32::MAX));
    zip.start_file(name, options).map_err(io::Error::other)
}

/// The time in UTC, because a ZIP has no time zones. A time before 1980, which a ZIP cannot hold, becomes the earliest one.
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

async fn send_written(written: &Written, pieces: &mut mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let piece = take(&mut *written.0.lock().unwrap_or_else(PoisonError::into_inner));
    if piece.is_empty() {
        return Ok(());
    }
    pieces.send(Ok(piece.into())).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
}

/// What the ZIP writer has written since the last piece was sent.
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, SeekFrom};

    use super::*;

    /// Past 4 GiB the directory needs ZIP64 fields. The content is zeros, so that the sparse files take no space on the disk.
    #[tokio::test]
    async fn a_zip_past_4_gib_is_complete() {
        const SIZE: u64 = 2_300_000_000;
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let mut entries = Vec::new();
        for number in 0..2 {
            let key = BlobKey::Output(
                remaster_shared::job::JobId::random(),
                remaster_shared::blob_key::OutputName::Attempt(1),
            );
            let path = folder.path().join(key.to_string());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create(path).unwrap().set_len(SIZE).unwrap();
            entries.push(ZipEntry { name: format!("{number}.png"), key, bytes: SIZE, modified: Timestamp::UNIX_EPOCH });
        }
        let last =
            BlobKey::Output(remaster_shared::job::JobId::random(), remaster_shared::blob_key::OutputName::Attempt(1));
        std::fs::create_dir_all(folder.path().join(last.to_string()).parent().unwrap()).unwrap();
        std::fs::write(folder.path().join(last.to_string()), b"the last").unwrap();
        entries.push(ZipEntry {
            name: "last.png".into(),
            key: last,
            bytes: 8,
            modified: "2026-03-01T12:34:56Z".parse().unwrap(),
        });

        let path = folder.path().join("large.zip");
        let mut zip = File::create(&path).unwrap();
        let mut pieces = zip_stream(blobs, entries);
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
