//! The ids of jobs and batches: random version 4 UUIDs (RFC 9562).
//!
//! An id is a capability: whoever knows it may read and cancel what it names. It therefore has at least 106 random bits and is
//! never listed by any endpoint. Its last 16 bits are those of its client ([`ClientKey::shard`]), so that a store that is spread over
//! several servers finds what the id names.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::client::ClientKey;

/// The id of a job.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Uuid)]
pub struct JobId(pub Uuid);

impl JobId {
    /// A new id for a job of this client.
    pub fn of(client: ClientKey) -> Self {
        Self(uuid_of(client))
    }

    /// An id of nobody's job.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

fn uuid_of(client: ClientKey) -> Uuid {
    let mut bytes = Uuid::new_v4().into_bytes();
    bytes[14..].copy_from_slice(&client.shard().to_be_bytes());
    Uuid::from_bytes(bytes)
}

/// The 16 bits of an id that are its client's, as [`ClientKey::shard`] has them.
pub fn shard(id: Uuid) -> u16 {
    let bytes = id.as_bytes();
    u16::from_be_bytes([bytes[14], bytes[15]])
}

/// The text is not the id of a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a job id; a job id is a UUID such as 67e55044-10b1-426f-9247-bb680e5fe0c8")]
pub struct IdError(#[from] uuid::Error);

impl FromStr for JobId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Ok(Self(text.parse()?))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({})", self.0)
    }
}

/// The id of a batch. Like the id of a job it is a random UUID, and whoever knows it may read and cancel the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Uuid)]
pub struct BatchId(pub Uuid);

impl BatchId {
    /// A new id for a batch of this client.
    pub fn of(client: ClientKey) -> Self {
        Self(uuid_of(client))
    }

    /// An id of nobody's batch.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl FromStr for BatchId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
