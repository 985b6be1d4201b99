//! `remaster jobs`: what operators look at and do, over the administration port of a node.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::args::{AdminUrlArgs, JobsCommand};
use crate::exit;

/// Runs the command and prints the answers.
///
/// # Errors
/// The node does not answer, or refuses.
pub async fn run(command: JobsCommand, admin: AdminUrlArgs) -> anyhow::Result<ExitCode> {
    remaster_shared::tls::install_default_provider();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(600)).build()?;
    let mut refused = false;
    for request in requests(command) {
        let url = format!("{}{}", admin.admin_url.trim_end_matches('/'), request.path);
        let mut sent = client.request(request.method, &url).query(&request.query);
        if let Some(body) = &request.body {
            sent = sent.json(body);
        }
        let answer = sent.send().await.with_context(|| {
            format!("{url} does not answer; ADMIN_URL takes the address that a node has as its ADMIN_BIND")
        })?;
        let status = answer.status();
        let answer: Value = answer.json().await.with_context(|| format!("{url} is not the administration port"))?;
        if status.is_success() {
            println!("{}", serde_json::to_string_pretty(&answer)?);
            continue;
        }
        let Some(detail) = answer["detail"].as_str() else { bail!("{url} answers {status}") };
        // If several jobs were named, the others are tried all the same.
        eprintln!("error: {}: {detail}", request.path);
        refused = true;
    }
    Ok(if refused { exit::failure() } else { ExitCode::SUCCESS })
}

struct Request {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

fn get(path: impl Into<String>) -> Request {
    Request { method: Method::GET, path: path.into(), query: Vec::new(), body: None }
}

fn post(path: impl Into<String>) -> Request {
    Request { method: Method::POST, body: Some(json!({})), ..get(path) }
}

fn requests(command: JobsCommand) -> Vec<Request> {
    let one = match command {
        JobsCommand::Queue => get("/queue"),
        JobsCommand::List { status, code, limit } => {
            let query = [("status", Some(status)), ("code", code), ("limit", Some(limit.to_string()))];
            let query = query.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            Request { query, ..get("/jobs") }
        }
        JobsCommand::Show { id } => get(format!("/jobs/{id}")),
        JobsCommand::Requeue { code: Some(code), .. } => Request { query: vec![("code", code)], ..post("/requeue") },
        JobsCommand::Requeue { ids, code: None } => {
            return ids.iter().map(|id| post(format!("/jobs/{id}/requeue"))).collect();
        }
        JobsCommand::Pause => post("/pause"),
        JobsCommand::Resume { worker: None } => post("/resume"),
        JobsCommand::Resume { worker: Some(worker) } => post(format!("/workers/{worker}/resume")),
        JobsCommand::Drain { worker } => post(format!("/workers/{worker}/drain")),
        JobsCommand::Purge { address } => post(format!("/clients/{address}/purge")),
        JobsCommand::Quota { address, give_back: None } => get(format!("/clients/{address}/quota")),
        JobsCommand::Quota { address, give_back: Some(units) } => {
            Request { body: Some(json!({ "give_back": units })), ..post(format!("/clients/{address}/quota")) }
        }
        JobsCommand::Resend { id } => post(format!("/webhooks/{id}/resend")),
    };
    vec![one]
}
