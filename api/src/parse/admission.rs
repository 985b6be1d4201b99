//! Whether the body of a submit is read at all.

use remaster_shared::error::ErrorCode;
use remaster_shared::idempotency::IdempotencyKey;
use remaster_shared::quota::{Quota, UtcDay};

use super::client::Client;
use crate::problem::{ApiResult, Problem};
use crate::state::Api;

/// Before the upload is read, refuses a client that has used up its daily quota; otherwise returns the quota that is left.
/// `None` is a repeated request, which is read although the quota is used up, because it costs nothing.
///
/// The charge itself is checked again by the store, in the same step as the enqueue.
///
/// # Errors
/// 429 `quota_exceeded`, also after too many files that could not be used, 503 `storage_unavailable` when there is too little space on the disk, or 503 when the store does not
/// answer.
pub async fn admit(api: &Api, client: Client, key: Option<&IdempotencyKey>) -> ApiResult<Option<Quota>> {
    // Also a repeated request is read and looked at.
    api.allowances.admit(UtcDay::of(api.store.now()), client.key)?;
    if let Some(key) = key
        && api.store.knows(client.key, key).await?
    {
        return Ok(None);
    }
    let quota = api.store.quota(client.key).await?;
    if quota.remaining == 0 {
        return Err(Problem::quota_exceeded(quota));
    }
    has_space(api)?;
    Ok(Some(quota))
}

/// Refuses uploads while there is enough space left for what has been accepted, on a single machine also for its store.
fn has_space(api: &Api) -> ApiResult<()> {
    let left = fs4::available_space(&api.settings.spool)?;
    if left >= api.settings.min_free_bytes {
        return Ok(());
    }
    tracing::error!(
        left,
        needed = api.settings.min_free_bytes,
        "uploads are refused: the disk of DATA_DIR is nearly full"
    );
    let detail = "Our disk is nearly full, so no more uploads are accepted; nothing was charged. Try again later.";
    Err(Problem::new(ErrorCode::StorageUnavailable, detail))
}
