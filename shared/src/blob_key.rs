//! Where pictures lie in the blob storage.

use std::{fmt, str::FromStr};

use crate::fence::Fence;
use crate::ids::JobId;

/// Where one of a job's pictures lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobKey {
    /// What was uploaded.
    Input(JobId),
    /// What one claim of the job made of it. Each claim has a key of its own, so that a worker that lost its lease never
    /// overwrites the picture of the worker that took over.
    Output(JobId, OutputName),
}

/// Which of a job's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputName {
    /// Made under this claim.
    Fence(Fence),
    /// Made by the attempt of this number: how releases up to 0.1 named outputs.
    Attempt(u32),
}

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the key of an input or an output")]
pub struct KeyError;

impl BlobKey {
    /// The job that the picture belongs to.
    pub fn job(self) -> JobId {
        match self {
            BlobKey::Input(job) | BlobKey::Output(job, _) => job,
        }
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlobKey::Input(job) => write!(f, "inputs/{job}"),
            BlobKey::Output(job, name) => write!(f, "outputs/{job}/{name}.png"),
        }
    }
}

impl FromStr for BlobKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        match text.split('/').collect::<Vec<_>>()[..] {
            ["inputs", job] => Ok(BlobKey::Input(job.parse().map_err(|_| KeyError)?)),
            ["outputs", job, file] => {
                let name = file.strip_suffix(".png").ok_or(KeyError)?;
                Ok(BlobKey::Output(job.parse().map_err(|_| KeyError)?, name.parse()?))
            }
            _ => Err(KeyError),
        }
    }
}

impl From<Fence> for OutputName {
    fn from(fence: Fence) -> Self {
        OutputName::Fence(fence)
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputName::Fence(fence) => fence.fmt(f),
            OutputName::Attempt(attempt) => attempt.fmt(f),
        }
    }
}

impl FromStr for OutputName {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let attempt = || text.parse().map(OutputName::Attempt);
        text.parse().map(OutputName::Fence).or_else(|_| attempt()).map_err(|_| KeyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip() {
        let job = JobId::random();
        let names = [OutputName::Fence(Fence::random()), OutputName::Attempt(3)];
        for key in [BlobKey::Input(job), BlobKey::Output(job, names[0]), BlobKey::Output(job, names[1])] {
            assert_eq!(key.to_string().parse(), Ok(key));
            assert_eq!(key.job(), job);
        }
        for text in
            ["", "owner", "inputs/x", "outputs/x/1.png", &format!("outputs/{job}/1"), &format!("outputs/{job}/x.png")]
        {
            assert_eq!(text.parse::<BlobKey>(), Err(KeyError), "{text}");
        }
    }
}
