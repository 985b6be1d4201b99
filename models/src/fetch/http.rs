//! Fetches a file over http(s), and resumes where an earlier transfer broke off.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

use super::error::{Failure, SourceError, one_line};
use super::meter::Meter;
use super::part::Part;
use crate::asset::AssetFile;

/// How long a connection may take, for each address that the name resolves to.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a server may send nothing.
const STALL: Duration = Duration::from_secs(15);
/// The most requests of one fetch. Each has to bring bytes, so a dead server is not asked so often.
const RESUMES: u32 = 50;

/// The connections of one pull.
pub(crate) struct Http {
    agent: Agent,
}

impl Http {
    pub(crate) fn new() -> Self {
        let config = Agent::config_builder()
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(STALL))
            .http_status_as_error(false)
            // A compressed transfer could not be resumed at a position in the file.
            .accept_encoding("identity")
            .user_agent(concat!("remaster/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.new_agent() }
    }

    /// Brings `url` to `target`, verified. A transfer that broke off stays in `dir` for the next fetch.
    pub(crate) fn download(
        &self,
        url: &str,
        dir: &Path,
        file: &AssetFile,
        target: &Path,
        meter: &Meter<'_>,
    ) -> Result<(), Failure> {
        let mut part = Part::resume(dir, file)?;
        let resumed = part.written() > 0;
        part = self.complete(url, part, meter)?;
        match part.settle(target) {
            // The first part may have come from another source, so the whole file is fetched again from this source before
            // it is blamed.
            Err(Failure::Source(SourceError::WrongHash { .. })) if resumed => {
                self.complete(url, Part::fresh(dir, file)?, meter)?.settle(target)
            }
            settled => settled,
        }
    }

    /// Sends requests until the part is complete.
    fn complete<'a>(&self, url: &str, mut part: Part<'a>, meter: &Meter<'_>) -> Result<Part<'a>, Failure> {
        for _ in 0..RESUMES {
            let before = part.written();
            match self.transfer(url, &mut part, meter) {
                Ok(()) => return Ok(part),
                Err(Failure::Source(SourceError::Interrupted(_))) if part.written() > before => {}
                Err(failure) => {
                    if matches!(failure, Failure::Source(SourceError::Interrupted(_) | SourceError::Unreachable(_))) {
                        part.keep();
                    }
                    return Err(failure);
                }
            }
        }
        part.keep();
        Err(SourceError::Interrupted(format!("gave up after {RESUMES} resumes")).into())
    }

    /// Sends one request, for the whole file or for what follows the end of the part.
    fn transfer(&self, url: &str, part: &mut Part<'_>, meter: &Meter<'_>) -> Result<(), Failure> {
        if part.written() == part.file().bytes {
            return Ok(());
        }
        let mut request = self.agent.get(url);
        if part.written() > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", part.written()));
        }
        let response = request.call().map_err(unreachable)?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if range_start(&response) == Some(part.written()) => {}
            StatusCode::OK => part.reset()?,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if part.written() > 0 => {
                // The server cannot go on from here, so the whole file is asked for.
                part.reset()?;
                return self.transfer(url, part, meter);
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(SourceError::Absent.into()),
            other => return Err(SourceError::Status(other.as_u16()).into()),
        }
        receive(response, part, meter)
    }
}

fn receive(response: Response<ureq::Body>, part: &mut Part<'_>, meter: &Meter<'_>) -> Result<(), Failure> {
    if let Some(length) = response.body().content_length() {
        part.admit(part.written().saturating_add(length))?;
    }
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match body.read(&mut buffer) {
            Ok(0) if part.written() == part.file().bytes => return Ok(()),
            Ok(0) => {
                let (at, of) = (part.written(), part.file().bytes);
                return Err(SourceError::Interrupted(format!("ended at {at} of {of} bytes")).into());
            }
            Ok(count) => {
                part.write(&buffer[..count])?;
                meter.file_at(part.written());
            }
            Err(error) => return Err(SourceError::Interrupted(one_line(&error.to_string())).into()),
        }
    }
}

fn unreachable(error: ureq::Error) -> Failure {
    SourceError::Unreachable(one_line(&error.to_string())).into()
}

/// The position at which the body of a partial answer begins.
fn range_start(response: &Response<ureq::Body>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// Whether the setting of a mirror is an address and not a directory.
pub(crate) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// The scheme, host and port of an address.
pub(crate) fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find(['/', '?', '#']).map_or(url, |end| &url[..host + end])
}

/// The address without user name and password, for messages.
pub(crate) fn without_userinfo(url: &str) -> String {
    let origin = origin(url);
    match (origin.find("://"), origin.rfind('@')) {
        (Some(scheme), Some(at)) => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_and_shown_without_secrets() {
        assert!(is_url("https://a/b") && !is_url("/srv/mirror"));
        assert_eq!(origin("https://a:1/b/c"), "https://a:1");
        assert_eq!(origin("https://a"), "https://a");
        assert_eq!(without_userinfo("https://u:p@a/b@c"), "https://a/b@c");
        assert_eq!(without_userinfo("https://a/b@c"), "https://a/b@c");
    }
}
