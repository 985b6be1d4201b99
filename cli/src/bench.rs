//! `remaster bench`: how fast this machine runs the installed networks.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use remaster_engine::{SharedEngine, Tensor};
use remaster_models::Kind;
use remaster_shared::job::ModelId;

use crate::args::BenchArgs;
use crate::models::Models;
use crate::{engine, log};

/// The side of a face restorer's only input, in pixels.
const FACE: usize = 512;

/// Runs each network several times on the same input, and prints a table in Markdown.
///
/// # Errors
/// A network that was asked for is not installed, or one cannot be run.
pub async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    log::to_stderr(&args.log);
    let models = Models::open(args.models)?.with_engine(&args.engine);
    let engine = engine::open(&models, &args.engine)?;
    let mut networks = Vec::new();
    for (kind, side) in [(Kind::Upscaler, args.side as usize), (Kind::FaceRestorer, FACE)] {
        networks.extend(engine.installed(kind).await.into_iter().map(|model| (model.id, side)));
    }
    if let Some(missing) = args.networks.iter().find(|id| !networks.iter().any(|(own, _)| own == *id)) {
        bail!("{missing} is no upscaler or face restorer that is installed; `remaster models list` shows what is");
    }
    networks.retain(|(id, _)| args.networks.is_empty() || args.networks.contains(id));
    if networks.is_empty() {
        bail!("no upscaler is installed; `remaster models pull` fetches some");
    }
    println!(
        "| network | input | precision | loading and first run | median of {} runs | megapixels a second |",
        args.runs
    );
    println!("|---|---|---|---|---|---|");
    for (id, side) in networks {
        let first = timed(&engine, &id, side).await?;
        let mut runs = Vec::new();
        for _ in 0..args.runs {
            runs.push(timed(&engine, &id, side).await?);
        }
        runs.sort();
        let median = runs[runs.len() / 2].as_secs_f64();
        let rate = (side * side) as f64 / 1e6 / median;
        let precision = engine.precision(&id).unwrap_or("unknown");
        println!("| {id} | {side}x{side} | {precision} | {:.2} s | {median:.3} s | {rate:.3} |", first.as_secs_f64());
    }
    if let Some(running) = engine.running_on() {
        println!("\non {} ({})", running.device, running.reason);
    }
    Ok(ExitCode::SUCCESS)
}

/// How long one run takes.
async fn timed(engine: &SharedEngine, network: &ModelId, side: usize) -> anyhow::Result<Duration> {
    // Smooth, and different everywhere. What a network computes takes the same time whatever it sees.
    let value =
        |(_, c, y, x): (usize, usize, usize, usize)| ((c + 1) as f32 * (x + 2 * y) as f32 / 40.0).sin() / 2.0 + 0.5;
    let input = Tensor::from_shape_fn((1, 3, side, side), value);
    let began = Instant::now();
    engine.run(network, input).await?;
    Ok(began.elapsed())
}
