//! The roles of a node: everything in one process, the API only, or a worker only. Each function lists the parts that its
//! role starts.

use std::process::ExitCode;

use crate::args::{ApiNodeArgs, ServeArgs, WorkerNodeArgs};
use crate::backends::require_shared;
use crate::node::{Node, listen};
use crate::{exit, log};

/// `remaster serve`: the API and a worker in one process, with the embedded store unless `REDIS_URL` is set.
///
/// # Errors
/// A part cannot be started, or ends with an error.
pub async fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    log::to_stderr(&args.log);
    // The port and the folder are claimed before anything is fetched, so that a conflict is reported at once.
    let listener = listen("BIND", args.api.bind).await?;
    let mut node = Node::open(&args.store, args.api.free_daily_limit).await?;
    node.trace(&args.log)?;
    let networks = args.networks.use_realesrgan;
    node.administer(&args.admin, (true, true)).await?;
    node.work((&args.worker, &args.engine), (args.models, &args.pull), args.store.lease, networks).await?;
    node.deliver(&args.webhooks)?;
    let address = listener.local_addr()?;
    node.answer(listener, node.api_settings((&args.api, &args.webhooks), &args.admin, networks))?;
    node.introduce(address, &args.api, &args.store, &args.log);
    node.until_stopped().await
}

/// `remaster api`: accepts jobs, serves results and sends webhooks. It loads no model and no runtime.
///
/// # Errors
/// A part cannot be started, or ends with an error.
pub async fn api(args: ApiNodeArgs) -> anyhow::Result<ExitCode> {
    if let Err(error) = require_shared(&args.store, "api") {
        return Ok(refuse(&error));
    }
    log::to_stderr(&args.log);
    let listener = listen("BIND", args.api.bind).await?;
    let mut node = Node::open(&args.store, args.api.free_daily_limit).await?;
    node.trace(&args.log)?;
    node.administer(&args.admin, (true, false)).await?;
    node.deliver(&args.webhooks)?;
    let networks = args.networks.use_realesrgan;
    let address = listener.local_addr()?;
    node.answer(listener, node.api_settings((&args.api, &args.webhooks), &args.admin, networks))?;
    node.introduce(address, &args.api, &args.store, &args.log);
    node.until_stopped().await
}

/// `remaster worker`: processes jobs. Over HTTP it serves only the administration port.
///
/// # Errors
/// A part cannot be started, or ends with an error.
pub async fn worker(args: WorkerNodeArgs) -> anyhow::Result<ExitCode> {
    if let Err(error) = require_shared(&args.store, "worker") {
        return Ok(refuse(&error));
    }
    log::to_stderr(&args.log);
    // A worker accepts no jobs, so the daily limit does not matter.
    let mut node = Node::open(&args.store, u64::MAX).await?;
    node.trace(&args.log)?;
    node.administer(&args.admin, (false, true)).await?;
    let networks = args.networks.use_realesrgan;
    node.work((&args.worker, &args.engine), (args.models, &args.pull), args.store.lease, networks).await?;
    node.until_stopped().await
}

/// Reports a missing setting as a usage error, in one line.
fn refuse(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    exit::usage()
}
