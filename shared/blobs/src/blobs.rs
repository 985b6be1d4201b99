//! Reading and writing objects, over the crate `object_store`.

use std::{
    fs::File,
    io::{Read, SeekFrom},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryFutureExt, TryStreamExt, stream::BoxStream};
use jiff::Timestamp;
use object_store::signer::{Method, SignedUrlOptions, Signer};
use object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, WriteMultipart,
    memory::InMemory, path::Path as ObjectPath,
};
use remaster_shared::blob_key::BlobKey;
use remaster_shared::clock::from_millis;
use remaster_shared::metrics::Metrics;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// The size of the parts in which larger objects are sent, in bytes: the smallest that S3 accepts.
pub(super) const PART_SIZE: usize = 5 * 1024 * 1024;
/// How much of a file is read at once, in bytes.
const READ_CHUNK: usize = 256 * 1024;
/// How many parts of one object are sent at once. It bounds the memory that an upload needs.
const MAX_CONCURRENT_PARTS: usize = 2;

/// Why an object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no object under this key.
    #[error("no object at {0}")]
    NotFound(BlobKey),
    /// The object storage did not answer, or refused the request.
    #[error("object storage: {0}")]
    Unavailable(#[source] object_store::Error),
    /// The local file that was to be stored could not be read.
    #[error("reading a file to store it: {0}")]
    Io(#[from] std::io::Error),
}

/// A local file that is to be stored.
enum Opened {
    /// The whole of one that is sent in one piece.
    Small(Vec<u8>),
    Large(File),
}

impl Opened {
    /// Opens the file, and reads a small one at once: each step by itself would be one more turn of another thread.
    fn at(path: &Path) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if length > PART_SIZE as u64 {
            return Ok(Self::Large(file));
        }
        let mut content = Vec::with_capacity(length as usize);
        file.read_to_end(&mut content)?;
        Ok(Self::Small(content))
    }
}

/// A stored object while it is read.
pub struct BlobStream {
    /// The size of the whole object, in bytes.
    pub size: u64,
    /// The bytes of the requested range, in chunks.
    pub body: BoxStream<'static, Result<Bytes, object_store::Error>>,
}

/// A client of the object storage. Clones share the connection.
#[derive(Clone)]
pub struct Blobs {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Signs URLs; `None` if the storage cannot sign or must not.
    pub(super) signer: Option<Arc<dyn Signer>>,
    pub(super) metrics: Arc<Metrics>,
}

impl Blobs {
    /// Objects in the memory of this process.
    pub fn in_memory() -> Self {
        Self { store: Arc::new(InMemory::new()), signer: None, metrics: Arc::default() }
    }

    /// The same, where the time of each call is counted in `metrics`.
    pub fn measured_by(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    async fn timed<T>(
        &self,
        verb: &'static str,
        call: impl Future<Output = Result<T, BlobError>>,
    ) -> Result<T, BlobError> {
        let timer = self.metrics.storage_call(verb);
        let done = call.await;
        match &done {
            Err(BlobError::Unavailable(_)) => timer.failed(),
            // A file of this machine that cannot be read is not the storage's fault.
            Ok(_) | Err(BlobError::NotFound(_) | BlobError::Io(_)) => timer.answered(),
        }
        done
    }

    /// Streams the file at `source` to `key`. The object becomes visible as a whole, or not at all.
    ///
    /// An upload that has begun continues even if the returned future is dropped. Abandoned half-way, it would leave parts
    /// in the storage that no listing shows; a whole object is found and removed by the sweep for orphans.
    ///
    /// # Errors
    /// The file cannot be read, or the storage refuses the object or does not answer.
    pub async fn put_file(&self, key: BlobKey, source: &Path) -> Result<(), BlobError> {
        let (blobs, source) = (self.clone(), source.to_owned());
        let opened =
            tokio::task::spawn_blocking(move || Opened::at(&source)).await.map_err(std::io::Error::other)??;
        let sent = tokio::spawn(async move { blobs.timed("put", blobs.put_opened(key, opened)).await });
        sent.await.map_err(std::io::Error::other)?
    }

    async fn put_opened(&self, key: BlobKey, opened: Opened) -> Result<(), BlobError> {
        let mut file = match opened {
            Opened::Small(content) => {
                return self.store.put(&path(key), content.into()).await.map(drop).map_err(BlobError::Unavailable);
            }
            Opened::Large(file) => tokio::fs::File::from_std(file),
        };
        let upload = self.store.put_multipart(&path(key)).await.map_err(BlobError::Unavailable)?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_SIZE);
        match send_parts(&mut file, &mut writer).await {
            Ok(()) => writer.finish().await.map(drop).map_err(BlobError::Unavailable),
            Err(error) => {
                let aborted = writer.abort().await;
                tracing::debug!(%key, ?aborted, "an upload has failed and was aborted");
                Err(error)
            }
        }
    }

    /// Copies an object within the storage. The copy becomes visible as a whole, or not at all. In a folder it is a second name of the same
    /// file, and as old as that.
    ///
    /// # Errors
    /// There is no object at `from`, or the storage does not answer.
    pub async fn copy(&self, from: BlobKey, to: BlobKey) -> Result<(), BlobError> {
        let (source, target) = (path(from), path(to));
        let copied = self.store.copy(&source, &target);
        self.timed("copy", copied.map_err(|error| map_not_found(from, error))).await
    }

    /// Reads the whole object into memory.
    ///
    /// # Errors
    /// There is no such object, or the storage does not answer.
    pub async fn get(&self, key: BlobKey) -> Result<Bytes, BlobError> {
        let read = async {
            let got = self.store.get(&path(key)).await.map_err(|error| map_not_found(key, error))?;
            got.bytes().await.map_err(|error| map_not_found(key, error))
        };
        self.timed("get", read).await
    }

    /// Reads the object in chunks. `range` selects bytes; its end is exclusive.
    ///
    /// # Errors
    /// There is no such object, the range lies outside it, or the storage does not answer.
    pub async fn stream(&self, key: BlobKey, range: Option<std::ops::Range<u64>>) -> Result<BlobStream, BlobError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let path = path(key);
        let begun = self.store.get_opts(&path, options).map_err(|error| map_not_found(key, error));
        let got = self.timed("stream", begun).await?;
        let size = got.meta.size;
        let body = match got.payload {
            GetResultPayload::File(file, _) => read_range(file, got.range).await?,
            GetResultPayload::Stream(body) => body,
        };
        Ok(BlobStream { size, body })
    }

    /// Deletes the objects, many with one request where the storage can. Returns those that are gone, which includes those that
    /// did not exist, and the first error if any is left.
    pub async fn delete_all(&self, keys: Vec<BlobKey>) -> (Vec<BlobKey>, Option<BlobError>) {
        let timer = self.metrics.storage_call("delete_many");
        let paths: Vec<_> = keys.iter().map(|key| Ok(path(*key))).collect();
        let mut deleted = self.store.delete_stream(futures::stream::iter(paths).boxed());
        let (mut gone, mut failed) = (Vec::new(), None);
        while let Some(result) = deleted.next().await {
            match result {
                Ok(path) => gone.extend(path.as_ref().parse::<BlobKey>().ok()),
                // The path of this error may be a full one, with the folder or the prefix of the storage.
                Err(object_store::Error::NotFound { path, .. }) => {
                    gone.extend(keys.iter().copied().find(|key| path.ends_with(&key.to_string())));
                }
                Err(error) => {
                    failed.get_or_insert(BlobError::Unavailable(error));
                }
            }
        }
        if failed.is_none() {
            timer.answered();
        } else {
            timer.failed();
        }
        (gone, failed)
    }

    /// Deletes the object. It is not an error if there is none.
    ///
    /// # Errors
    /// The storage does not answer.
    pub async fn delete(&self, key: BlobKey) -> Result<(), BlobError> {
        let delete = async {
            match self.store.delete(&path(key)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(BlobError::Unavailable(error)),
            }
        };
        self.timed("delete", delete).await
    }

    /// The keys of the objects that are at least this old by the clock of the storage, which stamps them. Objects with other names
    /// are skipped. An error, which says that the storage does not answer, ends the stream.
    pub async fn older_than(&self, age: Duration) -> Result<BoxStream<'static, Result<BlobKey, BlobError>>, BlobError> {
        let latest = self.now().await?.saturating_sub(age).unwrap_or(Timestamp::MIN);
        let old = self.store.list(None).try_filter_map(move |meta| async move {
            let old = from_millis(meta.last_modified.timestamp_millis()) <= latest;
            Ok(if old { meta.location.as_ref().parse::<BlobKey>().ok() } else { None })
        });
        Ok(old.map_err(BlobError::Unavailable).boxed())
    }

    /// The time by the clock of the storage: that of the object `clock/now`, which is written for it. It is listed, as the pictures are,
    /// because a storage may tell the time of an object by the second if it is asked for that object alone.
    async fn now(&self) -> Result<Timestamp, BlobError> {
        let clock = ObjectPath::from("clock/now");
        self.store.put(&clock, Bytes::new().into()).await.map_err(BlobError::Unavailable)?;
        let written =
            self.store.list(Some(&ObjectPath::from("clock"))).try_next().await.map_err(BlobError::Unavailable)?;
        // Without the object the storage has lost it at once, and nothing counts as old.
        Ok(written.map_or(Timestamp::MIN, |written| from_millis(written.last_modified.timestamp_millis())))
    }

    /// A URL from which anybody can download the object for `time`, with the suggested file name `name` (plain ASCII).
    /// `None` if this storage does not sign URLs.
    ///
    /// # Errors
    /// The storage refuses to sign, for instance because it has no credentials.
    pub async fn signed(&self, key: BlobKey, name: &str, time: Duration) -> Result<Option<String>, BlobError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let disposition = format!("inline; filename=\"{name}\"");
        let named = SignedUrlOptions::new().with_query([("response-content-disposition", disposition)]);
        let signed = match signer.signed_url_opts(Method::GET, &path(key), time, &named).await {
            // Azure cannot sign further query parameters. The URL works without the suggested name as well.
            Err(object_store::Error::NotSupported { .. }) => signer.signed_url(Method::GET, &path(key), time).await,
            signed => signed,
        };
        signed.map(|url| Some(url.into())).map_err(BlobError::Unavailable)
    }

    /// Whether these objects belong to the job store named `owner`. The first job store that asks is recorded as the owner, in
    /// the object `owner`. Any other job store does not know these objects, so it must not delete them as orphans.
    ///
    /// # Errors
    /// The storage does not answer.
    pub async fn belong_to(&self, owner: &str) -> Result<bool, BlobError> {
        let record = ObjectPath::from("owner");
        let create = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&record, owner.to_owned().into(), create).await {
            Ok(_) => return Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
            Err(error) => return Err(BlobError::Unavailable(error)),
        }
        let recorded = self.store.get(&record).await.map_err(BlobError::Unavailable)?;
        Ok(recorded.bytes().await.map_err(BlobError::Unavailable)? == owner)
    }

    /// Checks that the storage answers and that the bucket exists.
    ///
    /// # Errors
    /// It does not answer, or there is no such bucket.
    pub async fn ping(&self) -> Result<(), BlobError> {
        let empty_prefix = ObjectPath::from("ping");
        self.store.list(Some(&empty_prefix)).try_next().await.map(drop).map_err(BlobError::Unavailable)
    }
}

/// Reads the bytes `range` of a file. The chunks are larger than those of `object_store`, because each chunk costs a round
/// trip to a blocking thread.
async fn read_range(
    file: std::fs::File,
    range: std::ops::Range<u64>,
) -> Result<BoxStream<'static, Result<Bytes, object_store::Error>>, BlobError> {
    let mut file = tokio::fs::File::from_std(file);
    file.set_max_buf_size(READ_CHUNK);
    file.seek(SeekFrom::Start(range.start)).await?;
    let bytes = ReaderStream::with_capacity(file.take(range.end - range.start), READ_CHUNK);
    let failed = |error| object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(error) };
    Ok(bytes.map_err(failed).boxed())
}

/// Sends the file in parts, a bounded number at once.
async fn send_parts(file: &mut tokio::fs::File, writer: &mut WriteMultipart) -> Result<(), BlobError> {
    let mut chunk = BytesMut::with_capacity(READ_CHUNK);
    while file.read_buf(&mut chunk).await? > 0 {
        writer.wait_for_capacity(MAX_CONCURRENT_PARTS).await.map_err(BlobError::Unavailable)?;
        writer.put(chunk.split().freeze());
        chunk.reserve(READ_CHUNK);
    }
    Ok(())
}

/// The path of an object in the storage.
pub(super) fn path(key: BlobKey) -> ObjectPath {
    ObjectPath::from(key.to_string())
}

fn map_not_found(key: BlobKey, error: object_store::Error) -> BlobError {
    match error {
        object_store::Error::NotFound { .. } => BlobError::NotFound(key),
        other => BlobError::Unavailable(other),
    }
}
