//! A server on a port of its own, and pictures to send to it.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use image::{DynamicImage, ImageFormat, RgbImage};
use remaster_api::proxies::TrustedProxies;
use remaster_api::{Api, ApiSettings, FleetView, Webhooks, router, serve};
use remaster_blobs::Blobs;
use remaster_pictures::header::PixelLimits;
use remaster_shared::blob_key::BlobKey;
use remaster_shared::catalogue::{Kind, ModelInfo};
use remaster_shared::clock::{SharedClock, SystemClock};
use remaster_shared::fleet::Announcement;
use remaster_shared::job::{FaceReport, FaceStatus, JobRecord, JobResult};
use remaster_store::{Claim, Lease, Outcome, Policy, SharedStore, Store};
use remaster_store_sqlite::SqliteStore;
use remaster_webhooks::sign::Signer;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub fn model(id: &str, installed: bool) -> ModelInfo {
    ModelInfo {
        id: id.into(),
        kind: Kind::Upscaler,
        architecture: "rrdbnet".into(),
        scale: Some(4),
        licence: "BSD-3-Clause".into(),
        licence_note: None,
        installed,
        rank: None,
    }
}

/// A worker named `w` with `models` says so.
pub async fn announce(store: &dyn Store, models: Vec<ModelInfo>) {
    let worker = Announcement {
        name: "w".into(),
        version: "0".into(),
        device: "cpu".into(),
        models,
        jobs: 2,
        in_flight: 1,
        stopping: false,
    };
    store.announce(&worker).await.unwrap();
}

pub struct Harness {
    pub store: SharedStore,
    pub blobs: Blobs,
    pub base: String,
    pub http: Client,
    folder: tempfile::TempDir,
}

impl Harness {
    pub async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut ApiSettings)) -> Self {
        Self::at(Arc::new(SystemClock), change).await
    }

    /// By a clock of the test's own.
    pub async fn at(clock: SharedClock, change: impl FnOnce(&mut ApiSettings)) -> Self {
        remaster_shared::tls::choose();
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("spool");
        std::fs::create_dir(&spool).unwrap();
        let mut settings = ApiSettings {
            public_url: None,
            daily_limit: 100,
            trusted_proxies: TrustedProxies::default(),
            max_upload_bytes: 50_000_000,
            pixels: PixelLimits { input: 40_000_000, output: 200_000_000 },
            sync_timeout: Duration::from_secs(20),
            spool,
            use_realesrgan: true,
            metrics: true,
            max_batch_files: 10,
            webhooks: Webhooks {
                policy: "127.0.0.0/8".parse().unwrap(),
                public_keys: Signer::from_seed([7; 32]).public_keys(),
            },
        };
        change(&mut settings);
        let policy = Policy { daily_limit: settings.daily_limit, ..Policy::default() };
        let store: SharedStore = Arc::new(SqliteStore::open(&folder.path().join("data"), policy, clock).unwrap());
        let blobs = Blobs::in_folder(&folder.path().join("blobs")).unwrap();
        let known = vec![model("realesrgan-x4plus", false), model("absent", false)];
        announce(&*store, vec![model("realesrgan-x4plus", true)]).await;
        let api = Api {
            store: store.clone(),
            blobs: blobs.clone(),
            fleet: FleetView::new(store.clone(), store.clone(), known),
            settings,
            stopping: CancellationToken::new(),
            uploads: Semaphore::new(Api::UPLOADS),
            batches: Semaphore::new(Api::BATCHES),
            metrics: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, router(Arc::new(api)), std::future::pending()));
        Self { store, blobs, base: format!("http://{address}"), http: Client::new(), folder }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    /// Posts a multipart form with `file` and fields.
    pub async fn post(&self, path: &str, file: Option<Vec<u8>>, fields: &[(&str, &str)]) -> Response {
        let mut form = Form::new();
        for (name, value) in fields {
            form = form.text(name.to_string(), value.to_string());
        }
        if let Some(bytes) = file {
            form = form.part("file", Part::bytes(bytes).file_name("a photo.jpg"));
        }
        self.http.post(self.url(path)).multipart(form).send().await.unwrap()
    }

    pub async fn submit(&self) -> Value {
        let response = self.post("/jobs", Some(png(20, 10)), &[]).await;
        assert_eq!(response.status(), 202);
        response.json().await.unwrap()
    }

    /// Takes the next job as a worker would.
    pub async fn claim(&self) -> (JobRecord, Lease) {
        loop {
            match self.store.claim("test").await.unwrap() {
                Claim::Job(job, lease) => return (*job, lease),
                Claim::Nothing { .. } => self.store.wait_for_work(Duration::from_secs(1)).await,
            }
        }
    }

    /// Settles a claimed job with `content` as its picture.
    pub async fn succeed(&self, lease: &Lease, content: &[u8]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        self.blobs.put_file(BlobKey::Output(lease.job, lease.attempt), file.path()).await.unwrap();
        let result = JobResult {
            width: 40,
            height: 20,
            bytes: content.len() as u64,
            sha256: "ab".repeat(32),
            faces: FaceReport { found: 0, restored: 0, status: FaceStatus::ModelNotInstalled },
        };
        self.store.finish(lease, Outcome::Succeeded(result)).await.unwrap();
    }

    /// Objects in the storage and files in the spool.
    pub fn files(&self) -> (usize, usize) {
        let count = |name: &str| {
            let folder = self.folder.path().join(name);
            std::fs::read_dir(folder).map_or(0, |entries| entries.count())
        };
        (count("blobs/inputs"), count("spool"))
    }
}

pub fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(width, height, ImageFormat::Png)
}

pub fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]));
    let mut out = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// The body of an error, after checking that it is one and what every error has.
pub async fn problem(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["request_id"], id);
    assert_eq!(body["status"], status);
    assert_eq!(body["type"], "about:blank");
    assert!(!body["detail"].as_str().unwrap().is_empty());
    body
}
