//! Faults of the service's own, at size: ten workers, a thousand jobs, and no job fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use image::{DynamicImage, ImageFormat, RgbImage};
use remaster_blobs::{Blobs, Storage};
use remaster_engine::{Engine, EngineError, Network, SharedEngine, Tensor, fake::FakeEngine};
use remaster_shared::blob_key::BlobKey;
use remaster_shared::catalogue::{Catalogue, ModelInfo, upscaler};
use remaster_shared::client::ClientKey;
use remaster_shared::clock::SystemClock;
use remaster_shared::job::{InputInfo, JobId, ModelId, PictureFormat, Scale, Status};
use remaster_store::{NewJob, NewJobs, Policy, SharedStore};
use remaster_store_sqlite::SqliteStore;
use remaster_testkit::S3Server;
use remaster_worker::enhance::Enhancer;
use remaster_worker::gate::Gate;
use remaster_worker::upscale::TileSettings;
use remaster_worker::{Shutdown, WorkerSettings};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{encoded, params};

const JOBS: usize = 1000;
const WORKERS: usize = 10;
/// How long all jobs may take.
const DEADLINE: Duration = Duration::from_secs(120);

struct FakeModel;

impl Catalogue for FakeModel {
    fn models(&self) -> Vec<ModelInfo> {
        vec![upscaler("fake", true)]
    }
}

/// Fails at once for as long as it is broken, as a device does that has fallen off the bus.
struct Breakable {
    engine: FakeEngine,
    broken: AtomicBool,
}

impl Breakable {
    fn new(broken: bool) -> Arc<Self> {
        let engine = FakeEngine { delay: Duration::from_millis(5), ..FakeEngine::default() };
        Arc::new(Self { engine, broken: AtomicBool::new(broken) })
    }
}

#[async_trait]
impl Engine for Breakable {
    async fn network(&self, model: &ModelId) -> Result<Network, EngineError> {
        self.engine.network(model).await
    }

    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(EngineError::Run("the device is gone".into()));
        }
        self.engine.run(model, input).await
    }
}

struct Fleet {
    store: SharedStore,
    blobs: Blobs,
    stop: CancellationToken,
    workers: JoinSet<()>,
    _folder: tempfile::TempDir,
}

impl Fleet {
    /// Workers with these engines, and [`JOBS`] jobs of ten clients.
    async fn start(blobs: Blobs, engines: Vec<SharedEngine>) -> (Self, Vec<JobId>) {
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy::default();
        assert_eq!(policy.max_attempts, 3, "the default");
        let store: SharedStore = Arc::new(SqliteStore::open(folder.path(), policy, Arc::new(SystemClock)).unwrap());
        let mut fleet = Self { store, blobs, stop: CancellationToken::new(), workers: JoinSet::new(), _folder: folder };
        let mut ids = Vec::new();
        for client in 0..10 {
            ids.extend(fleet.submit(client, JOBS / 10).await);
        }
        for (number, engine) in engines.into_iter().enumerate() {
            fleet.work(number, engine);
        }
        (fleet, ids)
    }

    async fn submit(&self, client: u8, jobs: usize) -> Vec<JobId> {
        let png = encoded(&DynamicImage::ImageRgb8(RgbImage::new(8, 8)), ImageFormat::Png);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &png).unwrap();
        let bytes = png.len() as u64;
        let input = InputInfo {
            filename: None,
            format: Some(PictureFormat::Png),
            width: 8,
            height: 8,
            bytes,
            frames: None,
            alpha: false,
        };
        let ids: Vec<_> = (0..jobs).map(|_| JobId::random()).collect();
        for id in &ids {
            self.blobs.put_file(BlobKey::Input(*id), file.path()).await.unwrap();
        }
        let new = ids.iter().map(|id| NewJob::new(*id, params("fake", Scale::X4), input.clone())).collect();
        self.store.submit(NewJobs::new(ClientKey([client; 16]), new)).await.unwrap();
        ids
    }

    fn work(&mut self, number: usize, engine: SharedEngine) {
        let settings = WorkerSettings {
            name: format!("worker-{number}"),
            jobs: 1,
            lease: Policy::default().lease,
            job_timeout: Duration::from_secs(60),
            reuse_results: false,
            reserve: 0,
            shutdown: Shutdown { requested: self.stop.clone(), grace: Duration::from_secs(5) },
            gate: Gate::default(),
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
        self.workers.spawn(async move { start.await.await.unwrap() });
    }

    async fn paused(&self) -> usize {
        let workers = self.store.workers().await.unwrap();
        workers.iter().filter(|worker| worker.said.paused.is_some()).count()
    }

    /// Waits until every job has ended, and checks that each succeeded, that its result lies in the storage, and that no unit came
    /// back.
    async fn all_succeed(mut self, ids: &[JobId]) {
        let ended = async {
            loop {
                let stats = self.store.stats().await.unwrap();
                if stats.queued + stats.processing == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(DEADLINE, ended).await.expect("every job ends");
        for id in ids {
            let job = self.store.get(*id).await.unwrap().unwrap();
            assert_eq!((job.status, job.attempt), (Status::Succeeded, 1), "{:?}", job.error);
            assert_eq!(
                self.blobs.get(job.output_key().unwrap()).await.unwrap().len() as u64,
                job.result.unwrap().bytes
            );
        }
        assert_eq!(self.store.stats().await.unwrap().requests_today, ids.len() as u64);
        self.stop.cancel();
        while self.workers.join_next().await.is_some() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_worker_of_ten_fails_no_job() {
    let broken = Breakable::new(true);
    let engines = (0..WORKERS).map(|number| -> SharedEngine {
        if number == 0 { broken.clone() } else { Breakable::new(false) }
    });
    let (fleet, ids) = Fleet::start(Blobs::in_memory(), engines.collect()).await;
    let told = async {
        while fleet.paused().await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, told).await.expect("the broken worker says so");
    fleet.all_succeed(&ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_gone_everywhere_for_a_while_fails_no_job() {
    let engines: Vec<_> = (0..WORKERS).map(|_| Breakable::new(false)).collect();
    let shared = engines.iter().map(|engine| Arc::clone(engine) as SharedEngine).collect();
    let (fleet, ids) = Fleet::start(Blobs::in_memory(), shared).await;
    engines.iter().for_each(|engine| engine.broken.store(true, Ordering::SeqCst));
    tokio::time::sleep(Duration::from_secs(3)).await;
    engines.iter().for_each(|engine| engine.broken.store(false, Ordering::SeqCst));
    fleet.all_succeed(&ids).await;
}

/// Lets the storage fail in the middle of the work and recover: no job fails, and no picture is made twice.
async fn outage(fail: impl AsyncFnOnce(&mut S3Server)) {
    let mut server = S3Server::start();
    let blobs = Blobs::open(&Storage::at(server.url()), server.vars()).unwrap();
    let engines: Vec<_> = (0..WORKERS).map(|_| Breakable::new(false)).collect();
    let shared = engines.iter().map(|engine| Arc::clone(engine) as SharedEngine).collect();
    let (fleet, ids) = Fleet::start(blobs, shared).await;
    let begun = async {
        while fleet.store.stats().await.unwrap().queued as usize > JOBS * 9 / 10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, begun).await.expect("work begins");
    fail(&mut server).await;
    assert!(fleet.store.stats().await.unwrap().queued > 0, "the storage failed too late");
    fleet.all_succeed(&ids).await;
    let made: usize = engines.iter().map(|engine| engine.engine.runs.load(Ordering::SeqCst)).sum();
    assert_eq!(made, JOBS, "a picture is made once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_is_down_for_a_while_fails_no_job() {
    outage(async |server| {
        server.stop();
        tokio::time::sleep(Duration::from_secs(4)).await;
        server.restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_answers_500_for_a_minute_fails_no_job() {
    outage(async |server| {
        server.set_failing(true);
        tokio::time::sleep(Duration::from_secs(60)).await;
        server.set_failing(false);
    })
    .await;
}
