//! Holding an answer until a job or a batch changes, by the store's notifications.

use std::time::Duration;

use remaster_shared::job::{JobId, JobRecord};
use tokio::time::Instant;
use uuid::Uuid;

use super::records::find_job;
use crate::parse::client::Client;
use crate::problem::ApiResult;
use crate::state::Api;

/// The state is read again after this time even without a notification, because one may be lost.
pub const FALLBACK_INTERVAL: Duration = Duration::from_secs(60);

/// What is waited for, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// The id of the job or the batch.
    pub id: Uuid,
    /// When this has passed, the state is returned as it is.
    pub at_most: Duration,
    /// The pause between a notification and the next read. Changes that fall into it are seen together.
    pub read_pause: Duration,
}

/// Reads a state with `read` until it is `enough`, and returns it. The last state is returned when the time is over or the
/// server is about to stop.
///
/// # Errors
/// `read` fails.
pub async fn wait_until<T, R>(api: &Api, wait: Wait, read: impl Fn() -> R, enough: impl Fn(&T) -> bool) -> ApiResult<T>
where
    R: Future<Output = ApiResult<T>>,
{
    let deadline = Instant::now() + wait.at_most;
    // The subscription comes before the first read, so that no change is missed between the two.
    let mut watch = api.store.watch(wait.id);
    loop {
        let state = read().await?;
        if enough(&state) || Instant::now() >= deadline || api.stopping.is_cancelled() {
            return Ok(state);
        }
        let paused = tokio::time::sleep(wait.read_pause);
        let next_read = deadline.min(Instant::now() + FALLBACK_INTERVAL);
        tokio::select! {
            () = watch.changed() => {}
            () = tokio::time::sleep_until(next_read) => {}
            () = api.stopping.cancelled() => continue,
        }
        paused.await;
    }
}

/// The job when it has ended, or as it is after `at_most`.
///
/// # Errors
/// The job does not exist any more, the store does not answer, or too many requests of the client wait.
pub async fn wait_for_end(api: &Api, client: Client, id: JobId, at_most: Duration) -> ApiResult<JobRecord> {
    let _turn = api.follows.take(client.key).await?;
    let wait = Wait { id: id.0, at_most, read_pause: Duration::ZERO };
    wait_until(api, wait, || find_job(api, id), |job| job.status.is_terminal()).await
}
