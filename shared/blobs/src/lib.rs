//! Inputs and outputs of jobs, over `object_store`: one key per input, one per attempt's output.
//!
//! An attempt writes to a key of its own, so a worker that lost its lease can never overwrite the picture of the one
//! that took over.

mod cloud;
mod folder;
mod open;
#[cfg(test)]
mod tests;

use std::{io::SeekFrom, path::Path, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use jiff::Timestamp;
use object_store::signer::{Method, SignedUrlOptions, Signer};
use object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, WriteMultipart,
    memory::InMemory, path::Path as ObjectPath,
};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

pub use open::{Storage, StorageError};
use remaster_shared::blob_key::BlobKey;
use remaster_shared::clock::from_millis;

/// What is sent at once: larger objects go in parts of this size, the smallest that S3 takes.
const PART: usize = 5 * 1024 * 1024;
/// What is read of a file at once.
const PIECE: usize = 256 * 1024;
/// Parts of one object on their way at once: what bounds memory.
const PARTS: usize = 2;

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("no object at {0}")]
    NotFound(BlobKey),
    #[error("object storage: {0}")]
    Unavailable(#[source] object_store::Error),
    #[error("reading a file to store it: {0}")]
    Io(#[from] std::io::Error),
}

/// A stored object as it is read: its size and its bytes (of the asked range) in pieces.
pub struct BlobStream {
    pub size: u64,
    pub body: BoxStream<'static, Result<Bytes, object_store::Error>>,
}

/// The object store of this service.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    signer: Option<Arc<dyn Signer>>,
}

impl Blobs {
    pub fn in_memory() -> Self {
        Self { store: Arc::new(InMemory::new()), signer: None }
    }

    /// Objects as files under `folder`, which is made when missing. Writes are durable before they are acknowledged.
    pub fn in_folder(folder: &Path) -> Result<Self, StorageError> {
        Ok(Self { store: Arc::new(folder::open(folder)?), signer: None })
    }

    /// Streams the file at `source` to `key`: visible whole, or not at all.
    ///
    /// Once begun it is carried out, also when the caller stops waiting: given up half-way it would leave parts in the
    /// storage that nobody sees; whole, the object is found by the sweep.
    pub async fn put_file(&self, key: BlobKey, source: &Path) -> Result<(), BlobError> {
        let file = tokio::fs::File::open(source).await?;
        let blobs = self.clone();
        let sent = tokio::spawn(async move { blobs.put_open(key, file).await });
        sent.await.map_err(|error| std::io::Error::other(error.to_string()))?
    }

    async fn put_open(&self, key: BlobKey, mut file: tokio::fs::File) -> Result<(), BlobError> {
        if file.metadata().await?.len() <= PART as u64 {
            let mut content = Vec::new();
            file.read_to_end(&mut content).await?;
            self.store.put(&path(key), content.into()).await.map_err(BlobError::Unavailable)?;
            return Ok(());
        }
        let upload = self.store.put_multipart(&path(key)).await.map_err(BlobError::Unavailable)?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, PART);
        match send(&mut file, &mut writer).await {
            Ok(()) => writer.finish().await.map(drop).map_err(BlobError::Unavailable),
            Err(error) => {
                let aborted = writer.abort().await;
                tracing::debug!(%key, ?aborted, "an upload was cut short");
                Err(error)
            }
        }
    }

    /// The whole object in memory.
    pub async fn get(&self, key: BlobKey) -> Result<Bytes, BlobError> {
        let got = self.store.get(&path(key)).await.map_err(|error| at(key, error))?;
        got.bytes().await.map_err(|error| at(key, error))
    }

    /// The object's bytes in pieces; `range` is of bytes, end exclusive.
    pub async fn stream(&self, key: BlobKey, range: Option<std::ops::Range<u64>>) -> Result<BlobStream, BlobError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let got = self.store.get_opts(&path(key), options).await.map_err(|error| at(key, error))?;
        let size = got.meta.size;
        let body = match got.payload {
            GetResultPayload::File(file, _) => pieces(file, got.range).await?,
            GetResultPayload::Stream(body) => body,
        };
        Ok(BlobStream { size, body })
    }

    /// Deletes the object; one that is not there is as good as deleted.
    pub async fn delete(&self, key: BlobKey) -> Result<(), BlobError> {
        match self.store.delete(&path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(BlobError::Unavailable(error)),
        }
    }

    /// Keys last written before `before`; objects that are not ours are passed over.
    pub async fn older_than(&self, before: Timestamp) -> Result<Vec<BlobKey>, BlobError> {
        let old = self.store.list(None).try_filter_map(|meta| async move {
            let old = from_millis(meta.last_modified.timestamp_millis()) < before;
            Ok(if old { meta.location.as_ref().parse::<BlobKey>().ok() } else { None })
        });
        old.try_collect().await.map_err(BlobError::Unavailable)
    }

    /// A URL at which anybody gets the object for `time`, to be saved as `name` (plain ASCII); `None` where this storage
    /// does not sign.
    pub async fn signed(&self, key: BlobKey, name: &str, time: Duration) -> Result<Option<String>, BlobError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let disposition = format!("inline; filename=\"{name}\"");
        let named = SignedUrlOptions::new().with_query([("response-content-disposition", disposition)]);
        let signed = match signer.signed_url_opts(Method::GET, &path(key), time, &named).await {
            // Azure signs no query of ours: the name is a comfort.
            Err(object_store::Error::NotSupported { .. }) => signer.signed_url(Method::GET, &path(key), time).await,
            signed => signed,
        };
        signed.map(|url| Some(url.into())).map_err(BlobError::Unavailable)
    }

    /// Whether these objects belong to the store named `owner`: the first that asks is written down as their owner. Another
    /// store knows nothing of them and must not tidy up.
    pub async fn belong_to(&self, owner: &str) -> Result<bool, BlobError> {
        let mark = ObjectPath::from("owner");
        let create = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&mark, owner.to_owned().into(), create).await {
            Ok(_) => return Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
            Err(error) => return Err(BlobError::Unavailable(error)),
        }
        let written = self.store.get(&mark).await.map_err(BlobError::Unavailable)?;
        Ok(written.bytes().await.map_err(BlobError::Unavailable)? == owner)
    }

    /// Whether the storage answers and the bucket is there.
    pub async fn ping(&self) -> Result<(), BlobError> {
        let nothing = ObjectPath::from("ping");
        self.store.list(Some(&nothing)).try_next().await.map(drop).map_err(BlobError::Unavailable)
    }
}

/// The bytes `range` of a file. In larger pieces than the object store's own: each is a turn of a blocking thread.
async fn pieces(
    file: std::fs::File,
    range: std::ops::Range<u64>,
) -> Result<BoxStream<'static, Result<Bytes, object_store::Error>>, BlobError> {
    let mut file = tokio::fs::File::from_std(file);
    file.set_max_buf_size(PIECE);
    file.seek(SeekFrom::Start(range.start)).await?;
    let bytes = ReaderStream::with_capacity(file.take(range.end - range.start), PIECE);
    let failed = |error| object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(error) };
    Ok(bytes.map_err(failed).boxed())
}

/// Sends the file in parts, a bounded number at once.
async fn send(file: &mut tokio::fs::File, writer: &mut WriteMultipart) -> Result<(), BlobError> {
    let mut piece = BytesMut::with_capacity(PIECE);
    while file.read_buf(&mut piece).await? > 0 {
        writer.wait_for_capacity(PARTS).await.map_err(BlobError::Unavailable)?;
        writer.put(piece.split().freeze());
        piece.reserve(PIECE);
    }
    Ok(())
}

/// Where the object of `key` lies.
fn path(key: BlobKey) -> ObjectPath {
    ObjectPath::from(key.to_string())
}

fn at(key: BlobKey, error: object_store::Error) -> BlobError {
    match error {
        object_store::Error::NotFound { .. } => BlobError::NotFound(key),
        other => BlobError::Unavailable(other),
    }
}
