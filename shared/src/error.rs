//! The one closed table of failures: code, HTTP status, whose fault it is, and public title.
//!
//! Public text and internal cause are kept apart. A [`JobError`] carries only what a caller may read; the cause is logged
//! where it is handled.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whose fault a failure is. It decides whether the charged unit is refunded and whether another attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request or the picture is at fault. The unit stays charged, and another attempt would fail in the same way.
    Caller,
    /// The service is at fault. The unit is refunded, and another attempt may succeed.
    Service,
}

macro_rules! error_codes {
    ($( $variant:ident = $name:literal, $status:literal, $fault:ident, $title:literal; )*) => {
        /// The stable, machine-readable name of a failure. `docs/api.md` lists all of them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $( #[doc = $title] #[serde(rename = $name)] $variant, )*
        }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [ErrorCode] = &[$( ErrorCode::$variant, )*];

            /// The name of the code in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $( ErrorCode::$variant => $name, )* }
            }

            /// The HTTP status of a response with this code (RFC 9110).
            pub fn status(self) -> u16 {
                match self { $( ErrorCode::$variant => $status, )* }
            }

            /// Whose fault the failure is.
            pub fn fault(self) -> Fault {
                match self { $( ErrorCode::$variant => Fault::$fault, )* }
            }

            /// A short sentence that is the same for every occurrence: the member `title` of RFC 9457.
            pub fn title(self) -> &'static str {
                match self { $( ErrorCode::$variant => $title, )* }
            }
        }
    };
}

error_codes! {
    InvalidParameter   = "invalid_parameter",   400, Caller,  "A parameter is not acceptable";
    MissingFile        = "missing_file",        400, Caller,  "No image was sent";
    InvalidWebhookUrl  = "invalid_webhook_url", 400, Caller,  "Webhooks cannot be sent there";
    InvalidImageUrl    = "invalid_image_url",   400, Caller,  "Images cannot be fetched from there";
    NotFound           = "not_found",           404, Caller,  "There is nothing here";
    MethodNotAllowed   = "method_not_allowed",  405, Caller,  "This method does not apply here";
    RequestTimeout     = "request_timeout",     408, Caller,  "The request took too long";
    NotFinished        = "not_finished",        409, Caller,  "The job is not finished";
    AlreadyFinished    = "already_finished",    409, Caller,  "The job is already finished";
    Canceled           = "canceled",            409, Caller,  "The job was canceled";
    ResultExpired      = "result_expired",      410, Caller,  "The result is no longer kept";
    UnknownHost        = "unknown_host",        421, Caller,  "The service is not known by this name";
    FileTooLarge       = "file_too_large",      413, Caller,  "The file is too large";
    BatchTooLarge      = "batch_too_large",     413, Caller,  "The batch has too many files";
    ImageTooLarge      = "image_too_large",     413, Caller,  "The image has too many pixels";
    UnsupportedFormat  = "unsupported_format",  415, Caller,  "The image format is not supported";
    ImageCorrupt       = "image_corrupt",       422, Caller,  "The image cannot be decoded";
    ImageUnreachable   = "image_unreachable",   422, Caller,  "The image cannot be fetched";
    IdempotencyKeyReused = "idempotency_key_reused", 422, Caller, "The idempotency key was used for another request";
    QuotaExceeded      = "quota_exceeded",      429, Caller,  "The daily quota is used up";
    Internal           = "internal",            500, Service, "Something went wrong on our side";
    Poison             = "poison",              500, Service, "The job stopped its worker too often";
    Overloaded         = "overloaded",          503, Service, "The service is busy";
    QueueFull          = "queue_full",          503, Service, "The queue is full";
    StoreUnavailable   = "store_unavailable",   503, Service, "The job store is not reachable";
    StorageUnavailable = "storage_unavailable", 503, Service, "Pictures cannot be stored or read now";
    ModelUnavailable   = "model_unavailable",   503, Service, "The model is not available";
}

impl ErrorCode {
    /// Whether a picture cannot be used.
    pub fn is_of_a_picture(self) -> bool {
        use ErrorCode::{FileTooLarge, ImageCorrupt, ImageTooLarge, ImageUnreachable, UnsupportedFormat};
        matches!(self, FileTooLarge | ImageTooLarge | UnsupportedFormat | ImageCorrupt | ImageUnreachable)
    }
}

// Written by hand, because the derive macro cannot evaluate the names that `error_codes!` inserts.
impl utoipa::PartialSchema for ErrorCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("The stable, machine-readable name of the failure."))
            .enum_values(Some(Self::ALL.iter().map(|code| code.as_str())))
            .into()
    }
}

impl ToSchema for ErrorCode {}

/// Why a job failed, in words that its caller may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobError {
    /// The stable name of the failure.
    pub code: ErrorCode,
    /// One sentence that says what is wrong and, where it helps, what is accepted.
    pub message: String,
}

impl JobError {
    /// A failure with a message for the caller.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A failure whose cause only the log shows.
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal, "The job failed on our side; its unit was refunded.")
    }

    /// Whether another attempt may succeed. A fault of the service may be temporary, a fault of the picture is not, and
    /// [`ErrorCode::Poison`] says that every permitted attempt has been made.
    pub fn is_retryable(&self) -> bool {
        self.code.fault() == Fault::Service && self.code != ErrorCode::Poison
    }
}

impl std::fmt::Display for JobError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for JobError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_json_and_in_text_are_the_same() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn a_fault_of_the_service_is_a_5xx_and_nothing_else_is() {
        for code in ErrorCode::ALL {
            assert_eq!(code.fault() == Fault::Service, code.status() >= 500, "{}", code.as_str());
        }
    }
}
