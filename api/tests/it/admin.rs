//! What operators do on the administration port.

use remaster_shared::error::{ErrorCode, JobError};
use remaster_store::{Claim, Outcome};
use reqwest::Response;
use serde_json::{Value, json};

use crate::harness::{Harness, problem};
use remaster_store::contract::request;

struct Operator {
    api: Harness,
    base: String,
}

impl Operator {
    async fn new() -> Self {
        let api = Harness::new().await;
        let base = api.administration().await;
        Self { api, base }
    }

    async fn get(&self, path: &str) -> Value {
        self.api.http.get(format!("{}{path}", self.base)).send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.api.http.post(format!("{}{path}", self.base)).json(&body).send().await.unwrap()
    }

    async fn done(&self, path: &str) -> Value {
        let response = self.post(path, json!({})).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// Submits a job and fails it.
    async fn failed(&self, code: ErrorCode) -> String {
        let id = self.api.submit().await["id"].as_str().unwrap().to_owned();
        let (_, lease) = self.api.claim().await;
        self.api.store.finish(&lease, Outcome::Failed(JobError::new(code, "it failed"))).await.unwrap();
        id
    }
}

#[tokio::test]
async fn failed_jobs_are_listed_and_queued_again() {
    let operator = Operator::new().await;
    let corrupt = operator.failed(ErrorCode::ImageCorrupt).await;
    let other = operator.failed(ErrorCode::UnsupportedFormat).await;
    let ids = |jobs: &Value| -> Vec<String> {
        jobs.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&operator.get("/jobs?status=failed").await).len(), 2);
    let listed = operator.get("/jobs?status=failed&code=image_corrupt").await;
    assert_eq!((ids(&listed), &listed[0]["error"]["code"]), (vec![corrupt.clone()], &json!("image_corrupt")));

    let job = operator.done(&format!("/jobs/{other}/requeue")).await;
    assert_eq!((job["status"].as_str(), job["attempt"].as_u64()), (Some("queued"), Some(0)));
    assert_eq!(operator.done("/requeue?code=image_corrupt").await, json!({"requeued": 1, "too_old": 0}));
    assert_eq!(operator.get("/jobs").await, json!([]));
    assert_eq!(
        ids(&operator.get("/jobs?status=queued").await),
        std::slice::from_ref(&corrupt),
        "the oldest of the one client"
    );
    assert_eq!(operator.api.json(&format!("/jobs/{corrupt}")).await["status"], "queued");
    let again = operator.post(&format!("/jobs/{corrupt}/requeue"), json!({})).await;
    assert_eq!(problem(again).await["code"], "already_finished");
}

#[tokio::test]
async fn claiming_is_paused_and_a_worker_drained() {
    let operator = Operator::new().await;
    operator.api.submit().await;
    operator.done("/pause").await;
    assert_eq!(operator.get("/queue").await["paused"], true);
    let claim = async || operator.api.store.claim(&request()).await.unwrap();
    assert!(matches!(claim().await, Claim::HeldBack));
    operator.done("/resume").await;
    operator.done("/workers/w/drain").await;
    assert_eq!(operator.get("/queue").await["workers"][0]["drained"], true);
    assert!(matches!(claim().await, Claim::HeldBack));
    operator.done("/workers/w/resume").await;
    assert!(matches!(claim().await, Claim::Job(..)));
    assert_eq!(problem(operator.post("/workers/nobody/drain", json!({})).await).await["code"], "not_found");
}

#[tokio::test]
async fn a_client_is_purged_and_its_quota_adjusted() {
    let operator = Operator::new().await;
    for _ in 0..3 {
        operator.api.submit().await;
    }
    let quota = operator.post("/clients/127.0.0.1/quota", json!({"give_back": -4})).await;
    assert_eq!(quota.json::<Value>().await.unwrap()["used"], 7);
    assert_eq!(operator.done("/clients/127.0.0.1/purge").await, json!({"canceled": 3}));
    assert_eq!(operator.get("/clients/127.0.0.1/quota").await["used"], 4);
    assert_eq!(operator.api.used().await, 4);
    let bad = operator.post("/clients/somebody/purge", json!({})).await;
    assert!(problem(bad).await["detail"].as_str().unwrap().contains("an IP address"));
}

#[tokio::test]
async fn a_page_of_another_site_cannot_act() {
    let operator = Operator::new().await;
    let form = operator.api.http.post(format!("{}/pause", operator.base)).body("x=1");
    let form = form.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert_eq!(form.status(), 400);
    assert!(problem(form).await["detail"].as_str().unwrap().contains("application/json"));
    let page = operator.api.http.post(format!("{}/pause", operator.base)).json(&json!({}));
    let page = page.header("origin", "http://rebound.example.com").send().await.unwrap();
    assert!(problem(page).await["detail"].as_str().unwrap().contains("no web page"));
    assert_eq!(operator.get("/queue").await["paused"], false);
    let own = operator.api.http.post(format!("{}/pause", operator.base)).json(&json!({}));
    assert_eq!(own.header("origin", &operator.base).send().await.unwrap().status(), 200);
    assert_eq!(operator.get("/queue").await["paused"], true);
}

#[tokio::test]
async fn the_page_loads_nothing_of_others_and_is_shown_in_no_frame() {
    let operator = Operator::new().await;
    for (path, kind) in
        [("/", "text/html"), ("/page/operators.css", "text/css"), ("/page/operators.js", "text/javascript")]
    {
        let file = operator.api.http.get(format!("{}{path}", operator.base)).send().await.unwrap();
        let told = |name: &str| file.headers()[name].to_str().unwrap().to_owned();
        assert!(told("content-type").starts_with(kind), "{path}");
        let policy = told("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_named() {
    let operator = Operator::new().await;
    for (path, names) in [
        ("/jobs?status=done", "failed, processing or queued"),
        ("/jobs?code=broken", "an error code"),
        ("/jobs?status=queued&code=internal", "code"),
        ("/jobs/x", "id"),
    ] {
        let problem = operator.get(path).await;
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(names)), "{path}: {problem}");
    }
    let nothing = operator.post(&format!("/webhooks/{}/resend", uuid::Uuid::new_v4()), json!({})).await;
    assert_eq!(problem(nothing).await["code"], "not_found");
}

#[tokio::test]
async fn a_page_with_a_name_of_its_own_reaches_no_port_of_operators() {
    let operator = Operator::new().await;
    let request = operator.api.http.get(format!("{}/jobs?status=failed", operator.base));
    let refused = request.header("host", "page.example:9100").send().await.unwrap();
    assert_eq!(problem(refused).await["code"], "unknown_host");
}

#[tokio::test]
async fn a_worker_that_takes_no_jobs_is_not_ready_and_says_why() {
    let operator = Operator::new().await;
    let answer = operator.api.http.get(format!("{}/ready", operator.base)).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let told: Value = answer.json().await.unwrap();
    assert_eq!(told, json!({"status": "unavailable", "worker": "the disk is full"}));
}
