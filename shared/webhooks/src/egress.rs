//! Where webhooks may go: the public internet, and what `WEBHOOK_ALLOW` opens.
//!
//! An address is judged twice: as a literal in the URL ([`EgressPolicy::check_url`]), and as the answer of a name, at the
//! moment of connecting ([`GuardedResolver`]). Neither covers the other, so [`Egress`] does both for every attempt.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use url::{Host, Url};

mod ranges;
mod resolve;
#[cfg(test)]
mod tests;

pub use ranges::Kind;
pub use resolve::{GuardedResolver, Lookup, SystemLookup, refusal};

const MAX_LENGTH: usize = 2048;
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Names that mean this machine or this network wherever they are resolved.
const LOCAL_NAMES: &[&str] = &["localhost", "local", "internal", "home.arpa"];

/// Why a webhook may not go there. The text does not repeat what a name resolved to: it may be shown to the submitter,
/// who has no business learning the addresses of this network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    #[error("the URL is longer than 2048 characters")]
    TooLong,
    #[error("not a URL: {0}")]
    Malformed(#[from] url::ParseError),
    #[error("the URL is {0}; only http and https are accepted")]
    Scheme(String),
    #[error("the URL must not contain a user name or password")]
    Credentials,
    #[error("the URL names no host")]
    NoHost,
    #[error("port 0 cannot be connected to")]
    Port,
    #[error("{0} is a local name")]
    LocalName(String),
    #[error("{address} is not a public address ({kind})")]
    Address { address: IpAddr, kind: Kind },
    #[error("{name} resolves to an address that is not public ({kind})")]
    Resolved { name: String, address: IpAddr, kind: Kind },
    #[error("{0} resolves to no address")]
    Unresolved(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("networks and addresses such as 10.0.0.0/8 or 127.0.0.1, separated by commas; {0:?} is none")]
pub struct AllowError(String);

/// Public addresses, and the ranges opened by the operator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    allow: Vec<IpNet>,
}

/// Reads `WEBHOOK_ALLOW`: ranges or addresses, separated by commas or white space.
impl std::str::FromStr for EgressPolicy {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Self, AllowError> {
        let range = |word: &str| remaster_shared::ip_ranges::parse(word).ok_or_else(|| AllowError(word.to_owned()));
        Ok(Self { allow: remaster_shared::ip_ranges::words(text).map(range).collect::<Result<_, _>>()? })
    }
}

impl EgressPolicy {
    /// `Err` names what kind of address it is.
    pub fn permits(&self, address: IpAddr) -> Result<(), Kind> {
        match ranges::refused(address) {
            Some(kind) if !remaster_shared::ip_ranges::any_contains(&self.allow, address) => Err(kind),
            _ => Ok(()),
        }
    }

    /// The URL in canonical form (this turns `http://0x7f.1` into 127.0.0.1), if it may be sent to as far as its text
    /// tells. Names are not resolved here.
    pub fn check_url(&self, text: &str) -> Result<Url, EgressError> {
        if text.len() > MAX_LENGTH {
            return Err(EgressError::TooLong);
        }
        let url = Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EgressError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Credentials);
        }
        if url.port() == Some(0) {
            return Err(EgressError::Port);
        }
        // Written out in ASCII it may have become longer.
        if url.as_str().len() > MAX_LENGTH {
            return Err(EgressError::TooLong);
        }
        match url.host() {
            None => return Err(EgressError::NoHost),
            Some(Host::Ipv4(address)) => self.literal(address.into())?,
            Some(Host::Ipv6(address)) => self.literal(address.into())?,
            Some(Host::Domain(name)) => self.name(name)?,
        }
        Ok(url)
    }

    fn literal(&self, address: IpAddr) -> Result<(), EgressError> {
        self.permits(address).map_err(|kind| EgressError::Address { address, kind })
    }

    fn name(&self, name: &str) -> Result<(), EgressError> {
        let plain = name.trim_end_matches('.').to_ascii_lowercase();
        if plain.is_empty() {
            return Err(EgressError::NoHost);
        }
        let is_local = LOCAL_NAMES
            .iter()
            .any(|local| plain.strip_suffix(local).is_some_and(|before| before.is_empty() || before.ends_with('.')));
        // Where the operator has opened local ranges, local names are how they are reached: their addresses decide.
        if is_local && self.allow.is_empty() { Err(EgressError::LocalName(plain)) } else { Ok(()) }
    }
}

/// The only way out for a webhook: checks the URL, then posts with a client that checks what names resolve to.
#[derive(Clone)]
pub struct Egress {
    policy: EgressPolicy,
    client: reqwest::Client,
}

impl Egress {
    pub fn new(policy: EgressPolicy, lookup: Arc<dyn Lookup>) -> Result<Self, reqwest::Error> {
        let client = client(policy.clone(), lookup)?;
        Ok(Self { policy, client })
    }

    pub fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// An attempt at this URL. To be called anew for each: the policy may have become stricter since the last.
    pub fn post(&self, url: &str) -> Result<reqwest::RequestBuilder, EgressError> {
        Ok(self.client.post(self.policy.check_url(url)?))
    }
}

/// The client behind [`Egress`]. It guards names only: literal addresses do not pass the resolver.
pub fn client(policy: EgressPolicy, lookup: Arc<dyn Lookup>) -> Result<reqwest::Client, reqwest::Error> {
    remaster_shared::tls::install_default_provider();
    let resolver = Arc::new(GuardedResolver::new(policy, lookup));
    let guarded = || {
        reqwest::Client::builder()
            .dns_resolver(Arc::clone(&resolver))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            // A kept connection would outlive the answer that was judged.
            .pool_max_idle_per_host(0)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("remaster/", env!("CARGO_PKG_VERSION")))
    };
    guarded().build().or_else(|error| {
        // No reason not to start: http still works.
        tracing::warn!(%error, "this machine has no certificates of authorities, so no webhook can go to https; install ca-certificates");
        guarded().tls_certs_only([]).build()
    })
}
