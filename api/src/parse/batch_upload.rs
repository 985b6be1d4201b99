//! Receiving the files of a batch. Each goes to the object storage as it arrives, so that the spool folder holds no more than
//! the one that is being received.

use std::time::Duration;

use axum::extract::Request;
use futures::{StreamExt, stream};
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::idempotency::FingerprintBuilder;
use remaster_shared::job::{InputInfo, JobId};
use remaster_shared::quota::Quota;

use super::body::{declared_length, media_type, within};
use super::client::Client;
use super::form::{ENVELOPE, Form, Part};
use super::idempotency::Fingerprinted;
use super::image_url;
use super::options::SubmitOptions;
use super::spool::{Spool, Spooled, too_large};
use super::upload::Sent;
use crate::inputs::StoredInputs;
use crate::problem::{ApiResult, Problem};
use crate::state::{Api, Shared};

/// The longest that the upload of a batch may take. It has to be well below the age at which the sweep takes the first files
/// for orphans.
const MAX_DURATION: Duration = Duration::from_secs(3600);
/// How many files of a batch are fetched at once.
const FETCHED_AT_ONCE: usize = 4;
/// Bytes that the form may hold for each file besides its content: the header of the part.
const PART_HEADER: u64 = 4096;

/// One file of a batch.
pub struct BatchFile {
    /// The job that the file becomes.
    pub job: JobId,
    /// What the header of the image says; of a refused file, its name and size only.
    pub info: InputInfo,
    /// What the caller sent of it.
    pub sent: Sent,
    /// Why the file is refused. The object storage holds nothing of a refused file.
    pub refused: Option<JobError>,
}

/// The files of a batch in the order in which they were sent, of which there is at least one.
pub struct BatchUpload {
    /// The files, refused ones included.
    pub files: Vec<BatchFile>,
    /// The pictures of the files that were not refused.
    pub inputs: StoredInputs,
}

impl Fingerprinted for BatchUpload {
    fn add_to(&self, fingerprint: FingerprintBuilder) -> FingerprintBuilder {
        self.files.iter().fold(fingerprint, |so_far, file| {
            file.sent.add_to(so_far.part("name", file.info.filename.as_deref().unwrap_or("").as_bytes()))
        })
    }
}

/// Receives the files in the body of `request`, or fetches those whose addresses it names. Options that are fields of the form are
/// added to `options`. With a `quota`, reading stops at the first file that it has no unit for.
///
/// # Errors
/// 400 for a form without a file or one that cannot be read, 408 for a slow upload, 413 for too many or too large files, 429
/// for more files than the quota has units, 500 or 503 when the files cannot be kept, and 503 when there are too many uploads.
pub async fn receive_batch(
    api: &Shared,
    request: Request,
    options: &mut SubmitOptions,
    (client, quota): (Client, Option<Quota>),
) -> ApiResult<BatchUpload> {
    let _turn = api.batches.take(client.key).await?;
    within(MAX_DURATION, receive(api, request, options, (client, quota))).await
}

async fn receive(
    api: &Shared,
    request: Request,
    options: &mut SubmitOptions,
    (client, quota): (Client, Option<Quota>),
) -> ApiResult<BatchUpload> {
    match media_type(&request).as_str() {
        "multipart/form-data" => receive_form(api, request, options, (client, quota)).await,
        image_url::JSON => fetch_files(api, request, options, (client, quota)).await,
        _ => {
            let detail = "Send the images as multipart/form-data, each in a part named file, or their addresses as JSON with the \
                member image_urls.";
            Err(Problem::new(ErrorCode::MissingFile, detail))
        }
    }
}

async fn receive_form(
    api: &Shared,
    request: Request,
    options: &mut SubmitOptions,
    (client, quota): (Client, Option<Quota>),
) -> ApiResult<BatchUpload> {
    let max_files = api.settings.max_batch_files;
    let limit = (api.settings.max_upload_bytes + PART_HEADER).saturating_mul(max_files as u64).saturating_add(ENVELOPE);
    if declared_length(&request).is_some_and(|length| length > limit) {
        let detail = format!("The form is larger than {limit} bytes (MAX_BATCH_FILES of MAX_UPLOAD_BYTES each).");
        return Err(Problem::new(ErrorCode::BatchTooLarge, detail));
    }
    let mut form = Form::read(request, limit).await?;
    let mut batch = BatchUpload { files: Vec::new(), inputs: StoredInputs::new(api) };
    while let Some(part) = form.next().await? {
        if !part.is_file() {
            part.add_to(options).await?;
            continue;
        }
        if batch.files.len() == max_files {
            return Err(too_many(max_files));
        }
        receive_file(api, (client, quota), part, &mut batch).await?;
    }
    if batch.files.is_empty() {
        return Err(Problem::new(ErrorCode::MissingFile, "There is no image: no part is named file."));
    }
    Ok(batch)
}

/// Fetches the files whose addresses the body names.
async fn fetch_files(
    api: &Shared,
    request: Request,
    options: &mut SubmitOptions,
    (client, quota): (Client, Option<Quota>),
) -> ApiResult<BatchUpload> {
    let urls = image_url::read_many(request, options).await?;
    if urls.len() > api.settings.max_batch_files {
        return Err(too_many(api.settings.max_batch_files));
    }
    let mut batch = BatchUpload { files: Vec::new(), inputs: StoredInputs::new(api) };
    let mut arriving =
        stream::iter(urls).map(|url| async move { (image_url::fetch(api, &url).await, url) }).buffered(FETCHED_AT_ONCE);
    while let Some((fetched, url)) = arriving.next().await {
        let filename = image_url::filename(&url);
        let fetched = fetched?;
        let (bytes, inspected) = match &fetched {
            Ok(spooled) => (spooled.bytes, spooled.inspect(filename.clone()).await?.map(|info| (info, spooled))),
            Err(error) => (0, Err(error.clone())),
        };
        batch.keep(api, (client, quota), Sent::Url(url), (filename, bytes), inspected).await?;
    }
    Ok(batch)
}

fn too_many(max_files: usize) -> Problem {
    let detail = format!("There are more than {max_files} files (MAX_BATCH_FILES); nothing was charged.");
    Problem::new(ErrorCode::BatchTooLarge, detail)
}

/// Receives one file and stores it if the service takes such a picture. If not, the other files of the batch go on.
async fn receive_file(
    api: &Shared,
    payer: (Client, Option<Quota>),
    mut part: Part<'_>,
    batch: &mut BatchUpload,
) -> ApiResult<()> {
    let filename = part.filename();
    let mut spool = Spool::new(api).await?;
    let mut fits = true;
    while let Some(chunk) = part.chunk().await? {
        fits = spool.add(&chunk).await?;
    }
    let spooled = spool.finish().await?;
    let inspected = match spooled.bytes {
        0 => Err(JobError::new(ErrorCode::ImageCorrupt, "The file is empty.")),
        _ if !fits => Err(too_large(api.settings.max_upload_bytes)),
        _ => spooled.inspect(filename.clone()).await?,
    };
    let inspected = inspected.map(|info| (info, &spooled));
    batch.keep(api, payer, Sent::File(spooled.hash), (filename, spooled.bytes), inspected).await
}

impl BatchUpload {
    /// Adds a file of this name and size, and stores it if it was `inspected` and found good. One that was not is counted.
    ///
    /// # Errors
    /// The quota has no unit for it, or the object storage does not answer.
    async fn keep(
        &mut self,
        api: &Api,
        (client, quota): (Client, Option<Quota>),
        sent: Sent,
        (filename, bytes): (Option<String>, u64),
        inspected: Result<(InputInfo, &Spooled), JobError>,
    ) -> ApiResult<()> {
        let job = JobId::of(client.key);
        let file = match inspected {
            Ok((info, spooled)) => {
                self.inputs.put(job, spooled.file.path()).await?;
                BatchFile { job, info, sent, refused: None }
            }
            Err(error) => {
                api.count_refusal(client, error.code);
                let info = InputInfo { filename, format: None, width: 0, height: 0, bytes, frames: None, alpha: false };
                BatchFile { job, info, sent, refused: Some(error) }
            }
        };
        self.files.push(file);
        match quota.filter(|quota| self.inputs.count() as u64 > quota.remaining) {
            Some(quota) => Err(Problem::quota_exceeded(quota)),
            None => Ok(()),
        }
    }
}
