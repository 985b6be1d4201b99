//! The keys under which pictures are stored.

use std::{fmt, str::FromStr};

use crate::ids::JobId;

/// The key of one of a job's pictures. Its text is the object's path in the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobKey {
    /// The uploaded picture: `inputs/{job}`.
    Input(JobId),
    /// The PNG that an attempt made: `outputs/{job}/{attempt}.png`. Attempts are counted from 1.
    Output(JobId, u32),
}

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
            BlobKey::Output(job, attempt) => write!(f, "outputs/{job}/{attempt}.png"),
        }
    }
}

/// Parses what [`Display`](fmt::Display) writes. The error is empty: a path of another form is simply not one of ours.
impl FromStr for BlobKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split('/').collect::<Vec<_>>()[..] {
            ["inputs", job] => Ok(BlobKey::Input(job.parse().map_err(|_| ())?)),
            ["outputs", job, file] => {
                let attempt = file.strip_suffix(".png").ok_or(())?;
                Ok(BlobKey::Output(job.parse().map_err(|_| ())?, attempt.parse().map_err(|_| ())?))
            }
            _ => Err(()),
        }
    }
}
