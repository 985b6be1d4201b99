//! Object storage over HTTP: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage.

use std::{str::FromStr, sync::Arc, time::Duration};

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::signer::Signer;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use remaster_shared::job::OutputFormat;
use url::Url;

use super::storage::{Opened, StorageError};

/// How long a connection may take. After it the operation fails, and the caller may repeat it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the storage may take from the end of a request to the beginning of the response, and between two chunks of the
/// response. The body of a request is at most one part; the transfer of a whole object has no limit.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a failed request is repeated.
const MAX_RETRIES: usize = 2;
/// How long a failed request is repeated.
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);

/// Names and values of environment variables.
type Vars = [(String, String)];

/// Opens Amazon S3, or a server that speaks its protocol. URLs are signed for `public_endpoint` if it is given.
pub fn s3(url: &Url, vars: &Vars, public_endpoint: Option<&str>) -> Result<Opened, StorageError> {
    let (bucket, prefix) = bucket_and_prefix(url)?;
    let settings = settings::<AmazonS3ConfigKey>(vars, "AWS_");
    let build = |endpoint: Option<&str>| {
        let mut builder = AmazonS3Builder::new().with_bucket_name(&bucket).with_retry(retries());
        builder = settings.iter().fold(builder, |builder, (key, value)| builder.with_config(*key, value));
        if let Some(endpoint) = endpoint {
            // A setting for S3 alone would take precedence over the general one, so both are set.
            builder = builder.with_endpoint(endpoint).with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        // Plain http is allowed only for an endpoint that is written with http. The settings are applied by now, so the
        // builder knows the endpoint.
        let plain = [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint]
            .iter()
            .any(|key| builder.get_config_value(key).is_some_and(|endpoint| endpoint.starts_with("http://")));
        builder.with_client_options(client().with_allow_http(plain)).build().map_err(StorageError::Client)
    };
    let public = public_endpoint.map(|endpoint| build(Some(endpoint))).transpose()?;
    let store = with_prefix(build(None)?, &prefix);
    let signer = public.map_or_else(|| Arc::clone(&store), |public| with_prefix(public, &prefix));
    Ok(Opened { store, signer: Some(signer) })
}

/// Opens Google Cloud Storage.
pub fn gcs(url: &Url, vars: &Vars) -> Result<Opened, StorageError> {
    let (bucket, prefix) = bucket_and_prefix(url)?;
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket).with_retry(retries());
    for (key, value) in settings::<GoogleConfigKey>(vars, "GOOGLE_") {
        builder = builder.with_config(key, value);
    }
    opened(builder.with_client_options(client()).build(), &prefix)
}

/// Opens Azure Blob Storage.
pub fn azure(url: &Url, vars: &Vars) -> Result<Opened, StorageError> {
    let (container, prefix) = bucket_and_prefix(url)?;
    let mut builder = MicrosoftAzureBuilder::new().with_container_name(container).with_retry(retries());
    for (key, value) in settings::<AzureConfigKey>(vars, "AZURE_") {
        builder = builder.with_config(key, value);
    }
    opened(builder.with_client_options(client()).build(), &prefix)
}

fn opened<T: ObjectStore + Signer>(
    built: Result<T, object_store::Error>,
    prefix: &ObjectPath,
) -> Result<Opened, StorageError> {
    let store = with_prefix(built.map_err(StorageError::Client)?, prefix);
    Ok(Opened { signer: Some(Arc::clone(&store) as Arc<dyn Signer>), store })
}

fn with_prefix<T: ObjectStore>(store: T, prefix: &ObjectPath) -> Arc<PrefixStore<T>> {
    Arc::new(PrefixStore::new(store, prefix.clone()))
}

/// The bucket that the URL names, and the prefix of every object's path.
fn bucket_and_prefix(url: &Url) -> Result<(String, ObjectPath), StorageError> {
    let bucket = url.host_str().filter(|host| !host.is_empty());
    let bucket = bucket.ok_or_else(|| StorageError::NoBucket(url.scheme().to_owned()))?;
    let prefix = ObjectPath::from_url_path(url.path()).map_err(|_| StorageError::NotAUrl)?;
    Ok((bucket.to_owned(), prefix))
}

/// The variables whose names start with `prefix` and are settings that the storage knows.
fn settings<K: FromStr>(vars: &Vars, prefix: &str) -> Vec<(K, String)> {
    let own = vars.iter().filter(|(name, value)| name.starts_with(prefix) && !value.is_empty());
    own.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.clone()))).collect()
}

fn client() -> ClientOptions {
    remaster_shared::tls::install_default_provider();
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout_disabled()
        .with_read_timeout(READ_TIMEOUT);
    // The content type that a browser receives when it follows a signed URL.
    OutputFormat::ALL
        .into_iter()
        .fold(options, |options, format| options.with_content_type_for_suffix(format.extension(), format.media_type()))
}

fn retries() -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT }
}
