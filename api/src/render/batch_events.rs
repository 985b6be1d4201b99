//! The events of a batch.

use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use futures::future::BoxFuture;
use remaster_shared::job::{BatchId, BatchRecord, BatchStatus, BatchView, UrlBase};
use uuid::Uuid;

use super::etag::version;
use super::snapshot::Snapshot;
use super::sse::{Followed, event};
use crate::lookup::records::{batch_read_pause, find_batch};
use crate::problem::ApiResult;
use crate::state::Api;

/// A batch whose changes are sent as events `job` and `progress`, after one event `batch` and before a last one.
pub struct FollowedBatch {
    /// Which batch.
    pub id: BatchId,
    /// What links start with.
    pub base: UrlBase,
}

impl Followed for FollowedBatch {
    type Record = BatchRecord;

    const MIN_INTERVAL: Duration = Duration::from_millis(500);

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn read_pause(batch: &BatchRecord) -> Duration {
        batch_read_pause(batch)
    }

    fn base(&self) -> &UrlBase {
        &self.base
    }

    fn read<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, ApiResult<Arc<Snapshot<BatchRecord>>>> {
        let id = self.id;
        Box::pin(api.followed.batches.read(id, move || async move { Ok(Snapshot::new(find_batch(api, id).await?)) }))
    }

    fn has_ended(batch: &BatchRecord) -> bool {
        batch.status() != BatchStatus::Open
    }

    fn version(&self, batch: &BatchRecord) -> String {
        // The deliveries of its webhook go on after the batch has ended, and are not changes of the batch.
        let view = BatchView { webhook: None, ..batch.view(&self.base) };
        version(&serde_json::to_vec(&view).unwrap_or_default())
    }

    fn events(&self, before: Option<&BatchRecord>, batch: &BatchRecord, version: &str) -> Vec<Event> {
        let Some(before) = before else { return vec![event("batch", &batch.view(&self.base)).id(version)] };
        let changed = before.jobs.iter().zip(&batch.jobs).filter(|(before, job)| before != job);
        let mut events: Vec<_> = changed.map(|(_, job)| event("job", &job.view(&self.base))).collect();
        events.push(if Self::has_ended(batch) {
            event("batch", &batch.view(&self.base)).id(version)
        } else {
            event("progress", &batch.summary()).id(version)
        });
        events
    }
}
