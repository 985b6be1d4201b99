//! Secrets that lie in files, as container engines and service managers hand them over: `REDIS_URL_FILE` names the file that holds
//! `REDIS_URL`.

use std::path::PathBuf;

/// The settings that may be secret, or hold a password.
pub const SECRETS: [&str; 7] = [
    "REDIS_URL",
    "WEBHOOK_SIGNING_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
];

/// Why a secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Both the secret and its file are given.
    #[error("{0} and {0}_FILE are both set: set one of them")]
    Both(&'static str),
    /// The file cannot be read as text.
    #[error("{name}_FILE={} cannot be read: {source}", path.display())]
    Unreadable {
        /// The setting.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file's text cannot be the value of a variable.
    #[error("{0}_FILE holds no usable text: {1}")]
    Unusable(&'static str, dotenvy::Error),
}

/// Sets each secret whose file is named. It has to be called before there is another thread.
///
/// # Errors
/// A secret is given twice, or its file cannot be used.
pub fn from_files() -> Result<(), SecretError> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    for name in SECRETS {
        let Some(path) = given(&format!("{name}_FILE")).map(PathBuf::from) else { continue };
        if given(name).is_some() {
            return Err(SecretError::Both(name));
        }
        let text = std::fs::read_to_string(&path).map_err(|source| SecretError::Unreadable { name, path, source })?;
        let line = assignment(name, text.trim_end());
        dotenvy::from_read_override(line.as_bytes()).map_err(|error| SecretError::Unusable(name, error))?;
    }
    Ok(())
}

/// A line of a `.env` file.
fn assignment(name: &str, value: &str) -> String {
    let mut line = format!("{name}=\"");
    for character in value.chars() {
        match character {
            '\n' => line.push_str("\\n"),
            '"' | '\\' | '$' => line.extend(['\\', character]),
            other => line.push(other),
        }
    }
    line + "\"\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_arrives_as_it_is() {
        for secret in ["plain", "a$b${c}\"d'\\e #f=", "{\n  \"key\": \"--\\n--\"\n}", "ä ö", " x"] {
            let line = assignment("NAME", secret);
            let read: Vec<_> = dotenvy::from_read_iter(line.as_bytes()).collect::<Result<_, _>>().unwrap();
            assert_eq!(read, [("NAME".to_owned(), secret.to_owned())]);
        }
    }
}
