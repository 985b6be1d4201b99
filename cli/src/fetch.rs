//! Fetching the default models of a worker: the essential ones before it starts, the others while it runs.

use remaster_models::{Asset, Kind, Source};

use crate::models::Models;

/// Fetches the runtime and one upscaler if they are missing, because hardly any job can be processed without them. If they
/// cannot be fetched, a warning says so once, and the node starts nevertheless.
///
/// # Errors
/// The models folder cannot be used.
pub async fn essential_models(models: &Models, upscalers: bool) -> anyhow::Result<()> {
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
        pulling.pull_beside(&ids)
    })
    .await??;
    warn_of(&failed);
    Ok(())
}

/// Warns of each model that could not be fetched, and says how to add it.
fn warn_of(failures: &[String]) {
    for failure in failures {
        tracing::warn!("{failure}; `remaster models pull` or `remaster models import` adds it");
    }
}

/// The ids of the first missing upscaler and of those that the same download contains.
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

/// Fetches the remaining default models. It blocks, so it has to run on a blocking thread beside the running node.
pub fn remaining_models(models: &Models, upscalers: bool) {
    // A runtime for GPUs that could not be fetched is not tried twice: this process computes on the CPU now.
    let cuda = models.manifest.cuda();
    let is_wanted = |asset: &&Asset| (upscalers || asset.kind != Kind::Upscaler) && Some(*asset) != cuda;
    let wanted = models.missing_defaults().into_iter().filter(is_wanted);
    let missing: Vec<String> = wanted.map(|asset| asset.id.clone()).collect();
    // If the essential models could not be fetched, these cannot be fetched either, and the warning has been given.
    if missing.is_empty() || (upscalers && !models.has_upscaler()) {
        return;
    }
    let ids: Vec<&str> = missing.iter().map(String::as_str).collect();
    match models.pull_beside(&ids) {
        Ok(failed) => warn_of(&failed),
        Err(error) => tracing::warn!("some models could not be fetched: {error:#}"),
    }
}
