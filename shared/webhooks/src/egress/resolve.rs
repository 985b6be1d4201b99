//! Names are resolved once, judged, and exactly the judged addresses are connected to: a second answer never counts.

use std::{io, net::IpAddr, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{EgressError, EgressPolicy};

/// Where names are looked up.
#[async_trait::async_trait]
pub trait Lookup: Send + Sync {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait::async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Refuses a name altogether if any of its addresses is refused: which one gets connected to is not ours to choose.
#[derive(Clone)]
pub struct GuardedResolver {
    policy: EgressPolicy,
    lookup: Arc<dyn Lookup>,
}

impl GuardedResolver {
    pub fn new(policy: EgressPolicy, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }

    fn judge(&self, name: &str, found: &[IpAddr]) -> Result<(), EgressError> {
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
            this.judge(name.as_str(), &found)?;
            // Port 0 stands for the URL's own.
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// The policy's refusal, if that is why a request failed.
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
