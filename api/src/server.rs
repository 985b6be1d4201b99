//! The middleware around all routes: request ids, logs, panics, headers for browsers, and problems for requests that no route answers.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use remaster_shared::error::ErrorCode;
use remaster_shared::metrics::Metrics;
use tracing::Instrument;
use uuid::Uuid;

use crate::hosts::{Hosts, refuse_others};
use crate::problem::Problem;

/// Wraps `routes` so that every answer has a request id and is counted, every error is a problem, and only `hosts` are answered to.
pub(crate) fn middleware(routes: Router, hosts: Hosts, metrics: Arc<Metrics>) -> Router {
    let unknown = || async { Problem::new(ErrorCode::NotFound, "No such path; GET /docs lists what there is.") };
    let routes = routes.fallback(unknown).layer(from_fn_with_state(hosts, refuse_others));
    routes.layer(from_fn_with_state(metrics, each_request))
}

/// Gives the request an id that its answer carries, and answers 500 if the handler panics.
async fn each_request(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = Uuid::new_v4().to_string();
    let method = request.method().clone();
    // The path itself may have the id of a job in it, which is a secret of its caller.
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", %id, %method, route);
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let response = handled.unwrap_or_else(|_| {
        span.in_scope(|| tracing::error!("a handler panicked"));
        Problem::new(ErrorCode::Internal, "Something went wrong on our side.").into_response()
    });
    let (mut response, refusal) = as_problem(response, &id);
    metrics.answered(response.status().as_u16());
    refusal.into_iter().for_each(|code| metrics.refused(code));
    metrics.request_took(known(&method), &route, started.elapsed());
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), took = ?started.elapsed(), "answered"));
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    // A browser shows a picture as nothing but a picture, and no page of others in a frame of theirs.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static("frame-ancestors 'none'"));
    response
}

/// The name of the method. A caller may invent others, of which there is no end.
fn known(method: &Method) -> &'static str {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS];
    let names = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"];
    known.iter().position(|known| known == method).map_or("other", |at| names[at])
}

/// Renders a problem again with the request's id, and turns a plain refusal of axum into a problem. With it comes the code of the problem.
fn as_problem(response: Response, id: &str) -> (Response, Option<ErrorCode>) {
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None if response.status() == StatusCode::METHOD_NOT_ALLOWED => {
            let allowed =
                response.headers().get(header::ALLOW).and_then(|value| value.to_str().ok()).unwrap_or("others");
            Problem::new(ErrorCode::MethodNotAllowed, format!("This path takes {allowed}."))
        }
        // An extractor of axum refused the path or the query.
        None if response.status() == StatusCode::BAD_REQUEST => {
            Problem::new(ErrorCode::InvalidParameter, "The path or the query of the request cannot be read.")
        }
        None => return (response, None),
    };
    let (before, _) = response.into_parts();
    let mut rendered = problem.render(id);
    for (name, value) in &before.headers {
        if !rendered.headers().contains_key(name) && name != header::CONTENT_LENGTH {
            rendered.headers_mut().insert(name, value.clone());
        }
    }
    (rendered, Some(problem.code))
}
