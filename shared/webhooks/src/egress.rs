//! Where webhooks may be sent and images fetched from: the public internet, and the ranges that `WEBHOOK_ALLOW` and
//! `IMAGE_URL_ALLOW` open.
//!
//! An address is checked in two places: as a literal in the URL ([`EgressPolicy::check_url`]), and as the result of
//! resolving a name, at the moment of connecting ([`GuardedResolver`]). Neither check covers the other, so [`Egress`] does
//! both on every attempt.

mod client;
mod fetch;
mod own;
mod policy;
mod ranges;
mod resolve;
#[cfg(test)]
mod tests;

pub use client::Egress;
pub use fetch::{Arriving, FetchError};
pub use own::Own;
pub use policy::{AllowError, EgressError, EgressPolicy};
pub use ranges::AddressKind;
pub use resolve::{GuardedResolver, Lookup, SystemLookup, UNRESOLVED, refusal};
