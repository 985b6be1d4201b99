//! Waiting for a job or a batch on the store's notifications.

use std::time::Duration;

use uuid::Uuid;

use crate::problem::{Answer, Problem};
use crate::state::Api;

/// Longest wait a caller may ask for.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// It is looked at this often while waiting, should a notification be lost.
pub const FALLBACK: Duration = Duration::from_secs(60);

/// The seconds of `?wait=` or `Prefer: wait=`.
pub fn parse(name: &str, text: &str) -> Answer<Duration> {
    text.parse()
        .ok()
        .map(Duration::from_secs)
        .filter(|wait| *wait <= MAX_WAIT)
        .ok_or_else(|| Problem::parameter(name, text, "whole seconds from 0 to 60"))
}

/// What `look` gives of `id` once it is `enough`, or as it stands after `at_most`, or when the server is about to stop. Looks
/// are `rest` apart: changes that come sooner are seen together.
pub async fn until<T, L>(
    api: &Api,
    id: Uuid,
    (at_most, rest): (Duration, Duration),
    look: impl Fn() -> L,
    enough: impl Fn(&T) -> bool,
) -> Answer<T>
where
    L: Future<Output = Answer<T>>,
{
    let deadline = tokio::time::Instant::now() + at_most;
    // Subscribed before the first look, so that no change falls between.
    let mut watch = api.store.watch(id);
    loop {
        let seen = look().await?;
        if enough(&seen) || tokio::time::Instant::now() >= deadline || api.stopping.is_cancelled() {
            return Ok(seen);
        }
        let rested = tokio::time::sleep(rest);
        let next_look = deadline.min(tokio::time::Instant::now() + FALLBACK);
        tokio::select! {
            () = watch.changed() => {}
            () = tokio::time::sleep_until(next_look) => {}
            () = api.stopping.cancelled() => continue,
        }
        rested.await;
    }
}
