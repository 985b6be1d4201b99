//! How long a worker gives to one job, so that nobody's picture keeps it from everybody else's for hours.

use std::time::Duration;

use remaster_shared::error::{ErrorCode, JobError};
use tokio::sync::watch;
use tokio::time::Instant;

/// How often it is looked whether the work will be done in time.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The part of the time from which on the progress tells how long the whole takes.
const TELLING: f64 = 0.1;

/// The time that a worker gives to one job.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// The time.
    pub limit: Duration,
    /// How many jobs share the device. While others run, one takes so many times as long as it would alone.
    pub sharing: usize,
}

impl Deadline {
    /// Returns once the time is over, or once it is clear from the progress that the work takes far longer, with the error of the job.
    pub async fn passed(self, progress: watch::Receiver<f64>) -> JobError {
        let began = Instant::now();
        loop {
            tokio::time::sleep(LOOK_EVERY.min(self.limit.saturating_sub(began.elapsed()))).await;
            let (took, done) = (began.elapsed().as_secs_f64() / self.limit.as_secs_f64(), *progress.borrow());
            let is_hopeless = took >= TELLING && done > 0.0 && took / done > (self.sharing.max(2)) as f64;
            if took < 1.0 && !is_hopeless {
                continue;
            }
            // Where nothing at all was done, it is not the picture's size that takes the time.
            return if done > 0.0 { self.too_much() } else { JobError::internal() };
        }
    }

    fn too_much(self) -> JobError {
        let limit = humantime::format_duration(self.limit);
        JobError::new(
            ErrorCode::ImageTooLarge,
            format!(
                "The picture takes this service longer than the {limit} that it gives to one; a smaller picture, a smaller scale or a \
                 lighter model takes less."
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the work is stopped that makes so much progress a second, and with what code.
    async fn stopped(speed: f64) -> (u64, ErrorCode) {
        let (progress, seen) = watch::channel(0.0);
        let began = Instant::now();
        let working = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                progress.send_replace((began.elapsed().as_secs_f64() * speed).min(1.0));
            }
        };
        let deadline = Deadline { limit: Duration::from_secs(600), sharing: 1 };
        tokio::select! {
            error = deadline.passed(seen) => (began.elapsed().as_secs(), error.code),
            () = working => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_take_far_too_long_is_stopped_early_and_the_rest_when_its_time_is_over() {
        assert_eq!(stopped(1.0 / 10_000.0).await, (60, ErrorCode::ImageTooLarge));
        assert_eq!(stopped(1.0 / 1100.0).await, (600, ErrorCode::ImageTooLarge));
        // A device that hangs is not the picture's fault.
        assert_eq!(stopped(0.0).await, (600, ErrorCode::Internal));
    }
}
