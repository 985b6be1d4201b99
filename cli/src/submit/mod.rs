//! `remaster submit`: enhances images with a running service.
//!
//! Every image is submitted with an idempotency key that is derived from its content, its options and the name of its result. So a
//! request can be repeated after a cut connection, and the whole command after an interruption: what the service knows already is
//! not charged again, and results that are there are not fetched again.

mod client;
mod ended;
mod image;
mod report;
mod sources;
mod words;

use std::process::ExitCode;

use anyhow::bail;
use futures::StreamExt;
use futures::stream::BoxStream;

use self::client::Service;
use self::image::process;
use self::report::Report;
use self::sources::Source;
use crate::args::SubmitArgs;
use crate::exit;
use crate::files::output_format;

/// The exit code after an interruption, as shells have it for SIGINT.
const INTERRUPTED: u8 = 130;

/// Submits every image and waits for the results; a failure of one does not stop the others.
///
/// # Errors
/// The arguments do not fit together, or a source does not exist.
pub async fn run(mut args: SubmitArgs) -> anyhow::Result<ExitCode> {
    let format = output_format(&args.output, args.options.format)?;
    args.options.format = Some(format);
    remaster_shared::tls::install_default_provider();
    let service = Service::new(&args.server, args.patience)?;
    let report = Report::new(args.json);
    let sources: BoxStream<'static, Source> = match &args.watch {
        Some(folder) => {
            if !folder.is_dir() {
                bail!("{} is not a folder", folder.display());
            }
            sources::appearing(folder, &args.output, format)?.boxed()
        }
        None => {
            let sources = sources::named(&args.inputs, &args.output, format)?;
            report.expect(sources.len() as u64);
            futures::stream::iter(sources).boxed()
        }
    };
    let work = sources
        .map(|source| {
            let (service, args, report) = (&service, &args, &report);
            async move {
                let line = report.begin(&source);
                let ended = process(service, args, &source, &line).await;
                report.end(&source, line, ended);
            }
        })
        .buffer_unordered(args.concurrency as usize)
        .for_each(|()| std::future::ready(()));
    tokio::select! {
        () = work => {}
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            report.interrupted();
            return Ok(ExitCode::from(INTERRUPTED));
        }
    }
    Ok(if report.summary() { ExitCode::SUCCESS } else { exit::failure() })
}
