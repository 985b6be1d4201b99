//! The web page at `/`: static files inside the binary, and the limits against which it checks photos before sending them.
//!
//! Every answer carries a content security policy under which the page loads nothing but these files, talks to nobody but this
//! service, and shows pictures from one other place only: the object storage, where results are redirected to it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use remaster_shared::blob_key::{BlobKey, OutputName};
use remaster_shared::fence::Fence;
use remaster_shared::job::{JobId, OutputFormat};
use serde::Serialize;
use tokio::sync::OnceCell;

use crate::render::etag::{entity_tag, is_known, version};
use crate::state::{Api, Shared};

/// The routes of the page.
pub fn routes() -> Router<Shared> {
    let storage = Arc::new(OnceCell::new());
    let routes = Router::new().route("/page/limits.json", get(limits));
    FILES.iter().fold(routes, |routes, file| {
        let (storage, tag) = (Arc::clone(&storage), entity_tag(&version(file.content)));
        let answer = async move |State(api): State<Shared>, headers: HeaderMap| {
            let policy = policy(storage.get_or_init(|| storage_origin(&api)).await.as_deref());
            file.answer(&headers, tag, policy)
        };
        routes.route(file.path, get(answer))
    })
}

/// A file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A [`File`] of `api/web`.
macro_rules! file {
    ($path:literal, $content_type:ident, $name:literal) => {
        File { path: $path, content_type: $content_type, content: include_bytes!(concat!("../../web/", $name)) }
    };
}

const FILES: &[File] = &[
    file!("/", HTML, "index.html"),
    file!("/page/style.css", CSS, "style.css"),
    file!("/page/icon.svg", SVG, "icon.svg"),
    file!("/page/scene.svg", SVG, "scene.svg"),
    file!("/page/theme.js", JS, "theme.js"),
    file!("/page/app.js", JS, "app.js"),
    file!("/page/client.js", JS, "client.js"),
    file!("/page/compare.js", JS, "compare.js"),
    file!("/page/compose.js", JS, "compose.js"),
    file!("/page/dom.js", JS, "dom.js"),
    file!("/page/entries.js", JS, "entries.js"),
    file!("/page/follow.js", JS, "follow.js"),
    file!("/page/frame.js", JS, "frame.js"),
    file!("/page/options.js", JS, "options.js"),
    file!("/page/originals.js", JS, "originals.js"),
    file!("/page/problems.js", JS, "problems.js"),
    file!("/page/send.js", JS, "send.js"),
    file!("/page/sheet.js", JS, "sheet.js"),
    file!("/page/shelf.js", JS, "shelf.js"),
    file!("/page/viewer.js", JS, "viewer.js"),
    file!("/page/words.js", JS, "words.js"),
];

impl File {
    fn answer(&self, headers: &HeaderMap, tag: String, policy: String) -> Response {
        let about = [
            (header::ETAG, tag.clone()),
            // Kept by browsers, and asked for again each time: a new version of the service shows at once.
            (header::CACHE_CONTROL, "no-cache".to_owned()),
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (header::REFERRER_POLICY, "no-referrer".to_owned()),
        ];
        if is_known(headers, &tag) {
            return (StatusCode::NOT_MODIFIED, about).into_response();
        }
        (about, [(header::CONTENT_TYPE, self.content_type)], self.content).into_response()
    }
}

/// What the page may load, where `storage` is the origin to which results are redirected.
///
/// Results are shown by `img` elements and saved by links, which follow a redirect to another origin without CORS; scripts never
/// fetch them. So the storage needs no CORS settings, and `connect-src` stays with this service.
fn policy(storage: Option<&str>) -> String {
    let images = storage.map(|origin| format!(" {origin}")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:{images}; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The origin of the URLs that this service signs for results; `None` where it hands results out itself.
async fn storage_origin(api: &Api) -> Option<String> {
    let anything = BlobKey::Output(JobId::random(), OutputName::Fence(Fence::random(), OutputFormat::default()));
    let signed = api.blobs.signed(anything, "picture.png", Duration::from_secs(60)).await;
    let signed = signed.inspect_err(|error| tracing::warn!(%error, "the page cannot show results from the storage"));
    let url: Uri = signed.ok()??.parse().ok()?;
    Some(format!("{}://{}", url.scheme_str()?, url.authority()?))
}

/// What the page checks before it sends anything.
#[derive(Serialize)]
struct Limits {
    max_batch_files: usize,
    max_upload_bytes: u64,
}

async fn limits(State(api): State<Shared>) -> Response {
    let settings = &api.settings;
    let limits = Limits { max_batch_files: settings.max_batch_files, max_upload_bytes: settings.max_upload_bytes };
    ([(header::CACHE_CONTROL, "no-cache"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], Json(limits)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/web")).unwrap();
        let mut there: Vec<String> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let named = |file: &File| file.path.strip_prefix("/page/").unwrap_or("index.html").to_owned();
        let mut served: Vec<String> = FILES.iter().map(named).collect();
        there.sort();
        served.sort();
        assert_eq!(served, there);
    }

    #[test]
    fn the_policy_names_the_storage_for_images_only() {
        assert!(
            policy(Some("https://s3.example"))
                .contains("img-src 'self' blob: data: https://s3.example; connect-src 'self';")
        );
        assert!(policy(None).contains("img-src 'self' blob: data:; "));
    }
}
