//! The engine for networks in the format of [ONNX](https://onnx.ai): one thread per device behind a bounded channel.
//!
//! The channel holds one request per device, so that a device never waits for its next request. It holds no more than
//! that, so that requests wait in the job queue, which is fair to clients. A request whose caller has dropped its
//! future is discarded; a run whose caller drops its future is stopped.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use remaster_models::{Asset, Kind, Library, Manifest, ManifestError, Tile};
use remaster_shared::job::ModelId;
use tokio::sync::oneshot;

use crate::device::Device;
use crate::error::{Cause, EngineError};
use crate::graph::Stop;
use crate::machine::{cores, memory};
use crate::network::first;
use crate::port::{Available, Engine, Network, Output, RunningOn, Tensor};
use crate::precision::Precision;
use crate::session::{Floats, Sessions};
use crate::slot::Devices;
use crate::tile_area::tile_area;

/// How an [`OnnxEngine`] runs networks.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The ONNX Runtime library to load.
    pub runtime: PathBuf,
    /// The ONNX Runtime library for GPUs to load in its place, followed by the libraries that it needs, where they are installed.
    pub cuda: Vec<PathBuf>,
    /// OpenVINO's library for programs in C, where it is installed.
    pub openvino: Option<PathBuf>,
    /// The devices on which networks run.
    pub device: Device,
    /// The floating-point type in which networks compute.
    pub precision: Precision,
    /// CPU threads; as many as the CPU has cores for this process when `None`.
    pub threads: Option<usize>,
}

/// Why an [`OnnxEngine`] did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file is missing, or it is not a library of a version that this program can use.
    #[error("the ONNX Runtime library {0} cannot be loaded: {1}")]
    Library(PathBuf, #[source] Cause),
    /// The library was not built for CUDA.
    #[error(
        "DEVICE needs ONNX Runtime for CUDA, and the one that is loaded is for the CPU: run `remaster models pull onnxruntime-cuda`, or set \
         ORT_DYLIB_PATH"
    )]
    NoCuda,
    /// No network runs on that GPU.
    #[error("networks do not run on {0}: {1}")]
    Gpu(Device, String),
    /// `DEVICE` is openvino, and OpenVINO is not there.
    #[error("DEVICE is openvino, and OpenVINO is not installed: run `remaster models pull openvino`")]
    OpenVinoMissing,
    /// OpenVINO's library cannot be used.
    #[error("OpenVINO does not start: {0}")]
    OpenVino(#[source] Cause),
    /// The devices do not compute in the precision that was asked for; which ones are possible.
    #[error("PRECISION cannot be used: {0}; possible: {1}")]
    Precision(&'static str, &'static str),
    /// The system did not start another thread.
    #[error("no thread for the engine: {0}")]
    Thread(#[from] std::io::Error),
    /// The binary was built with a broken manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// A call of the engine, on its way to a device's thread.
struct Request {
    model: ModelId,
    input: Tensor,
    reply: oneshot::Sender<Result<Vec<Output>, EngineError>>,
    stop: Arc<Stop>,
}

/// The architecture of the networks that run in two parts.
const SPLIT: &str = "rrdbnet";

/// The engine for networks in the format of ONNX.
pub struct OnnxEngine {
    library: Library,
    /// Tells how pictures are tiled for a network, and which networks are preferred.
    manifest: Manifest,
    requests: async_channel::Sender<Request>,
    running_on: RunningOn,
    floats: Floats,
    /// Whether networks run in two parts where that is possible.
    splits: bool,
    /// The memory in bytes that this process may use, where that is known.
    memory: Option<u64>,
    /// What the metadata of each model says, read once.
    networks: Mutex<HashMap<ModelId, Network>>,
}

impl OnnxEngine {
    /// Loads the runtime and starts a thread per device. Models are loaded on first use.
    ///
    /// # Errors
    /// The runtime cannot be loaded or does not compute as was asked for, or a thread cannot be started.
    pub fn start(library: Library, settings: &EngineSettings) -> Result<Self, StartError> {
        let threads = settings.threads.unwrap_or_else(cores);
        let devices = Devices::start(settings, threads, library.dir())?;
        let running_on = devices.running_on(settings);
        tracing::debug!(?running_on, "engine started");
        let on_cpu = devices.runtimes.iter().all(|(slot, _)| slot.threads().is_some());
        let splits = on_cpu && devices.precision != Precision::Half;
        let floats = Floats::default();
        let (requests, queue) = async_channel::bounded(devices.runtimes.len());
        for (index, (slot, runtime)) in devices.runtimes.into_iter().enumerate() {
            let sessions = Sessions::new(runtime, slot, devices.precision, library.clone(), Arc::clone(&floats));
            let queue = queue.clone();
            std::thread::Builder::new().name(format!("engine-{index}")).spawn(move || serve(&queue, sessions))?;
        }
        let (manifest, networks) = (Manifest::embedded()?, Mutex::default());
        Ok(Self { library, manifest, requests, running_on, floats, splits, memory: memory(), networks })
    }
}

/// Serves requests on a device until the engine is dropped.
fn serve(queue: &async_channel::Receiver<Request>, mut sessions: Sessions) {
    while let Ok(Request { model, input, reply, stop }) = queue.recv_blocking() {
        if reply.is_closed() {
            continue;
        }
        let attempt = || sessions.run(&model, input, &stop);
        // The device has no other thread, so this one must survive a panic.
        let result = std::panic::catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| {
            sessions.unload(&model);
            Err(EngineError::Run("the run panicked".into()))
        });
        // The caller may have dropped its future; nobody waits for the result then.
        let _ = reply.send(result);
    }
}

/// Stops the run when the caller drops the future that waits for it.
struct StopOnDrop(Arc<Stop>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[async_trait]
impl Engine for OnnxEngine {
    fn running_on(&self) -> Option<RunningOn> {
        Some(self.running_on.clone())
    }

    fn precision(&self, model: &ModelId) -> Option<&'static str> {
        Some(self.floats.lock().unwrap_or_else(PoisonError::into_inner).get(model)?.name())
    }

    async fn network(&self, model: &ModelId) -> Result<Network, EngineError> {
        if let Some(network) = self.networks.lock().unwrap_or_else(PoisonError::into_inner).get(model) {
            return Ok(*network);
        }
        // A mixture is cut like the network that it is of.
        let (library, (id, _)) = (self.library.clone(), model.mixture());
        let missing = id.clone();
        let found = tokio::task::spawn_blocking(move || library.get(id.as_str()));
        let found = found.await.map_err(|_| EngineError::Stopped)?;
        let found = found.ok_or(EngineError::NotInstalled(missing))?;
        let tile = self.manifest.tile(&found.architecture, found.scale);
        let unlisted = || EngineError::Load(model.clone(), "the manifest does not tell how to tile it".into());
        let drawings = self.manifest.find(model.mixture().0.as_str()).is_some_and(Asset::is_for_drawings);
        let Tile { overlap, align } = tile.ok_or_else(unlisted)?;
        let in_two_parts = self.splits && found.architecture == SPLIT;
        let tile_area = tile_area(in_two_parts, align, self.memory);
        let network = Network { scale: found.scale, overlap, tile_area, drawings };
        self.networks.lock().unwrap_or_else(PoisonError::into_inner).insert(model.clone(), network);
        Ok(network)
    }

    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        first(self.outputs(model, input).await?)
    }

    async fn outputs(&self, model: &ModelId, input: Tensor) -> Result<Vec<Output>, EngineError> {
        let stop = Arc::new(Stop::default());
        let _stop = StopOnDrop(Arc::clone(&stop));
        let (reply, answer) = oneshot::channel();
        let request = Request { model: model.clone(), input, reply, stop };
        self.requests.send(request).await.map_err(|_| EngineError::Stopped)?;
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
