//! One TLS implementation for every client in the process.

/// Makes ring the cryptography provider of rustls for the whole process, unless one is installed already. It has to be
/// called before the first client is built.
pub fn install_default_provider() {
    // The only possible error is that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
