//! What nodes share: the job store and the object storage, as configured.

use std::sync::Arc;

use anyhow::{Context, bail};
use remaster_blobs::{Blobs, Storage};
use remaster_shared::clock::SystemClock;
use remaster_store::{Policy, SharedStore};
use remaster_store_redis::RedisStore;
use remaster_store_sqlite::SqliteStore;

use crate::args::StoreArgs;

/// A node of one role works with others, so what it keeps must be where they find it.
pub fn require_shared(args: &StoreArgs, role: &str) -> anyhow::Result<()> {
    let page = "(see docs/operations.md)";
    if given(&args.redis_url).is_none() {
        bail!(
            "REDIS_URL is not set; `remaster {role}` shares its jobs with other nodes, so it takes redis://host:6379 {page}"
        );
    }
    match given(&args.storage_url) {
        None => bail!(
            "STORAGE_URL is not set; `remaster {role}` shares pictures with other nodes, so it takes s3://bucket, gs://bucket, \
             az://container or the file:/// of a mounted share {page}"
        ),
        Some(url) if !Storage::at(url).is_shared() => bail!(
            "STORAGE_URL is {url:?}, which no other node can read; `remaster {role}` takes s3://bucket, gs://bucket, \
             az://container or the file:/// of a mounted share {page}"
        ),
        Some(_) => Ok(()),
    }
}

/// An empty variable is as good as none.
fn given(setting: &Option<String>) -> Option<&str> {
    setting.as_deref().filter(|text| !text.is_empty())
}

/// The store; `daily_limit` matters to nodes that take jobs.
pub async fn open_store(args: &StoreArgs, daily_limit: u64) -> anyhow::Result<SharedStore> {
    let policy = Policy {
        daily_limit,
        max_queue: args.max_queue,
        lease: args.lease,
        max_attempts: args.max_attempts,
        result_ttl: args.result_ttl,
        ..Policy::default()
    };
    if let Some(url) = given(&args.redis_url) {
        return Ok(Arc::new(RedisStore::open(url, policy).await?));
    }
    Ok(Arc::new(SqliteStore::open(&args.data_dir, policy, Arc::new(SystemClock))?))
}

/// The storage. One that does not answer yet is no reason not to start: `/ready` tells, and uploads are refused.
pub async fn open_blobs(args: &StoreArgs) -> anyhow::Result<Blobs> {
    let Some(url) = given(&args.storage_url) else {
        return Blobs::in_folder(&args.data_dir.join("blobs")).context("DATA_DIR (see docs/configuration.md)");
    };
    let storage =
        Storage { sign: args.signed_urls, public_endpoint: args.storage_public_endpoint.0.clone(), ..Storage::at(url) };
    // What is no text is no setting of a storage.
    let vars =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let blobs =
        Blobs::open(&storage, vars).with_context(|| format!("STORAGE_URL is {url:?} (see docs/configuration.md)"))?;
    if let Err(error) = blobs.ping().await {
        tracing::warn!(%error, "the object storage does not answer yet");
    }
    Ok(blobs)
}
