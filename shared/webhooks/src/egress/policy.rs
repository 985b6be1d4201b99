//! Which URLs and addresses webhooks may be sent to.

use std::net::IpAddr;

use ipnet::IpNet;
use remaster_shared::ip_ranges;
use url::{Host, Url};

use super::own::Own;
use super::ranges::{AddressKind, non_public};

/// The longest accepted URL, in bytes.
const MAX_LENGTH: usize = 2048;
/// Names, with all names below them, that are reserved for this machine or the local network: RFC 6761 (`localhost`),
/// RFC 6762 (`local`), RFC 8375 (`home.arpa`), and `internal`, which ICANN has reserved for private use.
const LOCAL_NAMES: &[&str] = &["localhost", "local", "internal", "home.arpa"];

/// Whether the port may be connected to. The others below 1024 belong to services that could be made to do something by what they are sent.
fn is_permitted(port: u16) -> bool {
    matches!(port, 80 | 443 | 1024..)
}

/// Why a webhook may not be sent to a URL. The text may be shown to the submitter. It therefore never contains the address
/// that a name resolved to, which would reveal addresses of the internal network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The URL is longer than 2048 bytes.
    #[error("the URL is longer than 2048 characters")]
    TooLong,
    /// The text is not a URL.
    #[error("not a URL: {0}")]
    Malformed(#[from] url::ParseError),
    /// No address is permitted.
    #[error("this service connects to no addresses of its callers")]
    Closed,
    /// The scheme is neither http nor https.
    #[error("the URL is {0}; only http and https are accepted")]
    Scheme(String),
    /// The URL contains a user name or password.
    #[error("the URL must not contain a user name or password")]
    Credentials,
    /// The URL has no host.
    #[error("the URL names no host")]
    NoHost,
    /// The port belongs to a service that is not the web's, such as mail or a remote shell.
    #[error("port {0} is not connected to; 80, 443 and ports from 1024 on are")]
    Port(u16),
    /// The host is reserved for this machine or the local network.
    #[error("{0} is a local name")]
    LocalName(String),
    /// The host is a literal address that is not public.
    #[error("{address} is not a public address ({kind})")]
    Address {
        /// The address in the URL.
        address: IpAddr,
        /// Why it is not public.
        kind: AddressKind,
    },
    /// The host is a name of which at least one address is not public.
    #[error("{name} resolves to an address that is not public ({kind})")]
    Resolved {
        /// The host.
        name: String,
        /// An address that is not public. It must not be shown to the submitter.
        address: IpAddr,
        /// Why it is not public.
        kind: AddressKind,
    },
    /// The host is a name without addresses.
    #[error("{0} resolves to no address")]
    Unresolved(String),
}

/// A word of `WEBHOOK_ALLOW` is neither a range nor an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "networks and addresses such as 10.0.0.0/8 or 127.0.0.1, separated by commas, or the word none; {0:?} is neither"
)]
pub struct AllowError(pub(super) String);

/// Permits public addresses, and the ranges that the operator has opened with `WEBHOOK_ALLOW`. The default opens none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    allow: Vec<IpNet>,
    /// This machine's own addresses, which may be public.
    own: Option<Own>,
    /// Whether no address is permitted at all.
    is_closed: bool,
}

/// Parses `WEBHOOK_ALLOW`: ranges or addresses, separated by commas or white space, or the word `none`.
impl std::str::FromStr for EgressPolicy {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Self, AllowError> {
        if text.trim() == "none" {
            return Ok(Self { is_closed: true, ..Self::default() });
        }
        let range = |word: &str| ip_ranges::parse(word).ok_or_else(|| AllowError(word.to_owned()));
        Ok(Self { allow: ip_ranges::words(text).map(range).collect::<Result<_, _>>()?, ..Self::default() })
    }
}

impl EgressPolicy {
    /// The policy with these addresses refused as well, unless a range is open that has them.
    #[must_use]
    pub fn refusing(self, own: Own) -> Self {
        Self { own: Some(own), ..self }
    }

    /// Whether `address` may be connected to.
    ///
    /// # Errors
    /// It may not. The error says which kind of address it is.
    pub fn permits(&self, address: IpAddr) -> Result<(), AddressKind> {
        if self.is_closed {
            return Err(AddressKind::Reserved);
        }
        let is_own = self.own.as_ref().is_some_and(|own| own.has(address.to_canonical()));
        let own = is_own.then_some(AddressKind::Own);
        match non_public(address).or(own) {
            Some(kind) if !ip_ranges::any_contains(&self.allow, address) => Err(kind),
            _ => Ok(()),
        }
    }

    /// Checks everything about a URL that its text shows, and returns it in the canonical form of the
    /// [URL standard](https://url.spec.whatwg.org), in which `http://0x7f.1` is `http://127.0.0.1/`. Names are not resolved
    /// here.
    ///
    /// # Errors
    /// Nothing may be sent to this URL.
    pub fn check_url(&self, text: &str) -> Result<Url, EgressError> {
        if text.len() > MAX_LENGTH {
            return Err(EgressError::TooLong);
        }
        let url = Url::parse(text)?;
        if self.is_closed {
            return Err(EgressError::Closed);
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EgressError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Credentials);
        }
        if let Some(port) = url.port()
            && !is_permitted(port)
        {
            return Err(EgressError::Port(port));
        }
        // Percent-encoding and Punycode may have made the canonical form longer.
        if url.as_str().len() > MAX_LENGTH {
            return Err(EgressError::TooLong);
        }
        match url.host() {
            None => return Err(EgressError::NoHost),
            Some(Host::Ipv4(address)) => self.check_literal(address.into())?,
            Some(Host::Ipv6(address)) => self.check_literal(address.into())?,
            Some(Host::Domain(name)) => self.check_name(name)?,
        }
        Ok(url)
    }

    fn check_literal(&self, address: IpAddr) -> Result<(), EgressError> {
        self.permits(address).map_err(|kind| EgressError::Address { address, kind })
    }

    fn check_name(&self, name: &str) -> Result<(), EgressError> {
        let plain = name.trim_end_matches('.').to_ascii_lowercase();
        if plain.is_empty() {
            return Err(EgressError::NoHost);
        }
        let is_local = LOCAL_NAMES
            .iter()
            .any(|local| plain.strip_suffix(local).is_some_and(|before| before.is_empty() || before.ends_with('.')));
        // An operator who has opened local ranges reaches them by local names, so the addresses decide.
        if is_local && self.allow.is_empty() { Err(EgressError::LocalName(plain)) } else { Ok(()) }
    }
}
