//! Receiving a batch: each file goes to the storage as it arrives, so that no more than the one on its way is held here.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use remaster_shared::blob_key::BlobKey;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::{InputInfo, JobId};
use remaster_shared::quota::Quota;

use crate::form::{ENVELOPE, Form, Part, content_type, declared};
use crate::options::Options;
use crate::problem::{Answer, Problem, over_quota};
use crate::state::Shared;
use crate::undo;
use crate::upload::{Spool, too_large};

/// The longest that a batch's upload may take: well before the sweep takes its first files for orphans.
const LONGEST: Duration = Duration::from_secs(3600);
/// What the form may hold besides, per file: its part's header.
const HEADER: u64 = 4096;

/// A file that has arrived.
pub struct Arrived {
    pub job: JobId,
    pub input: InputInfo,
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
    /// Why it will be no picture. Then nothing of it is in the storage.
    pub refused: Option<JobError>,
}

/// The files of a batch, in their order.
pub struct Gathered {
    pub files: Vec<Arrived>,
    pub options: Options,
    pub stored: Stored,
}

/// Takes the files and the options out of `request`; options of the query are already in `options`. With a `quota`, no more
/// files are read than it has units left.
pub async fn gather(api: &Shared, request: Request, options: Options, quota: Option<Quota>) -> Answer<Gathered> {
    let _turn = api.batches.acquire().await;
    let late = || Problem::new(ErrorCode::RequestTimeout, "The upload took too long; nothing was charged.");
    tokio::time::timeout(LONGEST, gather_now(api, request, options, quota)).await.map_err(|_| late())?
}

async fn gather_now(api: &Shared, request: Request, mut options: Options, quota: Option<Quota>) -> Answer<Gathered> {
    if content_type(&request) != "multipart/form-data" {
        let detail = "Send the images as multipart/form-data, each in a part named file.";
        return Err(Problem::new(ErrorCode::MissingFile, detail));
    }
    let most = api.settings.max_batch_files;
    let limit = (api.settings.max_upload_bytes + HEADER).saturating_mul(most as u64).saturating_add(ENVELOPE);
    if declared(&request).is_some_and(|length| length > limit) {
        let detail = format!("The form is larger than {limit} bytes (MAX_BATCH_FILES of MAX_UPLOAD_BYTES each).");
        return Err(Problem::new(ErrorCode::BatchTooLarge, detail));
    }
    let mut form = Form::of(request, limit).await?;
    let mut files = Vec::new();
    let mut stored = Stored { api: Arc::clone(api), jobs: Vec::new() };
    while let Some(part) = form.next().await? {
        if !part.is_file() {
            part.add_to(&mut options).await?;
            continue;
        }
        if files.len() == most {
            return Err(too_many(most));
        }
        files.push(arrive(api, part, &mut stored).await?);
        if let Some(quota) = quota.filter(|quota| stored.jobs.len() as u64 > quota.remaining) {
            return Err(over_quota(quota));
        }
    }
    if files.is_empty() {
        return Err(Problem::new(ErrorCode::MissingFile, "There is no image: no part is named file."));
    }
    Ok(Gathered { files, options, stored })
}

fn too_many(most: usize) -> Problem {
    let detail = format!("There are more than {most} files (MAX_BATCH_FILES); nothing was charged.");
    Problem::new(ErrorCode::BatchTooLarge, detail)
}

/// One file: into the spool, looked at, and into the storage. A file that is refused is no reason to refuse the others.
async fn arrive(api: &Shared, mut part: Part<'_>, stored: &mut Stored) -> Answer<Arrived> {
    let (job, filename) = (JobId::random(), part.filename());
    let mut spool = Spool::new(api).await?;
    let mut fits = true;
    while let Some(chunk) = part.chunk().await? {
        fits = spool.add(&chunk).await?;
    }
    let spooled = spool.finish().await?;
    let (bytes, hash) = (spooled.bytes, spooled.hash);
    let looked = match bytes {
        0 => Err(JobError::new(ErrorCode::ImageCorrupt, "The file is empty.")),
        _ if !fits => {
            let Problem { code, detail, .. } = too_large(api.settings.max_upload_bytes);
            Err(JobError::new(code, detail))
        }
        _ => spooled.look(filename.clone()).await?,
    };
    match looked {
        Ok(input) => {
            stored.jobs.push(job);
            api.blobs.put_file(BlobKey::Input(job), spooled.file.path()).await?;
            Ok(Arrived { job, input, hash, refused: None })
        }
        Err(error) => {
            let input = InputInfo { filename, format: None, width: 0, height: 0, bytes };
            Ok(Arrived { job, input, hash, refused: Some(error) })
        }
    }
}

/// Pictures in the storage of jobs that are not there yet. Deleted when this is dropped: the request came to nothing.
pub struct Stored {
    api: Shared,
    jobs: Vec<JobId>,
}

impl Stored {
    /// The picture of `job` is of no use after all.
    pub async fn delete(&mut self, job: JobId) {
        self.jobs.retain(|stored| *stored != job);
        undo::delete(&self.api, job).await;
    }

    /// From now on they are somebody else's care.
    pub fn keep(mut self) -> Vec<JobId> {
        std::mem::take(&mut self.jobs)
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let (api, jobs) = (Arc::clone(&self.api), std::mem::take(&mut self.jobs));
        if !jobs.is_empty() {
            tokio::spawn(async move { undo::delete_all(&api, jobs).await });
        }
    }
}
