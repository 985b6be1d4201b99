//! `remaster healthcheck`, for container images that have no curl.

use std::{process::ExitCode, time::Duration};

use anyhow::bail;

use crate::args::HealthcheckArgs;

/// Requests the URL and succeeds if the status of the response is 2xx.
///
/// # Errors
/// There is no response within 5 seconds, or its status is another one.
pub async fn run(args: HealthcheckArgs) -> anyhow::Result<ExitCode> {
    remaster_shared::tls::install_default_provider();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let status = client.get(&args.url).send().await?.status();
    if !status.is_success() {
        bail!("{} answers {status}", args.url);
    }
    Ok(ExitCode::SUCCESS)
}
