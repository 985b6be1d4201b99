//! Texts in which callers name something: themselves, addresses, jobs, options.

use std::net::{IpAddr, Ipv4Addr};

use remaster_api::proxies::TrustedProxies;
use remaster_shared::job::{BatchId, Fence, JobId, MaxSide, ModelId, OutputFormat, Quality, Scale};
use remaster_webhooks::egress::EgressPolicy;

/// Every reader of such a text.
pub fn texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(url) = EgressPolicy::default().check_url(text) {
        let again = EgressPolicy::default().check_url(url.as_str());
        assert_eq!(again.as_ref(), Ok(&url), "the canonical form is accepted, and is its own");
    }
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let proxies: TrustedProxies = "private".parse().unwrap();
    let lines: Vec<_> = text.lines().collect();
    let (forwarded, conventional) = lines.split_at(lines.len() / 2);
    let _ = proxies.client(peer, forwarded, conventional);
    assert_eq!(TrustedProxies::default().client(peer, &lines, &lines), peer, "nobody else is believed");
    let _ = (text.parse::<TrustedProxies>(), text.parse::<EgressPolicy>(), text.parse::<Fence>());
    if let Ok(id) = text.parse::<JobId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    let _ = (text.parse::<BatchId>(), ModelId::parse(text), text.parse::<Scale>());
    let _ = (text.parse::<OutputFormat>(), text.parse::<Quality>(), text.parse::<MaxSide>());
}
