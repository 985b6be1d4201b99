//! Resolving names safely: a name is resolved once, its addresses are checked, and exactly the checked addresses are connected
//! to. A later answer for the same name is never used, which defeats DNS rebinding.

use std::{io, net::IpAddr, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::policy::{EgressError, EgressPolicy};

/// Resolves names; a port, so that tests can script the answers.
#[async_trait::async_trait]
pub trait Lookup: Send + Sync {
    /// The addresses of `name`.
    ///
    /// # Errors
    /// The name cannot be resolved.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait::async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// A resolver for [`reqwest`] that refuses a name if any of its addresses is refused, because the client chooses which of
/// them it connects to.
#[derive(Clone)]
pub struct GuardedResolver {
    policy: EgressPolicy,
    lookup: Arc<dyn Lookup>,
}

impl GuardedResolver {
    /// A resolver that follows `policy` and asks `lookup`.
    pub fn new(policy: EgressPolicy, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }

    fn check(&self, name: &str, found: &[IpAddr]) -> Result<(), EgressError> {
        if found.is_empty() {
            return Err(EgressError::Unresolved(name.to_owned()));
        }
        found.iter().try_for_each(|&address| {
            self.policy.permits(address).map_err(|kind| EgressError::Resolved { name: name.to_owned(), address, kind })
        })
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let unresolved = |_| EgressError::Unresolved(name.as_str().to_owned());
            let found = this.lookup.lookup(name.as_str()).await.map_err(unresolved)?;
            this.check(name.as_str(), &found)?;
            // Port 0 means the port of the URL.
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// What is said of a name that does not resolve, and of one that resolves to an address that the policy refuses. The two are not told
/// apart, so that nobody can find out which names the internal network has.
pub const UNRESOLVED: &str = "the host's name does not resolve, or not to public addresses only";

/// The refusal of the policy, if that is the reason why a request failed.
pub fn refusal(error: &reqwest::Error) -> Option<&EgressError> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref() {
            return Some(refusal);
        }
        cause = error.source();
    }
    None
}
