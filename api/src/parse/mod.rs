//! From a request to typed values: who calls, what is asked for, and the upload.
//!
//! Nothing here changes the job store. Uploads are streamed to the spool folder or the object storage, under limits.

pub mod admission;
pub mod allowances;
pub mod base_url;
pub mod batch_upload;
pub mod body;
pub mod client;
pub mod daily;
pub mod form;
pub mod id;
pub mod idempotency;
pub mod image_url;
pub mod networks;
pub mod option_spec;
pub mod options;
pub mod pace;
pub mod spool;
pub mod submit_request;
pub mod turns;
pub mod upload;
pub mod wait;
