//! The page for operators, and which pages may ask this port at all.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use remaster_shared::error::ErrorCode;

use crate::hosts::Hosts;
use crate::problem::Problem;

/// What the page may load: its own files; and nothing may show it in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const FILES: [(&str, &str, &str); 3] = [
    ("/", "text/html; charset=utf-8", include_str!("../../operators/index.html")),
    ("/page/operators.css", "text/css; charset=utf-8", include_str!("../../operators/operators.css")),
    ("/page/operators.js", "text/javascript; charset=utf-8", include_str!("../../operators/operators.js")),
];

/// The routes of the page.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |routes, (path, kind, content)| {
        let about = [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::CACHE_CONTROL, "no-cache"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        routes.route(path, get(move || async move { (about, content) }))
    })
}

/// Refuses what the page of another site can make the browser of an operator send, and a POST that is not JSON.
pub async fn refuse_others(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    // The page itself tells nothing, so that a link of another site may lead to it.
    let is_page = FILES.iter().any(|(path, ..)| *path == request.uri().path());
    if !is_page && is_by_another_page(request.headers(), &hosts) {
        let detail = "This port answers no web page but its own, opened by an address or as localhost.";
        return Problem::new(ErrorCode::InvalidParameter, detail).into_response();
    }
    let is_json = request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if request.method() == Method::POST && !is_json {
        let detail = "The request has no Content-Type of application/json, which every POST on this port needs.";
        return Problem::new(ErrorCode::InvalidParameter, detail).into_response();
    }
    next.run(request).await
}

/// A page of another site, also one that has made its own name point here: to the browser that is the same site, but its host is neither an
/// address nor localhost. (A browser says nothing of a page that only reads over plain HTTP. There the port is to be out of its reach.)
fn is_by_another_page(headers: &HeaderMap, hosts: &Hosts) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let (origin, site) = (text(header::ORIGIN), text(header::HeaderName::from_static("sec-fetch-site")));
    if origin.is_none() && matches!(site, None | Some("none")) {
        return false;
    }
    let Some(host) = text(header::HOST).filter(|host| hosts.name(host)) else { return true };
    let own = |origin: &str| origin.split_once("://").is_some_and(|(_, from)| from == host);
    !matches!(site, None | Some("same-origin")) || !origin.is_none_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_page_by_a_name_of_this_port_may_ask() {
        let asks = |hosts: &Hosts, told: &[(&'static str, &'static str)]| {
            let headers = told.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            !is_by_another_page(&headers.collect(), hosts)
        };
        let none: Vec<String> = Vec::new();
        let own = |host, origin| [("host", host), ("origin", origin), ("sec-fetch-site", "same-origin")];
        for hosts in [&Hosts::Any, &Hosts::Only(none.into())] {
            assert!(asks(hosts, &[("host", "whatever.example")]), "no browser");
            assert!(asks(hosts, &[("host", "10.0.0.1:9100"), ("sec-fetch-site", "none")]), "a person");
            assert!(asks(hosts, &own("10.0.0.1:9100", "http://10.0.0.1:9100")));
            assert!(asks(hosts, &own("localhost:9100", "https://localhost:9100")));
            assert!(asks(hosts, &[("host", "[::1]:9100"), ("sec-fetch-site", "same-origin")]));
            assert!(!asks(hosts, &own("rebound.example", "http://rebound.example")), "a name that points here");
            assert!(!asks(hosts, &[("host", "rebound.example"), ("sec-fetch-site", "same-origin")]));
            assert!(!asks(hosts, &own("10.0.0.1:9100", "http://10.0.0.1:8000")), "another port");
            assert!(!asks(hosts, &[("host", "10.0.0.1:9100"), ("origin", "null")]));
            for site in ["cross-site", "same-site"] {
                assert!(!asks(hosts, &[("host", "10.0.0.1:9100"), ("sec-fetch-site", site)]));
            }
        }
    }
}
