//! What the tests of this contract, and other tests, make their jobs of.

use jiff::Timestamp;
use remaster_shared::client::ClientKey;
use remaster_shared::clock::ManualClock;
use remaster_shared::job::{
    EnhanceParams, FaceReport, FaceStatus, Fence, InputInfo, JobId, JobRecord, JobResult, ModelId, PictureFormat,
    Skill, Status,
};
use std::time::Duration;

use crate::{Claim, ClaimRequest, Lease, LeaseError, NewJob, NewJobs, Policy, Store};

/// When the clock of a test begins.
pub fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// One of up to 256 clients.
pub fn client(number: u8) -> ClientKey {
    ClientKey([number; 16])
}

/// A job of client 1 for a photo of 1000x500 pixels, at scale 2 with the default model.
pub fn new_job() -> NewJob {
    new_job_of(client(1))
}

/// The same of another client.
pub fn new_job_of(client: ClientKey) -> NewJob {
    let params = EnhanceParams::of(ModelId::parse("realesrgan-x4plus").unwrap());
    let input = InputInfo {
        filename: Some("a.jpg".into()),
        format: Some(PictureFormat::Jpeg),
        width: 1000,
        height: 500,
        bytes: 12_345,
        frames: None,
        alpha: false,
    };
    NewJob::new(JobId::of(client), params, input)
}

/// The result of such a job.
pub fn result() -> JobResult {
    JobResult {
        width: 2000,
        height: 1000,
        bytes: 99,
        sha256: "00".repeat(32),
        faces: FaceReport { found: 0, restored: 0, status: FaceStatus::NoneFound },
        precision: Some("fp32".into()),
    }
}

/// Submits this many jobs of a client, and returns their ids in order.
pub async fn submit(store: &dyn Store, number: u8, jobs: usize) -> Vec<JobId> {
    let new = NewJobs::new(client(number), (0..jobs).map(|_| new_job_of(client(number))).collect());
    store.submit(new).await.unwrap().jobs.iter().map(|job| job.id).collect()
}

/// A claim by a worker that has the model of [`new_job`].
pub fn request() -> ClaimRequest {
    let skills = Skill::of_worker(&[ModelId::parse("realesrgan-x4plus").unwrap()], &[], false);
    ClaimRequest { worker: "w".into(), fence: Fence::random(), skills, busy: Vec::new() }
}

/// Claims the next job and begins the attempt.
pub(super) async fn claim(store: &dyn Store) -> (JobRecord, Lease) {
    match store.claim(&request()).await.unwrap() {
        Claim::Job(job, lease) => {
            store.heartbeat(&lease).await.unwrap();
            (*job, lease)
        }
        other => panic!("nothing to claim: {other:?}"),
    }
}

pub(super) async fn idle(store: &dyn Store) -> Option<Duration> {
    match store.claim(&request()).await.unwrap() {
        Claim::Nothing { next } => next,
        other => panic!("not idle: {other:?}"),
    }
}

/// Lets time pass while other workers call now and then, as they do.
pub(super) async fn pass(store: &dyn Store, clock: &ManualClock, mut time: Duration) {
    let other =
        |number| Lease { job: JobId::of(client(number)), attempt: 1, fence: Fence::random(), worker: "other".into() };
    while time > Duration::ZERO {
        let step = time.min(Policy::default().lease / 3);
        clock.advance(step);
        for number in 1..4 {
            assert!(matches!(store.heartbeat(&other(number)).await, Err(LeaseError::Lost)));
        }
        time -= step;
    }
}

pub(super) async fn status(store: &dyn Store, job: JobId) -> Status {
    store.get(job).await.unwrap().unwrap().status
}

pub(super) async fn used(store: &dyn Store, number: u8) -> u64 {
    store.quota(client(number)).await.unwrap().used
}
