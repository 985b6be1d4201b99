//! The web page where something goes wrong: each fault is told in plain words, and none is paid for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::browser::{Browser, Screen};
use crate::harness::{Server, photo};
use crate::page::{choose_small_model, file};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_told_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("FREE_DAILY_LIMIT", "1")]);
    let browser = Browser::open(&server.base, folder.path(), Screen::Desktop).await;
    choose_small_model(&browser).await;

    // No photo at all is not even sent.
    let notes = folder.path().join("notes.jpg");
    std::fs::write(&notes, "only text").unwrap();
    browser.drop_files(&[notes]).await;
    browser.shows("#notice", "notes.jpg: This is not a photo Remaster can read.").await;
    assert_eq!(browser.eval("document.getElementById('submit').hidden").await, true);

    // Cut short, it is refused by the service.
    let cut = folder.path().join("cut.jpg");
    std::fs::write(&cut, &photo(96, 64)[..1000]).unwrap();
    browser.drop_files(&[cut]).await;
    browser.shows("#tray", "cut.jpg").await;
    browser.click("#submit").await;
    browser.shows("#viewer-problem", "This photo is damaged or cut short.").await;
    browser.shows("#quota-left", "1 of 1 photos left today").await;

    browser.click("#home").await;
    browser.drop_files(&[file(folder.path(), "good.jpg", (48, 32))]).await;
    browser.shows("#tray", "good.jpg").await;
    browser.click("#submit").await;
    browser.shows("#viewer-state", "Done").await;
    browser.shows("#quota-left", "0 of 1 photos left today").await;

    // The day's quota is used up: the photo stays chosen.
    browser.click("#home").await;
    browser.pick(&[file(folder.path(), "another.jpg", (32, 48))]).await;
    browser.shows("#tray", "another.jpg").await;
    browser.click("#submit").await;
    browser.shows("#notice", "Today’s free photos are used up. 0 of 1 are left. Come back after").await;
    browser.shows("#tray", "another.jpg").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_photo_can_be_canceled() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("WORKER_JOBS", "1")]);
    let other = server.post("/jobs?model=realesrgan-x4plus", photo(380, 380)).await;
    assert_eq!(other.status(), 202);
    let browser = Browser::open(&server.base, folder.path(), Screen::Desktop).await;
    choose_small_model(&browser).await;
    browser.pick(&[file(folder.path(), "mine.jpg", (96, 64))]).await;
    browser.click("#submit").await;
    browser.shows("#viewer-state", "Next in line").await;
    assert_eq!(server.json("/quota").await["used"], 2);
    browser.click("#viewer-actions button").await;
    browser.shows("#viewer-state", "Canceled").await;
    assert_eq!(server.json("/quota").await["used"], 1);
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

/// A proxy in front of the service that loses the first answer to a submit and lets no event stream through.
struct BadLine {
    base: String,
    submits: Arc<AtomicUsize>,
}

impl BadLine {
    async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let target = server.base.trim_start_matches("http://").to_owned();
        let (submits, lost) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let counted = Arc::clone(&submits);
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let service = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(carry(caller, service, Arc::clone(&counted), Arc::clone(&lost)));
            }
        });
        Self { base, submits }
    }
}

/// Carries bytes both ways. It relies on the browser sending the request line at the start of a write, so the first bytes of
/// each read show which request it is.
async fn carry(mut caller: TcpStream, mut service: TcpStream, submits: Arc<AtomicUsize>, lost: Arc<AtomicBool>) {
    let (mut question, mut answer) = (vec![0; 65536], vec![0; 65536]);
    let mut is_submit = false;
    loop {
        tokio::select! {
            read = caller.read(&mut question) => {
                let Ok(length @ 1..) = read else { return };
                let text = String::from_utf8_lossy(&question[..length.min(200)]).into_owned();
                if text.lines().next().is_some_and(|line| line.contains("/events ")) {
                    return;
                }
                if text.starts_with("POST /jobs") {
                    submits.fetch_add(1, Ordering::SeqCst);
                    is_submit = true;
                }
                if service.write_all(&question[..length]).await.is_err() {
                    return;
                }
            }
            read = service.read(&mut answer) => {
                let Ok(length @ 1..) = read else { return };
                if is_submit && !lost.swap(true, Ordering::SeqCst) {
                    return;
                }
                if caller.write_all(&answer[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_paid_once_and_streams_are_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let line = BadLine::to(&server).await;
    let browser = Browser::open(&line.base, folder.path(), Screen::Desktop).await;
    choose_small_model(&browser).await;
    browser.pick(&[file(folder.path(), "photo.jpg", (96, 64))]).await;
    browser.click("#submit").await;
    browser.until("document.getElementById('canvas').dataset.mode === 'compare'").await;
    assert_eq!(line.submits.load(Ordering::SeqCst), 2);
    assert_eq!(server.json("/quota").await["used"], 1);
    browser.close().await;
}
