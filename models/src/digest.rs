//! SHA-256 of files and streams, as lower-case hexadecimal.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

/// A running SHA-256 of what is written to it.
#[derive(Clone, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    /// Adds `bytes`.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all that was added.
    pub(crate) fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The hash of `parts`, one after the other.
pub(crate) fn of_bytes(parts: &[&[u8]]) -> String {
    let mut hasher = Hasher::default();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finish()
}

/// The hash of a file, which is streamed.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn of_file(path: &Path) -> io::Result<String> {
    let mut hasher = Hasher::default();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    #[test]
    fn hashes_the_standard_vector() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::of_bytes(&[b"a", b"bc"]), abc);
    }
}
