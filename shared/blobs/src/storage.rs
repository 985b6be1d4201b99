//! Where objects are stored, as `STORAGE_URL` describes it.

use std::sync::Arc;

use object_store::{ObjectStore, signer::Signer};

/// Where objects are stored, and how callers reach them.
#[derive(Debug, Clone)]
pub struct Storage {
    /// `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `memory:///`.
    pub url: String,
    /// Whether callers download results from the storage itself by signed URLs, if it can sign.
    pub sign: bool,
    /// The URL under which callers reach an S3 endpoint, if it differs from the one that this process uses.
    pub public_endpoint: Option<String>,
}

impl Storage {
    /// The storage at `url`, with signed URLs.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), sign: true, public_endpoint: None }
    }

    /// Whether another machine can open the same objects.
    pub fn is_shared(&self) -> bool {
        !self.url.starts_with("memory:")
    }
}

/// Why a storage cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The text is not a URL, or its path is not valid.
    #[error(
        "it takes a URL: file:///some/folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or memory:///"
    )]
    NotAUrl,
    /// No kind of storage has this URL scheme.
    #[error(
        "{0} is not supported; it takes file:///some/folder, s3://bucket, gs://bucket, az://container or memory:///"
    )]
    Scheme(String),
    /// A URL of this scheme has to name a bucket or container.
    #[error("it names no bucket; it takes {0}://bucket or {0}://bucket/prefix")]
    NoBucket(String),
    /// The folder cannot be created.
    #[error("the folder cannot be created")]
    CreateFolder(#[source] std::io::Error),
    /// The client of the storage cannot be built from these settings.
    #[error("the storage cannot be used")]
    Client(#[source] object_store::Error),
}

/// A client of the storage, and what signs URLs to it.
pub(super) struct Opened {
    pub store: Arc<dyn ObjectStore>,
    pub signer: Option<Arc<dyn Signer>>,
}
