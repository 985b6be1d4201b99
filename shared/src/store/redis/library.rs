//! The functions library: loaded at start, loaded again when a server lost it, and of one version with this binary.

use fred::clients::Client;
use fred::interfaces::{ClientLike, FunctionInterface};
use fred::types::MultipleValues;

use super::RedisError;

const CODE: &str = include_str!("../../../../migrations/redis/remaster.lua");
/// As in the library.
pub const VERSION: u32 = 3;

/// Makes sure that the server has this binary's library.
///
/// # Errors
/// A newer library is there: an older binary must not work beside newer ones (see `migrations/README.md`).
pub async fn ensure(client: &Client) -> Result<(), RedisError> {
    let found: Result<u32, _> = client.fcall("rm_version", "{rm}", MultipleValues::from(())).await;
    match found {
        Ok(VERSION) => Ok(()),
        Ok(found) if found > VERSION => Err(RedisError::Newer { found, known: VERSION }),
        Ok(_) => load(client).await,
        Err(error) if is_missing(&error) => load(client).await,
        Err(error) => Err(RedisError::Unreachable(error)),
    }
}

async fn load(client: &Client) -> Result<(), RedisError> {
    let loaded = if client.is_clustered() {
        client.function_load_cluster::<(), _>(true, CODE).await
    } else {
        client.function_load::<(), _>(true, CODE).await
    };
    loaded.map_err(RedisError::Library)
}

/// Whether the server does not know the function: it is new, was restarted empty, or failed over.
pub fn is_missing(error: &fred::error::Error) -> bool {
    error.details().contains("Function not found")
}
