//! What a client may cause in a day besides the images that it is charged for. A unit of the quota is an image, whatever its size; and
//! an image that is canceled before it is worked on is given back, and a file that is refused costs nothing.

use remaster_shared::client::ClientKey;
use remaster_shared::quota::UtcDay;
use remaster_store::NewJobs;

use super::daily::{Counted, Daily};

/// How much a client may cause in a UTC day, through one node.
#[derive(Debug, Clone, Copy)]
pub struct DailyAllowances {
    /// Bytes of the images that it submits.
    pub upload_bytes: u64,
    /// Megapixels of their results.
    pub megapixels: u64,
    /// Files that cannot be used.
    pub refused_files: u64,
    /// Images beyond its quota. It can submit them because others were given back: it canceled them, or they failed.
    pub refunds: u64,
}

impl DailyAllowances {
    /// No limits.
    pub const UNLIMITED: Self =
        Self { upload_bytes: u64::MAX, megapixels: u64::MAX, refused_files: u64::MAX, refunds: u64::MAX };
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Images,
    UploadBytes,
    ResultPixels,
    RefusedFiles,
}

/// An allowance that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAllowed {
    /// The setting.
    pub setting: &'static str,
    /// How much it allows, and of what.
    pub limit: (u64, &'static str),
}

/// What each client has caused today, through this node.
pub struct Allowances {
    used: Daily<(ClientKey, Of)>,
    limits: DailyAllowances,
    daily_limit: u64,
}

impl Allowances {
    /// Allowances of clients that may submit `daily_limit` images a day each.
    pub fn new(limits: DailyAllowances, daily_limit: u64) -> Self {
        Self { used: Daily::new(), limits, daily_limit }
    }

    /// Counts what the client is about to submit as part of `counted`.
    ///
    /// # Errors
    /// It may not submit so much more today.
    pub fn count(&self, day: UtcDay, new: &NewJobs, counted: &mut Counted) -> Result<(), NotAllowed> {
        let accepted = || new.jobs.iter().filter(|job| job.refused.is_none());
        let pixels = accepted().map(|job| {
            let (width, height) = job.params.result_size(job.input.width, job.input.height);
            u64::from(width) * u64::from(height)
        });
        let DailyAllowances { upload_bytes, megapixels, refunds, .. } = self.limits;
        let images = self.daily_limit.saturating_add(refunds);
        for (of, amount, most, setting, limit) in [
            (
                Of::Images,
                new.units(),
                images,
                "DAILY_REFUNDS",
                (refunds, "images beyond its quota, in place of others that were given back,"),
            ),
            (
                Of::UploadBytes,
                accepted().map(|job| job.input.bytes).sum(),
                upload_bytes,
                "DAILY_UPLOAD_BYTES",
                (upload_bytes, "bytes of images"),
            ),
            (
                Of::ResultPixels,
                pixels.sum(),
                megapixels.saturating_mul(1_000_000),
                "DAILY_MEGAPIXELS",
                (megapixels, "megapixels of results"),
            ),
        ] {
            if self.used.add(day, (new.client, of), amount, counted) > most {
                return Err(NotAllowed { setting, limit });
            }
        }
        Ok(())
    }

    /// Counts a file of the client that could not be used.
    pub fn refuse(&self, day: UtcDay, client: ClientKey) {
        let mut counted = Counted::default();
        self.used.add(day, (client, Of::RefusedFiles), 1, &mut counted);
        counted.keep();
    }

    /// Whether more files of the client are looked at today.
    ///
    /// # Errors
    /// Too many of them could not be used.
    pub fn admit(&self, day: UtcDay, client: ClientKey) -> Result<(), NotAllowed> {
        let limit = self.limits.refused_files;
        if self.used.get(day, (client, Of::RefusedFiles)) < limit {
            return Ok(());
        }
        Err(NotAllowed { setting: "DAILY_REFUSED_FILES", limit: (limit, "files that cannot be used") })
    }
}

#[cfg(test)]
mod tests {
    use remaster_store::contract::{client, new_job_of};

    use super::*;

    const LIMITS: DailyAllowances =
        DailyAllowances { upload_bytes: 1_000_000, megapixels: 100, refused_files: 3, refunds: 5 };

    /// Jobs of a picture of 1000x500 pixels at scale 2, and so of 2 megapixels and 12,345 bytes each.
    fn jobs(number: u8, jobs: usize) -> NewJobs {
        NewJobs::new(client(number), (0..jobs).map(|_| new_job_of(client(number))).collect())
    }

    fn submit(allowances: &Allowances, new: &NewJobs) -> Result<(), NotAllowed> {
        let mut counted = Counted::default();
        allowances.count(UtcDay(1), new, &mut counted)?;
        counted.keep();
        Ok(())
    }

    #[test]
    fn images_that_were_given_back_count() {
        let allowances = Allowances::new(LIMITS, 10);
        for _ in 0..3 {
            assert_eq!(submit(&allowances, &jobs(1, 5)), Ok(()));
        }
        let refused = NotAllowed {
            setting: "DAILY_REFUNDS",
            limit: (5, "images beyond its quota, in place of others that were given back,"),
        };
        assert_eq!(submit(&allowances, &jobs(1, 1)), Err(refused));
        assert_eq!(submit(&allowances, &jobs(2, 5)), Ok(()));
        let mut tomorrow = Counted::default();
        assert_eq!(allowances.count(UtcDay(2), &jobs(1, 1), &mut tomorrow), Ok(()));
    }

    #[test]
    fn bytes_and_megapixels_are_bounded() {
        let allowances = Allowances::new(LIMITS, 1000);
        assert_eq!(submit(&allowances, &jobs(1, 50)), Ok(()));
        assert_eq!(submit(&allowances, &jobs(1, 1)).unwrap_err().setting, "DAILY_MEGAPIXELS");
        let mut large = jobs(2, 2);
        large.jobs.iter_mut().for_each(|job| job.input.bytes = 500_001);
        assert_eq!(submit(&allowances, &large).unwrap_err().setting, "DAILY_UPLOAD_BYTES");
        // What was refused is not counted.
        assert_eq!(submit(&allowances, &jobs(2, 50)), Ok(()));
    }

    #[test]
    fn refused_files_are_bounded() {
        let allowances = Allowances::new(LIMITS, 1000);
        for _ in 0..LIMITS.refused_files {
            assert_eq!(allowances.admit(UtcDay(1), client(1)), Ok(()));
            allowances.refuse(UtcDay(1), client(1));
        }
        assert_eq!(allowances.admit(UtcDay(1), client(1)).unwrap_err().setting, "DAILY_REFUSED_FILES");
        assert_eq!(allowances.admit(UtcDay(1), client(2)), Ok(()));
        assert_eq!(allowances.admit(UtcDay(2), client(1)), Ok(()));
    }
}
