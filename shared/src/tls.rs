//! One TLS implementation for every client in the process.

/// Makes ring the cryptography behind TLS, unless the process has chosen already. Clients need it before they are built.
pub fn choose() {
    // An error only says that the choice was made before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
