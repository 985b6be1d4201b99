//! `remaster enhance`: files here, without a server, through the same pipeline.

use std::{fs, io, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use remaster_engine::{Absent, SharedEngine};
use remaster_models::Kind;
use remaster_pictures::header::inspect;
use remaster_shared::catalogue::{AUTO, Catalogue, resolve};
use remaster_shared::job::{EnhanceParams, FaceMode, FaceReport, ModelId};
use remaster_worker::enhance::Enhancer;

use crate::FAILED;
use crate::args::EnhanceArgs;
use crate::catalogue::Folder;
use crate::files::{Pair, pair};
use crate::models::Models;
use crate::{log, provision};

/// Steps of a progress bar.
const STEPS: u64 = 1000;

pub async fn run(mut args: EnhanceArgs) -> anyhow::Result<ExitCode> {
    if args.log.log_level == "info" {
        // A person watches: the bar says what the log would.
        args.log.log_level = "warn".into();
    }
    log::to_stderr(&args.log);
    let pairs = pair(&args.inputs, &args.output)?;
    let models = Models::open_to_use(args.models, &args.pull)?;
    if args.faces != FaceMode::Off {
        fetch_face_models(&models)?;
    }
    let faces = args.faces != FaceMode::Off && models.has(Kind::Detector) && models.has(Kind::FaceRestorer);
    if args.faces == FaceMode::Require && !faces {
        bail!("--faces is require, and no face restorer is installed; `remaster models list` shows what there is");
    }
    let engine: SharedEngine = if args.background || faces {
        fetch_missing(&models, args.background.then_some(&args.model), args.engine.ort_dylib_path.is_none())?;
        provision::engine(&models, &args.engine)?
    } else {
        Arc::new(Absent)
    };
    let catalogue = Folder::new(models.manifest, models.library, provision::named_runtime(&args.engine)).models();
    let model = match resolve(&catalogue, &args.model, args.scale) {
        Some(model) => model,
        None if !args.background => args.model,
        None => bail!("the model {} is not installed; `remaster models list` shows what is", args.model),
    };
    let params = EnhanceParams {
        scale: args.scale,
        model,
        faces: args.faces,
        face_strength: args.face_strength,
        background: args.background,
        metadata: args.metadata,
    };

    let enhancer = Enhancer { engine, tiles: args.engine.tile, spool: std::env::temp_dir() };
    let mut failures = Vec::new();
    for Pair { input, output } in &pairs {
        if let Err(error) = one(&enhancer, &params, input, output).await {
            eprintln!("error: {}: {error:#}", input.display());
            failures.push(input);
        }
    }
    if failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} of {} failed:", failures.len(), pairs.len());
    failures.iter().for_each(|input| eprintln!("  {}", input.display()));
    Ok(FAILED.into())
}

/// What finds and restores faces, where it is missing. A picture without it is better than none, so what cannot be had is
/// said and no more.
fn fetch_face_models(models: &Models) -> anyhow::Result<()> {
    let of_faces = |kind| matches!(kind, Kind::Detector | Kind::FaceRestorer) && !models.has(kind);
    let missing = models.missing_defaults().into_iter().filter(|asset| of_faces(asset.kind));
    let ids: Vec<&str> = missing.map(|asset| asset.id.as_str()).collect();
    models.pull(&ids).map(drop)
}

/// Fetches the runtime and the model that was asked for, if they are missing.
fn fetch_missing(models: &Models, model: Option<&ModelId>, runtime: bool) -> anyhow::Result<()> {
    let mut wanted = Vec::new();
    if runtime {
        wanted.extend(models.manifest.runtime().map(|asset| asset.id.as_str()));
    }
    match model.map(ModelId::as_str) {
        None => {}
        Some(AUTO) if models.has_upscaler() => {}
        Some(AUTO) => wanted.extend(models.manifest.first_default(Kind::Upscaler).map(|asset| asset.id.as_str())),
        Some(id) if models.manifest.find(id).is_some() => wanted.push(id),
        Some(_) => {}
    }
    if !models.pulls {
        return Ok(());
    }
    match models.pull(&wanted)? {
        0 => Ok(()),
        failed => bail!("{failed} of {} needed assets could not be fetched", wanted.len()),
    }
}

async fn one(enhancer: &Enhancer, params: &EnhanceParams, input: &Path, output: &Path) -> anyhow::Result<()> {
    let bytes = Bytes::from(fs::read(input)?);
    let info =
        inspect(io::Cursor::new(&bytes), bytes.len() as u64, None).map_err(|error| anyhow::anyhow!(error.message))?;
    let bar = ProgressBar::new(STEPS).with_message(input.display().to_string());
    bar.set_style(ProgressStyle::with_template("{msg} {bar:40} {percent:>3} % {eta}")?);
    bar.tick();
    let progress = |fraction: f64| bar.set_position((fraction * STEPS as f64) as u64);
    let made = enhancer.enhance(bytes, &info, params, &progress).await?;
    bar.finish_and_clear();

    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    // Beside its place first, so that it appears there whole or not at all.
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    io::copy(&mut made.png.file.reopen()?, &mut beside)?;
    readable(beside.as_file())?;
    beside.persist(output)?;
    let faces = match made.faces {
        FaceReport { restored: 0, .. } => String::new(),
        FaceReport { found, restored, .. } => format!(", {restored} of {found} faces restored"),
    };
    println!("{} ({}x{}{faces})", output.display(), made.width, made.height);
    Ok(())
}

/// A temporary file is its owner's only; a result is like any other file.
fn readable(file: &fs::File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}
