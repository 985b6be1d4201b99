//! Reading a multipart form part by part, under limits: on its length, on what the parser buffers, and on pauses.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use futures::{Stream, StreamExt};
use remaster_shared::error::ErrorCode;

use super::body::without_pause;
use super::options::SubmitOptions;
use super::pace::{PacedBody, cause, too_slow};
use crate::problem::{ApiResult, Problem};

/// Bytes that a form may hold besides its files.
pub const ENVELOPE: u64 = 64 * 1024;
/// Bytes that the parser may buffer before it gives something out. It buffers while it looks for the end of a part's header.
const MAX_BUFFERED: usize = 64 * 1024;
/// The longest value of an option, in bytes.
const MAX_OPTION: usize = 4096;
/// The longest filename that is kept, in characters.
const MAX_FILENAME: usize = 255;

/// The parts of a form, one after the other.
pub struct Form {
    parts: Multipart,
    buffered: Buffered,
}

/// How many bytes the parser was given since it last gave something out.
#[derive(Clone, Default)]
struct Buffered(Arc<AtomicUsize>);

impl Buffered {
    fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Why a body is not read any further.
#[derive(Debug, thiserror::Error)]
enum LimitError {
    #[error("it is larger than {0} bytes")]
    Length(u64),
    #[error("the header of a part is too long")]
    PartHeader,
}

/// A body whose bytes are counted while they are read.
struct LimitedBody {
    body: PacedBody,
    limit: u64,
    total: u64,
    buffered: Buffered,
    /// Whether the next poll returns `Pending` once. The parser reads as long as bytes are ready, without looking at them; the
    /// pause makes it parse what it has.
    pausing: bool,
}

impl Stream for LimitedBody {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pausing) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(bytes) = ready!(self.body.poll_next_unpin(cx)) else { return Poll::Ready(None) };
        let bytes = bytes?;
        self.pausing = true;
        self.total += bytes.len() as u64;
        if self.total > self.limit {
            return Poll::Ready(Some(Err(LimitError::Length(self.limit).into())));
        }
        // The count before this piece is compared, because a single piece may have any length.
        if self.buffered.0.fetch_add(bytes.len(), Ordering::Relaxed) > MAX_BUFFERED {
            return Poll::Ready(Some(Err(LimitError::PartHeader.into())));
        }
        Poll::Ready(Some(Ok(bytes)))
    }
}

impl Form {
    /// Starts to read the form in `request`, which may have at most `limit` bytes.
    ///
    /// # Errors
    /// 400 `invalid_parameter` when the request has no multipart boundary.
    pub async fn read(request: Request, limit: u64) -> ApiResult<Self> {
        let buffered = Buffered::default();
        let mut request = request.map(|body| {
            let body = PacedBody::new(body);
            Body::from_stream(LimitedBody { body, limit, total: 0, buffered: buffered.clone(), pausing: false })
        });
        // The limit of axum would be the same for every form.
        DefaultBodyLimit::disable().apply(&mut request);
        let parts = Multipart::from_request(request, &()).await;
        let parts =
            parts.map_err(|error| Problem::new(ErrorCode::InvalidParameter, format!("{}.", error.body_text())))?;
        Ok(Self { parts, buffered })
    }

    /// The next part, or `None` at the end of the form. The rest of the part before is skipped.
    ///
    /// # Errors
    /// 400 for a form that cannot be read, 408 when nothing arrives for too long, 413 when the form is too large.
    pub async fn next(&mut self) -> ApiResult<Option<Part<'_>>> {
        let next = without_pause(self.parts.next_field()).await?.map_err(unreadable)?;
        self.buffered.reset();
        let buffered = self.buffered.clone();
        Ok(next.map(|field| Part { field, buffered }))
    }
}

/// One part of a form: an option or a file.
pub struct Part<'a> {
    field: Field<'a>,
    buffered: Buffered,
}

impl Part<'_> {
    /// Whether the part is a file, which is decided by its name `file`.
    pub fn is_file(&self) -> bool {
        self.field.name() == Some("file")
    }

    /// The last component of the file's name, without control characters. It is shown and names results, and is never used as
    /// a path.
    pub fn filename(&self) -> Option<String> {
        self.field.file_name().map(clean_filename).filter(|name| !name.is_empty())
    }

    /// The next bytes of the content, or `None` at its end.
    ///
    /// # Errors
    /// The same as of [`Form::next`].
    pub async fn chunk(&mut self) -> ApiResult<Option<Bytes>> {
        let chunk = without_pause(self.field.chunk()).await?.map_err(unreadable)?;
        self.buffered.reset();
        Ok(chunk)
    }

    /// Reads the part as an option and adds it to `options`.
    ///
    /// # Errors
    /// 400 `invalid_parameter` when it is not a short text or [`SubmitOptions::add`] refuses it, and the errors of
    /// [`Form::next`].
    pub async fn add_to(mut self, options: &mut SubmitOptions) -> ApiResult<()> {
        let Some(name) = self.field.name().map(str::to_owned) else {
            return Err(Problem::new(ErrorCode::InvalidParameter, "A part of the form has no name."));
        };
        let invalid = || Problem::parameter(&name, "…", "a short text in UTF-8");
        let mut value = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            value.extend_from_slice(&chunk);
            if value.len() > MAX_OPTION {
                return Err(invalid());
            }
        }
        options.add(&name, &String::from_utf8(value).map_err(|_| invalid())?)
    }
}

/// Why a form cannot be read any further. The limit that was exceeded is among the causes of the parser's error.
fn unreadable(error: MultipartError) -> Problem {
    if let Some(problem) = too_slow(&error) {
        return problem;
    }
    if let Some(limit) = cause::<LimitError>(&error) {
        let code = match limit {
            LimitError::Length(_) => ErrorCode::FileTooLarge,
            LimitError::PartHeader => ErrorCode::InvalidParameter,
        };
        return Problem::new(code, format!("The multipart body cannot be read: {limit}."));
    }
    Problem::new(ErrorCode::InvalidParameter, format!("The multipart body cannot be read: {}.", error.body_text()))
}

fn clean_filename(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or("");
    base.chars().filter(|c| !c.is_control()).take(MAX_FILENAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filename_is_only_a_name() {
        assert_eq!(clean_filename("../../etc/passwd"), "passwd");
        assert_eq!(clean_filename("C:\\photos\\a\r\n.jpg"), "a.jpg");
        assert_eq!(clean_filename("Großmutter 1932.jpg"), "Großmutter 1932.jpg");
        assert_eq!(clean_filename(&"x".repeat(999)).len(), 255);
    }

    async fn form(pieces: impl IntoIterator<Item = Vec<u8>, IntoIter: Send + 'static>) -> Form {
        let body = Body::from_stream(futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)));
        let request = Request::builder().header("content-type", "multipart/form-data; boundary=x").body(body).unwrap();
        Form::read(request, 1 << 40).await.unwrap()
    }

    #[tokio::test]
    async fn a_part_header_without_an_end_is_refused_and_a_long_file_is_not() {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let endless = std::iter::once(b"--x\r\nA: ".to_vec()).chain(std::iter::repeat_with(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            vec![b'a'; 16 * 1024]
        }));
        assert!(form(endless).await.next().await.is_err());
        assert!(taken.load(Ordering::Relaxed) * 16 * 1024 < 2 * MAX_BUFFERED);

        let head = b"--x\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n".to_vec();
        let long = std::iter::once(head).chain(std::iter::repeat_n(vec![b'a'; 16 * 1024], 500));
        let mut form = form(long.chain([b"\r\n--x--\r\n".to_vec()])).await;
        let mut part = form.next().await.unwrap().unwrap();
        let mut bytes = 0;
        while let Some(chunk) = part.chunk().await.unwrap() {
            bytes += chunk.len();
        }
        drop(part);
        assert_eq!(bytes, 500 * 16 * 1024);
        assert!(form.next().await.unwrap().is_none());
    }
}
