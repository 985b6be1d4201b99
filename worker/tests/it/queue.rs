//! The worker over a real store: a job's life, its cancel, a panic, a shutdown.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use image::{DynamicImage, ImageFormat, RgbImage};
use remaster_blobs::Blobs;
use remaster_engine::{Engine, EngineError, Network, SharedEngine, Tensor, fake::FakeEngine};
use remaster_shared::blob_key::BlobKey;
use remaster_shared::catalogue::{Catalogue, ModelInfo, upscaler};
use remaster_shared::client::ClientKey;
use remaster_shared::clock::SystemClock;
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{InputInfo, JobId, JobRecord, ModelId, PictureFormat, Scale, Status};
use remaster_store::{NewJob, NewJobs, Policy, SharedStore};
use remaster_store_sqlite::SqliteStore;
use remaster_worker::enhance::Enhancer;
use remaster_worker::gate::Gate;
use remaster_worker::upscale::TileSettings;
use remaster_worker::{Shutdown, WorkerSettings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{encoded, params};

const CLIENT: ClientKey = ClientKey([1; 16]);

struct FakeModel;

impl Catalogue for FakeModel {
    fn models(&self) -> Vec<ModelInfo> {
        vec![upscaler("fake", true)]
    }
}

struct Bench {
    store: SharedStore,
    blobs: Blobs,
    stop: CancellationToken,
    job_timeout: Duration,
    reuses: bool,
    reserve: u64,
    gate: Gate,
    worker: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy { retry_after: Duration::from_millis(20), ..Policy::default() };
        let store = SqliteStore::open(folder.path(), policy, Arc::new(SystemClock)).unwrap();
        Self {
            store: Arc::new(store),
            blobs: Blobs::in_memory(),
            stop: CancellationToken::new(),
            job_timeout: Duration::from_secs(60),
            reuses: false,
            reserve: 0,
            gate: Gate::default(),
            worker: None,
            _folder: folder,
        }
    }

    fn work(&mut self, engine: SharedEngine, jobs: usize, grace: Duration) {
        self.stop = CancellationToken::new();
        let settings = WorkerSettings {
            name: "test".into(),
            jobs,
            lease: Policy::default().lease,
            job_timeout: self.job_timeout,
            reuse_results: self.reuses,
            reserve: self.reserve,
            shutdown: Shutdown { requested: self.stop.clone(), grace },
            gate: self.gate.clone(),
            device: "cpu".into(),
            catalogue: Arc::new(FakeModel),
            metrics: Arc::default(),
        };
        let enhancer = Enhancer {
            engine,
            tiles: TileSettings::new(192).unwrap(),
            spool: std::env::temp_dir(),
            metrics: Arc::default(),
        };
        let start = remaster_worker::start(self.store.clone(), self.blobs.clone(), enhancer, settings);
        self.worker = Some(tokio::spawn(async move { start.await.await.unwrap() }));
    }

    async fn shut_down(&mut self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.worker.take().unwrap()).await.expect("stops").unwrap();
    }

    async fn submit(&self, side: u32) -> JobId {
        self.submit_for(CLIENT, side, 1.0).await
    }

    async fn submit_for(&self, client: ClientKey, side: u32, cost: f64) -> JobId {
        let png = encoded(&DynamicImage::ImageRgb8(RgbImage::new(side, side)), ImageFormat::Png);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &png).unwrap();
        let id = JobId::random();
        self.blobs.put_file(BlobKey::Input(id), file.path()).await.unwrap();
        let input = InputInfo {
            filename: None,
            format: Some(PictureFormat::Png),
            width: side,
            height: side,
            bytes: png.len() as u64,
            frames: None,
            alpha: false,
        };
        let job = NewJob { cost, ..NewJob::new(id, params("fake", Scale::X4), input) };
        self.store.submit(NewJobs::new(client, vec![job])).await.unwrap();
        id
    }

    async fn until(&self, id: JobId, enough: impl Fn(&JobRecord) -> bool) -> JobRecord {
        let mut watch = self.store.watch(id.0);
        let look = async {
            loop {
                let job = self.store.get(id).await.unwrap().unwrap();
                if enough(&job) {
                    return job;
                }
                let _ = tokio::time::timeout(Duration::from_millis(200), watch.changed()).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), look).await.expect("the job gets there")
    }
}

fn fake(delay: Duration) -> Arc<FakeEngine> {
    Arc::new(FakeEngine { delay, ..FakeEngine::default() })
}

#[tokio::test]
async fn jobs_are_worked_on() {
    let mut bench = Bench::new();
    bench.work(fake(Duration::ZERO), 2, Duration::from_secs(5));
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(bench.submit(40).await);
    }
    for id in ids {
        let job = bench.until(id, |job| job.status.is_terminal()).await;
        let result = job.result.clone().unwrap();
        assert_eq!((job.status, result.width, result.height), (Status::Succeeded, 160, 160));
        let png = bench.blobs.get(job.output_key().unwrap()).await.unwrap();
        assert_eq!(png.len() as u64, result.bytes);
        assert_eq!(image::load_from_memory(&png).unwrap().width(), 160);
    }
    bench.shut_down().await;
}

#[tokio::test]
async fn a_picture_that_comes_again_is_not_made_again() {
    let mut bench = Bench { reuses: true, ..Bench::new() };
    let engine = fake(Duration::ZERO);
    bench.work(engine.clone(), 1, Duration::from_secs(5));
    let first = bench.submit(40).await;
    let first = bench.until(first, |job| job.status == Status::Succeeded).await;
    let runs = engine.runs.load(Ordering::SeqCst);
    let again = bench.submit(40).await;
    let again = bench.until(again, |job| job.status == Status::Succeeded).await;
    assert_eq!((again.result.as_ref(), engine.runs.load(Ordering::SeqCst)), (first.result.as_ref(), runs));
    // Each has a picture of its own.
    bench.blobs.delete(first.output_key().unwrap()).await.unwrap();
    let png = bench.blobs.get(again.output_key().unwrap()).await.unwrap();
    assert_eq!(png.len() as u64, first.result.unwrap().bytes);
    // What cannot be copied is made.
    bench.blobs.delete(again.output_key().unwrap()).await.unwrap();
    let third = bench.submit(40).await;
    bench.until(third, |job| job.status == Status::Succeeded).await;
    let made = engine.runs.load(Ordering::SeqCst);
    assert!(made > runs);
    // Another client has it made, too.
    let other = bench.submit_for(ClientKey([2; 16]), 40, 1.0).await;
    bench.until(other, |job| job.status == Status::Succeeded).await;
    assert_eq!(engine.runs.load(Ordering::SeqCst), made + runs);
    bench.shut_down().await;
}

#[tokio::test]
async fn with_hardly_any_space_left_no_jobs_are_taken() {
    let mut bench = Bench { reserve: u64::MAX, ..Bench::new() };
    let engine = fake(Duration::ZERO);
    bench.work(engine.clone(), 1, Duration::from_secs(5));
    let waiting = bench.submit(40).await;
    let closed = async {
        while bench.gate.reason().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Also when it was tried again.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        bench.gate.reason().unwrap()
    };
    let reason = tokio::time::timeout(Duration::from_secs(20), closed).await.unwrap();
    assert!(reason.contains("bytes left"), "{reason}");
    assert_eq!(bench.store.get(waiting).await.unwrap().unwrap().status, Status::Queued);
    assert_eq!(engine.runs.load(Ordering::SeqCst), 0);
    bench.shut_down().await;
}

#[tokio::test]
async fn a_job_that_takes_too_long_fails_and_is_not_tried_again() {
    // Something has to be done in this time also on a machine that is busy; all of it takes more than 6 seconds.
    let mut bench = Bench { job_timeout: Duration::from_secs(3), ..Bench::new() };
    bench.work(fake(Duration::from_millis(100)), 1, Duration::from_secs(5));
    let (large, small) = (bench.submit(1500).await, bench.submit(40).await);
    let failed = bench.until(large, |job| job.status.is_terminal()).await;
    let error = failed.error.unwrap();
    assert_eq!((failed.status, failed.attempt, error.code), (Status::Failed, 1, ErrorCode::ImageTooLarge));
    assert!(error.message.contains("longer than the 3s"), "{error}");
    bench.until(small, |job| job.status == Status::Succeeded).await;
    bench.shut_down().await;
}

#[tokio::test]
async fn a_cancel_stops_a_running_job_within_a_tile() {
    let mut bench = Bench::new();
    let engine = fake(Duration::from_millis(100));
    bench.work(engine.clone(), 1, Duration::from_secs(5));
    let id = bench.submit(900).await;
    bench.until(id, |job| job.progress > 0.0).await;
    bench.store.cancel(id).await.unwrap();
    let job = bench.until(id, |job| job.status.is_terminal()).await;
    assert_eq!(job.status, Status::Canceled);
    let runs = engine.runs.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(engine.runs.load(Ordering::SeqCst) <= runs + 1, "tiles went on after the cancel");
    // The worker is free for the next one.
    let next = bench.submit(40).await;
    bench.until(next, |job| job.status == Status::Succeeded).await;
    bench.shut_down().await;
}

#[tokio::test]
async fn shutdown_lets_a_short_job_finish() {
    let mut bench = Bench::new();
    bench.work(fake(Duration::from_millis(500)), 1, Duration::from_secs(5));
    let id = bench.submit(40).await;
    bench.until(id, |job| job.status == Status::Processing).await;
    // The store marks the job as processing slightly before the worker starts on it. If the worker stopped in that interval,
    // it would give the job back.
    tokio::time::sleep(Duration::from_millis(100)).await;
    bench.shut_down().await;
    assert_eq!(bench.store.get(id).await.unwrap().unwrap().status, Status::Succeeded);
}

#[tokio::test]
async fn shutdown_gives_a_long_job_back_and_another_worker_does_it() {
    let mut bench = Bench::new();
    bench.work(fake(Duration::from_secs(60)), 1, Duration::from_millis(50));
    let id = bench.submit(40).await;
    bench.until(id, |job| job.status == Status::Processing).await;
    bench.shut_down().await;
    let job = bench.store.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.attempt), (Status::Queued, 0));
    bench.work(fake(Duration::ZERO), 1, Duration::from_secs(5));
    bench.until(id, |job| job.status == Status::Succeeded).await;
    bench.shut_down().await;
    assert_eq!(bench.store.quota(CLIENT).await.unwrap().used, 1);
}

/// Panics on its first run, then works.
struct PanicsOnce(FakeEngine);

#[async_trait]
impl Engine for PanicsOnce {
    async fn network(&self, model: &ModelId) -> Result<Network, EngineError> {
        self.0.network(model).await
    }

    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        assert!(self.0.runs.fetch_add(1, Ordering::SeqCst) > 0, "the first run fails");
        self.0.run(model, input).await
    }
}

#[tokio::test]
async fn a_panic_costs_an_attempt_and_not_the_worker() {
    let mut bench = Bench::new();
    bench.work(Arc::new(PanicsOnce(FakeEngine::default())), 1, Duration::from_secs(5));
    let id = bench.submit(40).await;
    let job = bench.until(id, |job| job.status.is_terminal()).await;
    assert_eq!((job.status, job.attempt), (Status::Succeeded, 2));
    bench.shut_down().await;
}

#[tokio::test]
async fn an_input_that_is_gone_fails_the_job_and_refunds_it() {
    let mut bench = Bench::new();
    let id = bench.submit(40).await;
    bench.blobs.delete(BlobKey::Input(id)).await.unwrap();
    bench.work(fake(Duration::ZERO), 1, Duration::from_secs(5));
    let job = bench.until(id, |job| job.status.is_terminal()).await;
    assert_eq!((job.status, job.error.unwrap().code), (Status::Failed, ErrorCode::StorageUnavailable));
    assert_eq!(bench.store.quota(CLIENT).await.unwrap().used, 0);
    bench.shut_down().await;
}

/// The one client's jobs take long and are cheap, so that it would be its turn again and again; the other's are short and dear.
#[tokio::test]
async fn a_client_has_no_more_than_its_share_of_a_worker_while_others_wait() {
    let mut bench = Bench::new();
    let (long, short) = (ClientKey([1; 16]), ClientKey([2; 16]));
    let mut of_short = Vec::new();
    for _ in 0..2 {
        of_short.push(bench.submit_for(short, 40, 1e6).await);
    }
    let mut of_long = Vec::new();
    for _ in 0..3 {
        of_long.push(bench.submit_for(long, 900, 1e-6).await);
    }
    bench.work(fake(Duration::from_millis(200)), 2, Duration::from_millis(50));
    let other = bench.until(of_short[1], |job| job.status == Status::Succeeded).await;
    // With nobody else waiting, it has both places.
    let second = bench.until(of_long[1], |job| job.status == Status::Processing).await;
    assert_eq!(bench.store.get(of_long[0]).await.unwrap().unwrap().status, Status::Processing);
    assert!(second.started_at >= other.finished_at, "{second:?} before {other:?}");
    bench.shut_down().await;
}
