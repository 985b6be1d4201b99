//! Value parsers. An error is the description of what is accepted: `usage` puts it into its one line.

use std::{fmt::Display, net::SocketAddr, str::FromStr, time::Duration};

use remaster_shared::job::{ModelId, ParamError};
use remaster_webhooks::sign::Signer;

pub fn count(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a whole number from 1, such as 10000".into())
}

pub fn small_count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|count| (1..=1000).contains(count)).ok_or_else(|| "a whole number from 1 to 1000".into())
}

pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address with a port, such as 127.0.0.1:8000 or [::]:8000".into())
}

/// A setting that may be empty, which is as good as not given.
#[derive(Debug, Clone)]
pub struct Maybe<T>(pub Option<T>);

fn maybe<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Maybe<T>, String> {
    if text.is_empty() { Ok(Maybe(None)) } else { parse(text).map(|value| Maybe(Some(value))) }
}

pub fn maybe_address(text: &str) -> Result<Maybe<SocketAddr>, String> {
    maybe(text, address)
}

pub fn maybe_url(text: &str) -> Result<Maybe<String>, String> {
    maybe(text, public_url)
}

pub fn maybe_signer(text: &str) -> Result<Maybe<Signer>, String> {
    maybe(text, typed)
}

pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "a duration, such as 90s, 10m or 24h".into())
}

/// A lease is kept by a heartbeat every third of it; below this a busy machine would lose it by being late.
pub fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    let shortest = Duration::from_secs(3);
    if lease >= shortest {
        Ok(lease)
    } else {
        Err("a duration of at least 3s, for its heartbeats to be in time".into())
    }
}

pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err("1 or 0".into()),
    }
}

pub fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "true or false".into())
}

pub fn fraction(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(|| "a number from 0 to 1".into())
}

pub fn public_url(text: &str) -> Result<String, String> {
    url::Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none())
        .map(|_| text.to_owned())
        .ok_or_else(|| "an http(s) URL, such as https://photos.example.org".into())
}

pub fn filter(text: &str) -> Result<String, String> {
    let levels = "error, warn, info, debug, trace, or a filter such as info,remaster_worker=debug";
    // Any single word is a valid filter, for a crate of that name; here it is meant as a level.
    let misspelt = !text.contains(['=', ',']) && text.parse::<tracing::Level>().is_err() && text != "off";
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) if !misspelt => Ok(text.to_owned()),
        _ => Err(levels.into()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

pub fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json".into()),
    }
}

pub fn model(text: &str) -> Result<ModelId, String> {
    ModelId::parse(text).map_err(|error| error.accepts.into())
}

/// A type whose error text says what it takes.
pub fn typed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// A job option.
pub fn option<T: FromStr<Err = ParamError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: ParamError| error.accepts.into())
}
