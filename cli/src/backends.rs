//! The job store and the object storage, opened as the settings say.

use std::sync::Arc;

use anyhow::{Context, bail};
use remaster_blobs::{Blobs, Storage};
use remaster_shared::clock::SystemClock;
use remaster_shared::metrics::Metrics;
use remaster_store::{Policy, SharedStore};
use remaster_store_redis::RedisStore;
use remaster_store_sqlite::SqliteStore;

use crate::args::StoreArgs;

/// The folder of the pictures within `DATA_DIR`.
pub const PICTURES: &str = "blobs";

/// Checks that the store and the storage can be shared with other nodes, as a node with one role needs it.
///
/// # Errors
/// A setting is missing or names a place that other nodes cannot reach.
pub fn require_shared(args: &StoreArgs, role: &str) -> anyhow::Result<()> {
    let page = "(see docs/operations.md)";
    if non_empty(&args.redis_url).is_none() {
        bail!(
            "REDIS_URL is not set; `remaster {role}` shares its jobs with other nodes, so it needs a URL such as \
             redis://host:6379 {page}"
        );
    }
    match non_empty(&args.storage_url) {
        None => bail!(
            "STORAGE_URL is not set; `remaster {role}` shares pictures with other nodes, so it needs s3://bucket, gs://bucket, \
             az://container or the file:/// URL of a mounted share {page}"
        ),
        Some(url) if !Storage::at(url).is_shared() => bail!(
            "STORAGE_URL is {url:?}, which no other node can read; `remaster {role}` takes s3://bucket, gs://bucket, \
             az://container or the file:/// URL of a mounted share {page}"
        ),
        Some(_) => Ok(()),
    }
}

/// The value of a setting. An empty variable means the same as an unset one.
pub fn non_empty(setting: &Option<String>) -> Option<&str> {
    setting.as_deref().filter(|text| !text.is_empty())
}

/// Opens the store, whose calls are counted in `metrics`. `daily_limit` matters only to nodes that accept jobs.
///
/// # Errors
/// Redis does not answer or refuses, or `DATA_DIR` cannot be used.
pub async fn open_store(args: &StoreArgs, daily_limit: u64, metrics: Arc<Metrics>) -> anyhow::Result<SharedStore> {
    let policy = Policy {
        daily_limit,
        max_queue: args.max_queue,
        lease: args.lease,
        max_attempts: args.max_attempts,
        result_ttl: args.result_ttl,
        ..Policy::default()
    };
    if let Some(url) = non_empty(&args.redis_url) {
        let store = RedisStore::open_sharded(url, policy, args.redis_shards).await?;
        return Ok(Arc::new(store.confirmed_by(args.redis_wait_replicas).await?.measured_by(metrics)));
    }
    let store = SqliteStore::open(&args.data_dir, policy, Arc::new(SystemClock))?;
    Ok(Arc::new(store.measured_by(metrics)))
}

/// Opens the storage. If it does not answer, the node starts nevertheless: `/ready` reports it, and uploads are refused until
/// it answers.
///
/// # Errors
/// The settings do not describe a storage, or the folder cannot be used.
pub async fn open_blobs(args: &StoreArgs) -> anyhow::Result<Blobs> {
    let Some(url) = non_empty(&args.storage_url) else {
        return Blobs::in_folder(&args.data_dir.join(PICTURES)).context("DATA_DIR (see docs/configuration.md)");
    };
    let storage =
        Storage { sign: args.signed_urls, public_endpoint: args.storage_public_endpoint.0.clone(), ..Storage::at(url) };
    // The settings of a storage are valid Unicode, so other variables are skipped.
    let vars =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let blobs =
        Blobs::open(&storage, vars).with_context(|| format!("STORAGE_URL is {url:?} (see docs/configuration.md)"))?;
    if let Err(error) = blobs.ping().await {
        tracing::warn!(%error, "the object storage does not answer yet");
    }
    Ok(blobs)
}
