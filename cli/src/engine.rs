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
    let settings = EngineSettings { runtime, device: args.device.clone(), precision: args.precision, threads: None };
    Ok(Arc::new(OnnxEngine::start(models.library.clone(), &settings)?))
}
