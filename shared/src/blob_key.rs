//! Where pictures lie.

use std::{fmt, str::FromStr};

use crate::job::JobId;

/// Where one of a job's pictures lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobKey {
    Input(JobId),
    /// The PNG that attempt `.1` made.
    Output(JobId, u32),
}

impl BlobKey {
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
