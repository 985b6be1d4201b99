//! Signatures after [Standard Webhooks 1.0](https://www.standardwebhooks.com): always ed25519 (RFC 8032, identifier `v1a`),
//! and also HMAC-SHA256 (identifier `v1`) if the submitter gave a secret.
//!
//! The signed content is `{id}.{timestamp}.{body}`, with the body byte for byte as it is sent.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};

use remaster_shared::webhook::secret::WebhookSecret;

const PREFIX: &str = "whsk_";

/// Why `WEBHOOK_SIGNING_KEY` cannot be used. Keys are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// The setting contains no key.
    #[error("no key is given; a key is whsk_ and the base64 of a 32-byte seed")]
    Empty,
    /// The prefix of a key is missing.
    #[error("key {0} does not start with whsk_")]
    Prefix(usize),
    /// A key is not base64.
    #[error("after whsk_, key {place} is not base64 (standard alphabet, padded)")]
    Base64 {
        /// Which key it is.
        place: usize,
        /// What the decoder reports.
        source: base64::DecodeError,
    },
    /// A key has the wrong length.
    #[error("key {place} has {length} bytes; a key has 32 (seed) or 64 (seed and public key)")]
    Length {
        /// Which key it is.
        place: usize,
        /// Its length, in bytes.
        length: usize,
    },
    /// The public key in a key pair does not belong to the seed.
    #[error("in key {0} the public half does not belong to the seed")]
    Mismatch(usize),
}

/// The parts of an attempt that are signed.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The id of the message, which is the same for all attempts.
    pub id: &'a str,
    /// The time of this attempt, in seconds since the Unix epoch.
    pub timestamp: i64,
    /// The body as it is sent.
    pub body: &'a [u8],
}

impl Message<'_> {
    /// The content that is signed: `{id}.{timestamp}.{body}`.
    fn signed_content(&self) -> Vec<u8> {
        let mut content = format!("{}.{}.", self.id, self.timestamp).into_bytes();
        content.extend_from_slice(self.body);
        content
    }
}

/// The signing keys of the service, newest first. While a key is being replaced, the old and the new key both sign.
#[derive(Clone)]
pub struct Signer(Vec<SigningKey>);

impl Signer {
    /// One key, from its seed of 32 bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(vec![SigningKey::from_bytes(&seed)])
    }

    /// The public keys as `whpk_` and base64, newest first.
    pub fn public_keys(&self) -> Vec<String> {
        self.0.iter().map(|key| format!("whpk_{}", STANDARD.encode(key.verifying_key().as_bytes()))).collect()
    }

    /// The signatures of all keys as `v1a,` and base64, newest first.
    pub fn sign(&self, message: &Message<'_>) -> Vec<String> {
        let content = message.signed_content();
        let sign = |key: &SigningKey| format!("v1a,{}", STANDARD.encode(key.sign(&content).to_bytes()));
        self.0.iter().map(sign).collect()
    }
}

/// Parses `WEBHOOK_SIGNING_KEY`: one key or several, newest first, separated by commas or white space.
impl std::str::FromStr for Signer {
    type Err = SigningKeyError;

    fn from_str(text: &str) -> Result<Self, SigningKeyError> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
        let keys = words.zip(1..).map(|(word, place)| signing_key(word, place)).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(SigningKeyError::Empty) } else { Ok(Self(keys)) }
    }
}

fn signing_key(word: &str, place: usize) -> Result<SigningKey, SigningKeyError> {
    let encoded = word.strip_prefix(PREFIX).ok_or(SigningKeyError::Prefix(place))?;
    let bytes = STANDARD.decode(encoded).map_err(|source| SigningKeyError::Base64 { place, source })?;
    if let Ok(seed) = <[u8; 32]>::try_from(bytes.as_slice()) {
        return Ok(SigningKey::from_bytes(&seed));
    }
    match <[u8; 64]>::try_from(bytes.as_slice()) {
        Ok(pair) => SigningKey::from_keypair_bytes(&pair).map_err(|_| SigningKeyError::Mismatch(place)),
        Err(_) => Err(SigningKeyError::Length { place, length: bytes.len() }),
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signer").field(&self.public_keys()).finish()
    }
}

/// The three header fields of an attempt, as names and values. The HMAC signature comes first, because some receivers look
/// at the first signature only.
pub fn headers(signer: &Signer, secret: Option<&WebhookSecret>, message: &Message<'_>) -> [(&'static str, String); 3] {
    let signatures: Vec<String> =
        secret.map(|secret| secret.sign(&message.signed_content())).into_iter().chain(signer.sign(message)).collect();
    [
        ("webhook-id", message.id.to_owned()),
        ("webhook-timestamp", message.timestamp.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected values were computed in Python with `cryptography` 50.0.2, Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n = 1, 2, and
    // `standardwebhooks` 1.1.0, Webhook(SECRET).sign("msg_7f3b0c9e", datetime.fromtimestamp(1748779200, utc), BODY).
    const KEY_1: &str = "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const PAIR_1: &str =
        "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQGKiOPddAnxlf1S2y08ul1yymcJvx2UEhvzdIgBtA9vXA==";
    const PUBLIC_1: &str = "whpk_iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=";
    const SIGNED_1: &str =
        "v1a,UZ0QoVQwsDiClbmBSrBoorereHqzF5qv0hBH7ntCFq4WavjnC7XQa+Yolm7gAYsq1gKtJcByTaREvaDbPsokBg==";
    const KEY_2: &str = "whsk_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    const PUBLIC_2: &str = "whpk_gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q=";
    const SIGNED_2: &str =
        "v1a,/NOhZTh5KOtQJIz4Nma2aDahi2+o7V0QXUTXTrnJ/BrYWi95qH1HsSSc+6q4JN9pkwIg1Vz3qdWs7binarbgAg==";
    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const HMAC: &str = "v1,b0sjFZFbSybWDP82qYn3anv02LSNZrJ/tomJOqoanuA=";
    const BODY: &str = r#"{"type":"job.succeeded","timestamp":"2025-06-01T12:00:00Z","data":{"name":"Ångström"}}"#;
    const MESSAGE: Message<'_> = Message { id: "msg_7f3b0c9e", timestamp: 1_748_779_200, body: BODY.as_bytes() };

    #[test]
    fn agrees_with_the_python_libraries() {
        let signer: Signer = format!("{KEY_1}, {KEY_2}").parse().unwrap();
        assert_eq!(signer.public_keys(), [PUBLIC_1, PUBLIC_2]);
        let [id, timestamp, signature] = headers(&signer, Some(&SECRET.parse().unwrap()), &MESSAGE);
        assert_eq!(id, ("webhook-id", "msg_7f3b0c9e".to_owned()));
        assert_eq!(timestamp, ("webhook-timestamp", "1748779200".to_owned()));
        assert_eq!(signature, ("webhook-signature", format!("{HMAC} {SIGNED_1} {SIGNED_2}")));
        let [_, _, without] = headers(&signer, None, &MESSAGE);
        assert_eq!(without.1, format!("{SIGNED_1} {SIGNED_2}"));
    }

    #[test]
    fn any_other_byte_signs_differently() {
        use ed25519_dalek::{Signature, Verifier};
        let (signer, secret) = (Signer::from_seed([1; 32]), SECRET.parse::<WebhookSecret>().unwrap());
        let signature = STANDARD.decode(SIGNED_1.strip_prefix("v1a,").unwrap()).unwrap();
        let signature = Signature::from_slice(&signature).unwrap();
        let public = signer.0[0].verifying_key();
        assert!(public.verify(&MESSAGE.signed_content(), &signature).is_ok());
        let mut body = BODY.as_bytes().to_vec();
        body[40] ^= 1;
        let others = [
            Message { body: &body, ..MESSAGE },
            Message { id: "msg_7f3b0c9f", ..MESSAGE },
            Message { timestamp: MESSAGE.timestamp + 1, ..MESSAGE },
        ];
        for other in others {
            assert!(public.verify(&other.signed_content(), &signature).is_err(), "{other:?}");
            assert_ne!(secret.sign(&other.signed_content()), HMAC);
        }
    }

    #[test]
    fn keys_are_read_in_every_form() {
        for text in [KEY_1, PAIR_1, &format!("  {KEY_1}\n"), &format!(",{PAIR_1},")] {
            assert_eq!(text.parse::<Signer>().unwrap().public_keys(), [PUBLIC_1]);
        }
        assert_eq!(Signer::from_seed([2; 32]).public_keys(), [PUBLIC_2]);
        let shown = format!("{:?}", Signer::from_seed([1; 32]));
        assert!(shown.contains(PUBLIC_1) && !shown.contains("AQEB"), "{shown}");
    }

    #[test]
    fn bad_keys_say_which_and_why() {
        let error = |text: &str| text.parse::<Signer>().unwrap_err();
        assert_eq!(error(" , "), SigningKeyError::Empty);
        assert_eq!(error("secret"), SigningKeyError::Prefix(1));
        assert!(matches!(error(&format!("{KEY_1} whsk_*")), SigningKeyError::Base64 { place: 2, .. }));
        assert_eq!(error("whsk_AQEB"), SigningKeyError::Length { place: 1, length: 3 });
        let public_2 = Signer::from_seed([2; 32]).0[0].verifying_key().to_bytes();
        let mixed = format!("whsk_{}", STANDARD.encode([[1; 32], public_2].concat()));
        assert_eq!(error(&mixed), SigningKeyError::Mismatch(1));
    }
}
