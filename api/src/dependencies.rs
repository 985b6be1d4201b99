//! Which parts of the service are there. The store and the storage are looked at twice a second at most, whoever asks.

use std::time::Duration;

use moka::future::Cache;
use remaster_shared::catalogue::Kind;

use crate::render::service::Dependencies;
use crate::state::Api;

/// How old the answer may be.
const MAX_AGE: Duration = Duration::from_millis(500);

/// The dependencies as they were a moment ago.
pub struct DependencyView {
    /// Holds one value. Callers that come while it is renewed wait for the same look.
    cache: Cache<(), Dependencies>,
}

impl Default for DependencyView {
    fn default() -> Self {
        Self { cache: Cache::builder().max_capacity(1).time_to_live(MAX_AGE).build() }
    }
}

impl DependencyView {
    /// The dependencies of `api` as they were at most half a second ago.
    pub async fn current(&self, api: &Api) -> Dependencies {
        self.cache.get_with((), look(api)).await
    }
}

async fn look(api: &Api) -> Dependencies {
    let (store, storage, fleet) = tokio::join!(api.store.stats(), api.blobs.ping(), api.fleet.current());
    let fleet = fleet.unwrap_or_default();
    Dependencies {
        store: store.is_ok(),
        storage: storage.is_ok(),
        models: fleet.has_kind(Kind::Upscaler) || !api.settings.use_realesrgan,
        workers: !fleet.workers.is_empty(),
        working: fleet.workers.iter().any(|worker| worker.said.paused.is_none()),
    }
}
