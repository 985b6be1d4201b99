//! From records to responses: JSON with a version, pictures, ZIPs, event streams, and the headers that go with them.

pub mod batch_events;
pub mod entry_names;
pub mod etag;
pub mod job_events;
pub mod metrics;
pub mod picture;
pub mod quota_headers;
pub mod results_zip;
pub mod service;
pub mod snapshot;
pub mod sse;
pub mod view;
pub mod zip_stream;
