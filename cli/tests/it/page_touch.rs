//! The web page on a phone, by touch: a photo is pasted, a folder is dropped, and two fingers zoom.

use serde_json::json;

use crate::browser::{Browser, Screen};
use crate::harness::Server;
use crate::page::{choose_small_model, file};

/// Pastes a picture of 200x200 pixels that the page draws itself.
const PASTE: &str = "
    const canvas = new OffscreenCanvas(200, 200);
    const context = canvas.getContext('2d');
    context.fillStyle = '#c52';
    context.fillRect(40, 40, 120, 120);
    canvas.convertToBlob({ type: 'image/png' }).then((blob) => {
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([blob], 'pasted.png', { type: 'image/png' }));
      document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }));
    });";

async fn touch(browser: &Browser, kind: &str, points: &[(f64, f64)]) {
    let points: Vec<_> = points.iter().enumerate().map(|(id, (x, y))| json!({ "x": x, "y": y, "id": id })).collect();
    browser.devtools("Input.dispatchTouchEvent", json!({ "type": kind, "touchPoints": points })).await;
}

async fn zoom(browser: &Browser) -> f64 {
    let text = browser.text("#zoom").await;
    text.trim_end_matches(" %").replace(',', "").parse().unwrap_or_else(|_| panic!("the zoom is {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pasted_photo_is_zoomed_by_two_fingers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let browser = Browser::open(&server.base, folder.path(), Screen::Phone).await;
    choose_small_model(&browser).await;
    browser.page.execute(PASTE, vec![]).await.unwrap();
    browser.shows("#tray", "pasted.png").await;
    browser.click("#submit").await;
    browser.until("document.getElementById('canvas').dataset.mode === 'compare'").await;

    browser
        .page
        .execute("document.getElementById('canvas').scrollIntoView({ block: 'center' })", vec![])
        .await
        .unwrap();
    let middle = browser
        .eval("(({ x, y, width, height }) => [x + width / 2, y + height / 2])(document.getElementById('canvas').getBoundingClientRect())")
        .await;
    let (x, y) = (middle[0].as_f64().unwrap(), middle[1].as_f64().unwrap());
    let before = zoom(&browser).await;
    touch(&browser, "touchStart", &[(x - 20.0, y), (x + 20.0, y)]).await;
    for apart in [30.0, 45.0, 60.0] {
        touch(&browser, "touchMove", &[(x - apart, y), (x + apart, y)]).await;
    }
    touch(&browser, "touchEnd", &[]).await;
    let after = zoom(&browser).await;
    // The fingers end three times as far apart as they began.
    assert!((2.5..3.5).contains(&(after / before)), "{before} % became {after} %");
    // One finger beside the dividing line then moves the picture.
    let place = "document.getElementById('world').style.transform";
    let at = browser.eval(place).await;
    touch(&browser, "touchStart", &[(x + 70.0, y)]).await;
    touch(&browser, "touchMove", &[(x + 40.0, y)]).await;
    touch(&browser, "touchEnd", &[]).await;
    assert_ne!(browser.eval(place).await, at);
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_folder_is_every_photo_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let album = folder.path().join("album");
    std::fs::create_dir_all(album.join("1969")).unwrap();
    file(&album, "a.jpg", (24, 24));
    file(&album.join("1969"), "b.jpg", (26, 24));
    let server = Server::start(folder.path());
    let browser = Browser::open(&server.base, folder.path(), Screen::Desktop).await;
    choose_small_model(&browser).await;
    browser.drop_files(&[album]).await;
    browser.shows("#tray-count", "2 photos").await;
    browser.click("#submit").await;
    browser.until("document.querySelectorAll('#shelf-list [data-look=done]').length === 1").await;
    assert_eq!(server.json("/quota").await["used"], 2);
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}
