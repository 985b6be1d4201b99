//! Opening a storage.

use std::{path::Path, sync::Arc};

use object_store::{ObjectStore, memory::InMemory};
use url::Url;

use super::blobs::Blobs;
use super::storage::{Opened, Storage, StorageError};
use super::{cloud, folder};

impl Blobs {
    /// Objects as files under `folder`, which is created if it is missing. Writes are durable before they are acknowledged.
    ///
    /// # Errors
    /// The folder cannot be created or used.
    pub fn in_folder(folder: &Path) -> Result<Self, StorageError> {
        Ok(Self { store: Arc::new(folder::open(folder)?), signer: None, metrics: Arc::default() })
    }

    /// Opens `storage`. The settings of the cloud providers (`AWS_…`, `GOOGLE_…`, `AZURE_…`) are taken from `vars`.
    ///
    /// # Errors
    /// The URL is not valid, or the settings do not suffice. Whether the storage answers is not checked here but by
    /// [`Blobs::ping`].
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
        Ok(Self { store: opened.store, signer: opened.signer.filter(|_| storage.sign), metrics: Arc::default() })
    }
}

/// A storage that cannot sign URLs.
fn local(store: impl ObjectStore) -> Opened {
    Opened { store: Arc::new(store), signer: None }
}
