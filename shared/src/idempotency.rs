//! Sending a request again without doing it again: the key that the client chose, and what it was used for.

use sha2::{Digest, Sha256};

const MAX_LENGTH: usize = 255;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the idempotency key is empty")]
    Empty,
    #[error("an idempotency key has at most 255 characters; this one has {0}")]
    TooLong(usize),
    #[error("an idempotency key consists of visible ASCII characters, without spaces")]
    Character,
    #[error("the idempotency key has an opening quote but is not one quoted string")]
    Quote,
}

/// 1 to 255 visible ASCII characters. Quoted and bare, as both are sent, it is the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for IdempotencyKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let key = match text.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or(KeyError::Quote)?,
            None => text.to_owned(),
        };
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Character);
        }
        if key.len() > MAX_LENGTH {
            return Err(KeyError::TooLong(key.len()));
        }
        Ok(Self(key))
    }
}

/// The rest of a structured-field string (RFC 9651) after its opening quote; nothing may follow the closing one.
fn unquote(text: &str) -> Option<String> {
    let mut key = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(key),
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => key.push(other),
        }
    }
}

/// What a key was used for: a hash of everything that decides what the request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Hashes labelled parts, each with its length, so that no two lists of parts look alike.
#[derive(Clone, Default)]
pub struct FingerprintBuilder(Sha256);

impl FingerprintBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn part(mut self, label: &str, bytes: &[u8]) -> Self {
        for field in [label.as_bytes(), bytes] {
            // A usize never has more than 64 bits.
            self.0.update((field.len() as u64).to_be_bytes());
            self.0.update(field);
        }
        self
    }

    pub fn finish(self) -> Fingerprint {
        Fingerprint(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_bare_are_the_same_key() {
        let key = |text: &str| text.parse::<IdempotencyKey>().map(|key| key.as_str().to_owned());
        for text in ["8e03978e-40d5", "\"8e03978e-40d5\"", "  8e03978e-40d5 "] {
            assert_eq!(key(text).unwrap(), "8e03978e-40d5", "{text}");
        }
        assert_eq!(key(r#""a\"b\\c""#).unwrap(), r#"a"b\c"#);
        assert_eq!(key(&"k".repeat(255)).unwrap().len(), 255);
        assert_eq!(key(&format!("\"{}\"", "k".repeat(255))).unwrap().len(), 255);
        for (text, error) in [
            ("", KeyError::Empty),
            ("\"\"", KeyError::Empty),
            ("\"", KeyError::Quote),
            ("\"open", KeyError::Quote),
            ("\"a\";b=1", KeyError::Quote),
            ("\"a\\n\"", KeyError::Quote),
            ("a b", KeyError::Character),
            ("\"a b\"", KeyError::Character),
            ("schlüssel", KeyError::Character),
            ("a\u{7f}", KeyError::Character),
            (&"k".repeat(256), KeyError::TooLong(256)),
        ] {
            assert_eq!(key(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_fingerprint_is_of_the_parts_and_their_borders() {
        let of = |parts: &[(&str, &str)]| {
            let build = |builder: FingerprintBuilder, part: &(&str, &str)| builder.part(part.0, part.1.as_bytes());
            parts.iter().fold(FingerprintBuilder::new(), build).finish()
        };
        let all = [
            of(&[]),
            of(&[("", "")]),
            of(&[("scale", "2"), ("model", "auto")]),
            of(&[("model", "auto"), ("scale", "2")]),
            of(&[("scale", "2model"), ("", "auto")]),
            of(&[("scale", "4"), ("model", "auto")]),
            of(&[("scale2", ""), ("model", "auto")]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other != one), "{i}");
        }
        assert_eq!(all[2], of(&[("scale", "2"), ("model", "auto")]));
        // Of nothing it is the SHA-256 of nothing.
        assert_eq!(all[0].to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
