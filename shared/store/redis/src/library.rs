//! The functions library: put together from its files, loaded at start, loaded again when a server has lost it, and always of
//! the version that this binary has.

use fred::clients::Client;
use fred::interfaces::{ClientLike, FunctionInterface};
use fred::types::MultipleValues;

use super::RedisError;

/// The library's files in the order in which they use each other.
const CODE: &str = concat!(
    "#!lua name=remaster\n\n",
    include_str!("../../../../migrations/redis/keys.lua"),
    include_str!("../../../../migrations/redis/jobs.lua"),
    include_str!("../../../../migrations/redis/turns.lua"),
    include_str!("../../../../migrations/redis/quota.lua"),
    include_str!("../../../../migrations/redis/hooks.lua"),
    include_str!("../../../../migrations/redis/settle.lua"),
    include_str!("../../../../migrations/redis/batches.lua"),
    include_str!("../../../../migrations/redis/submit.lua"),
    include_str!("../../../../migrations/redis/cancel.lua"),
    include_str!("../../../../migrations/redis/housekeeping.lua"),
    include_str!("../../../../migrations/redis/operations.lua"),
    include_str!("../../../../migrations/redis/workers.lua"),
    include_str!("../../../../migrations/redis/reads.lua"),
    include_str!("../../../../migrations/redis/register.lua"),
);

/// As in `keys.lua`.
pub const VERSION: u32 = 10;

/// Makes sure that the server that holds `tag` has this binary's library.
///
/// # Errors
/// The server does not answer or does not take the library, or it has a newer one: an older binary must not work beside newer
/// ones (see `migrations/README.md`).
pub async fn ensure(client: &Client, tag: &str) -> Result<(), RedisError> {
    let found: Result<u32, _> = client.fcall("rm_version", tag, MultipleValues::from(())).await;
    match found {
        // The upgrade is repeated here, because the node that loaded the library may have stopped before it upgraded the data.
        Ok(VERSION) => upgrade(client, tag).await,
        Ok(found) if found > VERSION => Err(RedisError::Newer { found, known: VERSION }),
        Ok(_) => load(client, tag).await,
        Err(error) if is_missing(&error) => load(client, tag).await,
        Err(error) => Err(RedisError::Unreachable(error)),
    }
}

async fn load(client: &Client, tag: &str) -> Result<(), RedisError> {
    let loaded = if client.is_clustered() {
        client.function_load_cluster::<(), _>(true, CODE).await
    } else {
        client.function_load::<(), _>(true, CODE).await
    };
    loaded.map_err(RedisError::Library)?;
    upgrade(client, tag).await
}

/// Brings what an older library kept up to date. Doing it twice changes nothing.
async fn upgrade(client: &Client, tag: &str) -> Result<(), RedisError> {
    client.fcall("rm_upgrade", tag, MultipleValues::from(())).await.map_err(RedisError::Library)
}

/// Whether the server does not know the function: it is new, was restarted empty, or failed over.
pub fn is_missing(error: &fred::error::Error) -> bool {
    error.details().contains("Function not found")
}
