//! `remaster enhance`: enhances local files without a server, with the pipeline that workers use.

use std::{fs, io, path::Path, process::ExitCode, sync::Arc};

use anyhow::bail;
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use remaster_engine::{Absent, Device, SharedEngine};
use remaster_models::{Asset, Kind};
use remaster_pictures::header::inspect;
use remaster_shared::catalogue::{AUTO, Catalogue, denoisers, resolve};
use remaster_shared::job::{EnhanceParams, FaceMode, FaceReport, ModelId, Scale};
use remaster_worker::enhance::Enhancer;

use crate::args::EnhanceArgs;
use crate::catalogue::Folder;
use crate::files::{Pair, output_format, pair, persist};
use crate::models::Models;
use crate::{engine, exit, log};

/// The number of steps of a progress bar.
const PROGRESS_STEPS: u64 = 1000;

/// Enhances every image, and goes on after a failure.
///
/// # Errors
/// The arguments do not fit together, or a needed model is missing.
pub async fn run(mut args: EnhanceArgs) -> anyhow::Result<ExitCode> {
    if args.log.log_level == "info" {
        // The progress bars show what the log would say at this level.
        args.log.log_level = "warn".into();
    }
    log::to_stderr(&args.log);
    if args.options.denoise.is_some() && !args.options.background {
        bail!("--denoise is for the network, and --background is false");
    }
    let format = output_format(&args.output, args.options.format)?;
    let pairs = pair(&args.inputs, &args.output, format)?;
    let models = Models::open_to_use(args.models, &args.pull, &args.engine)?;
    if args.options.faces != FaceMode::Off {
        fetch_face_models(&models)?;
    }
    let faces = args.options.faces != FaceMode::Off && models.has(Kind::Detector) && models.has(Kind::FaceRestorer);
    if args.options.faces == FaceMode::Require && !faces {
        bail!("--faces is require, and no face restorer is installed; `remaster models list` shows what there is");
    }
    let engine: SharedEngine = if args.options.background || faces {
        if args.engine.ort_dylib_path.is_none() {
            fetch(&models, models.manifest.runtime().map(|asset| asset.id.as_str()))?;
        }
        fetch_faster_runtimes(&models, &args.engine.device)?;
        match args.options.denoise {
            Some(_) => fetch_denoiser(&models, &args.options.model)?,
            None if args.options.background => fetch_upscaler(&models, &args.options.model, args.options.scale)?,
            None => {}
        }
        engine::open(&models, &args.engine)?
    } else {
        Arc::new(Absent)
    };
    let catalogue = Folder::new(models.manifest, models.library, engine::configured_runtime(&args.engine)).models();
    let asked = &args.options.model;
    let resolved = match args.options.denoise {
        Some(_) => denoisers(&catalogue).into_iter().find(|model| asked.as_str() == AUTO || model == asked),
        None => resolve(&catalogue, asked, args.options.scale),
    };
    let model = match resolved {
        Some(model) => model,
        None if args.options.denoise.is_some() => {
            let can = catalogue.iter().filter(|model| model.weak_denoiser.is_some()).map(|model| model.id.as_str());
            let can = can.collect::<Vec<_>>().join(", ");
            bail!("--denoise is for {can} with its weak denoiser, both installed, and --model is {asked}")
        }
        None if !args.options.background => args.options.model.clone(),
        None => bail!("the model {} is not installed; `remaster models list` shows what is", args.options.model),
    };
    let params = args.options.params(model, format);

    let enhancer = Enhancer { engine, tiles: args.engine.tile, spool: std::env::temp_dir(), metrics: Arc::default() };
    let mut failures = Vec::new();
    for Pair { input, output } in &pairs {
        if let Err(error) = enhance_file(&enhancer, &params, input, output).await {
            eprintln!("error: {}: {error:#}", input.display());
            failures.push(input);
        }
    }
    if failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} of {} failed:", failures.len(), pairs.len());
    failures.iter().for_each(|input| eprintln!("  {}", input.display()));
    Ok(exit::failure())
}

/// Fetches the default face detector and face restorer if they are missing. If they cannot be fetched, this is reported, and
/// the images are enlarged without restored faces.
fn fetch_face_models(models: &Models) -> anyhow::Result<()> {
    let is_face_model = |kind| matches!(kind, Kind::Detector | Kind::FaceRestorer) && !models.has(kind);
    let missing = models.missing_defaults().into_iter().filter(|asset| is_face_model(asset.kind));
    let ids: Vec<&str> = missing.map(|asset| asset.id.as_str()).collect();
    models.pull(&ids).map(drop)
}

/// Fetches the requested upscaler if it is missing. For `auto` that is the preferred one; if it cannot be fetched, any other that is
/// installed will do.
fn fetch_upscaler(models: &Models, asked: &ModelId, scale: Scale) -> anyhow::Result<()> {
    if asked.as_str() != AUTO {
        return fetch(models, models.manifest.find(asked.as_str()).map(|asset| asset.id.as_str()));
    }
    let default = |scale: Scale| models.manifest.default_upscaler(scale.factor()).map(|asset| asset.id.as_str());
    let (preferred, other) = (default(scale), default(Scale::X4));
    if !models.has_upscaler() {
        return fetch(models, preferred)
            .or_else(|error| if preferred == other { Err(error) } else { fetch(models, other) });
    }
    let Some(preferred) = preferred.filter(|_| models.pulls) else { return Ok(()) };
    for failure in models.pull_beside(&[preferred])? {
        eprintln!("note: {failure}; another network is used instead");
    }
    Ok(())
}

/// Fetches the requested upscaler and its weak denoiser if they are missing. For `auto` it is the first one that has one.
fn fetch_denoiser(models: &Models, asked: &ModelId) -> anyhow::Result<()> {
    let is_meant = |asset: &&Asset| asked.as_str() == AUTO || asset.id == asked.as_str();
    let mut pairs = models.manifest.here().filter(is_meant);
    let Some((id, weak)) = pairs.find_map(|asset| Some((&asset.id, asset.weak_denoiser.as_deref()?))) else {
        return Ok(());
    };
    fetch(models, Some(id))?;
    fetch(models, Some(weak))
}

/// Fetches the runtimes for GPUs and for CPUs of Intel that are missing and may be used. If one cannot be fetched, the networks run without
/// it, more slowly.
fn fetch_faster_runtimes(models: &Models, device: &Device) -> anyhow::Result<()> {
    let openvino = models.manifest.openvino().filter(|_| device.may_use_openvino());
    let faster = [models.manifest.cuda(), openvino];
    let missing = models.missing_defaults().into_iter().filter(|asset| faster.contains(&Some(asset)));
    let ids: Vec<&str> = missing.map(|asset| asset.id.as_str()).collect();
    for failure in models.pull_beside(&ids)? {
        eprintln!("note: {failure}; the networks run without it, more slowly");
    }
    Ok(())
}

/// Fetches the asset if it is missing and may be fetched.
fn fetch(models: &Models, id: Option<&str>) -> anyhow::Result<()> {
    let Some(id) = id.filter(|_| models.pulls) else { return Ok(()) };
    if models.pull(&[id])? > 0 {
        bail!("{id} could not be fetched")
    }
    Ok(())
}

/// Enhances one image.
async fn enhance_file(enhancer: &Enhancer, params: &EnhanceParams, input: &Path, output: &Path) -> anyhow::Result<()> {
    let bytes = Bytes::from(fs::read(input)?);
    let info =
        inspect(io::Cursor::new(&bytes), bytes.len() as u64, None).map_err(|error| anyhow::anyhow!(error.message))?;
    let bar = ProgressBar::new(PROGRESS_STEPS).with_message(input.display().to_string());
    bar.set_style(ProgressStyle::with_template("{msg} {bar:40} {percent:>3} % {eta}")?);
    bar.tick();
    let progress = |fraction: f64| bar.set_position((fraction * PROGRESS_STEPS as f64) as u64);
    let made = enhancer.enhance(bytes, &info, params, &progress).await?;
    bar.finish_and_clear();

    persist(output, |file| io::copy(&mut made.encoded.file.reopen()?, file).map(drop))?;
    let faces = match made.faces {
        FaceReport { restored: 0, .. } => String::new(),
        FaceReport { found, restored, .. } => format!(", {restored} of {found} faces restored"),
    };
    println!("{} ({}x{}{faces})", output.display(), made.width, made.height);
    Ok(())
}
