//! A server on a port of its own.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use remaster_api::proxies::TrustedProxies;
use remaster_api::{
    Admin, Api, ApiSettings, ConnectionLimits, DailyAllowances, FleetView, Hosts, Parts, Webhooks, admin_router,
    router, serve,
};
use remaster_blobs::Blobs;
use remaster_pictures::header::PixelLimits;
use remaster_shared::blob_key::{BlobKey, OutputName};
use remaster_shared::catalogue::ModelInfo;
use remaster_shared::clock::{SharedClock, SystemClock};
use remaster_shared::job::{FaceReport, FaceStatus, JobRecord, JobResult};
use remaster_store::contract::request;
use remaster_store::{Claim, Lease, Outcome, Policy, SharedStore};
use remaster_store_sqlite::SqliteStore;
use remaster_webhooks::egress::{Egress, SystemLookup};
use remaster_webhooks::sign::Signer;
use reqwest::multipart::Form;
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::counting_store::CountingStore;
use crate::fixtures::{form, model, png, worker};
use crate::sse::Events;

/// The longest that a test waits for something that has to happen.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// The longest that a request may take, with the time that the service holds it.
const MAX_REQUEST: Duration = Duration::from_secs(60);
/// How often a condition is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The running service, with its store and its object storage.
pub struct Harness {
    pub store: SharedStore,
    pub counts: Arc<CountingStore>,
    pub blobs: Blobs,
    pub api: Arc<Api>,
    pub base: String,
    pub http: Client,
    folder: tempfile::TempDir,
}

/// What a test can choose about the service.
pub struct Builder {
    clock: SharedClock,
    settings: Box<dyn FnOnce(&mut ApiSettings) + Send>,
}

impl Builder {
    /// The clock of the store, instead of the system's.
    pub fn clock(self, clock: SharedClock) -> Self {
        Self { clock, ..self }
    }

    /// Changes to the settings.
    pub fn settings(self, change: impl FnOnce(&mut ApiSettings) + Send + 'static) -> Self {
        Self { settings: Box::new(change), ..self }
    }

    /// Starts the service with one worker that has one of the known models.
    pub async fn start(self) -> Harness {
        remaster_shared::tls::install_default_provider();
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("spool");
        std::fs::create_dir(&spool).unwrap();
        let mut settings = ApiSettings {
            public_url: None,
            hosts: Hosts::Any,
            daily_limit: 100,
            allowances: DailyAllowances::UNLIMITED,
            trusted_proxies: TrustedProxies::default(),
            max_upload_bytes: 50_000_000,
            pixels: PixelLimits { input: 40_000_000, output: 200_000_000 },
            sync_timeout: Duration::from_secs(20),
            spool,
            min_free_bytes: 1,
            use_realesrgan: true,
            metrics: true,
            // Tests send more at once than one caller may.
            connections: ConnectionLimits { per_address: 4096, ..ConnectionLimits::default() },
            max_batch_files: 10,
            webhooks: Webhooks {
                policy: "127.0.0.0/8".parse().unwrap(),
                public_keys: Signer::from_seed([7; 32]).public_keys(),
            },
            image_urls: "127.0.0.0/8".parse().unwrap(),
        };
        (self.settings)(&mut settings);
        let policy = Policy { daily_limit: settings.daily_limit, ..Policy::default() };
        let store: SharedStore = Arc::new(SqliteStore::open(&folder.path().join("data"), policy, self.clock).unwrap());
        let counts = Arc::new(CountingStore::new(store.clone()));
        let blobs = Blobs::in_folder(&folder.path().join("blobs")).unwrap();
        let strong = ModelInfo { weak_denoiser: Some("weak".into()), ..model("strong", false) };
        let known = vec![model("realesrgan-x4plus", false), model("absent", false), strong, model("weak", false)];
        let api = Api::new(Parts {
            store: counts.clone(),
            blobs: blobs.clone(),
            fetcher: Egress::new(settings.image_urls.clone(), Arc::new(SystemLookup)).unwrap(),
            fleet: FleetView::new(counts.clone(), counts.clone(), known),
            settings,
            stopping: CancellationToken::new(),
            metrics: Arc::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let api = Arc::new(api);
        tokio::spawn(serve(listener, router(api.clone()), api.settings.connections.clone(), pending()));
        let http = Client::builder().timeout(MAX_REQUEST).build().unwrap();
        let harness = Harness { store, counts, blobs, api, base, http, folder };
        harness.announce(vec![model("realesrgan-x4plus", true)]).await;
        harness
    }
}

impl Harness {
    pub fn builder() -> Builder {
        Builder { clock: Arc::new(SystemClock), settings: Box::new(|_| ()) }
    }

    pub async fn new() -> Self {
        Self::builder().start().await
    }

    /// Starts the administration port on the same store, and returns where it is.
    pub async fn administration(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let admin = Admin {
            operations: self.store.clone(),
            registry: self.store.clone(),
            metrics: Arc::default(),
            hosts: Hosts::of([127, 0, 0, 1].into(), &[], None),
            worker: Some(Arc::new(|| Err("the disk is full".to_owned()))),
            metrics_of_all: true,
        };
        tokio::spawn(serve(listener, admin_router(admin), ConnectionLimits::default(), pending()));
        base
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    /// The JSON at `path`.
    pub async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    /// The events at `path`.
    pub async fn events(&self, path: &str) -> Events {
        Events::new(self.get(path).await)
    }

    pub async fn post_form(&self, path: &str, form: Form) -> Response {
        self.http.post(self.url(path)).multipart(form).send().await.unwrap()
    }

    /// Posts a form with `file`, if there is one, and fields.
    pub async fn post(&self, path: &str, file: Option<Vec<u8>>, fields: &[(&str, &str)]) -> Response {
        let files: Vec<_> = file.into_iter().map(|bytes| ("a photo.jpg", bytes)).collect();
        let add = |form: Form, (name, value): &(&str, &str)| form.text((*name).to_owned(), (*value).to_owned());
        self.post_form(path, fields.iter().fold(form(&files), add)).await
    }

    /// Submits a small picture.
    pub async fn submit(&self) -> Value {
        let response = self.post("/jobs", Some(png(20, 10)), &[]).await;
        assert_eq!(response.status(), 202);
        response.json().await.unwrap()
    }

    /// Submits a batch.
    pub async fn submit_batch(&self, files: &[(&str, Vec<u8>)]) -> Value {
        let response = self.post_form("/batches", form(files)).await;
        assert_eq!(response.status(), 202);
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let batch: Value = response.json().await.unwrap();
        assert_eq!(batch["urls"]["self"], location);
        batch
    }

    /// How many units the caller has used.
    pub async fn used(&self) -> u64 {
        self.json("/quota").await["used"].as_u64().unwrap()
    }

    /// Announces the one worker with these models.
    pub async fn announce(&self, models: Vec<ModelInfo>) {
        self.store.announce(&worker(models)).await.unwrap();
    }

    /// Takes the next job as a worker would.
    pub async fn claim(&self) -> (JobRecord, Lease) {
        let claim = async {
            loop {
                match self.store.claim(&request()).await.unwrap() {
                    Claim::Job(job, lease) => return (*job, lease),
                    _ => self.store.wait_for_work(&request().skills, Duration::from_secs(1)).await,
                }
            }
        };
        tokio::time::timeout(MAX_WAIT, claim).await.expect("there is a job to claim")
    }

    /// Settles a claimed job with `content` as its picture.
    pub async fn succeed(&self, lease: &Lease, content: &[u8]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let job = self.store.get(lease.job).await.unwrap().unwrap();
        let output = OutputName::Fence(lease.fence, job.params.format);
        self.blobs.put_file(BlobKey::Output(lease.job, output), file.path()).await.unwrap();
        let result = JobResult {
            width: 40,
            height: 20,
            bytes: content.len() as u64,
            sha256: "ab".repeat(32),
            faces: FaceReport { found: 0, restored: 0, status: FaceStatus::ModelNotInstalled },
            precision: Some("bf16".into()),
        };
        self.store.finish(lease, Outcome::Succeeded(result)).await.unwrap();
    }

    /// How many inputs the storage has, and how many files the spool folder.
    pub fn files(&self) -> (usize, usize) {
        let count = |name: &str| {
            let folder = self.folder.path().join(name);
            std::fs::read_dir(folder).map_or(0, |entries| entries.count())
        };
        (count("blobs/inputs"), count("spool"))
    }

    /// Returns once the storage has `inputs` inputs and the spool folder is empty.
    pub async fn until_files(&self, inputs: usize) {
        until("the files are there or gone", async || self.files() == (inputs, 0)).await;
    }

    /// Returns once jobs and batches have been subscribed to `count` times, by requests that are held and by event streams.
    pub async fn until_subscribed(&self, count: usize) {
        until("the subscriptions are there", async || self.counts.subscriptions() >= count).await;
    }
}

/// Returns once `condition` holds, and panics if it does not within a few seconds.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(MAX_WAIT, poll).await.unwrap_or_else(|_| panic!("{what}: not within {MAX_WAIT:?}"));
}

/// The body of an error, after checking that it is one and has what every error has.
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
