//! How long a worker gives to one job, so that nobody's picture keeps it from everybody else's for hours.

use std::time::Duration;

use remaster_shared::error::{ErrorCode, JobError};
use tokio::sync::watch;
use tokio::time::Instant;

/// How often it is looked whether the work will be done in time.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The part of the time after which the progress tells how long the rest takes. Other jobs of this worker share its device, so what is
/// foretold may be twice what it will be.
const TELLING: f64 = 0.1;
const DOUBT: f64 = 2.0;

/// Returns once the time `limit` is over, or once it is clear that the work will take far longer, with what the caller is told.
pub async fn overdue(limit: Duration, progress: watch::Receiver<f64>) -> JobError {
    let began = Instant::now();
    loop {
        tokio::time::sleep(LOOK_EVERY.min(limit.saturating_sub(began.elapsed()))).await;
        let took = began.elapsed().as_secs_f64() / limit.as_secs_f64();
        let foretold = took / *progress.borrow();
        if took >= 1.0 || (took >= TELLING && foretold > DOUBT) {
            return too_much(limit);
        }
    }
}

fn too_much(limit: Duration) -> JobError {
    let limit = humantime::format_duration(limit);
    JobError::new(
        ErrorCode::ImageTooLarge,
        format!(
            "The picture takes this service longer than the {limit} that it gives to one; a smaller picture, a smaller scale or a lighter \
             model takes less."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(600);

    /// When the work is stopped that makes so much progress a second.
    async fn stopped_after(speed: f64) -> Duration {
        let (progress, seen) = watch::channel(0.0);
        let began = Instant::now();
        let working = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                progress.send_replace((began.elapsed().as_secs_f64() * speed).min(1.0));
            }
        };
        tokio::select! {
            error = overdue(LIMIT, seen) => assert!(error.message.contains("longer than the 10m"), "{error}"),
            () = working => {}
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_take_far_too_long_is_stopped_early_and_the_rest_when_its_time_is_over() {
        assert_eq!(stopped_after(0.0).await.as_secs(), 60);
        assert_eq!(stopped_after(1.0 / 10_000.0).await.as_secs(), 60);
        assert_eq!(stopped_after(1.0 / 1100.0).await.as_secs(), 600);
    }
}
