//! Talking to the service, with patience: what may pass is tried again for a while.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use remaster_shared::job::{JobId, JobView};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response, StatusCode, header};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::words::in_words;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// How long the service may hold the answer about a job, in seconds.
const LONG_POLL: u64 = 25;
/// How long an answer may take, and each pause in it.
const SILENCE: Duration = Duration::from_secs(60);
/// How long an upload may take, with its answer.
const UPLOAD: Duration = Duration::from_secs(3600);

/// Why the service did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It refuses, and would again.
    #[error("{detail}")]
    Refused {
        /// The code of docs/api.md, or an empty one.
        code: String,
        /// What was wrong.
        detail: String,
    },
    /// It was tried again for as long as patience lasted.
    #[error("{0}")]
    Patience(String),
    /// The result that arrived is not the one that was made.
    #[error("the download does not have the SHA-256 of the result")]
    Damaged,
    /// The result cannot be kept.
    #[error("the download cannot be written: {0}")]
    Local(#[from] std::io::Error),
}

/// The service.
pub struct Service {
    http: Client,
    /// For uploads, during which nothing is heard of the service.
    uploads: Client,
    base: String,
    patience: Duration,
}

impl Service {
    /// The service at `base`, which is tried for as long as `patience` lasts whenever it does not answer.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(base: &str, patience: Duration) -> anyhow::Result<Self> {
        let name = concat!("remaster/", env!("CARGO_PKG_VERSION"));
        let client = || Client::builder().user_agent(name).connect_timeout(Duration::from_secs(10));
        let http = client().read_timeout(SILENCE).build().context("the HTTP client")?;
        let uploads = client().timeout(UPLOAD).tcp_keepalive(SILENCE).build().context("the HTTP client")?;
        Ok(Self { http, uploads, base: base.trim_end_matches('/').to_owned(), patience })
    }

    /// Submits an image. With a key that the service knows, it answers with the job of before, which the second value says.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn submit(
        &self,
        image: &[u8],
        (name, key): (&str, &str),
        options: &[(&'static str, String)],
    ) -> Result<(JobView, bool), Failure> {
        let request = || {
            let file = Part::bytes(image.to_vec()).file_name(name.to_owned());
            let form = options.iter().fold(Form::new(), |form, (name, value)| form.text(*name, value.clone()));
            let form = form.part("file", file);
            self.uploads
                .post(format!("{}/jobs", self.base))
                .header("Idempotency-Key", format!("\"{key}\""))
                .multipart(form)
        };
        let response = self.patiently(request).await?;
        let replayed = response.headers().contains_key("idempotency-replayed");
        Ok((parsed(response).await?, replayed))
    }

    /// The job, once it has changed or after a while.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn wait(&self, job: JobId) -> Result<JobView, Failure> {
        self.json(|| self.http.get(format!("{}/jobs/{job}?wait={LONG_POLL}", self.base))).await
    }

    /// Downloads the result to `file` and checks its hash.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn download(&self, job: JobId, sha256: &str, file: &Path) -> Result<(), Failure> {
        let mut damaged = None;
        for _ in 0..3 {
            let response = self.patiently(|| self.http.get(format!("{}/jobs/{job}/result", self.base))).await?;
            match save(response, sha256, file).await {
                Ok(()) => return Ok(()),
                Err(failure @ Failure::Local(_)) => return Err(failure),
                Err(failure) => damaged = Some(failure),
            }
        }
        Err(damaged.unwrap_or(Failure::Damaged))
    }

    /// Fetches an image from the web.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn fetch(&self, url: &url::Url) -> Result<Vec<u8>, Failure> {
        let response = self.patiently(|| self.http.get(url.clone())).await?;
        let bytes = response.bytes().await.map_err(|error| Failure::Patience(words(&error)))?;
        Ok(bytes.to_vec())
    }

    async fn json(&self, request: impl Fn() -> RequestBuilder) -> Result<JobView, Failure> {
        parsed(self.patiently(request).await?).await
    }

    /// Sends the request until it is answered with success or refused for good.
    async fn patiently(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, Failure> {
        let (began, mut wait) = (Instant::now(), FIRST_WAIT);
        loop {
            let (reason, asked) = match request().send().await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => refused(response).await?,
                Err(error) => (words(&error), None),
            };
            let pause = asked.unwrap_or(wait);
            let left = self.patience.saturating_sub(began.elapsed());
            if pause > left {
                let again = asked.map(|asked| format!("; it says to try again in {}", in_words(asked)));
                let again = again.unwrap_or_else(|| format!("; tried for {}", in_words(began.elapsed())));
                return Err(Failure::Patience(format!("{reason}{again}")));
            }
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

async fn parsed(response: Response) -> Result<JobView, Failure> {
    response.json().await.map_err(|error| {
        let detail = format!("the answer is not that of a Remaster service: {}", words(&error));
        Failure::Refused { code: String::new(), detail }
    })
}

/// Why the service did not do it this time, and when it may be asked again; an error if it is not to be asked again.
async fn refused(response: Response) -> Result<(String, Option<Duration>), Failure> {
    let status = response.status();
    let asked = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body: Value = response.json().await.unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (code, mut detail) = (text("code"), text("detail"));
    if detail.is_empty() {
        detail = format!("the service answers {status}");
    }
    let may_pass =
        status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT;
    if may_pass { Ok((detail, asked.map(Duration::from_secs))) } else { Err(Failure::Refused { code, detail }) }
}

async fn save(mut response: Response, sha256: &str, path: &Path) -> Result<(), Failure> {
    let (mut file, mut hash) = (tokio::fs::File::create(path).await?, Sha256::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| Failure::Patience(words(&error)))? {
        hash.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    if hex::encode(hash.finalize()) == sha256 { Ok(()) } else { Err(Failure::Damaged) }
}

/// What went wrong with a connection, with its cause and without the URL, which may have secrets in it.
fn words(error: &reqwest::Error) -> String {
    let mut words = String::from("the connection failed");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
