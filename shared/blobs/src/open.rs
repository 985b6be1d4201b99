//! What `STORAGE_URL` names, opened.

use std::sync::Arc;

use object_store::{ObjectStore, memory::InMemory, signer::Signer};
use url::Url;

use super::{Blobs, cloud, folder};

/// Where objects lie and how callers reach them.
#[derive(Debug, Clone)]
pub struct Storage {
    /// `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `memory:///`.
    pub url: String,
    /// Whether callers fetch results from the storage itself by signed URLs, where it can sign.
    pub sign: bool,
    /// The address under which callers reach an S3 endpoint, when it is not the one this process uses.
    pub public_endpoint: Option<String>,
}

impl Storage {
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), sign: true, public_endpoint: None }
    }

    /// Whether another machine can open the same objects.
    pub fn is_shared(&self) -> bool {
        !self.url.starts_with("memory:")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error(
        "it takes a URL: file:///some/folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or memory:///"
    )]
    NotAUrl,
    #[error(
        "{0} is not supported; it takes file:///some/folder, s3://bucket, gs://bucket, az://container or memory:///"
    )]
    Scheme(String),
    #[error("it names no bucket; it takes {0}://bucket or {0}://bucket/prefix")]
    NoBucket(String),
    #[error("the folder cannot be used: {0}")]
    Folder(String),
    #[error("the storage cannot be used: {0}")]
    Cloud(#[source] object_store::Error),
}

/// A client of the storage, and what signs URLs to it.
pub(super) struct Opened {
    pub store: Arc<dyn ObjectStore>,
    pub signer: Option<Arc<dyn Signer>>,
}

impl Blobs {
    /// Opens `storage`; settings of the cloud's own (`AWS_…`, `GOOGLE_…`, `AZURE_…`) are taken from `vars`.
    ///
    /// # Errors
    /// The URL is not one, or the settings do not suffice. Whether the storage answers is asked by [`Blobs::ping`].
    pub fn open(storage: &Storage, vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, StorageError> {
        let url = Url::parse(&storage.url).map_err(|_| StorageError::NotAUrl)?;
        let vars = vars.into_iter().collect::<Vec<_>>();
        let opened = match url.scheme() {
            "memory" => local(InMemory::new()),
            "file" => local(folder::open(&url.to_file_path().map_err(|()| StorageError::NotAUrl)?)?),
            "s3" => cloud::s3(&url, &vars, storage.public_endpoint.as_deref())?,
            "gs" => cloud::gcs(&url, &vars)?,
            "az" => cloud::azure(&url, &vars)?,
            other => return Err(StorageError::Scheme(other.to_owned())),
        };
        Ok(Self { store: opened.store, signer: opened.signer.filter(|_| storage.sign) })
    }
}

fn local(store: impl ObjectStore) -> Opened {
    Opened { store: Arc::new(store), signer: None }
}
