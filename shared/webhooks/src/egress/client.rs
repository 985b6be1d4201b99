//! The HTTP client that sends webhooks and fetches images.

use std::{net::IpAddr, sync::Arc, time::Duration};

use url::{Host, Url};

use super::policy::{EgressError, EgressPolicy};
use super::resolve::{GuardedResolver, Lookup};

/// How long an attempt may take as a whole.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The only way in which anything is sent to an address that a caller names. It checks the URL first, and then posts with a client that checks the
/// addresses that names resolve to.
#[derive(Clone)]
pub struct Egress {
    policy: EgressPolicy,
    client: reqwest::Client,
    lookup: Arc<dyn Lookup>,
}

impl Egress {
    /// A client that follows `policy` and resolves names with `lookup`.
    ///
    /// # Errors
    /// The TLS implementation cannot be initialised.
    pub fn new(policy: EgressPolicy, lookup: Arc<dyn Lookup>) -> Result<Self, reqwest::Error> {
        let client = client(policy.clone(), Arc::clone(&lookup))?;
        Ok(Self { policy, client, lookup })
    }

    /// The policy that this client follows.
    pub fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// The addresses of the host of `url`, unchecked; none where it has none.
    pub async fn addresses(&self, url: &Url) -> Vec<IpAddr> {
        match url.host() {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            Some(Host::Domain(name)) => self.lookup.lookup(name).await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// The client itself, for addresses that the policy has been asked about.
    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Begins a POST request to `url`. Each attempt has to call this, so that each attempt checks the URL.
    ///
    /// # Errors
    /// Nothing may be sent to this URL.
    pub fn post(&self, url: &str) -> Result<reqwest::RequestBuilder, EgressError> {
        Ok(self.client.post(self.policy.check_url(url)?))
    }
}

/// The client behind [`Egress`]. Its resolver checks names only, because literal addresses are not resolved.
fn client(policy: EgressPolicy, lookup: Arc<dyn Lookup>) -> Result<reqwest::Client, reqwest::Error> {
    remaster_shared::tls::install_default_provider();
    let resolver = Arc::new(GuardedResolver::new(policy, lookup));
    let guarded = || {
        reqwest::Client::builder()
            .dns_resolver(Arc::clone(&resolver))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            // A connection that is kept would be reused without resolving and checking the name again.
            .pool_max_idle_per_host(0)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("remaster/", env!("CARGO_PKG_VERSION")))
    };
    guarded().build().or_else(|error| {
        // Without certificates http still works, so this is no reason not to start.
        tracing::warn!(%error, "no certificates of certificate authorities are installed, so https URLs of callers cannot be reached; install ca-certificates");
        guarded().tls_certs_only([]).build()
    })
}
