//! Whole requests to the API, from the line with the method to the end of the body.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use remaster_api::proxies::TrustedProxies;
use remaster_api::{
    Api, ApiSettings, ConnectionLimits, DailyAllowances, FleetView, Hosts, Parts, Router, Webhooks, router,
};
use remaster_blobs::Blobs;
use remaster_pictures::header::PixelLimits;
use remaster_shared::clock::SystemClock;
use remaster_store::{Policy, SharedStore};
use remaster_store_sqlite::SqliteStore;
use remaster_webhooks::egress::{Egress, EgressPolicy, SystemLookup};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A service whose queue is full, so that every submit is refused, after all that is read of it.
struct Service {
    runtime: Runtime,
    router: Router,
    _folder: tempfile::TempDir,
}

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    std::fs::create_dir(&spool).unwrap();
    let policy = Policy { daily_limit: u64::MAX / 2, max_queue: 0, ..Policy::default() };
    let store = SqliteStore::open(&folder.path().join("data"), policy, Arc::new(SystemClock)).unwrap();
    let store: SharedStore = Arc::new(store);
    let settings = ApiSettings {
        public_url: None,
        hosts: Hosts::Any,
        daily_limit: u64::MAX / 2,
        allowances: DailyAllowances::UNLIMITED,
        trusted_proxies: TrustedProxies::default(),
        max_upload_bytes: 100_000,
        pixels: PixelLimits { input: 40_000_000, output: 200_000_000 },
        sync_timeout: Duration::from_secs(1),
        spool,
        min_free_bytes: 1,
        use_realesrgan: false,
        metrics: true,
        connections: ConnectionLimits::default(),
        max_batch_files: 5,
        webhooks: Webhooks { policy: EgressPolicy::default(), public_keys: Vec::new() },
        // Nobody is to be reached by random addresses.
        image_urls: "none".parse().unwrap(),
    };
    let api = Api::new(Parts {
        fleet: FleetView::new(store.clone(), store.clone(), Vec::new()),
        store,
        blobs: Blobs::in_folder(&folder.path().join("blobs")).unwrap(),
        fetcher: Egress::new(settings.image_urls.clone(), Arc::new(SystemLookup)).unwrap(),
        settings,
        stopping: CancellationToken::new(),
        metrics: Arc::default(),
    });
    let router = runtime.block_on(async { router(Arc::new(api)) });
    Service { runtime, router, _folder: folder }
});

/// A request as it is written: a line `METHOD path`, headers, an empty line, the body.
fn read(bytes: &[u8]) -> Option<Request<Body>> {
    let (head, body) = bytes.split_at(bytes.windows(2).position(|two| two == b"\n\n")?);
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.split(|byte| *byte == b' ');
    let (method, path) = (words.next()?, words.next()?);
    let mut request = Request::builder().method(method).uri(path);
    for line in lines {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
        request = request.header(name, value[1..].trim_ascii());
    }
    let mut request = request.body(Body::from(body[2..].to_vec())).ok()?;
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1))));
    Some(request)
}

/// A request is answered, and never by an error that nobody thought of.
pub fn requests(bytes: &[u8]) {
    let Some(request) = read(bytes) else { return };
    // What is followed goes on until it ends.
    let path = request.uri().path().to_owned();
    if path.ends_with("/events") || request.uri().query().is_some_and(|query| query.contains("wait")) {
        return;
    }
    let Service { runtime, router, .. } = &*SERVICE;
    let answer: Response<Body> = runtime.block_on(router.clone().oneshot(request)).unwrap();
    assert_ne!(answer.status().as_u16(), 500, "{path}");
}
