//! The daily quota under concurrent submits, its headers, and who is charged.

use remaster_api::{ApiSettings, DailyAllowances};
use serde_json::Value;

use crate::fixtures::{form, png};
use crate::harness::{Harness, problem};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_concurrent_submits_with_a_limit_of_a_hundred() {
    let harness = std::sync::Arc::new(Harness::new().await);
    let picture = png(16, 16);
    let submits = (0..1000).map(|_| {
        let (harness, picture) = (harness.clone(), picture.clone());
        tokio::spawn(async move {
            let request = harness.http.post(harness.url("/jobs")).header("content-type", "image/png").body(picture);
            let response = request.send().await.unwrap();
            let headers = response.headers();
            assert_eq!(headers["x-quota-limit"], "100");
            assert_eq!(headers["ratelimit-policy"], "\"daily\";q=100;w=86400");
            assert!(headers["ratelimit"].to_str().unwrap().starts_with("\"daily\";r="));
            let reset = headers["x-quota-reset"].to_str().unwrap();
            assert!(reset.ends_with("T00:00:00Z"), "{reset}");
            match response.status().as_u16() {
                202 => true,
                429 => {
                    assert_eq!(headers["x-quota-used"], "100");
                    let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
                    assert!((1..=86_400).contains(&seconds));
                    assert_eq!(problem(response).await["code"], "quota_exceeded");
                    false
                }
                other => panic!("{other}"),
            }
        })
    });
    let answers = futures::future::join_all(submits).await;
    let accepted = answers.into_iter().filter(|answer| *answer.as_ref().unwrap()).count();
    assert_eq!(accepted, 100);
    let quota = harness.json("/quota").await;
    assert_eq!((&quota["used"], &quota["remaining"]), (&100.into(), &0.into()));
    let stats = harness.json("/stats").await;
    assert_eq!((&stats["total_requests_today"], &stats["queue_depth"]), (&100.into(), &100.into()));
    // The refused uploads left no files.
    assert_eq!(harness.files(), (100, 0));
}

#[tokio::test]
async fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
    let used = async |harness: &Harness, header: &str, value: &str| {
        let answer = harness.http.get(harness.url("/quota")).header(header, value).send().await.unwrap();
        answer.json::<serde_json::Value>().await.unwrap()["used"].as_u64().unwrap()
    };
    let untrusting = Harness::new().await;
    untrusting.submit().await;
    for (header, value) in [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")] {
        assert_eq!(used(&untrusting, header, value).await, 1, "a spoofed {header} changes nothing");
    }
    let trusting =
        Harness::builder().settings(|settings| settings.trusted_proxies = "loopback".parse().unwrap()).start().await;
    trusting.submit().await;
    assert_eq!(used(&trusting, "x-forwarded-for", "203.0.113.7").await, 0);
    assert_eq!(used(&trusting, "x-forwarded-for", "203.0.113.7, 127.0.0.1").await, 0);
    assert_eq!(used(&trusting, "x-forwarded-for", "127.0.0.1").await, 1);
    // A line that is not valid UTF-8 does not hide the address that was appended to it.
    let line = reqwest::header::HeaderValue::from_bytes(b"\xff, 203.0.113.7").unwrap();
    let request = trusting.http.get(trusting.url("/quota")).header("x-forwarded-for", "198.51.100.1");
    let answer = request.header("x-forwarded-for", line).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["used"], 0);
}

#[tokio::test]
async fn links_are_https_where_a_trusted_proxy_says_so() {
    let untrusting = Harness::new().await;
    let trusting =
        Harness::builder().settings(|settings| settings.trusted_proxies = "loopback".parse().unwrap()).start().await;
    for (harness, said, scheme) in [
        (&untrusting, "https", "http"),
        (&trusting, "https", "https"),
        (&trusting, "http", "http"),
        (&trusting, "ftp", "http"),
    ] {
        let request = harness.http.post(harness.url("/jobs")).header("content-type", "image/png");
        let answer = request.header("x-forwarded-proto", said).body(png(10, 10)).send().await.unwrap();
        let job: Value = answer.json().await.unwrap();
        assert!(job["urls"]["self"].as_str().unwrap().starts_with(&format!("{scheme}://")), "{said}: {job}");
    }
}

/// A body that is not a picture shows by its error whether it was read.
#[tokio::test]
async fn without_quota_only_repeated_requests_are_read() {
    let harness = Harness::builder().settings(|settings| settings.daily_limit = 1).start().await;
    let send = async |key: &str, body: Vec<u8>| {
        let request = harness.http.post(harness.url("/jobs")).header("content-type", "image/png");
        request.header("idempotency-key", key).body(body).send().await.unwrap()
    };
    let first = send("k", png(10, 10)).await;
    assert_eq!(first.status(), 202);
    let again = send("k", png(10, 10)).await;
    assert_eq!((again.status().as_u16(), &again.headers()["idempotency-replayed"]), (202, &"true".parse().unwrap()));
    assert_eq!(problem(send("other", b"no picture".to_vec()).await).await["code"], "quota_exceeded");
    assert_eq!(problem(send("k", b"no picture".to_vec()).await).await["code"], "unsupported_format");
}

#[tokio::test]
async fn a_network_of_ipv6_has_so_many_quotas_however_many_clients_it_has() {
    let settings = |settings: &mut ApiSettings| {
        (settings.trusted_proxies, settings.daily_limit) = ("loopback".parse().unwrap(), 1);
    };
    let harness = Harness::builder().settings(settings).start().await;
    let submit = async |host: u32| {
        let address = format!("2001:db8:1:a{host:02x}::1");
        let request = harness.http.post(harness.url("/jobs")).header("content-type", "image/png");
        request.header("x-forwarded-for", address).body(png(20, 10)).send().await.unwrap()
    };
    for host in 0..4 {
        assert_eq!(submit(host).await.status(), 202, "{host}");
    }
    let refused = submit(4).await;
    assert!(refused.headers().contains_key("retry-after"));
    let refused = problem(refused).await;
    assert_eq!(refused["code"], "quota_exceeded");
    assert!(refused["detail"].as_str().unwrap().starts_with("The /56 network"), "{refused}");
}

#[tokio::test]
async fn what_a_client_causes_besides_its_images_is_bounded_too() {
    let allowing = async |allowances: DailyAllowances| {
        Harness::builder()
            .settings(move |settings| (settings.daily_limit, settings.allowances) = (10, allowances))
            .start()
            .await
    };
    let send = async |harness: &Harness, picture: Vec<u8>| {
        let request = harness.http.post(harness.url("/jobs")).header("content-type", "image/png").body(picture);
        let response = request.send().await.unwrap();
        let (status, again) = (response.status().as_u16(), response.headers().contains_key("retry-after"));
        let body: Value = response.json().await.unwrap();
        assert_eq!((status == 429, again), (body["code"] == "quota_exceeded", status == 429), "{body}");
        (status, body)
    };
    let refused = async |harness: &Harness, setting: &str| {
        let (status, body) = send(harness, png(500, 500)).await;
        assert_eq!(status, 429, "{body}");
        assert!(body["detail"].as_str().unwrap().contains(setting), "{body}");
    };

    // A result of a megapixel.
    let harness = allowing(DailyAllowances { megapixels: 2, ..DailyAllowances::UNLIMITED }).await;
    for _ in 0..2 {
        assert_eq!(send(&harness, png(500, 500)).await.0, 202);
    }
    refused(&harness, "DAILY_MEGAPIXELS").await;
    assert_eq!(send(&allowing(DailyAllowances::UNLIMITED).await, png(500, 500)).await.0, 202);

    let bytes = png(500, 500).len() as u64;
    let harness = allowing(DailyAllowances { upload_bytes: bytes, ..DailyAllowances::UNLIMITED }).await;
    assert_eq!(send(&harness, png(500, 500)).await.0, 202);
    refused(&harness, "DAILY_UPLOAD_BYTES").await;

    let harness = allowing(DailyAllowances { refused_files: 3, ..DailyAllowances::UNLIMITED }).await;
    assert_eq!(send(&harness, b"no picture".to_vec()).await.0, 415);
    let files = form(&[("a.png", png(8, 8)), ("b.png", b"no picture".to_vec()), ("c.png", b"nor this".to_vec())]);
    let batch = harness.http.post(harness.url("/batches")).multipart(files).send().await.unwrap();
    assert_eq!(batch.status(), 202);
    refused(&harness, "DAILY_REFUSED_FILES").await;

    // Whoever cancels is given the unit back, so many times.
    let harness = allowing(DailyAllowances { refunds: 2, ..DailyAllowances::UNLIMITED }).await;
    for _ in 0..12 {
        let (status, job) = send(&harness, png(8, 8)).await;
        assert_eq!(status, 202, "{job}");
        let cancel = harness.http.delete(harness.url(&format!("/jobs/{}", job["id"].as_str().unwrap())));
        assert_eq!(cancel.send().await.unwrap().status(), 200);
    }
    assert_eq!(harness.json("/quota").await["used"], 0);
    refused(&harness, "DAILY_REFUNDS").await;
}
