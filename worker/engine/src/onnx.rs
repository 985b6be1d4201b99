//! The engine over ONNX Runtime: one session thread per device behind a bounded channel.
//!
//! The channel holds one tile ahead per device, so that a device goes from tile to tile without waiting, and no more,
//! so that waiting happens in the queue, where it is fair. A tile whose caller has gone is dropped; a run whose caller
//! goes is stopped.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use ort::session::{NoSelectedOutputs, RunOptions};
use remaster_models::{Library, Manifest, ManifestError};
use remaster_shared::job::ModelId;
use tokio::sync::oneshot;

use super::session::{Sessions, Slot};
use super::{Available, Device, Engine, EngineError, Kind, Network, Output, Precision, Tensor, first};

#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The ONNX Runtime library to load.
    pub runtime: PathBuf,
    pub device: Device,
    pub precision: Precision,
    /// CPU threads per session; what the machine has when `None`.
    pub threads: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the ONNX Runtime library {0} cannot be loaded: {1}")]
    Library(PathBuf, String),
    #[error("ONNX Runtime did not start: {0}")]
    Environment(String),
    #[error("no thread for the engine: {0}")]
    Thread(#[from] std::io::Error),
    /// The binary was built with a broken manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

struct Work {
    model: ModelId,
    input: Tensor,
    reply: oneshot::Sender<Result<Vec<Output>, EngineError>>,
    running: Running,
}

/// The options of the run that serves a call, once it has begun; through them it is stopped.
type Running = Arc<Mutex<Option<Arc<RunOptions<NoSelectedOutputs>>>>>;

pub struct OnnxEngine {
    library: Library,
    /// Tells how pictures are tiled for a network, and which networks are preferred.
    manifest: Manifest,
    work: async_channel::Sender<Work>,
    /// Read from the models' metadata once.
    networks: Mutex<HashMap<ModelId, Network>>,
}

impl OnnxEngine {
    /// Loads the runtime and starts the session threads. Models load on first use. One per process.
    pub fn start(library: Library, settings: &EngineSettings) -> Result<Self, StartError> {
        let environment = ort::environment::init_from(&settings.runtime)
            .map_err(|error| StartError::Library(settings.runtime.clone(), error.to_string()))?
            .build()
            .map_err(|error| StartError::Environment(error.to_string()))?;
        let threads = settings.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
        let slots = Slot::of(&settings.device, threads.unwrap_or(1));
        tracing::info!(?slots, runtime = %settings.runtime.display(), "engine started");
        let (work, queue) = async_channel::bounded(slots.len());
        for (index, slot) in slots.into_iter().enumerate() {
            let sessions = Sessions::new(environment.clone(), slot, settings.precision);
            let (queue, library) = (queue.clone(), library.clone());
            std::thread::Builder::new()
                .name(format!("engine-{index}"))
                .spawn(move || serve(&queue, sessions, &library))?;
        }
        Ok(Self { library, manifest: Manifest::embedded()?, work, networks: Mutex::default() })
    }
}

fn serve(queue: &async_channel::Receiver<Work>, mut sessions: Sessions, library: &Library) {
    while let Ok(work) = queue.recv_blocking() {
        if work.reply.is_closed() {
            continue;
        }
        let model = work.model.clone();
        let attempt = || run(&mut sessions, library, work.model, work.input, &work.running);
        // The thread is the only one of its device: it outlives whatever a run does.
        let result = std::panic::catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| {
            sessions.forget(&model);
            Err(EngineError::Run("the run panicked".into()))
        });
        let _ = work.reply.send(result);
    }
}

fn run(
    sessions: &mut Sessions,
    library: &Library,
    model: ModelId,
    input: Tensor,
    running: &Running,
) -> Result<Vec<Output>, EngineError> {
    let options = Arc::new(RunOptions::new().map_err(|error| EngineError::Run(error.to_string()))?);
    *running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&options));
    let find = || library.get(model.as_str()).ok_or_else(|| EngineError::NotInstalled(model.clone()));
    sessions.run(&model, &find, input, &options)
}

/// Stops the run when the caller no longer waits for it.
struct StopOnDrop(Running);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(options) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            // A run that has ended takes no notice.
            let _ = options.terminate();
        }
    }
}

#[async_trait]
impl Engine for OnnxEngine {
    async fn network(&self, model: &ModelId) -> Result<Network, EngineError> {
        if let Some(network) = self.networks.lock().unwrap_or_else(PoisonError::into_inner).get(model) {
            return Ok(*network);
        }
        let (library, id) = (self.library.clone(), model.clone());
        let found = tokio::task::spawn_blocking(move || library.get(id.as_str()));
        let found = found.await.map_err(|_| EngineError::Stopped)?;
        let found = found.ok_or_else(|| EngineError::NotInstalled(model.clone()))?;
        let tile = self.manifest.tile(&found.architecture, found.scale);
        let unlisted = || EngineError::Load(model.clone(), "the manifest does not tell how to tile it".into());
        let network = Network { scale: found.scale, overlap: tile.ok_or_else(unlisted)?.overlap };
        self.networks.lock().unwrap_or_else(PoisonError::into_inner).insert(model.clone(), network);
        Ok(network)
    }

    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        first(self.outputs(model, input).await?)
    }

    async fn outputs(&self, model: &ModelId, input: Tensor) -> Result<Vec<Output>, EngineError> {
        let running = Running::default();
        let _stop = StopOnDrop(Arc::clone(&running));
        let (reply, answer) = oneshot::channel();
        let work = Work { model: model.clone(), input, reply, running };
        self.work.send(work).await.map_err(|_| EngineError::Stopped)?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }
    async fn installed(&self, kind: Kind) -> Vec<Available> {
        let library = self.library.clone();
        let look = tokio::task::spawn_blocking(move || library.installed());
        let models = match look.await {
            Ok(Ok(models)) => models,
            Ok(Err(error)) => {
                tracing::error!(%error, "the models folder cannot be read");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let mut of_kind: Vec<_> = models.into_iter().filter(|model| model.kind == kind).collect();
        self.manifest.sort_by_preference(&mut of_kind, |model| &model.id);
        of_kind
            .into_iter()
            .filter_map(|model| {
                Some(Available { id: ModelId::parse(&model.id).ok()?, architecture: model.architecture })
            })
            .collect()
    }
}
