//! Which hosts requests may name.
//!
//! A web page can make its own name point at 127.0.0.1 (DNS rebinding), and then a browser takes a service on this machine for a part of
//! that page. Such a request names the page's host. A service that only this machine reaches therefore answers to its own names only.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use remaster_shared::error::ErrorCode;

use crate::problem::Problem;

/// The hosts that requests may name.
#[derive(Debug, Clone, Default)]
pub enum Hosts {
    /// Any: the service is reached over a network, by names that it need not know.
    #[default]
    Any,
    /// Addresses, `localhost` and these names, in lower case.
    Only(Arc<[String]>),
}

impl Hosts {
    /// The hosts of a service that listens on `bind`: those that `ALLOWED_HOSTS` lists and the one of `PUBLIC_URL`; any host, if none is
    /// listed and the service is not on loopback.
    pub fn of(bind: IpAddr, listed: &[String], public: Option<&str>) -> Self {
        if listed.is_empty() && !bind.to_canonical().is_loopback() {
            return Self::Any;
        }
        Self::Only(listed.iter().map(String::as_str).chain(public).map(str::to_ascii_lowercase).collect())
    }

    /// Whether a request may name `host`, which may have a port.
    fn have(&self, host: &str) -> bool {
        matches!(self, Self::Any) || self.name(host)
    }

    /// Whether `host`, which may have a port, is an address, localhost, or listed by name.
    pub(crate) fn name(&self, host: &str) -> bool {
        let names: &[String] = match self {
            Self::Any => &[],
            Self::Only(names) => names,
        };
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        is_address || host == "localhost" || host.ends_with(".localhost") || names.contains(&host)
    }
}

/// Refuses a request that names a host that is not this service's. One that names none does not come from a browser.
pub(crate) async fn refuse_others(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let in_target = request.uri().authority().map(Authority::as_str);
    let in_header = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    let Some(host) = in_target.or(in_header) else { return next.run(request).await };
    if hosts.have(host) {
        return next.run(request).await;
    }
    let detail = "The request names a host that this service does not answer to. Its operator lists the accepted ones in ALLOWED_HOSTS.";
    Problem::new(ErrorCode::UnknownHost, detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_on_loopback_answers_to_its_own_names_only() {
        let loopback = [127, 0, 0, 1].into();
        let hosts = Hosts::of(loopback, &["Box.example".into()], Some("photos.example"));
        for own in [
            "127.0.0.1:8000",
            "[::1]:8000",
            "localhost",
            "LOCALHOST.:80",
            "a.localhost",
            "box.example",
            "photos.example:443",
        ] {
            assert!(hosts.have(own), "{own}");
        }
        for others in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.example",
            "",
            "a b",
            "evil.example@localhost.evil.example",
        ] {
            assert!(!hosts.have(others), "{others}");
        }
        assert!(!Hosts::of(loopback, &[], None).have("box.example"));
        assert!(Hosts::of([0, 0, 0, 0].into(), &[], None).have("box.example"));
        assert!(!Hosts::of([0, 0, 0, 0].into(), &["box.example".into()], None).have("evil.example"));
    }
}
