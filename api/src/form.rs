//! Reading a form part by part, with bounds: on its bytes, on what may arrive without being a part, on pauses.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::header;
use futures::{Stream, StreamExt};
use remaster_shared::error::ErrorCode;

use crate::options::Options;
use crate::problem::{Answer, Problem};

/// What a form may hold besides its files.
pub const ENVELOPE: u64 = 64 * 1024;
/// A pause after which an upload is given up.
pub const PAUSE: Duration = Duration::from_secs(30);
/// Bytes that the parser may hold back while it looks for the end of something: a part's header, say.
const HELD_BACK: usize = 1024 * 1024;
/// Longest value of an option.
const OPTION_BYTES: usize = 4096;
/// Longest filename kept, in characters.
const FILENAME: usize = 255;

/// The parts of a form, one after the other.
pub struct Form {
    parts: Multipart,
    unread: Unread,
}

/// Bytes that came in since something came out.
#[derive(Clone, Default)]
struct Unread(Arc<AtomicUsize>);

impl Unread {
    fn none(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Why a body is not read on.
#[derive(Debug, thiserror::Error)]
enum Bound {
    #[error("it is larger than {0} bytes")]
    Total(u64),
    #[error("the header of a part is too long")]
    Header,
}

/// A body that is counted while it is read.
struct Counted {
    body: BodyDataStream,
    limit: u64,
    total: u64,
    unread: Unread,
    /// Whether the parser is to look at what it has before it gets more: it takes whatever is ready, however much.
    pausing: bool,
}

impl Stream for Counted {
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
            return Poll::Ready(Some(Err(Bound::Total(self.limit).into())));
        }
        // One piece may be of any length; what counts is that pieces come and nothing is made of them.
        if self.unread.0.fetch_add(bytes.len(), Ordering::Relaxed) > HELD_BACK {
            return Poll::Ready(Some(Err(Bound::Header.into())));
        }
        Poll::Ready(Some(Ok(bytes)))
    }
}

impl Form {
    /// The form in `request`, of `limit` bytes at most.
    pub async fn of(request: Request, limit: u64) -> Answer<Self> {
        let unread = Unread::default();
        let mut request = request.map(|body| {
            let body = body.into_data_stream();
            Body::from_stream(Counted { body, limit, total: 0, unread: unread.clone(), pausing: false })
        });
        // The framework's own limit is the same for every form.
        DefaultBodyLimit::disable().apply(&mut request);
        let parts = Multipart::from_request(request, &()).await;
        let parts =
            parts.map_err(|error| Problem::new(ErrorCode::InvalidParameter, format!("{}.", error.body_text())))?;
        Ok(Self { parts, unread })
    }

    /// The next part. What is left of the one before is passed over.
    pub async fn next(&mut self) -> Answer<Option<Part<'_>>> {
        let next = in_time(self.parts.next_field()).await?.map_err(malformed)?;
        self.unread.none();
        let unread = self.unread.clone();
        Ok(next.map(|field| Part { field, unread }))
    }
}

/// One part: an option or a file.
pub struct Part<'a> {
    field: Field<'a>,
    unread: Unread,
}

impl Part<'_> {
    pub fn is_file(&self) -> bool {
        self.field.name() == Some("file")
    }

    /// The last component of the name that it was sent under, without control characters: for display and for naming
    /// results, never a path.
    pub fn filename(&self) -> Option<String> {
        self.field.file_name().map(clean_filename).filter(|name| !name.is_empty())
    }

    pub async fn chunk(&mut self) -> Answer<Option<Bytes>> {
        let chunk = in_time(self.field.chunk()).await?.map_err(malformed)?;
        self.unread.none();
        Ok(chunk)
    }

    /// Takes it as an option.
    pub async fn add_to(mut self, options: &mut Options) -> Answer<()> {
        let Some(name) = self.field.name().map(str::to_owned) else {
            return Err(Problem::new(ErrorCode::InvalidParameter, "A part of the form has no name."));
        };
        let bad = || Problem::parameter(&name, "…", "a short text in UTF-8");
        let mut value = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            value.extend_from_slice(&chunk);
            if value.len() > OPTION_BYTES {
                return Err(bad());
            }
        }
        options.add(&name, &String::from_utf8(value).map_err(|_| bad())?)
    }
}

/// What `reading` gives, if it does not pause for too long.
pub async fn in_time<T>(reading: impl Future<Output = T>) -> Answer<T> {
    let paused = |_| Problem::new(ErrorCode::RequestTimeout, "The upload paused for too long; nothing was charged.");
    tokio::time::timeout(PAUSE, reading).await.map_err(paused)
}

/// The length that the request's header says it has.
pub fn declared(request: &Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok())
}

/// What kind of body the request has, without parameters.
pub fn content_type(request: &Request) -> String {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// Why a form cannot be read on.
fn malformed(error: MultipartError) -> Problem {
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        if let Some(bound) = error.downcast_ref::<Bound>() {
            let code = if let Bound::Total(_) = bound { ErrorCode::FileTooLarge } else { ErrorCode::InvalidParameter };
            return Problem::new(code, format!("The multipart body cannot be read: {bound}."));
        }
        cause = error.source();
    }
    Problem::new(ErrorCode::InvalidParameter, format!("The multipart body cannot be read: {}.", error.body_text()))
}

fn clean_filename(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or("");
    base.chars().filter(|c| !c.is_control()).take(FILENAME).collect()
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
        Form::of(request, 1 << 40).await.unwrap()
    }

    #[tokio::test]
    async fn a_header_without_an_end_is_given_up_and_a_long_file_is_not() {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let endless = std::iter::once(b"--x\r\nA: ".to_vec()).chain(std::iter::repeat_with(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            vec![b'a'; 16 * 1024]
        }));
        assert!(form(endless).await.next().await.is_err());
        assert!(taken.load(Ordering::Relaxed) * 16 * 1024 < 2 * HELD_BACK);

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
