//! A body whose sender has to keep up a pace, so that nobody holds a turn with a byte now and then.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, BodyDataStream, Bytes};
use futures::{Stream, StreamExt};
use remaster_shared::error::ErrorCode;
use tokio::time::Instant;

use crate::problem::Problem;

/// The slowest pace, in bytes a second. A modem of 1990 is faster.
const SLOWEST: f64 = 512.0;
/// How long the sender may be waited for before the pace counts.
const GRACE: Duration = Duration::from_secs(20);

/// The sender is too slow.
#[derive(Debug, thiserror::Error)]
#[error("the upload is slower than {SLOWEST} bytes a second")]
struct TooSlow;

/// The bytes of a body.
pub struct PacedBody {
    body: BodyDataStream,
    bytes: u64,
    /// How long its sender was waited for. It counts from one look at the body to the next, so what this service does in between with what
    /// it has counts too; that is short.
    waited: Duration,
    /// Since when it is waited for now.
    waiting: Option<Instant>,
}

impl PacedBody {
    /// The bytes of `body`.
    pub fn new(body: Body) -> Self {
        Self { body: body.into_data_stream(), bytes: 0, waited: Duration::ZERO, waiting: None }
    }
}

impl Stream for PacedBody {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let piece = ready!(self.body.poll_next_unpin(cx));
        self.waited += since.elapsed();
        self.waiting = None;
        let Some(piece) = piece.transpose()? else { return Poll::Ready(None) };
        self.bytes += piece.len() as u64;
        if self.waited > GRACE && (self.bytes as f64) < SLOWEST * self.waited.as_secs_f64() {
            return Poll::Ready(Some(Err(TooSlow.into())));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

/// The problem of a body that cannot be read, where its pace is among the causes.
pub fn too_slow(error: &(dyn std::error::Error + 'static)) -> Option<Problem> {
    let slow = cause::<TooSlow>(error)?;
    Some(Problem::new(ErrorCode::RequestTimeout, format!("It was given up, because {slow}; nothing was charged.")))
}

/// The first of the error and its causes that is a `T`.
pub fn cause<'a, T: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a T> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|cause| cause.downcast_ref())
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    /// How many pieces of `bytes` are taken of a sender who sends one after each `pause`.
    async fn taken(bytes: usize, pause: Duration) -> (usize, Option<Problem>) {
        let pieces = stream::iter(0..100).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::io::Error>(vec![0; bytes])
        });
        let mut body = PacedBody::new(Body::from_stream(pieces));
        for number in 0.. {
            match body.next().await {
                None => return (number, None),
                Some(Ok(_)) => {}
                Some(Err(error)) => return (number, too_slow(&*error)),
            }
        }
        unreachable!()
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_given_up_and_a_slow_line_is_not() {
        let (pieces, problem) = taken(1, Duration::from_secs(6)).await;
        assert_eq!((pieces, problem.unwrap().code), (3, ErrorCode::RequestTimeout));
        let (pieces, problem) = taken(4000, Duration::from_secs(6)).await;
        assert!(pieces == 100 && problem.is_none());
    }
}
