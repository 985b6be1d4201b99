//! The problems that each kind of operation can answer with, by their codes.

use std::collections::BTreeMap;

use remaster_shared::error::ErrorCode::{self, *};
use utoipa::IntoResponses;
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};

use crate::problem::MEDIA_TYPE;

/// Codes that every submit can be refused with.
const SUBMIT: [ErrorCode; 18] = [
    InvalidParameter,
    MissingFile,
    InvalidWebhookUrl,
    InvalidImageUrl,
    RequestTimeout,
    FileTooLarge,
    ImageTooLarge,
    UnsupportedFormat,
    ImageCorrupt,
    ImageUnreachable,
    IdempotencyKeyReused,
    QuotaExceeded,
    Internal,
    Overloaded,
    QueueFull,
    StoreUnavailable,
    StorageUnavailable,
    ModelUnavailable,
];

/// Defines types that stand for lists of codes in the `responses` of a handler.
macro_rules! problems {
    ($($(#[$about:meta])* $name:ident = $($codes:expr),+;)*) => {
        $(
            $(#[$about])*
            pub struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    by_status(&[$(&$codes[..]),+].concat())
                }
            }
        )*
    };
}

problems! {
    /// Why `POST /jobs` is refused.
    JobRefused = SUBMIT;
    /// Why `POST /enhance` is refused, or gives no picture.
    EnhanceRefused = SUBMIT, [Canceled, Poison];
    /// Why `POST /batches` is refused.
    BatchRefused = SUBMIT, [BatchTooLarge];
    /// Why a job or a batch cannot be shown or followed.
    LookupRefused = [NotFound, Overloaded, StoreUnavailable];
    /// Why a job has no picture to give.
    NoResult = [NotFound, NotFinished, Canceled, ResultExpired, StoreUnavailable, StorageUnavailable];
    /// Why a batch has no ZIP to give.
    NoZip = [NotFound, NotFinished, ResultExpired, StoreUnavailable];
    /// Why the service cannot tell what only the store knows.
    StoreRefused = [StoreUnavailable];
    /// Why metrics are not answered on this port.
    MetricsRefused = [NotFound];
}

/// A response for each status among `codes`, which names the codes and their titles.
pub fn by_status(codes: &[ErrorCode]) -> BTreeMap<String, RefOr<Response>> {
    let mut texts: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for code in codes {
        texts.entry(code.status()).or_default().push(format!("`{}`: {}.", code.as_str(), code.title()));
    }
    texts.into_iter().map(|(status, texts)| (status.to_string(), problem(texts.join(" ")))).collect()
}

fn problem(description: String) -> RefOr<Response> {
    let body = Content::new(Some(Ref::from_schema_name("ProblemBody")));
    ResponseBuilder::new().description(description).content(MEDIA_TYPE, body).build().into()
}
