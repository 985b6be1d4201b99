//! A trace of a job over the nodes that have to do with it, at a collector.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use remaster_testkit::{Behaviour, Receiver};
use serde_json::Value;

use crate::harness::photo;
use crate::site::Site;

/// The spans in these requests, by their names.
fn spans(requests: &[String]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for request in requests {
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("POST /v1/traces "), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        for resource in body["resourceSpans"].as_array().unwrap() {
            for span in
                resource["scopeSpans"].as_array().unwrap().iter().flat_map(|scope| scope["spans"].as_array()).flatten()
            {
                found.insert(span["name"].as_str().unwrap().to_owned(), span.clone());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_has_the_submit_the_stages_and_the_webhook() {
    let site = Site::new();
    let collector = Receiver::start(Behaviour::Respond("200 OK")).await;
    let hook = Receiver::start(Behaviour::Respond("200 OK")).await;
    let endpoint = collector.url("");
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("WEBHOOK_ALLOW", "127.0.0.0/8")];
    let api = site.node_with("api", &settings);
    let worker = site.node_with("worker", &settings[..1]);
    let url = format!("/jobs?background=false&webhook_url={}", hook.url("/"));
    let job: Value = api.post(&url, photo(64, 48)).await.json().await.unwrap();
    let id = job["id"].as_str().unwrap();
    assert_eq!(api.finished(id).await["status"], "succeeded");

    let expected =
        ["submit", "wait", "fetch", "decode", "find_faces", "enlarge", "encode", "store", "attempt", "webhook", "job"];
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut requests = Vec::new();
    let spans = loop {
        requests.extend(collector.received());
        let spans = spans(&requests);
        if expected.iter().all(|name| spans.contains_key(*name)) {
            break spans;
        }
        assert!(Instant::now() < deadline, "{:?}", spans.keys());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let traces: BTreeSet<_> = spans.values().map(|span| span["traceId"].as_str().unwrap()).collect();
    assert_eq!(traces.len(), 1, "{spans:?}");
    let whole = &spans["job"];
    let at = |span: &Value, name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
    for (name, span) in spans.iter().filter(|(name, _)| *name != "job") {
        assert_eq!(span["parentSpanId"], whole["spanId"], "{name}");
        assert!(at(span, "startTimeUnixNano") <= at(span, "endTimeUnixNano"), "{span}");
    }
    assert!(at(whole, "endTimeUnixNano") >= at(&spans["encode"], "endTimeUnixNano"));
    // The id is a secret between the service and its caller.
    let secret = id.replace('-', "");
    assert!(requests.iter().all(|request| !request.contains(id) && !request.contains(&secret)));
    drop(worker);
}
