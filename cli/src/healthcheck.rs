//! `remaster healthcheck`: for container runtimes, which have no curl in the image.

use std::{process::ExitCode, time::Duration};

use anyhow::bail;

use crate::args::HealthcheckArgs;

pub async fn run(args: HealthcheckArgs) -> anyhow::Result<ExitCode> {
    remaster_shared::tls::install_default_provider();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let status = client.get(&args.url).send().await?.status();
    if !status.is_success() {
        bail!("{} answers {status}", args.url);
    }
    Ok(ExitCode::SUCCESS)
}
