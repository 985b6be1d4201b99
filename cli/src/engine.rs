//! Starting the inference engine.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use remaster_engine::{EngineSettings, Lazy, OnnxEngine, SharedEngine};
use remaster_models::Asset;

use crate::args::EngineArgs;
use crate::models::Models;

/// The engine. It starts at once if the runtime is installed or configured, and otherwise with the first job after the
/// runtime has been installed.
///
/// # Errors
/// The runtime is installed or configured but does not start.
pub fn open(models: &Models, args: &EngineArgs) -> anyhow::Result<SharedEngine> {
    let configured = configured_runtime(args);
    if configured.is_some() || models.library.runtime_path(&models.manifest, None).is_ok() {
        return start(models, args, configured.as_deref());
    }
    let (models, args) = (models.clone(), args.clone());
    Ok(Arc::new(Lazy::new(move || start(&models, &args, None).map_err(|error| format!("{error:#}")))))
}

/// The runtime that `ORT_DYLIB_PATH` names, unless it is empty.
pub fn configured_runtime(args: &EngineArgs) -> Option<PathBuf> {
    args.ort_dylib_path.clone().filter(|path| !path.as_os_str().is_empty())
}

fn start(models: &Models, args: &EngineArgs, configured: Option<&Path>) -> anyhow::Result<SharedEngine> {
    let runtime = models.library.runtime_path(&models.manifest, configured)?;
    if let Some(pulled) = models.manifest.runtime().filter(|_| configured.is_none()) {
        models.library.check_runtime(pulled)?;
    }
    // Hashing them takes a moment.
    let cuda = if models.gpus { cuda(models).unwrap_or_default() } else { Vec::new() };
    let openvino = if args.device.may_use_openvino() { openvino(models) } else { None };
    let (device, precision) = (args.device.clone(), args.precision);
    let settings = EngineSettings { runtime, cuda, openvino, device, precision, threads: None };
    Ok(Arc::new(OnnxEngine::start(models.library.clone(), &settings)?))
}

/// The libraries of the runtime for GPUs, where they are installed and whole.
fn cuda(models: &Models) -> Option<Vec<PathBuf>> {
    let paths = models.library.cuda_paths(&models.manifest)?;
    is_whole(models, models.manifest.cuda()?, "the runtime for GPUs").then_some(paths)
}

/// OpenVINO's library, where it is installed and whole.
fn openvino(models: &Models) -> Option<PathBuf> {
    let path = models.library.openvino_path(&models.manifest)?;
    is_whole(models, models.manifest.openvino()?, "OpenVINO").then_some(path)
}

/// Whether the files of a runtime are those that were fetched. It is not needed, so a damaged one is only warned of.
fn is_whole(models: &Models, runtime: &Asset, name: &str) -> bool {
    let checked = models.library.check_runtime(runtime);
    checked.inspect_err(|error| tracing::warn!("{name} is not used: {error}")).is_ok()
}
