//! A running node: its parts, started one by one, until it is asked to stop.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use remaster_api::{Api, ApiSettings, FleetView, Webhooks};
use remaster_blobs::Blobs;
use remaster_models::Manifest;
use remaster_pictures::header::PixelLimits;
use remaster_shared::job::UrlBase;
use remaster_shared::metrics::Metrics;
use remaster_store::SharedStore;
use remaster_webhooks::deliver::Deliverer;
use remaster_webhooks::egress::{Egress, SystemLookup};
use remaster_webhooks::sign::Signer;
use remaster_worker::enhance::Enhancer;
use remaster_worker::{Shutdown, WorkerSettings};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::args::{AdminArgs, ApiArgs, EngineArgs, ModelsArgs, PullArgs, StoreArgs, WebhookArgs, WorkerArgs};
use crate::catalogue::{Folder, known};
use crate::models::Models;
use crate::spool::Spool;
use crate::{FAILED, backing, provision};

/// How long running jobs may go on after a stop is asked for; container runtimes give 10 seconds for everything.
const GRACE: Duration = Duration::from_secs(6);
/// And when something has still not ended, the process ends anyway.
const PATIENCE: Duration = Duration::from_secs(8);

pub struct Node {
    store: SharedStore,
    blobs: Blobs,
    spool: Spool,
    metrics: Arc<Metrics>,
    requested: CancellationToken,
    /// None of these ends by itself; a node without one of them is none.
    parts: JoinSet<(&'static str, anyhow::Result<()>)>,
}

impl Node {
    pub async fn open(args: &StoreArgs, daily_limit: u64) -> anyhow::Result<Self> {
        let store = backing::open_store(args, daily_limit).await?;
        let blobs = backing::open_blobs(args).await?;
        let spool =
            Spool::new(&args.data_dir).with_context(|| format!("{} cannot be used", args.data_dir.display()))?;
        let (metrics, requested) = (Arc::new(Metrics::default()), CancellationToken::new());
        Ok(Self { store, blobs, spool, metrics, requested, parts: JoinSet::new() })
    }

    /// Works on jobs, with the models that can be had; `networks` tells whether upscalers are wanted.
    pub async fn work(
        &mut self,
        (args, engine): (&WorkerArgs, &EngineArgs),
        (models, pull): (ModelsArgs, &PullArgs),
        lease: Duration,
        networks: bool,
    ) -> anyhow::Result<()> {
        let models = Models::open_to_use(models, pull)?;
        tokio::select! {
            begun = provision::begin(&models, networks) => begun?,
            // A fetch is not waited for by whoever stops the node.
            asked = stop_requested() => {
                asked?;
                self.requested.cancel();
                return Ok(());
            }
        }
        let enhancer = Enhancer {
            engine: provision::engine(&models, engine)?,
            tiles: engine.tile,
            spool: self.spool.path().to_owned(),
        };
        let settings = WorkerSettings {
            name: format!("worker-{}", Uuid::new_v4()),
            jobs: args.worker_jobs as usize,
            lease,
            shutdown: Shutdown { requested: self.requested.clone(), grace: GRACE },
            device: engine.device.to_string(),
            catalogue: Arc::new(Folder::new(
                models.manifest.clone(),
                models.library.clone(),
                provision::named_runtime(engine),
            )),
            metrics: self.metrics.clone(),
        };
        let worker = remaster_worker::start(self.store.clone(), self.blobs.clone(), enhancer, settings).await;
        self.parts.spawn(async { ("the worker", worker.await.map_err(anyhow::Error::from)) });
        tokio::task::spawn_blocking(move || provision::finish(&models, networks));
        Ok(())
    }

    /// Answers callers on `listener`.
    pub fn answer(&mut self, listener: TcpListener, settings: ApiSettings) -> anyhow::Result<()> {
        let api = Api {
            store: self.store.clone(),
            blobs: self.blobs.clone(),
            fleet: FleetView::new(self.store.clone(), self.store.clone(), known(&Manifest::embedded()?)),
            settings,
            stopping: self.requested.clone(),
            uploads: Semaphore::new(Api::UPLOADS),
            batches: Semaphore::new(Api::BATCHES),
            metrics: self.metrics.clone(),
        };
        let address = listener.local_addr()?;
        if api.settings.public_url.is_none() && !address.ip().is_loopback() {
            tracing::warn!(
                "PUBLIC_URL is not set: links in answers and webhooks begin with the host that each caller names"
            );
        }
        tracing::info!("listening on http://{address}, documentation at /docs");
        self.serve("the server", listener, remaster_api::router(Arc::new(api)));
        Ok(())
    }

    /// Sends webhooks as they become due.
    pub fn deliver(&mut self, args: &WebhookArgs) -> anyhow::Result<()> {
        let egress = Egress::new(args.webhook_allow.clone(), Arc::new(SystemLookup)).context("webhooks")?;
        let deliverer = Deliverer::new(self.store.clone(), egress, self.signer(args), self.metrics.clone());
        let stop = self.requested.clone();
        self.parts.spawn(async move {
            deliverer.run(stop).await;
            ("the sender of webhooks", Ok(()))
        });
        Ok(())
    }

    /// The configured keys, or the one that all nodes of this store have.
    fn signer(&self, args: &WebhookArgs) -> Signer {
        let configured = args.webhook_signing_key.0.clone();
        configured.unwrap_or_else(|| Signer::from_seed(self.store.hasher().signing_seed()))
    }

    /// Answers health and metrics apart from the public port, where that is asked for.
    pub async fn administer(&mut self, args: &AdminArgs) -> anyhow::Result<()> {
        let Some(address) = args.admin_bind.0 else { return Ok(()) };
        let listener = listen("ADMIN_BIND", address).await?;
        tracing::info!("health and metrics on http://{}", listener.local_addr()?);
        let router = remaster_api::admin_router(self.store.clone(), self.store.clone(), self.metrics.clone());
        self.serve("the administration server", listener, router);
        Ok(())
    }

    fn serve(&mut self, name: &'static str, listener: TcpListener, router: remaster_api::Router) {
        let server = remaster_api::serve(listener, router, self.requested.clone().cancelled_owned());
        self.parts.spawn(async move { (name, server.await.map_err(anyhow::Error::from)) });
    }

    pub fn api_settings(
        &self,
        (args, webhooks): (&ApiArgs, &WebhookArgs),
        admin: &AdminArgs,
        use_realesrgan: bool,
    ) -> ApiSettings {
        ApiSettings {
            public_url: args.public_url.0.as_deref().map(UrlBase::new),
            daily_limit: args.free_daily_limit,
            trusted_proxies: args.trusted_proxies.clone(),
            max_upload_bytes: args.max_upload_bytes,
            pixels: PixelLimits { input: args.max_input_pixels, output: args.max_output_pixels },
            sync_timeout: args.sync_timeout,
            spool: self.spool.path().to_owned(),
            use_realesrgan,
            metrics: admin.admin_bind.0.is_none(),
            max_batch_files: args.max_batch_files as usize,
            webhooks: Webhooks {
                policy: webhooks.webhook_allow.clone(),
                public_keys: self.signer(webhooks).public_keys(),
            },
        }
    }

    /// Runs until a signal, then lets everything end.
    pub async fn until_stopped(mut self) -> anyhow::Result<ExitCode> {
        tokio::select! {
            biased;
            () = self.requested.cancelled() => {}
            asked = stop_requested() => asked?,
            Some(ended) = self.parts.join_next() => {
                let (name, result) = ended?;
                result.with_context(|| format!("{name} ended by itself"))?;
                bail!("{name} ended by itself");
            }
        }
        tracing::info!("stopping: no new jobs, running ones may finish or go back to the queue");
        self.requested.cancel();
        let Ok(ended) = tokio::time::timeout(PATIENCE, self.parts.join_all()).await else {
            // An open request that outlasts the patience is cut; its job is in the store.
            return Ok(ExitCode::SUCCESS);
        };
        let mut code = ExitCode::SUCCESS;
        for (name, result) in ended {
            if let Err(error) = result {
                tracing::error!("{name} ended with an error: {error:#}");
                code = FAILED.into();
            }
        }
        tracing::info!("stopped");
        Ok(code)
    }
}

pub async fn listen(variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{variable}: {address} cannot be used"))
}

/// Ctrl-C, or the termination signal that service managers send.
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
