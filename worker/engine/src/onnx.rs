//! The engine over [ONNX Runtime](https://onnxruntime.ai): one thread per device behind a bounded channel.
//!
//! The channel holds one request per device, so that a device never waits for its next request. It holds no more than
//! that, so that requests wait in the job queue, which is fair to clients. A request whose caller has dropped its
//! future is discarded; a run whose caller drops its future is terminated.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use ort::session::{NoSelectedOutputs, RunOptions};
use remaster_models::{Asset, Kind, Library, Manifest, ManifestError, Tile};
use remaster_shared::job::ModelId;
use tokio::sync::oneshot;

use crate::device::Device;
use crate::error::{Cause, EngineError};
use crate::network::first;
use crate::port::{Available, Engine, Network, Output, RunningOn, Tensor};
use crate::precision::Precision;
use crate::session::{Sessions, Slot};

/// How an [`OnnxEngine`] runs networks.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The ONNX Runtime library to load.
    pub runtime: PathBuf,
    /// The devices on which networks run.
    pub device: Device,
    /// The floating-point type in which networks compute.
    pub precision: Precision,
    /// CPU threads per session; as many as the machine runs in parallel when `None`.
    pub threads: Option<usize>,
}

/// Why an [`OnnxEngine`] did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file is missing, or it is not a library of a version that this program can use.
    #[error("the ONNX Runtime library {0} cannot be loaded: {1}")]
    Library(PathBuf, #[source] Cause),
    /// The library was loaded, and its environment could not be made.
    #[error("ONNX Runtime did not start: {0}")]
    Environment(#[source] Cause),
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
    run: RunHandle,
}

/// The options of the run that serves a call, set when the run begins. The run is terminated through them.
type RunHandle = Arc<Mutex<Option<Arc<RunOptions<NoSelectedOutputs>>>>>;

/// The architecture of the networks that run in two parts.
const SPLIT: &str = "rrdbnet";

/// The engine over ONNX Runtime.
pub struct OnnxEngine {
    library: Library,
    /// Tells how pictures are tiled for a network, and which networks are preferred.
    manifest: Manifest,
    requests: async_channel::Sender<Request>,
    running_on: RunningOn,
    /// Whether networks run in two parts where that is possible.
    splits: bool,
    /// What the metadata of each model says, read once.
    networks: Mutex<HashMap<ModelId, Network>>,
}

impl OnnxEngine {
    /// Loads the runtime and starts a thread per device. Models are loaded on first use. A process can have only one
    /// such engine, because ONNX Runtime has one environment per process.
    ///
    /// # Errors
    /// The runtime cannot be loaded, or a thread cannot be started.
    pub fn start(library: Library, settings: &EngineSettings) -> Result<Self, StartError> {
        let environment = ort::environment::init_from(&settings.runtime)
            .map_err(|error| StartError::Library(settings.runtime.clone(), error.into()))?
            .build()
            .map_err(|error| StartError::Environment(error.into()))?;
        let threads = settings.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
        let slots = Slot::of(&settings.device, threads.unwrap_or(1));
        tracing::debug!(?slots, runtime = %settings.runtime.display(), "engine started");
        let running_on = running_on(settings, &slots);
        let on_cpu = slots.iter().all(|slot| matches!(slot, Slot::Cpu { .. }));
        let splits = on_cpu && settings.precision != Precision::Half;
        let (requests, queue) = async_channel::bounded(slots.len());
        for (index, slot) in slots.into_iter().enumerate() {
            let sessions = Sessions::new(environment.clone(), slot, settings.precision);
            let (queue, library) = (queue.clone(), library.clone());
            std::thread::Builder::new()
                .name(format!("engine-{index}"))
                .spawn(move || serve(&queue, sessions, &library))?;
        }
        Ok(Self { library, manifest: Manifest::embedded()?, requests, running_on, splits, networks: Mutex::default() })
    }
}

/// What the settings came to on this machine.
fn running_on(settings: &EngineSettings, slots: &[Slot]) -> RunningOn {
    let numbers = |of: fn(&Slot) -> Option<u32>| slots.iter().filter_map(of).collect::<Vec<_>>();
    let cuda = numbers(|slot| if let Slot::Cuda(number) = slot { Some(*number) } else { None });
    let tensorrt = numbers(|slot| if let Slot::TensorRt(number) = slot { Some(*number) } else { None });
    let used = match (cuda.is_empty(), tensorrt.is_empty()) {
        (false, _) => Device::Cuda(cuda),
        (_, false) => Device::TensorRt(tensorrt),
        _ => Device::Cpu,
    };
    let threads = slots.iter().find_map(|slot| if let Slot::Cpu { threads } = slot { Some(*threads) } else { None });
    let mut reason = match settings.device {
        Device::Auto if used == Device::Cpu => "DEVICE is auto, and the inference runtime has no CUDA".to_owned(),
        Device::Auto => "DEVICE is auto".to_owned(),
        _ => format!("DEVICE is {}", settings.device),
    };
    if let Some(threads) = threads {
        reason = format!("{threads} threads; {reason}");
    }
    let half = settings.precision == Precision::Half;
    let precision = if half { Precision::Half } else { Precision::Single }.to_string();
    RunningOn { device: used.to_string(), precision, reason }
}

/// Serves requests on a device until the engine is dropped.
fn serve(queue: &async_channel::Receiver<Request>, mut sessions: Sessions, library: &Library) {
    while let Ok(request) = queue.recv_blocking() {
        if request.reply.is_closed() {
            continue;
        }
        let model = request.model.clone();
        let attempt = || run(&mut sessions, library, request.model, request.input, &request.run);
        // The device has no other thread, so this one must survive a panic.
        let result = std::panic::catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| {
            sessions.unload(&model);
            Err(EngineError::Run("the run panicked".into()))
        });
        // The caller may have dropped its future; nobody waits for the result then.
        let _ = request.reply.send(result);
    }
}

fn run(
    sessions: &mut Sessions,
    library: &Library,
    model: ModelId,
    input: Tensor,
    handle: &RunHandle,
) -> Result<Vec<Output>, EngineError> {
    let options = Arc::new(RunOptions::new().map_err(|error| EngineError::Run(error.into()))?);
    *handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&options));
    let find = || library.get(model.as_str()).ok_or_else(|| EngineError::NotInstalled(model.clone()));
    sessions.run(&model, &find, input, &options)
}

/// Terminates the run when the caller drops the future that waits for it.
struct TerminateOnDrop(RunHandle);

impl Drop for TerminateOnDrop {
    fn drop(&mut self) {
        if let Some(options) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            // Terminating a run that has ended has no effect.
            let _ = options.terminate();
        }
    }
}

#[async_trait]
impl Engine for OnnxEngine {
    fn running_on(&self) -> Option<RunningOn> {
        Some(self.running_on.clone())
    }

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
        let drawings = self.manifest.find(model.as_str()).is_some_and(Asset::is_for_drawings);
        let Tile { overlap, align } = tile.ok_or_else(unlisted)?;
        // A network that works on blocks of pixels takes memory for each block; one in two parts takes hardly any for its tail.
        let stretch = if self.splits && found.architecture == SPLIT { 2 * align } else { align };
        let network = Network { scale: found.scale, overlap, stretch, drawings };
        self.networks.lock().unwrap_or_else(PoisonError::into_inner).insert(model.clone(), network);
        Ok(network)
    }

    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        first(self.outputs(model, input).await?)
    }

    async fn outputs(&self, model: &ModelId, input: Tensor) -> Result<Vec<Output>, EngineError> {
        let run = RunHandle::default();
        let _terminate = TerminateOnDrop(Arc::clone(&run));
        let (reply, answer) = oneshot::channel();
        let request = Request { model: model.clone(), input, reply, run };
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
