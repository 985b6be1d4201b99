//! Object storage over HTTP: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage.

use std::{str::FromStr, sync::Arc, time::Duration};

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::signer::Signer;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use super::open::{Opened, StorageError};

/// A connection that takes longer will not come; the caller is told and may come again.
const CONNECT: Duration = Duration::from_secs(3);
/// From a request, its body included, to the beginning of the answer, and between two pieces of that. Nothing that is sent
/// or received at once is larger than a part; there is no limit on the whole of an object.
const SILENCE: Duration = Duration::from_secs(120);
/// Failures are retried for so long, then said.
const RETRIES: usize = 2;
const RETRYING: Duration = Duration::from_secs(5);

type Vars = [(String, String)];

pub fn s3(url: &Url, vars: &Vars, public_endpoint: Option<&str>) -> Result<Opened, StorageError> {
    let (bucket, prefix) = place(url)?;
    let settings = known::<AmazonS3ConfigKey>(vars, "AWS_");
    let build = |endpoint: Option<&str>| {
        let mut builder = AmazonS3Builder::new().with_bucket_name(&bucket).with_retry(retries());
        builder = settings.iter().fold(builder, |builder, (key, value)| builder.with_config(*key, value));
        if let Some(endpoint) = endpoint {
            // The setting that is S3's only would win over the general one.
            builder = builder.with_endpoint(endpoint).with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        // An endpoint is http only when it was written so; what the settings say of it has been folded in by then.
        let plain = [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint]
            .iter()
            .any(|key| builder.get_config_value(key).is_some_and(|endpoint| endpoint.starts_with("http://")));
        builder.with_client_options(client().with_allow_http(plain)).build().map_err(StorageError::Cloud)
    };
    let public = public_endpoint.map(|endpoint| build(Some(endpoint))).transpose()?;
    let store = under(build(None)?, &prefix);
    let signer = public.map_or_else(|| Arc::clone(&store), |public| under(public, &prefix));
    Ok(Opened { store, signer: Some(signer) })
}

pub fn gcs(url: &Url, vars: &Vars) -> Result<Opened, StorageError> {
    let (bucket, prefix) = place(url)?;
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket).with_retry(retries());
    for (key, value) in known::<GoogleConfigKey>(vars, "GOOGLE_") {
        builder = builder.with_config(key, value);
    }
    opened(builder.with_client_options(client()).build(), &prefix)
}

pub fn azure(url: &Url, vars: &Vars) -> Result<Opened, StorageError> {
    let (container, prefix) = place(url)?;
    let mut builder = MicrosoftAzureBuilder::new().with_container_name(container).with_retry(retries());
    for (key, value) in known::<AzureConfigKey>(vars, "AZURE_") {
        builder = builder.with_config(key, value);
    }
    opened(builder.with_client_options(client()).build(), &prefix)
}

fn opened<T: ObjectStore + Signer>(
    built: Result<T, object_store::Error>,
    prefix: &ObjectPath,
) -> Result<Opened, StorageError> {
    let store = under(built.map_err(StorageError::Cloud)?, prefix);
    Ok(Opened { signer: Some(Arc::clone(&store) as Arc<dyn Signer>), store })
}

fn under<T: ObjectStore>(store: T, prefix: &ObjectPath) -> Arc<PrefixStore<T>> {
    Arc::new(PrefixStore::new(store, prefix.clone()))
}

/// Bucket and prefix.
fn place(url: &Url) -> Result<(String, ObjectPath), StorageError> {
    let bucket = url.host_str().filter(|host| !host.is_empty());
    let bucket = bucket.ok_or_else(|| StorageError::NoBucket(url.scheme().to_owned()))?;
    let prefix = ObjectPath::from_url_path(url.path()).map_err(|_| StorageError::NotAUrl)?;
    Ok((bucket.to_owned(), prefix))
}

/// The settings among `vars` that start with `prefix` and mean something.
fn known<K: FromStr>(vars: &Vars, prefix: &str) -> Vec<(K, String)> {
    let own = vars.iter().filter(|(name, value)| name.starts_with(prefix) && !value.is_empty());
    own.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.clone()))).collect()
}

fn client() -> ClientOptions {
    remaster_shared::tls::choose();
    ClientOptions::new()
        .with_connect_timeout(CONNECT)
        .with_timeout_disabled()
        .with_read_timeout(SILENCE)
        // What a browser is told when it follows a signed URL.
        .with_content_type_for_suffix("png", "image/png")
}

fn retries() -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRYING }
}
