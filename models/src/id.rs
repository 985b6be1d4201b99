//! Asset ids: the one check that keeps an id from becoming a path.

/// Whether `id` may name an asset and so a file `ID.onnx` in the models directory.
///
/// 1 to 64 characters out of `a-z`, `0-9`, `.`, `-`, `_`, starting with a letter or a digit: no separator, no hidden
/// file, no `..`, and nothing that two file systems could tell apart differently.
#[must_use]
pub fn valid_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'))
        && !id.contains("..")
}

#[cfg(test)]
mod tests {
    use super::valid_id;

    #[test]
    fn takes_ids_and_refuses_paths() {
        for good in ["realesrgan-x4plus", "a", "gfpgan-1.4", "x_2", &"a".repeat(64)] {
            assert!(valid_id(good), "{good}");
        }
        for bad in
            ["", ".", "..", "a..b", "../a", "a/b", "a\\b", ".hidden", "-flag", "A", "ü", "a b", "a\0", &"a".repeat(65)]
        {
            assert!(!valid_id(bad), "{bad:?}");
        }
    }
}
