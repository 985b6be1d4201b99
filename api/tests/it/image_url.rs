//! Images that are submitted by their addresses.

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fixtures::png;
use crate::harness::{Harness, problem};

/// A web server with one picture and ways to go wrong; the URL that it is at.
async fn web() -> String {
    let endless =
        || async { Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0_u8; 65536]))) };
    let router = Router::new()
        .route("/a/photo.png", get(|| async { png(20, 10) }))
        .route("/text", get(|| async { "this is no picture" }))
        .route("/moved", get(|| async { Redirect::permanent("a/photo.png") }))
        .route("/inside", get(|| async { Redirect::temporary("http://169.254.169.254/latest") }))
        .route("/round", get(|| async { Redirect::temporary("/round") }))
        .route("/endless", get(endless))
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn post(harness: &Harness, path: &str, body: &Value) -> Response {
    harness.http.post(harness.url(path)).json(body).send().await.unwrap()
}

#[tokio::test]
async fn an_image_is_fetched_from_its_address() {
    let (harness, web) = (Harness::new().await, web().await);
    for path in ["/a/photo.png?version=2", "/moved"] {
        let body = json!({ "image_url": format!("{web}{path}"), "scale": 4, "background": false, "model": null, "faces": "off" });
        let response = post(&harness, "/jobs", &body).await;
        assert_eq!(response.status(), 202);
        let job: Value = response.json().await.unwrap();
        assert_eq!((&job["input"]["width"], &job["input"]["format"]), (&json!(20), &json!("png")));
        assert_eq!(
            (&job["params"]["scale"], &job["params"]["background"], &job["params"]["faces"]),
            (&json!(4), &json!(false), &json!("off"))
        );
        if path.starts_with("/a/") {
            assert_eq!(job["input"]["filename"], "photo.png");
        }
    }
    assert_eq!((harness.used().await, harness.files()), (2, (2, 0)));
}

#[tokio::test]
async fn what_cannot_be_fetched_is_refused_and_costs_nothing() {
    let harness = Harness::builder().settings(|settings| settings.max_upload_bytes = 1_000_000).start().await;
    let web = web().await;
    let at = |path: &str| json!({ "image_url": format!("{web}{path}") });
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let cases = [
        (json!({}), 400, "missing_file", "image_url"),
        (json!({ "image_url": 7 }), 400, "missing_file", "image_url"),
        (json!([1]), 400, "invalid_parameter", "JSON object"),
        (json!({ "image_url": format!("{web}/a/photo.png"), "sharpness": 1 }), 400, "invalid_parameter", "sharpness"),
        (json!({ "image_url": format!("{web}/a/photo.png"), "scale": [2] }), 400, "invalid_parameter", "scale"),
        (json!({ "image_url": "ftp://example.com/a.png" }), 400, "invalid_image_url", "http and https"),
        (json!({ "image_url": "http://10.0.0.1/a.png" }), 400, "invalid_image_url", "not a public address"),
        (json!({ "image_url": "http://[::1]/a.png" }), 400, "invalid_image_url", "not a public address"),
        (json!({ "image_url": "a.png" }), 400, "invalid_image_url", "not a URL"),
        (
            json!({ "image_url": "http://nothing.invalid/a.png" }),
            400,
            "invalid_image_url",
            "does not resolve, or not to public",
        ),
        (at("/inside"), 400, "invalid_image_url", "not a public address"),
        (at("/round"), 422, "image_unreachable", "redirects"),
        (at("/nothing"), 422, "image_unreachable", "404"),
        (at("/broken"), 422, "image_unreachable", "500"),
        (json!({ "image_url": "http://127.0.0.1:22/a.png" }), 400, "invalid_image_url", "port 22"),
        (json!({ "image_url": format!("http://{nobody}/a.png") }), 422, "image_unreachable", "cannot be reached"),
        (at("/text"), 415, "unsupported_format", "JPEG"),
        (at("/endless"), 413, "file_too_large", "1000000"),
    ];
    for (body, status, code, said) in cases {
        let refused = problem(post(&harness, "/jobs", &body).await).await;
        assert_eq!((&refused["status"], &refused["code"]), (&json!(status), &json!(code)), "{body}: {refused}");
        assert!(refused["detail"].as_str().unwrap().contains(said), "{body}: {refused}");
    }
    assert_eq!((harness.used().await, harness.files()), (0, (0, 0)));
}

#[tokio::test]
async fn a_batch_goes_on_without_the_images_that_cannot_be_fetched() {
    let (harness, web) = (Harness::new().await, web().await);
    let urls = ["/a/photo.png", "/nothing", "/moved"].map(|path| format!("{web}{path}"));
    let response = post(&harness, "/batches", &json!({ "image_urls": urls, "scale": 2 })).await;
    assert_eq!(response.status(), 202);
    let batch: Value = response.json().await.unwrap();
    let states: Vec<_> = batch["jobs"].as_array().unwrap().iter().map(|job| job["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["queued", "failed", "queued"]);
    assert_eq!(batch["jobs"][1]["error"]["code"], "image_unreachable");
    assert_eq!(batch["jobs"][1]["input"]["filename"], "nothing");
    assert_eq!((harness.used().await, harness.files()), (2, (2, 0)));

    let many = vec![format!("{web}/a/photo.png"); 11];
    for (body, code) in [
        (json!({ "image_urls": [] }), "missing_file"),
        (json!({ "image_urls": [7] }), "missing_file"),
        (json!({ "image_urls": many }), "batch_too_large"),
        (json!({ "image_urls": ["http://10.0.0.1/"] }), "invalid_image_url"),
    ] {
        assert_eq!(problem(post(&harness, "/batches", &body).await).await["code"], code, "{body}");
    }
}

/// The same key stands for the same address, whatever lies there by then.
#[tokio::test]
async fn a_repeated_address_is_the_same_request() {
    let (harness, web) = (Harness::new().await, web().await);
    let submit = |path: &'static str| {
        let request = harness.http.post(harness.url("/jobs")).header("idempotency-key", "one");
        request.json(&json!({ "image_url": format!("{web}{path}") })).send()
    };
    let first: Value = submit("/a/photo.png").await.unwrap().json().await.unwrap();
    let second = submit("/a/photo.png").await.unwrap();
    assert_eq!(second.headers()["idempotency-replayed"], "true");
    assert_eq!(second.json::<Value>().await.unwrap()["id"], first["id"]);
    // The same bytes at another address are another request.
    assert_eq!(problem(submit("/moved").await.unwrap()).await["code"], "idempotency_key_reused");
    assert_eq!(harness.used().await, 1);
}
