//! Entity tags, and whether the caller already has the version that would be sent (`If-None-Match`).

use axum::http::HeaderMap;
use axum_extra::headers::{ETag, HeaderMapExt, IfNoneMatch};
use sha2::{Digest, Sha256};

/// A version for the content `body`: equal contents have equal versions.
pub fn version(body: &[u8]) -> String {
    Sha256::digest(body).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// The strong entity tag of a version.
pub fn entity_tag(version: &str) -> String {
    format!("\"{version}\"")
}

/// Whether `tag` is among those that the caller has. The comparison is weak, because proxies weaken tags.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.typed_get::<IfNoneMatch>();
    let tag: Option<ETag> = tag.parse().ok();
    known.zip(tag).is_some_and(|(known, tag)| !known.precondition_passes(&tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_wildcards_and_weak_tags_match() {
        let known = |value: &'static str| {
            let headers = HeaderMap::from_iter([(axum::http::header::IF_NONE_MATCH, value.parse().unwrap())]);
            is_known(&headers, "\"abc\"")
        };
        for matching in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert!(known(matching), "{matching}");
        }
        assert!(!known("\"other\""));
        assert!(!is_known(&HeaderMap::new(), "\"abc\""));
    }
}
