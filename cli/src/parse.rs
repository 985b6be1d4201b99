//! Parsers for the values of arguments. The error of each describes what is accepted, and `usage` completes it to the line
//! that the user sees.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use remaster_shared::job::{ModelId, ParamError};
use remaster_webhooks::sign::{Signer, SigningKeyError};
use strum::EnumString;

/// A whole number from 1.
pub fn count(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a whole number from 1, such as 10000".into())
}

/// A whole number from 1 to 1000.
pub fn small_count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|count| (1..=1000).contains(count)).ok_or_else(|| "a whole number from 1 to 1000".into())
}

/// A whole number from 0 to 10.
pub fn replicas(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|count| *count <= 10).ok_or_else(|| "a whole number from 0 to 10".into())
}

/// A whole number from 1 to 256.
pub fn shards(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|count| (1..=256).contains(count)).ok_or_else(|| "a whole number from 1 to 256".into())
}

/// An IP address with a port.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address with a port, such as 127.0.0.1:8000 or [::]:8000".into())
}

/// A setting that may be empty, which means the same as leaving it unset.
#[derive(Debug, Clone)]
pub struct OptionalSetting<T>(pub Option<T>);

fn optional<T, E>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<OptionalSetting<T>, E> {
    if text.is_empty() { Ok(OptionalSetting(None)) } else { parse(text).map(|value| OptionalSetting(Some(value))) }
}

/// An IP address with a port, or nothing.
pub fn optional_address(text: &str) -> Result<OptionalSetting<SocketAddr>, String> {
    optional(text, address)
}

/// An http(s) URL, or nothing.
pub fn optional_url(text: &str) -> Result<OptionalSetting<String>, String> {
    optional(text, public_url)
}

/// Signing keys, or nothing.
pub fn optional_signer(text: &str) -> Result<OptionalSetting<Signer>, SigningKeyError> {
    optional(text, str::parse)
}

/// A duration with its unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "a duration, such as 90s, 10m or 24h".into())
}

/// The duration of a lease, at least 3 seconds. A worker sends a heartbeat every third of it, and with a shorter lease a
/// busy machine would send its heartbeats too late.
pub fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    let shortest = Duration::from_secs(3);
    if lease >= shortest {
        Ok(lease)
    } else {
        Err("a duration of at least 3s, for its heartbeats to be in time".into())
    }
}

/// The name of a host, in lower case, and in Punycode where it has other letters.
pub fn host_name(text: &str) -> Result<String, String> {
    let wanted = || "names of hosts without a port, such as photos.example.org, separated by commas".to_owned();
    match url::Host::parse(text.trim().trim_end_matches('.')) {
        Ok(url::Host::Domain(name)) => Ok(name),
        _ => Err(wanted()),
    }
}

/// The time for one job, at least 10 seconds.
pub fn job_timeout(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time >= Duration::from_secs(10) { Ok(time) } else { Err("a duration of at least 10s".into()) }
}

/// 1 or 0.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err("1 or 0".into()),
    }
}

/// true or false.
pub fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "true or false".into())
}

/// A number from 0 to 1.
pub fn fraction(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(|| "a number from 0 to 1".into())
}

/// An http(s) URL without a query.
pub fn public_url(text: &str) -> Result<String, String> {
    url::Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none())
        .map(|_| text.to_owned())
        .ok_or_else(|| "an http(s) URL, such as https://photos.example.org".into())
}

/// A filter for the log, in the syntax of `tracing_subscriber`.
pub fn filter(text: &str) -> Result<String, String> {
    let levels = "error, warn, info, debug, trace, or a filter such as info,remaster_worker=debug";
    // To tracing_subscriber any single word is a valid filter for a crate of that name. Here it can only be a level.
    let misspelt = !text.contains(['=', ',']) && text.parse::<tracing::Level>().is_err() && text != "off";
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) if !misspelt => Ok(text.to_owned()),
        _ => Err(levels.into()),
    }
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "snake_case", parse_err_ty = String, parse_err_fn = log_formats)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object for each event.
    Json,
}

fn log_formats(_: &str) -> String {
    "text or json".into()
}

/// The id of a model, or `auto`.
pub fn model(text: &str) -> Result<ModelId, String> {
    ModelId::parse(text).map_err(|error| error.accepts.into())
}

/// An option of a job.
pub fn option<T: FromStr<Err = ParamError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: ParamError| error.accepts.into())
}
