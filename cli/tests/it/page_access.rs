//! The web page for everybody: on a phone, in both colour schemes, and without a fault that axe-core calls serious.

use serde_json::Value;

use crate::browser::{Browser, Screen};
use crate::harness::Server;
use crate::page::{choose_small_model, file};

/// Runs axe-core on the page as it is, and looks whether it fits.
async fn check(browser: &Browser, view: &str) {
    let width = browser.eval("[document.documentElement.scrollWidth, innerWidth]").await;
    assert!(width[0].as_u64() <= width[1].as_u64(), "{view} is {width} wide");
    for theme in ["light", "dark"] {
        browser.prefer(theme).await;
        browser.until(&format!("document.documentElement.dataset.theme === {theme:?}")).await;
        let is_serious =
            |fault: &Value| ["serious", "critical"].contains(&fault["impact"].as_str().unwrap_or_default());
        let serious: Vec<_> = browser.faults().await.into_iter().filter(is_serious).collect();
        assert!(serious.is_empty(), "{view}, {theme}: {serious:#?}");
    }
}

async fn every_view(screen: Screen) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let browser = Browser::open(&server.base, folder.path(), screen).await;
    choose_small_model(&browser).await;
    check(&browser, "the empty page").await;
    let long = "a photo with a name that is very much longer than any screen of a phone could ever be wide.jpg";
    let photos = [file(folder.path(), long, (96, 64)), file(folder.path(), "b.jpg", (64, 96))];
    browser.pick(&photos).await;
    browser.shows("#tray-count", "2 photos").await;
    check(&browser, "the chosen photos").await;
    browser.click("#submit").await;
    browser.until("document.getElementById('download-all')").await;
    check(&browser, "the contact sheet").await;
    browser.click("#frames a").await;
    browser.until("document.getElementById('canvas').dataset.mode === 'compare'").await;
    check(&browser, "the comparison").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone() {
    every_view(Screen::Phone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desktop() {
    every_view(Screen::Desktop).await;
}
