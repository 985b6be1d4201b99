//! Starting the inference engine.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use remaster_engine::{EngineSettings, Lazy, OnnxEngine, SharedEngine};

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
    let cuda = if models.gpus { cuda(models) } else { Vec::new() };
    let openvino = if args.device.may_use_openvino() { openvino(models) } else { None };
    let (device, precision) = (args.device.clone(), args.precision);
    let settings = EngineSettings { runtime, cuda, openvino, device, precision, threads: None };
    Ok(Arc::new(OnnxEngine::start(models.library.clone(), &settings)?))
}

/// The libraries of the runtime for GPUs, where they are installed and whole.
fn cuda(models: &Models) -> Vec<PathBuf> {
    let Some((paths, asset)) = models.library.cuda_paths(&models.manifest).zip(models.manifest.cuda()) else {
        return Vec::new();
    };
    let checked = models.library.check_runtime(asset);
    checked
        .inspect_err(|error| tracing::warn!("the runtime for GPUs is not used: {error}"))
        .map_or(Vec::new(), |()| paths)
}

/// OpenVINO's library, where it is installed and whole. It is not needed, so a damaged one is only warned of.
fn openvino(models: &Models) -> Option<PathBuf> {
    let path = models.library.openvino_path(&models.manifest)?;
    let checked = models.library.check_runtime(models.manifest.openvino()?);
    checked.inspect_err(|error| tracing::warn!("OpenVINO is not used: {error}")).ok().map(|()| path)
}
