//! The web page in a real browser: photos go in, are followed, compared and saved.

use std::path::{Path, PathBuf};

use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::key::Key;
use remaster_testkit::SMALL_MODEL;
use serde_json::{Value, json};

use crate::browser::{Browser, Screen};
use crate::harness::{Server, photo};
use crate::site::Site;

/// A photo of the given size as a file named `name` in `folder`.
pub fn file(folder: &Path, name: &str, (width, height): (u32, u32)) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, photo(width, height)).unwrap();
    path
}

/// Chooses the network that is fast enough for tests, once the page lists it.
pub async fn choose_small_model(browser: &Browser) {
    let option = format!("#option-model option[value='{SMALL_MODEL}']");
    browser.until(&format!("document.querySelector({option:?})")).await;
    browser.click(&option).await;
    assert_eq!(browser.eval("document.getElementById('option-model').value").await, SMALL_MODEL);
}

/// Settings under which even a small photo has several tiles, and so a progress that moves.
pub const SMALL_TILES: [(&str, &str); 1] = [("TILE", "192")];

/// Notes every state and progress of the photo that is shown, in `window.seen`.
const WATCH: &str = "
    const [bar, state] = ['viewer-progress', 'viewer-state'].map((id) => document.getElementById(id));
    window.seen = [];
    const note = () => window.seen.push([state.textContent, bar.value]);
    const options = { subtree: true, childList: true, characterData: true, attributes: true };
    for (const node of [bar, state]) new MutationObserver(note).observe(node, options);";

/// The place of the dividing line between original and result, in percent.
async fn line(browser: &Browser) -> i64 {
    browser.find("#handle").await.attr("aria-valuenow").await.unwrap().unwrap().parse().unwrap()
}

/// Presses the mouse at `from` and releases it at `to`, both in pixels from the middle of the picture.
async fn drag(browser: &Browser, from: f64, to: f64) {
    let element = browser.find("#canvas").await;
    let at = |x: f64| PointerAction::MoveToElement { element: element.clone(), duration: None, x, y: 0.0 };
    let mouse = MouseActions::new("mouse".into())
        .then(at(from))
        .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
        .then(at(to))
        .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
    browser.page.perform_actions(mouse).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_photo_is_sent_followed_compared_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &SMALL_TILES);
    let browser = Browser::open(&server.base, folder.path(), Screen::Desktop).await;
    choose_small_model(&browser).await;
    browser.pick(&[file(folder.path(), "the photo.jpg", (380, 380))]).await;
    browser.shows("#tray", "the photo.jpg").await;
    browser.page.execute(WATCH, vec![]).await.unwrap();
    browser.click("#submit").await;
    browser.until("document.getElementById('canvas').dataset.mode === 'compare'").await;
    browser.shows("#viewer-state", "Done").await;

    // The progress moved, and never back.
    let seen = browser.eval("window.seen").await;
    let at_work = seen.as_array().unwrap().iter().filter(|pair| pair[0].as_str().unwrap().starts_with("At work"));
    let progress: Vec<f64> = at_work.map(|pair| pair[1].as_f64().unwrap()).collect();
    assert!(progress.iter().any(|done| (0.01..0.99).contains(done)), "{seen}");
    assert!(progress.is_sorted(), "{seen}");

    // Moves the dividing line with the keyboard.
    let clip = "getComputedStyle(document.getElementById('before')).clipPath";
    assert_eq!(line(&browser).await, 50);
    let before = browser.eval(clip).await;
    let handle = browser.find("#handle").await;
    handle.send_keys(&Key::Right.to_string().repeat(5)).await.unwrap();
    assert_eq!(line(&browser).await, 55);
    assert_ne!(browser.eval(clip).await, before);
    handle.send_keys(&Key::PageDown.to_string()).await.unwrap();
    assert_eq!(line(&browser).await, 45);
    handle.send_keys(&Key::End.to_string()).await.unwrap();
    assert_eq!(line(&browser).await, 100);
    handle.send_keys(&Key::Home.to_string()).await.unwrap();
    assert_eq!(line(&browser).await, 0);

    // Moves the dividing line with the mouse, half way to the right end of the picture.
    let width = browser.eval("document.getElementById('world').getBoundingClientRect().width").await.as_f64().unwrap();
    drag(&browser, -20.0, width / 4.0).await;
    assert!((74..=76).contains(&line(&browser).await), "{}", line(&browser).await);

    // At 100 % one pixel of the result is one pixel of the screen. Where not all of the picture is seen, the mouse moves the
    // picture instead of the dividing line.
    browser.click("#zoom-full").await;
    assert_eq!(browser.text("#zoom").await, "100 %");
    browser.click("#zoom-in").await;
    let place = "document.getElementById('world').style.transform";
    let (before, at) = (browser.eval(place).await, line(&browser).await);
    drag(&browser, -100.0, -40.0).await;
    assert_ne!(browser.eval(place).await, before);
    assert_eq!(line(&browser).await, at);
    let canvas = browser.find("#canvas").await;
    let before = browser.eval(place).await;
    canvas.send_keys(&Key::Left.to_string()).await.unwrap();
    assert_ne!(browser.eval(place).await, before);
    canvas.send_keys("0").await.unwrap();
    assert_eq!(browser.eval("document.getElementById('canvas').dataset.fitted").await, "true");

    browser.click("#download").await;
    let saved = browser.downloaded().await;
    let result = server.http.get(browser.eval("document.getElementById('download').href").await.as_str().unwrap());
    assert_eq!(saved, result.send().await.unwrap().bytes().await.unwrap());
    assert_eq!(image::load_from_memory(&saved).unwrap().width(), 760);

    assert_eq!(browser.complaints().await, [""; 0]);
    assert_eq!(browser.outside_requests(&[]).await, [""; 0]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_in_mid_job_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("WORKER_JOBS", "1")]);
    // Somebody else's photo keeps the worker busy until the page has been loaded again.
    let other: Value = server.post("/jobs?model=realesrgan-x4plus", photo(380, 380)).await.json().await.unwrap();
    let other = format!("/jobs/{}", other["id"].as_str().unwrap());
    server.eventually(&other, |job| job["status"] == "processing").await;
    let browser = Browser::open(&server.base, folder.path(), Screen::Desktop).await;
    choose_small_model(&browser).await;
    browser.pick(&[file(folder.path(), "mine.jpg", (96, 64))]).await;
    browser.click("#submit").await;
    browser.shows("#viewer-state", "Next in line").await;

    browser.page.refresh().await.unwrap();
    browser.shows("#viewer-state", "Next in line").await;
    assert_eq!(browser.text("#viewer-name").await, "mine.jpg");
    server.http.delete(server.url(&other)).send().await.unwrap();
    browser.until("document.getElementById('canvas').dataset.mode === 'compare'").await;
    // The original is still there to compare with.
    assert_eq!(browser.eval("document.getElementById('canvas').dataset.alone").await, "false");
    browser.page.refresh().await.unwrap();
    browser.until("document.getElementById('canvas').dataset.mode === 'compare'").await;
    browser.shows("#shelf-list", "left").await;

    browser.click("#viewer-actions .quiet").await;
    browser.until("document.getElementById('shelf').hidden && !document.getElementById('compose').hidden").await;
    browser.page.refresh().await.unwrap();
    browser.shows("#quota-left", "9,99").await;
    assert_eq!(browser.eval("document.getElementById('shelf').hidden").await, true);
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_photos_become_one_archive() {
    const PHOTOS: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let browser = Browser::open(&server.base, folder.path(), Screen::Desktop).await;
    choose_small_model(&browser).await;
    let name = |number: usize| format!("holiday {number:02}.jpg");
    let photos: Vec<_> =
        (0..PHOTOS).map(|number| file(folder.path(), &name(number), (24 + number as u32, 24))).collect();
    browser.pick(&photos).await;
    browser.until(&format!("document.querySelectorAll('#tray-list li').length === {PHOTOS}")).await;
    browser.click("#submit").await;
    browser.shows("#sheet-state", "of 30 done").await;
    browser.until("document.getElementById('download-all')").await;
    assert_eq!(browser.text("#sheet-state").await, "30 of 30 done");
    assert_eq!(browser.eval("document.querySelectorAll('#frames [data-look=done]').length").await, PHOTOS);

    // Opens one photo, then the next one.
    browser.click("#frames li:nth-child(7) a").await;
    browser.until("document.getElementById('canvas').dataset.mode === 'compare'").await;
    assert_eq!(browser.text("#viewer-name").await, name(6));
    browser.click("#viewer-path .steps a:last-child").await;
    browser.shows("#viewer-name", &name(7)).await;
    browser.click("#viewer-path a").await;

    browser.click("#download-all").await;
    let archive = folder.path().join("archive.zip");
    std::fs::write(&archive, browser.downloaded().await).unwrap();
    let tested = std::process::Command::new("unzip").arg("-t").arg(&archive).output().unwrap();
    let said = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(tested.status.success(), "{said}");
    assert!((0..PHOTOS).all(|number| said.contains(&name(number).replace("jpg", "png"))), "{said}");
    assert_eq!(server.json("/quota").await["used"], PHOTOS);
    assert_eq!(browser.complaints().await, [""; 0]);
    assert_eq!(browser.outside_requests(&[]).await, [""; 0]);
    browser.close().await;
}

/// More photos than one batch takes are several batches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_photos_are_split() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("MAX_BATCH_FILES", "2")]);
    let browser = Browser::open(&server.base, folder.path(), Screen::Desktop).await;
    choose_small_model(&browser).await;
    let photos: Vec<_> =
        (0..5).map(|number| file(folder.path(), &format!("{number}.jpg"), (24, 24 + number))).collect();
    browser.pick(&photos).await;
    browser.shows("#tray-count", "5 photos").await;
    browser.click("#submit").await;
    browser.until("document.querySelectorAll('#shelf-list [data-look=done]').length === 3").await;
    assert_eq!(server.json("/quota").await["used"], 5);
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

/// Results that the service redirects to the storage are shown all the same, and nothing else of the storage's host is asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_in_object_storage_are_shown() {
    let site = Site::new();
    let (api, worker) = (site.node("api"), site.node("worker"));
    api.eventually("/stats", |stats| stats["workers"] == 1).await;
    let browser = Browser::open(&api.base, site.folder.path(), Screen::Desktop).await;
    choose_small_model(&browser).await;
    browser.pick(&[file(site.folder.path(), "photo.jpg", (64, 48))]).await;
    browser.click("#submit").await;
    browser.until("document.getElementById('canvas').dataset.mode === 'compare'").await;
    assert_eq!(browser.eval("document.getElementById('after').naturalWidth").await, 128);
    let answer = api.http.get(api.url("/")).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let images = policy.split("; ").find_map(|rule| rule.strip_prefix("img-src 'self' blob: data: ")).unwrap();
    assert_eq!(browser.complaints().await, [""; 0]);
    assert_eq!(browser.outside_requests(&[images]).await, [""; 0]);
    browser.close().await;
    drop(worker);
}

#[tokio::test]
async fn the_files_have_strict_headers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/app.js", "text/javascript; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let answer = server.http.get(server.url(path)).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((answer.status().as_u16(), header("content-type").as_str()), (200, kind));
        assert_eq!(
            header("content-security-policy"),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        assert_eq!(
            (header("x-content-type-options"), header("referrer-policy")),
            ("nosniff".into(), "no-referrer".into())
        );
        assert_eq!(header("cache-control"), "no-cache");
        let again = server.http.get(server.url(path)).header("if-none-match", header("etag")).send().await.unwrap();
        assert_eq!(again.status(), 304);
    }
    assert_eq!(server.json("/page/limits.json").await, json!({"max_batch_files": 100, "max_upload_bytes": 50_000_000}));
}
