//! Attempts, by the logs of the workers that began them, and the faults that may have ended them.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// How long after it was written a line of a log may be read.
const LATE: Duration = Duration::from_secs(1);

/// A worker began an attempt at a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    pub at: Instant,
    pub worker: usize,
    pub job: String,
    pub attempt: u64,
}

impl Begun {
    /// What a line of a worker's log says of it, if anything.
    pub fn of_line(at: Instant, worker: usize, line: &str) -> Option<Self> {
        let (_, rest) = line.split_once("job started")?;
        let field = |name: &str| rest.split_whitespace().find_map(|word| word.strip_prefix(name));
        let (job, attempt) = (field("job=")?.to_owned(), field("attempt=")?.parse().ok()?);
        Some(Self { at, worker, job, attempt })
    }
}

/// A fault that may cost attempts: of one worker, or of Redis and so of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blow {
    pub worker: Option<usize>,
    pub from: Instant,
    pub to: Instant,
}

impl Blow {
    /// Whether it may have to do with what was heard at this time.
    pub fn covers(&self, time: Instant) -> bool {
        self.from <= time + LATE && time <= self.to + LATE
    }
}

/// The attempts at each job that ended without a result, in words, where no fault explains it. An attempt at which a later one is counted,
/// or after which the job failed, has to have met a fault of its worker or of Redis before that.
pub fn unexplained(begun: &[Begun], blows: &[Blow], failed: &[String]) -> BTreeMap<String, String> {
    let mut by_job: HashMap<&str, Vec<&Begun>> = HashMap::new();
    for attempt in begun {
        by_job.entry(&attempt.job).or_default().push(attempt);
    }
    let met = |attempt: &Begun, until: Option<Instant>| {
        blows.iter().any(|blow| {
            let meant = blow.worker.is_none_or(|worker| worker == attempt.worker);
            meant && blow.to + LATE >= attempt.at && until.is_none_or(|until| blow.from <= until)
        })
    };
    let mut found = BTreeMap::new();
    for (job, mut attempts) in by_job {
        attempts.sort_by_key(|attempt| attempt.at);
        // An attempt that was given back does not count, and the next one has its number.
        let counted = attempts.windows(2).filter(|two| two[1].attempt > two[0].attempt);
        let lost = counted.map(|two| (two[0], Some(two[1].at)));
        let last = attempts.last().filter(|_| failed.iter().any(|id| id == job)).map(|last| (*last, None));
        for (attempt, until) in lost.chain(last) {
            if !met(attempt, until) {
                let text = format!("attempt {} at {job} was lost without a fault", attempt.attempt);
                found.insert(job.to_owned(), text);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_attempt_has_met_a_fault_of_its_worker() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let begun = |worker, attempt, seconds| Begun { at: at(seconds), worker, job: "a".into(), attempt };
        let blow = |worker, from, to| Blow { worker, from: at(from), to: at(to) };
        let two = [begun(0, 1, 10), begun(1, 2, 20)];
        let explained =
            |begun: &[Begun], blows: &[Blow], failed: &[String]| unexplained(begun, blows, failed).is_empty();
        assert!(explained(&two, &[blow(Some(0), 12, 16)], &[]));
        assert!(explained(&two, &[blow(None, 12, 16)], &[]));
        assert!(explained(&two, &[blow(Some(0), 8, 11)], &[]));
        assert!(!explained(&two, &[], &[]));
        assert!(!explained(&two, &[blow(Some(1), 12, 16)], &[]));
        assert!(!explained(&two, &[blow(Some(0), 5, 8)], &[]));
        assert!(!explained(&two, &[blow(Some(0), 21, 22)], &[]));
        // It was given back: nothing was lost.
        assert!(explained(&[begun(0, 1, 10), begun(1, 1, 20)], &[], &[]));
        // A job that failed has lost its last attempt too.
        let failed = ["a".to_owned()];
        assert!(!explained(&two, &[blow(Some(0), 12, 16)], &failed));
        assert!(explained(&two, &[blow(Some(0), 12, 16), blow(Some(1), 21, 22)], &failed));
    }

    #[test]
    fn a_line_of_the_log_says_who_began_what() {
        let now = Instant::now();
        let line = "2026-11-29T09:00:00Z  INFO remaster_worker::job: job started job=1-2 attempt=3 model=none";
        assert_eq!(Begun::of_line(now, 1, line), Some(Begun { at: now, worker: 1, job: "1-2".into(), attempt: 3 }));
        assert_eq!(Begun::of_line(now, 1, "picture made job=1-2"), None);
    }
}
