//! The OpenAPI document is kept as a snapshot, so that a change of the API is seen in review.
//!
//! `UPDATE=1 cargo test -p remaster-api openapi` writes the snapshot.

use std::path::Path;

use crate::harness::Harness;

#[test]
fn the_snapshot_is_the_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let document = serde_json::to_string_pretty(&remaster_api::document()).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let snapshot = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(snapshot == document, "docs/openapi.json is not what the API serves; UPDATE=1 writes the snapshot");
}

#[tokio::test]
async fn the_document_is_served_and_its_page_loads_nothing_from_outside() {
    let harness = Harness::new().await;
    let served: serde_json::Value = harness.json("/openapi.json").await;
    assert_eq!(served, serde_json::to_value(remaster_api::document()).unwrap());
    assert_eq!(served["openapi"], "3.1.0");
    let page = harness.get("/docs/").await;
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    let references = html.split(['"', '\'']).filter(|text| text.starts_with("http") || text.starts_with("//"));
    assert_eq!(references.collect::<Vec<_>>(), Vec::<&str>::new());
}
