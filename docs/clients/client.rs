//! Enhances photos with a Remaster service, by the crate reqwest.
//!
//! `cargo run --example client -- http://127.0.0.1:8000 photo.jpg another.jpg`

#![expect(clippy::print_stdout, reason = "a command line program writes to its terminal")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response, header};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Sends a request, and again when the service has no room or the connection is cut.
async fn send(request: impl Fn() -> RequestBuilder) -> Result<Response> {
    for attempt in 0..10_u32 {
        let Ok(response) = request().timeout(Duration::from_secs(90)).send().await else {
            tokio::time::sleep(Duration::from_secs(2_u64.pow(attempt).min(30))).await;
            continue;
        };
        match response.status().as_u16() {
            429 | 503 => {
                let asked =
                    response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                tokio::time::sleep(Duration::from_secs(asked.unwrap_or(5))).await;
            }
            200..=299 => return Ok(response),
            _ => return Err(response.json::<Value>().await?["detail"].as_str().unwrap_or_default().into()),
        }
    }
    Err("the service does not answer".into())
}

/// Posts photos as a form. The key makes it safe to send the request again: it is charged once.
async fn post(http: &Client, url: &str, photos: &[String]) -> Result<Value> {
    let mut files = Vec::new();
    for photo in photos {
        let name = Path::new(photo).file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, tokio::fs::read(photo).await?));
    }
    let key = Uuid::new_v4().to_string();
    let request = || {
        let file = |form: Form, (name, bytes): &(String, Vec<u8>)| {
            form.part("file", Part::bytes(bytes.clone()).file_name(name.clone()))
        };
        let form = files.iter().fold(Form::new().text("scale", "2"), file);
        http.post(url).header("Idempotency-Key", &key).multipart(form)
    };
    Ok(send(request).await?.json().await?)
}

/// Waits until the job or batch has ended.
async fn ended(http: &Client, mut state: Value) -> Result<Value> {
    let url = state["urls"]["self"].as_str().unwrap_or_default().to_owned();
    while matches!(state["status"].as_str(), Some("queued" | "processing" | "open")) {
        state = send(|| http.get(&url).query(&[("wait", "30")])).await?.json().await?;
    }
    Ok(state)
}

async fn download(http: &Client, url: &Value) -> Result<Vec<u8>> {
    let url = url.as_str().unwrap_or_default();
    Ok(send(|| http.get(url)).await?.bytes().await?.to_vec())
}

#[tokio::main]
async fn main() -> Result<()> {
    // Which implementation of TLS reqwest uses is up to the program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (server, photos) = arguments.split_first().ok_or("name a server and photos")?;
    let http = Client::new();

    let job = post(&http, &format!("{server}/jobs"), &photos[..1]).await?;
    let job = ended(&http, job).await?;
    if job["status"] != "succeeded" {
        return Err(job["error"]["message"].as_str().unwrap_or_default().into());
    }
    let png = download(&http, &job["result"]["url"]).await?;
    if job["result"]["sha256"] != hex::encode(Sha256::digest(&png)) {
        return Err("the download is damaged".into());
    }
    tokio::fs::write("result.png", png).await?;
    println!("result.png: {}x{}", job["result"]["width"], job["result"]["height"]);

    let batch = post(&http, &format!("{server}/batches"), photos).await?;
    let batch = ended(&http, batch).await?;
    tokio::fs::write("results.zip", download(&http, &batch["urls"]["results"]).await?).await?;
    println!("results.zip: {} of {}", batch["counts"]["succeeded"], photos.len());
    Ok(())
}
