//! The secret that a submitter shares with the service (`whsec_…`). It signs webhooks with HMAC-SHA256 and is never
//! printed.
//!
//! The format is that of [Standard Webhooks 1.0](https://www.standardwebhooks.com).

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

const PREFIX: &str = "whsec_";

/// Why a text is not a webhook secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The prefix is missing.
    #[error("a webhook secret starts with whsec_")]
    Prefix,
    /// The rest is not base64.
    #[error("after whsec_ a webhook secret is base64 (standard alphabet, padded)")]
    Base64(#[source] base64::DecodeError),
    /// The secret is too short or too long; the field is its length in bytes.
    #[error("a webhook secret is base64 of 24 to 64 bytes; this one has {0}")]
    Length(usize),
}

/// A secret of 24 to 64 bytes, written as `whsec_` and base64. It is serialised as that text, which only the store sees.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// The symmetric signature of Standard Webhooks: `v1,` and the base64 of the HMAC-SHA256 of `content`.
    pub fn sign(&self, content: &[u8]) -> String {
        // HMAC accepts a key of any length, so the fallback is never used.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).unwrap_or_else(|_| Hmac::new(&Default::default()));
        mac.update(content);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl std::str::FromStr for WebhookSecret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        let bytes = STANDARD.decode(encoded).map_err(SecretError::Base64)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(SecretError::Length(bytes.len()));
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for WebhookSecret {
    type Error = SecretError;

    fn try_from(text: String) -> Result<Self, SecretError> {
        text.parse()
    }
}

impl From<WebhookSecret> for String {
    fn from(secret: WebhookSecret) -> Self {
        format!("{PREFIX}{}", STANDARD.encode(secret.0))
    }
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn is_stored_as_its_text_and_never_printed() {
        let secret: WebhookSecret = TEXT.parse().unwrap();
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(json, format!("{TEXT:?}"));
        assert_eq!(serde_json::from_str::<WebhookSecret>(&json).unwrap(), secret);
        assert!(!format!("{secret:?}").contains("AAEC"));
    }

    #[test]
    fn says_what_is_wrong() {
        let of = |length: usize| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        assert_eq!("hunter2".parse::<WebhookSecret>(), Err(SecretError::Prefix));
        assert!(matches!("whsec_%%%".parse::<WebhookSecret>(), Err(SecretError::Base64(_))));
        assert_eq!("whsec_".parse::<WebhookSecret>(), Err(SecretError::Length(0)));
        assert_eq!(of(23).parse::<WebhookSecret>(), Err(SecretError::Length(23)));
        assert_eq!(of(65).parse::<WebhookSecret>(), Err(SecretError::Length(65)));
        assert!(of(24).parse::<WebhookSecret>().is_ok());
        assert!(of(64).parse::<WebhookSecret>().is_ok());
    }
}
