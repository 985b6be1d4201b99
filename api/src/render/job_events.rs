//! The events of a job.

use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use futures::future::BoxFuture;
use remaster_shared::job::{JobId, JobRecord, JobView, UrlBase};
use uuid::Uuid;

use super::etag::version;
use super::snapshot::Snapshot;
use super::sse::{Followed, event};
use crate::lookup::records::find_job;
use crate::problem::ApiResult;
use crate::state::Api;

/// A job whose changes are sent as events `job`.
pub struct FollowedJob {
    /// Which job.
    pub id: JobId,
    /// What links start with.
    pub base: UrlBase,
}

impl Followed for FollowedJob {
    type Record = JobRecord;

    const MIN_INTERVAL: Duration = Duration::from_millis(250);

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn base(&self) -> &UrlBase {
        &self.base
    }

    fn read<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, ApiResult<Arc<Snapshot<JobRecord>>>> {
        let id = self.id;
        Box::pin(api.followed.jobs.read(id, move || async move { Ok(Snapshot::new(find_job(api, id).await?)) }))
    }

    fn has_ended(job: &JobRecord) -> bool {
        job.status.is_terminal()
    }

    fn version(&self, job: &JobRecord) -> String {
        // The deliveries of its webhook go on after the job has ended, and are not changes of the job.
        let view = JobView { webhook: None, ..job.view(&self.base) };
        version(&serde_json::to_vec(&view).unwrap_or_default())
    }

    fn events(&self, _before: Option<&JobRecord>, job: &JobRecord, version: &str) -> Vec<Event> {
        vec![event("job", &job.view(&self.base)).id(version)]
    }
}
