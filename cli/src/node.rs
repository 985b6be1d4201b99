//! A running node: its parts are started one by one, and run until the node is asked to stop.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use remaster_api::{
    Admin, Api, ApiSettings, ConnectionLimits, DailyAllowances, FleetView, Hosts, Parts, Webhooks, WorkerState,
};
use remaster_blobs::Blobs;
use remaster_engine::SharedEngine;
use remaster_models::Manifest;
use remaster_pictures::header::PixelLimits;
use remaster_shared::job::UrlBase;
use remaster_shared::metrics::Metrics;
use remaster_store::SharedStore;
use remaster_webhooks::deliver::Deliverer;
use remaster_webhooks::egress::{Egress, EgressPolicy, Own, SystemLookup};
use remaster_webhooks::sign::Signer;
use remaster_worker::enhance::Enhancer;
use remaster_worker::gate::Gate;
use remaster_worker::{MeasuredEngine, Shutdown, WorkerSettings};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use crate::args::{AdminArgs, ApiArgs, EngineArgs, LogArgs, ModelsArgs, PullArgs, StoreArgs, WebhookArgs, WorkerArgs};
use crate::banner::Banner;
use crate::catalogue::{Folder, known};
use crate::models::Models;
use crate::parse::LogFormat;
use crate::spool::Spool;
use crate::{backends, engine, exit, fetch, trace};

/// How long a stop may take beyond the time that running jobs are given. After that the process ends without the parts that still run.
const WIND_UP: Duration = Duration::from_secs(2);
/// How long a node without a worker may take to stop.
const API_GRACE: Duration = Duration::from_secs(6);

/// A node and the parts that it has started.
pub struct Node {
    store: SharedStore,
    blobs: Blobs,
    spool: Spool,
    /// The space that the disk of the data folder has to have left for uploads, in bytes.
    min_free_bytes: u64,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    /// Whether the worker takes jobs.
    gate: Gate,
    /// Set once the worker has started.
    works: Arc<AtomicBool>,
    /// The models and the engine of the worker, once there is one.
    worker: Option<(Models, SharedEngine)>,
    /// How long running jobs may continue after a stop is requested.
    grace: Duration,
    /// Every part runs until `stop` is canceled. If one ends before, the whole node has failed.
    parts: JoinSet<(&'static str, anyhow::Result<()>)>,
}

impl Node {
    /// Opens the store, the storage and the spool folder.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub async fn open(args: &StoreArgs, daily_limit: u64) -> anyhow::Result<Self> {
        // Each connection and each upload is an open file, and the usual limit is for programs that have few.
        if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
        let metrics = Arc::new(Metrics::default());
        // First, because it makes the folder, for this user only.
        let spool =
            Spool::new(&args.data_dir).with_context(|| format!("{} cannot be used", args.data_dir.display()))?;
        let store = backends::open_store(args, daily_limit, metrics.clone()).await?;
        let blobs = backends::open_blobs(args).await?.measured_by(metrics.clone());
        let stop = CancellationToken::new();
        let (gate, works) = (Gate::default(), Arc::default());
        let (worker, grace, parts) = (None, API_GRACE, JoinSet::new());
        let min_free_bytes = args.min_free_bytes;
        Ok(Self { store, blobs, spool, min_free_bytes, metrics, stop, gate, works, worker, grace, parts })
    }

    /// Sends spans of jobs where the setting says.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn trace(&self, args: &LogArgs) -> anyhow::Result<()> {
        if let Some(endpoint) = &args.otel_exporter_otlp_endpoint.0 {
            self.metrics.trace_to(trace::to_collector(endpoint)?);
        }
        Ok(())
    }

    /// Starts a worker with the models that are installed or can be fetched. `networks` says whether upscalers are used.
    ///
    /// # Errors
    /// The models folder cannot be used, or the engine does not start.
    pub async fn work(
        &mut self,
        (args, engine_args): (&WorkerArgs, &EngineArgs),
        (models, pull): (ModelsArgs, &PullArgs),
        lease: Duration,
        networks: bool,
    ) -> anyhow::Result<()> {
        let models = Models::open_to_use(models, pull, engine_args)?;
        tokio::select! {
            fetched = fetch::essential_models(&models, networks) => fetched?,
            // A request to stop does not wait for the download.
            asked = stop_requested() => {
                asked?;
                self.stop.cancel();
                return Ok(());
            }
        }
        let enhancer = Enhancer {
            engine: MeasuredEngine::around(engine::open(&models, engine_args)?, self.metrics.clone()),
            tiles: engine_args.tile,
            spool: self.spool.path().to_owned(),
            metrics: self.metrics.clone(),
        };
        self.worker = Some((models.clone(), enhancer.engine.clone()));
        self.grace = args.job_grace;
        let settings = WorkerSettings {
            name: format!("worker-{}", Uuid::new_v4()),
            jobs: args.worker_jobs as usize,
            lease,
            job_timeout: args.job_timeout,
            reuse_results: args.reuse_results,
            // What was accepted before has some room.
            reserve: self.min_free_bytes / 2,
            shutdown: Shutdown { requested: self.stop.clone(), grace: args.job_grace },
            gate: self.gate.clone(),
            device: engine_args.device.to_string(),
            catalogue: Arc::new(Folder::new(
                models.manifest.clone(),
                models.library.clone(),
                engine::configured_runtime(engine_args),
            )),
            metrics: self.metrics.clone(),
        };
        let worker = remaster_worker::start(self.store.clone(), self.blobs.clone(), enhancer, settings).await;
        self.works.store(true, Ordering::Relaxed);
        let metrics = self.metrics.clone();
        tokio::task::spawn_blocking(move || metrics.watch_gpus());
        self.parts.spawn(async { ("the worker", worker.await.map_err(anyhow::Error::from)) });
        tokio::task::spawn_blocking(move || fetch::remaining_models(&models, networks));
        Ok(())
    }

    /// Serves the API on `listener`.
    ///
    /// # Errors
    /// The manifest of models cannot be read, or the HTTP client cannot be built.
    pub fn answer(&mut self, listener: TcpListener, settings: ApiSettings) -> anyhow::Result<()> {
        let api = Api::new(Parts {
            store: self.store.clone(),
            blobs: self.blobs.clone(),
            fetcher: Egress::new(settings.image_urls.clone(), Arc::new(SystemLookup)).context("images by address")?,
            fleet: FleetView::new(self.store.clone(), self.store.clone(), known(&Manifest::embedded()?)),
            settings,
            stopping: self.stop.clone(),
            metrics: self.metrics.clone(),
        });
        let address = listener.local_addr()?;
        if api.settings.public_url.is_none() && !address.ip().is_loopback() {
            tracing::warn!(
                "PUBLIC_URL is not set, so links in responses and webhooks begin with the host that each caller names"
            );
        }
        tracing::info!("listening on http://{address}, documentation at /docs");
        let (api, stop) = (Arc::new(api), self.stop.clone());
        let withdrawals = remaster_api::carry_out_withdrawals(api.clone(), stop);
        self.parts.spawn(async move {
            withdrawals.await;
            ("the withdrawal of submits", Ok(()))
        });
        let limits = api.settings.connections.clone();
        self.serve("the server", listener, remaster_api::router(api), limits);
        Ok(())
    }

    /// Says on the terminal what runs here, unless the log is for machines.
    pub fn introduce(&self, address: SocketAddr, api: &ApiArgs, store: &StoreArgs, log: &LogArgs) {
        let url = api.public_url.0.clone().unwrap_or_else(|| format!("http://{address}"));
        let worker = self.worker.as_ref().map(|(models, engine)| (models, engine));
        if log.log_format == LogFormat::Text && tracing::enabled!(tracing::Level::INFO) {
            Banner { url: &url, api, store, worker }.print();
        }
    }

    /// Delivers webhooks as they become due.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn deliver(&mut self, args: &WebhookArgs) -> anyhow::Result<()> {
        let egress = Egress::new(guarded(&args.webhook_allow), Arc::new(SystemLookup)).context("webhooks")?;
        let deliverer = Deliverer::new(self.store.clone(), egress, self.signer(args), self.metrics.clone());
        let stop = self.stop.clone();
        self.parts.spawn(async move {
            deliverer.run(stop).await;
            ("the sender of webhooks", Ok(()))
        });
        Ok(())
    }

    /// The configured signing keys, or the key that all nodes of this store derive from its secret.
    fn signer(&self, args: &WebhookArgs) -> Signer {
        let configured = args.webhook_signing_key.0.clone();
        configured.unwrap_or_else(|| Signer::from_seed(self.store.hasher().signing_seed()))
    }

    /// Serves health, metrics and the operators' actions on a separate port if `ADMIN_BIND` is set.
    /// `metrics_of_all` says whether the metrics include what all nodes have in common, `has_worker` whether this node is to have a worker.
    ///
    /// # Errors
    /// The port cannot be used.
    pub async fn administer(
        &mut self,
        args: &AdminArgs,
        (metrics_of_all, has_worker): (bool, bool),
    ) -> anyhow::Result<()> {
        let Some(address) = args.admin_bind.0 else { return Ok(()) };
        let listener = listen("ADMIN_BIND", address).await?;
        tracing::info!("administration on http://{}", listener.local_addr()?);
        let router = remaster_api::admin_router(Admin {
            operations: self.store.clone(),
            registry: self.store.clone(),
            metrics: self.metrics.clone(),
            hosts: Hosts::of(address.ip(), &[], None),
            worker: has_worker.then(|| self.worker_state()),
            metrics_of_all,
        });
        self.serve("the administration server", listener, router, ConnectionLimits::default());
        Ok(())
    }

    fn worker_state(&self) -> WorkerState {
        let (gate, works, stop) = (self.gate.clone(), self.works.clone(), self.stop.clone());
        Arc::new(move || {
            if stop.is_cancelled() {
                return Err("it is stopping".into());
            }
            if !works.load(Ordering::Relaxed) {
                return Err("it has not started yet".into());
            }
            gate.reason().map_or(Ok(()), Err)
        })
    }

    fn serve(
        &mut self,
        name: &'static str,
        listener: TcpListener,
        router: remaster_api::Router,
        limits: ConnectionLimits,
    ) {
        let server = remaster_api::serve(listener, router, limits, self.stop.clone().cancelled_owned());
        self.parts.spawn(async move {
            server.await;
            (name, Ok(()))
        });
    }

    /// The settings of the API, for [`answer`](Self::answer).
    pub fn api_settings(
        &self,
        (args, webhooks): (&ApiArgs, &WebhookArgs),
        admin: &AdminArgs,
        use_realesrgan: bool,
    ) -> ApiSettings {
        ApiSettings {
            public_url: args.public_url.0.as_deref().map(UrlBase::new),
            hosts: Hosts::of(args.bind.ip(), &args.allowed_hosts, host(args.public_url.0.as_deref()).as_deref()),
            daily_limit: args.free_daily_limit,
            allowances: DailyAllowances {
                upload_bytes: args.daily_upload_bytes,
                megapixels: args.daily_megapixels,
                refused_files: args.daily_refused_files,
                refunds: args.daily_refunds,
            },
            trusted_proxies: args.trusted_proxies.clone(),
            max_upload_bytes: args.max_upload_bytes,
            pixels: PixelLimits { input: args.max_input_pixels, output: args.max_output_pixels },
            sync_timeout: args.sync_timeout,
            spool: self.spool.path().to_owned(),
            min_free_bytes: self.min_free_bytes,
            use_realesrgan,
            metrics: admin.admin_bind.0.is_none(),
            connections: ConnectionLimits {
                all: args.max_connections as usize,
                per_address: args.max_connections_per_address as usize,
                proxies: args.trusted_proxies.clone(),
                ..ConnectionLimits::default()
            },
            max_batch_files: args.max_batch_files as usize,
            webhooks: Webhooks {
                policy: guarded(&webhooks.webhook_allow),
                public_keys: self.signer(webhooks).public_keys(),
            },
            image_urls: guarded(&args.image_url_allow),
        }
    }

    /// Runs until a signal asks for a stop, and then waits until every part has ended.
    ///
    /// # Errors
    /// A part has ended without a request to stop.
    pub async fn until_stopped(mut self) -> anyhow::Result<ExitCode> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            asked = stop_requested() => asked?,
            Some(ended) = self.parts.join_next() => {
                let (name, result) = ended?;
                result.with_context(|| format!("{name} ended unexpectedly"))?;
                bail!("{name} ended unexpectedly");
            }
        }
        tracing::info!("stopping: no new jobs are taken, and running jobs finish or return to the queue");
        self.stop.cancel();
        let Ok(ended) = tokio::time::timeout(self.grace + WIND_UP, self.parts.join_all()).await else {
            // A request that is still open is cut off. Its job is in the store.
            return Ok(ExitCode::SUCCESS);
        };
        let metrics = self.metrics;
        let _ = tokio::task::spawn_blocking(move || metrics.flush_spans()).await;
        let mut code = ExitCode::SUCCESS;
        for (name, result) in ended {
            if let Err(error) = result {
                tracing::error!("{name} ended with an error: {error:#}");
                code = exit::failure();
            }
        }
        tracing::info!("stopped");
        Ok(code)
    }
}

/// The host of the URL.
fn host(url: Option<&str>) -> Option<String> {
    Url::parse(url?).ok()?.host_str().map(str::to_owned)
}

/// The policy with this machine's own addresses refused.
fn guarded(policy: &EgressPolicy) -> EgressPolicy {
    policy.clone().refusing(Own::OfItsInterfaces)
}

/// Binds the address that the setting `variable` names.
///
/// # Errors
/// The address cannot be used.
pub async fn listen(variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{variable}: {address} cannot be used"))
}

/// Waits for Ctrl-C or SIGTERM, which service managers send.
async fn stop_requested() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            ctrl_c = tokio::signal::ctrl_c() => ctrl_c,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
