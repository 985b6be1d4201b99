//! Fetching a file that a caller names by its address, under the same guard as webhooks.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, LOCATION};
use reqwest::{Response, StatusCode};

use super::client::Egress;
use super::policy::EgressError;
use super::resolve::{UNRESOLVED, refusal};

/// How long a file may take as a whole.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How many redirects are followed. Each is checked like the first address.
const MAX_REDIRECTS: usize = 5;

/// Why a file could not be fetched, in words for whoever named it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nothing is fetched from there.
    #[error(transparent)]
    Refused(#[from] EgressError),
    /// The host's name does not resolve, or to an address that nothing is fetched from.
    #[error("{UNRESOLVED}")]
    Name,
    /// The server has no such file, or does not give it.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The server redirects too often, or to no address.
    #[error("the server redirects too often or to no address")]
    Redirects,
    /// The file did not arrive in time.
    #[error("the file did not arrive within {} seconds", TIMEOUT.as_secs())]
    Timeout,
    /// The server cannot be reached, or broke off.
    #[error("the server cannot be reached or broke off")]
    Unreachable(#[source] reqwest::Error),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        match refusal(&error) {
            Some(_) => Self::Name,
            None if error.is_timeout() => Self::Timeout,
            None => Self::Unreachable(error),
        }
    }
}

/// A file that arrives.
#[derive(Debug)]
pub struct Arriving(Response);

impl Arriving {
    /// The length that the server declares, in bytes.
    pub fn declared_length(&self) -> Option<u64> {
        self.0.content_length()
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The file takes too long, or the server broke off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        Ok(self.0.chunk().await?)
    }
}

impl Egress {
    /// Asks for the file at `url`.
    ///
    /// # Errors
    /// The policy forbids the address or one that it redirects to, or the server does not give the file.
    pub async fn fetch(&self, url: &str) -> Result<Arriving, FetchError> {
        let mut url = self.policy().check_url(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let request = self.client().get(url.clone()).timeout(TIMEOUT).header(ACCEPT, "image/*, */*;q=0.1");
            let response = request.send().await?;
            match response.status() {
                status if status.is_success() => return Ok(Arriving(response)),
                status if status.is_redirection() => {
                    let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
                    let to = to.and_then(|to| url.join(to).ok()).ok_or(FetchError::Redirects)?;
                    url = self.policy().check_url(to.as_str())?;
                }
                status => return Err(FetchError::Status(status)),
            }
        }
        Err(FetchError::Redirects)
    }
}
