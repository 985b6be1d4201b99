//! The page for operators in a real browser, on the administration port of a worker node.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::Value;

use crate::browser::{Browser, Screen};
use crate::harness::{Server, photo};
use crate::site::Site;

/// A PNG whose header is in order, and whose pixels are not.
fn broken() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let picture = RgbImage::from_fn(64, 48, |x, y| image::Rgb([(x * y) as u8, x as u8, y as u8]));
    DynamicImage::ImageRgb8(picture).write_to(&mut file, ImageFormat::Png).unwrap();
    let mut bytes = file.into_inner();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    bytes
}

/// Clicks what may be replaced by another one at any moment.
async fn press(browser: &Browser, selector: &str) {
    browser.eval(&format!("document.querySelector({selector:?}).click()")).await;
}

async fn submit(api: &Server, picture: Vec<u8>) -> String {
    let job: Value = api.post("/jobs?background=false", picture).await.json().await.unwrap();
    job["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_the_queue_and_acts() {
    let site = Site::new();
    let (api, worker) = (site.node("api"), site.node("worker"));
    api.eventually("/ready", |ready| ready["status"] == "ok").await;
    let browser = Browser::open(&worker.base, site.folder.path(), Screen::Desktop).await;
    browser.shows("#claiming", "Jobs are given to workers").await;
    browser.shows("#workers", "takes jobs").await;

    browser.click("#pause").await;
    browser.shows("#claiming", "Claiming is paused").await;
    let waiting = submit(&api, photo(64, 48)).await;
    browser.click("#status option[value='queued']").await;
    browser.shows("#jobs", &waiting).await;
    browser.click("#pause").await;
    assert_eq!(api.finished(&waiting).await["status"], "succeeded");

    press(&browser, "#workers button").await;
    browser.shows("#workers", "drained").await;
    press(&browser, "#workers button").await;
    browser.shows("#workers", "takes jobs").await;

    let failed = submit(&api, broken()).await;
    assert_eq!(api.finished(&failed).await["error"]["code"], "image_corrupt");
    browser.click("#status option[value='failed']").await;
    browser.shows("#jobs", "image_corrupt").await;
    press(&browser, "#jobs button").await;
    browser.shows("#message", &format!("{failed} is queued again.")).await;

    browser.find("#client input[name='address']").await.send_keys("127.0.0.1").await.unwrap();
    browser.click("#client button[value='look']").await;
    browser.shows("#message", "127.0.0.1 has used 2 of").await;
    browser.find("#client input[name='address']").await.send_keys("x").await.unwrap();
    browser.click("#client button[value='look']").await;
    browser.shows("#message", "an IP address").await;

    for theme in ["light", "dark"] {
        browser.prefer(theme).await;
        let faults = browser.faults().await;
        assert!(faults.is_empty(), "{theme}: {faults:#?}");
    }
    browser.close().await;
}
