//! The roles of a node: everything, API only, worker only. Each is the list of parts it starts.

use std::process::ExitCode;

use crate::USAGE;
use crate::args::{ApiNodeArgs, ServeArgs, WorkerNodeArgs};
use crate::backing::require_shared;
use crate::log;
use crate::node::{Node, listen};

/// `remaster serve`: API and worker in one process, on the embedded store unless told otherwise.
pub async fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    log::to_stderr(&args.log);
    // Before anything is fetched: a taken port or folder is found out at once.
    let listener = listen("BIND", args.api.bind).await?;
    let mut node = Node::open(&args.store, args.api.free_daily_limit).await?;
    let networks = args.networks.use_realesrgan;
    node.administer(&args.admin).await?;
    node.work((&args.worker, &args.engine), (args.models, &args.pull), args.store.lease, networks).await?;
    node.deliver(&args.webhooks)?;
    node.answer(listener, node.api_settings((&args.api, &args.webhooks), &args.admin, networks))?;
    node.until_stopped().await
}

/// `remaster api`: takes jobs, hands out results and sends webhooks; loads no model and no runtime.
pub async fn api(args: ApiNodeArgs) -> anyhow::Result<ExitCode> {
    if let Err(error) = require_shared(&args.store, "api") {
        return Ok(refuse(&error));
    }
    log::to_stderr(&args.log);
    let listener = listen("BIND", args.api.bind).await?;
    let mut node = Node::open(&args.store, args.api.free_daily_limit).await?;
    node.administer(&args.admin).await?;
    node.deliver(&args.webhooks)?;
    let networks = args.networks.use_realesrgan;
    node.answer(listener, node.api_settings((&args.api, &args.webhooks), &args.admin, networks))?;
    node.until_stopped().await
}

/// `remaster worker`: works on jobs; answers nothing but health and metrics.
pub async fn worker(args: WorkerNodeArgs) -> anyhow::Result<ExitCode> {
    if let Err(error) = require_shared(&args.store, "worker") {
        return Ok(refuse(&error));
    }
    log::to_stderr(&args.log);
    // It takes no jobs from callers, so nobody's limit.
    let mut node = Node::open(&args.store, u64::MAX).await?;
    node.administer(&args.admin).await?;
    let networks = args.networks.use_realesrgan;
    node.work((&args.worker, &args.engine), (args.models, &args.pull), args.store.lease, networks).await?;
    node.until_stopped().await
}

/// A setting that is missing is a usage error, in one line.
fn refuse(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    USAGE.into()
}
