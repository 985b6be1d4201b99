//! Where pictures lie in the blob storage.

use std::{fmt, str::FromStr};

use crate::fence::Fence;
use crate::ids::JobId;
use crate::job::OutputFormat;

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
    /// Made under this claim, in this format.
    Fence(Fence, OutputFormat),
    /// Made by the attempt of this number: how releases up to 0.1 named outputs.
    Attempt(u32),
}

/// What the names of PNG outputs leave out, and their keys do not.
const PNG: &str = ".png";

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
            BlobKey::Output(job, name) => write!(f, "outputs/{job}/{}.{}", name.stem(), name.format().extension()),
        }
    }
}

impl FromStr for BlobKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        match text.split('/').collect::<Vec<_>>()[..] {
            ["inputs", job] => Ok(BlobKey::Input(job.parse().map_err(|_| KeyError)?)),
            ["outputs", job, file] => {
                let name = file.strip_suffix(PNG).unwrap_or(file);
                let name = name.parse::<OutputName>()?;
                let key = BlobKey::Output(job.parse().map_err(|_| KeyError)?, name);
                // Each output has one key, which says its format.
                if key.to_string() == text { Ok(key) } else { Err(KeyError) }
            }
            _ => Err(KeyError),
        }
    }
}

/// The name of a PNG, for tests.
#[cfg(any(test, feature = "testing"))]
impl From<Fence> for OutputName {
    fn from(fence: Fence) -> Self {
        OutputName::Fence(fence, OutputFormat::Png)
    }
}

impl OutputName {
    /// The format of the output.
    pub fn format(self) -> OutputFormat {
        match self {
            OutputName::Fence(_, format) => format,
            OutputName::Attempt(_) => OutputFormat::Png,
        }
    }

    fn stem(self) -> String {
        match self {
            OutputName::Fence(fence, _) => fence.to_string(),
            OutputName::Attempt(attempt) => attempt.to_string(),
        }
    }
}

/// As stores keep it: a fence and the extension of the format, which for PNG is left out.
impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stem())?;
        match self.format() {
            OutputFormat::Png => Ok(()),
            format => write!(f, ".{}", format.extension()),
        }
    }
}

impl FromStr for OutputName {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if let Ok(attempt) = text.parse() {
            return Ok(OutputName::Attempt(attempt));
        }
        let (stem, format) = match text.split_once('.') {
            Some((stem, extension)) => (stem, OutputFormat::of_extension(extension).ok_or(KeyError)?),
            None => (text, OutputFormat::Png),
        };
        Ok(OutputName::Fence(stem.parse().map_err(|_| KeyError)?, format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip() {
        let job = JobId::random();
        let names = OutputFormat::ALL.map(|format| OutputName::Fence(Fence::random(), format));
        let outputs = names.into_iter().chain([OutputName::Attempt(3)]).map(|name| BlobKey::Output(job, name));
        for key in outputs.chain([BlobKey::Input(job)]) {
            assert_eq!(key.to_string().parse(), Ok(key));
            assert_eq!(key.job(), job);
            if let BlobKey::Output(_, name) = key {
                assert_eq!(name.to_string().parse(), Ok(name));
                assert!(key.to_string().ends_with(&format!(".{}", name.format().extension())));
            }
        }
        let fence = Fence::random();
        for text in [
            "",
            "owner",
            "inputs/x",
            "outputs/x/1.png",
            &format!("outputs/{job}/1"),
            &format!("outputs/{job}/x.png"),
            &format!("outputs/{job}/{fence}.jpeg"),
            &format!("outputs/{job}/{fence}.gif"),
            &format!("outputs/{job}/1.jpg"),
        ] {
            assert_eq!(text.parse::<BlobKey>(), Err(KeyError), "{text}");
        }
    }
}
