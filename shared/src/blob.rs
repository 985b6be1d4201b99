//! Inputs and outputs of jobs, over `object_store`: one key per input, one per attempt's output.
//!
//! An attempt writes to a key of its own, so a worker that lost its lease can never overwrite the picture of the one
//! that took over.

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use bytes::Bytes;
use futures::{TryStreamExt, stream::BoxStream};
use jiff::Timestamp;
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt, buffered::BufWriter, local::LocalFileSystem, memory::InMemory,
    path::Path as ObjectPath,
};
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::clock::from_millis;
use crate::job::JobId;

/// Where one of a job's pictures lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobKey {
    Input(JobId),
    /// The PNG that attempt `.1` made.
    Output(JobId, u32),
}

impl BlobKey {
    pub fn job(self) -> JobId {
        match self {
            BlobKey::Input(job) | BlobKey::Output(job, _) => job,
        }
    }

    fn path(self) -> ObjectPath {
        ObjectPath::from(self.to_string())
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlobKey::Input(job) => write!(f, "inputs/{job}"),
            BlobKey::Output(job, attempt) => write!(f, "outputs/{job}/{attempt}.png"),
        }
    }
}

impl FromStr for BlobKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split('/').collect::<Vec<_>>()[..] {
            ["inputs", job] => Ok(BlobKey::Input(job.parse().map_err(|_| ())?)),
            ["outputs", job, file] => {
                let attempt = file.strip_suffix(".png").ok_or(())?;
                Ok(BlobKey::Output(job.parse().map_err(|_| ())?, attempt.parse().map_err(|_| ())?))
            }
            _ => Err(()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("no object at {0}")]
    NotFound(BlobKey),
    #[error("object storage: {0}")]
    Unavailable(#[source] object_store::Error),
    #[error("reading a file to store it: {0}")]
    Io(#[from] std::io::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum StorageUrlError {
    #[error("it takes a URL: file:///some/folder or memory:///")]
    NotAUrl,
    #[error("{0} is not supported; it takes file:///some/folder or memory:///")]
    Scheme(String),
    #[error("the folder cannot be used: {0}")]
    Folder(String),
}

/// A stored object as it is read: its size and its bytes (of the asked range) in pieces.
pub struct BlobStream {
    pub size: u64,
    pub body: BoxStream<'static, Result<Bytes, object_store::Error>>,
}

/// The longest that a write is given.
const STAGED: std::time::Duration = std::time::Duration::from_secs(3600);

/// The object store of this service.
#[derive(Clone)]
pub struct Blobs(Arc<dyn ObjectStore>);

impl Blobs {
    /// Opens what `STORAGE_URL` names.
    pub fn from_url(url: &str) -> Result<Self, StorageUrlError> {
        let url = Url::parse(url).map_err(|_| StorageUrlError::NotAUrl)?;
        match url.scheme() {
            "memory" => Ok(Self(Arc::new(InMemory::new()))),
            "file" => {
                let folder = url.to_file_path().map_err(|()| StorageUrlError::NotAUrl)?;
                Self::in_folder(&folder)
            }
            other => Err(StorageUrlError::Scheme(other.to_owned())),
        }
    }

    /// Objects as files under `folder`, which is made when missing. Writes are durable before they are acknowledged.
    pub fn in_folder(folder: &Path) -> Result<Self, StorageUrlError> {
        std::fs::create_dir_all(folder).map_err(|error| StorageUrlError::Folder(error.to_string()))?;
        forget_staged(folder);
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| StorageUrlError::Folder(error.to_string()))?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Self(Arc::new(store)))
    }

    pub fn in_memory() -> Self {
        Self(Arc::new(InMemory::new()))
    }

    /// Streams the file at `source` to `key`: visible whole, or not at all.
    pub async fn put_file(&self, key: BlobKey, source: &Path) -> Result<(), BlobError> {
        let mut file = tokio::fs::File::open(source).await?;
        let mut writer = BufWriter::new(Arc::clone(&self.0), key.path());
        let copied = async {
            tokio::io::copy(&mut file, &mut writer).await?;
            writer.shutdown().await
        };
        if let Err(error) = copied.await {
            // Fails when nothing was begun, which leaves nothing behind either.
            let _ = writer.abort().await;
            return Err(error.into());
        }
        Ok(())
    }

    /// The whole object in memory.
    pub async fn get(&self, key: BlobKey) -> Result<Bytes, BlobError> {
        let got = self.0.get(&key.path()).await.map_err(|error| at(key, error))?;
        got.bytes().await.map_err(|error| at(key, error))
    }

    /// The object's bytes in pieces; `range` is of bytes, end exclusive.
    pub async fn stream(&self, key: BlobKey, range: Option<std::ops::Range<u64>>) -> Result<BlobStream, BlobError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let got = self.0.get_opts(&key.path(), options).await.map_err(|error| at(key, error))?;
        Ok(BlobStream { size: got.meta.size, body: got.into_stream() })
    }

    /// Deletes the object; one that is not there is as good as deleted.
    pub async fn delete(&self, key: BlobKey) -> Result<(), BlobError> {
        match self.0.delete(&key.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(BlobError::Unavailable(error)),
        }
    }

    /// Keys last written before `before`; objects that are not ours are passed over.
    pub async fn older_than(&self, before: Timestamp) -> Result<Vec<BlobKey>, BlobError> {
        let listed: Vec<_> = self.0.list(None).try_collect().await.map_err(BlobError::Unavailable)?;
        let old = listed.into_iter().filter(|meta| from_millis(meta.last_modified.timestamp_millis()) < before);
        Ok(old.filter_map(|meta| meta.location.as_ref().parse().ok()).collect())
    }

    /// Whether the storage answers.
    pub async fn ping(&self) -> Result<(), BlobError> {
        match self.0.head(&ObjectPath::from("ping")).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(BlobError::Unavailable(error)),
        }
    }
}

/// A write is staged beside its place as `NAME#N`; one that a crash cut short stays there, and listings pass it over. What
/// is older than a write can take is removed.
fn forget_staged(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let staged = name.rsplit_once('#').is_some_and(|(_, number)| number.parse::<u64>().is_ok());
        let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
        if path.is_dir() {
            forget_staged(&path);
        } else if staged && age.is_some_and(|age| age > STAGED) {
            let removed = std::fs::remove_file(&path);
            tracing::info!(path = %path.display(), ?removed, "an unfinished write of an earlier process");
        }
    }
}

fn at(key: BlobKey, error: object_store::Error) -> BlobError {
    match error {
        object_store::Error::NotFound { .. } => BlobError::NotFound(key),
        other => BlobError::Unavailable(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn round_trip(blobs: Blobs) {
        let job = JobId::random();
        let source = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(source.path(), &content).unwrap();
        for key in [BlobKey::Input(job), BlobKey::Output(job, 2)] {
            assert!(matches!(blobs.get(key).await, Err(BlobError::NotFound(missing)) if missing == key));
            blobs.put_file(key, source.path()).await.unwrap();
            assert_eq!(blobs.get(key).await.unwrap(), content);
            let part = blobs.stream(key, Some(10..20)).await.unwrap();
            assert_eq!(part.size, content.len() as u64);
            let bytes: Vec<Bytes> = part.body.try_collect().await.unwrap();
            assert_eq!(bytes.concat(), content[10..20]);
        }
        let mut keys = blobs.older_than(Timestamp::MAX).await.unwrap();
        keys.sort_by_key(ToString::to_string);
        assert_eq!(keys, [BlobKey::Input(job), BlobKey::Output(job, 2)]);
        assert!(blobs.older_than(from_millis(0)).await.unwrap().is_empty());
        for key in keys {
            blobs.delete(key).await.unwrap();
            blobs.delete(key).await.unwrap();
        }
        assert!(blobs.older_than(Timestamp::MAX).await.unwrap().is_empty());
        blobs.ping().await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_keeps_objects() {
        let folder = tempfile::tempdir().unwrap();
        round_trip(Blobs::in_folder(folder.path()).unwrap()).await;
    }

    #[tokio::test]
    async fn memory_keeps_objects() {
        round_trip(Blobs::from_url("memory:///").unwrap()).await;
    }

    #[tokio::test]
    async fn a_failed_write_leaves_nothing() {
        let blobs = Blobs::in_memory();
        let key = BlobKey::Input(JobId::random());
        assert!(blobs.put_file(key, Path::new("/nonexistent/file")).await.is_err());
        assert!(blobs.older_than(Timestamp::MAX).await.unwrap().is_empty());
    }

    #[test]
    fn staged_writes_of_a_crash_are_removed_once_they_are_old() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("outputs/x");
        std::fs::create_dir_all(&place).unwrap();
        for name in ["1.png", "1.png#1", "2.png#1"] {
            let file = std::fs::File::create(place.join(name)).unwrap();
            if name != "2.png#1" {
                file.set_modified(std::time::SystemTime::now() - 2 * STAGED).unwrap();
            }
        }
        Blobs::in_folder(folder.path()).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["1.png", "2.png#1"]);
    }

    #[test]
    fn an_unknown_storage_is_refused_by_name() {
        assert!(Blobs::from_url("ftp://host/x").err().unwrap().to_string().contains("ftp"));
        assert!(Blobs::from_url("no url").is_err());
    }
}
