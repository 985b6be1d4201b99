//! What an event does to a job.
//!
//! Before [`decide`] is called with an event from the holder of a lease, the fence is checked: a stale worker's event is never
//! decided about.

use std::time::Duration;

use remaster_shared::error::{ErrorCode, Fault, JobError};
use remaster_shared::job::{IllegalTransition, JobResult, Status};

use super::retry;
use crate::{Outcome, Policy};

/// What a decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobState {
    /// Where the job stands.
    pub status: Status,
    /// Attempts that count so far, including the present one. Attempts that were given back or never began are taken off again.
    pub attempt: u32,
    /// Whether the worker of the present attempt was heard of since it claimed the job.
    pub begun: bool,
    /// Whether its caller canceled it while it was being worked on.
    pub cancel_requested: bool,
    /// Whether its client's virtual start was moved on for it.
    pub served: bool,
    /// Whether its unit was given back.
    pub refunded: bool,
    /// How often it went back because of a fault of the service's own.
    pub deferrals: u32,
}

impl JobState {
    /// The state after `change`.
    pub fn after(self, change: &Change) -> Self {
        Self {
            status: change.status,
            attempt: change.attempt,
            begun: change.begun,
            cancel_requested: change.cancel_requested,
            served: self.served || change.serves,
            refunded: self.refunded || change.refunds,
            deferrals: if change.reopens { 0 } else { self.deferrals + u32::from(change.defers) },
        }
    }

    /// A job as it is submitted: in line, and nothing happened to it yet.
    pub const SUBMITTED: Self = Self {
        status: Status::Queued,
        attempt: 0,
        begun: false,
        cancel_requested: false,
        served: false,
        refunded: false,
        deferrals: 0,
    };
}

/// How often a job goes back because of a fault of the service's own before it fails. Without a bound, a fault that only this job
/// meets would keep it, and the workers that try it, busy for ever. With the waits of [`retry::deferral`] that takes hours.
pub const MAX_DEFERRALS: u32 = 50;

/// How long the input of a job is kept after the job's end, at least. A store may lose its last moments, when a replica that
/// lags takes over or a copy is restored. An end that is lost with them is taken back, and the job has to be worked on again.
pub const INPUT_KEPT: Duration = Duration::from_secs(60);

/// What happens to a job.
#[derive(Debug, Clone)]
pub enum Event {
    /// A worker takes it.
    Claimed,
    /// Its worker is heard of.
    Heartbeat,
    /// Its worker says how the attempt ended.
    Finished(Outcome),
    /// Its worker gives it back untouched.
    Released,
    /// Its worker was not heard of for longer than a lease.
    LeaseExpired,
    /// Its caller cancels it.
    CancelRequested,
    /// Its submit is taken back: the caller was told that it had failed.
    Withdrawn,
    /// Its result was kept long enough.
    ResultExpired,
    /// An operator queues it again after it failed.
    Requeued {
        /// Whether its input is still stored, and not yet to be deleted.
        input_kept: bool,
    },
}

/// What becomes of the job's place in its client's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Nothing: it stays in line, or out of it.
    Unchanged,
    /// It joins the line at its old place.
    Joins,
    /// It joins the line at its old place once this time has passed.
    JoinsAfter(Duration),
    /// It leaves the line, or stops waiting to join it.
    Leaves,
}

/// What becomes of the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    Unchanged,
    /// A new one begins, with the fencing token of the claim.
    Begins,
    /// It is extended.
    Extended,
    /// It ends.
    Ends,
}

/// What becomes of the picture that the attempt made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// There is none, or it stays what it is.
    Unchanged,
    /// It is the job's result.
    Kept,
    /// It is stored, and has no use: it is to be deleted.
    Garbage,
}

/// What becomes of the job's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    Unchanged,
    /// It has no use any more: it is to be deleted once it was kept for [`INPUT_KEPT`].
    Garbage,
    /// It is to be deleted once it was kept as long as a result is, so that an operator can queue the job again until then.
    GarbageLater,
}

/// What has to be done, all in one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The status afterwards.
    pub status: Status,
    /// Attempts afterwards. At 0 the job counts as never started.
    pub attempt: u32,
    /// Whether the present attempt counts as begun afterwards.
    pub begun: bool,
    /// Whether a cancel is asked for afterwards.
    pub cancel_requested: bool,
    /// Its place in line.
    pub line: Line,
    /// Its lease.
    pub hold: Hold,
    /// Its client's virtual start moves on by the job's price ([`super::fairness::serve`]).
    pub serves: bool,
    /// Its unit is given back.
    pub refunds: bool,
    /// It has ended: its batch has one open job less, and its webhook becomes due.
    pub ends: bool,
    /// It had ended and is open again: its batch has one open job more, its deferrals start again from 0, the error is forgotten, and
    /// its webhook will tell of the new end.
    pub reopens: bool,
    /// Its input.
    pub input: Input,
    /// The webhooks of the job and of its batch are dropped: nobody is told.
    pub silences: bool,
    /// The picture that the attempt made.
    pub output: Output,
    /// The result, when there is a new one.
    pub result: Option<JobResult>,
    /// The error, when there is a new one.
    pub error: Option<JobError>,
    /// Progress starts again from 0.
    pub restarts: bool,
    /// One deferral more is counted.
    pub defers: bool,
}

/// Why an event is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The job has ended; there is nothing to cancel.
    #[error("the job is already {0}")]
    AlreadyFinished(Status),
    /// The job's input is deleted, so it cannot be queued again.
    #[error("the input of the job is not kept any more")]
    InputGone,
    /// The event does not apply to a job that stands where this one does.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
}

/// The message of a job that failed because its worker disappeared during every attempt.
pub const POISON: &str = "Every attempt at this job ended with its worker gone; its unit was refunded.";

/// Decides what `event` does to a job.
///
/// # Errors
/// The event does not apply to a job in this state; then nothing is to be done.
pub fn decide(policy: &Policy, job: JobState, event: Event) -> Result<Change, Refused> {
    let same = Change {
        status: job.status,
        attempt: job.attempt,
        begun: job.begun,
        cancel_requested: job.cancel_requested,
        line: Line::Unchanged,
        hold: Hold::Unchanged,
        serves: false,
        refunds: false,
        ends: false,
        reopens: false,
        input: Input::Unchanged,
        silences: false,
        output: Output::Unchanged,
        result: None,
        error: None,
        restarts: false,
        defers: false,
    };
    match event {
        Event::Claimed => Ok(Change {
            attempt: job.attempt + 1,
            begun: false,
            line: Line::Leaves,
            hold: Hold::Begins,
            serves: !job.served,
            restarts: true,
            ..moved(job, Status::Processing, same)?
        }),
        Event::Heartbeat if job.status == Status::Processing => {
            Ok(Change { begun: true, hold: Hold::Extended, ..same })
        }
        Event::Heartbeat => Err(IllegalTransition { from: job.status, to: Status::Processing }.into()),
        Event::Finished(outcome) => finished(policy, job, outcome, same),
        Event::Released if job.cancel_requested => moved(job, Status::Canceled, same),
        Event::Released => uncounted(job, Line::Joins, same),
        Event::LeaseExpired if job.cancel_requested => moved(job, Status::Canceled, same),
        // The worker never began: it never heard that the job was its own.
        Event::LeaseExpired if !job.begun => uncounted(job, Line::Joins, same),
        Event::LeaseExpired if job.attempt < policy.max_attempts => requeued(job, Line::Joins, same),
        Event::LeaseExpired => failed(job, JobError::new(ErrorCode::Poison, POISON), same),
        Event::CancelRequested => called_off(job, same),
        Event::Withdrawn => {
            let change = called_off(job, same.clone()).unwrap_or(same);
            Ok(Change { refunds: !job.refunded, silences: true, ..change })
        }
        Event::Requeued { input_kept } if job.status == Status::Failed => reopened(job, input_kept, same),
        Event::Requeued { .. } => Err(IllegalTransition { from: job.status, to: Status::Queued }.into()),
        Event::ResultExpired => Ok(Change { output: Output::Garbage, ..moved(job, Status::Expired, same)? }),
    }
}

fn finished(policy: &Policy, job: JobState, outcome: Outcome, same: Change) -> Result<Change, Refused> {
    match outcome {
        // The picture is there all the same, and has to be deleted.
        Outcome::Succeeded(_) if job.cancel_requested => {
            Ok(Change { output: Output::Garbage, ..moved(job, Status::Canceled, same)? })
        }
        _ if job.cancel_requested => moved(job, Status::Canceled, same),
        Outcome::Canceled => moved(job, Status::Canceled, same),
        Outcome::Succeeded(result) => {
            Ok(Change { output: Output::Kept, result: Some(result), ..moved(job, Status::Succeeded, same)? })
        }
        Outcome::Failed(error) if error.is_retryable() && job.attempt < policy.max_attempts => {
            let wait = retry::wait(policy.retry_after, job.attempt, retry::spread());
            requeued(job, Line::JoinsAfter(wait), same)
        }
        Outcome::Failed(error) => failed(job, error, same),
        Outcome::Deferred(_) if job.deferrals >= MAX_DEFERRALS => failed(job, JobError::internal(), same),
        Outcome::Deferred(wait) => Ok(Change {
            defers: true,
            ..uncounted(job, Line::JoinsAfter(retry::deferral(wait, job.deferrals, retry::spread())), same)?
        }),
    }
}

/// Back to the queue. The attempt was not the job's doing, so it does not count.
fn uncounted(job: JobState, line: Line, same: Change) -> Result<Change, Refused> {
    Ok(Change { attempt: job.attempt.saturating_sub(1), ..requeued(job, line, same)? })
}

/// The unit comes back when the fault is the service's.
fn failed(job: JobState, error: JobError, same: Change) -> Result<Change, Refused> {
    let refunds = error.code.fault() == Fault::Service && !job.refunded;
    Ok(Change { refunds, error: Some(error), input: Input::GarbageLater, ..moved(job, Status::Failed, same)? })
}

/// Back to the queue as if it had been submitted now, but in its old place and without a charge: a unit that was given back
/// stays given back.
fn reopened(job: JobState, input_kept: bool, same: Change) -> Result<Change, Refused> {
    if !input_kept {
        return Err(Refused::InputGone);
    }
    let fresh = Change { attempt: 0, begun: false, cancel_requested: false, reopens: true, ..same };
    Ok(Change { line: Line::Joins, restarts: true, ..moved(job, Status::Queued, fresh)? })
}

/// From `processing` only: only an operator queues a job again that has ended.
fn requeued(job: JobState, line: Line, same: Change) -> Result<Change, Refused> {
    if job.status.is_terminal() {
        return Err(IllegalTransition { from: job.status, to: Status::Queued }.into());
    }
    Ok(Change { line, restarts: true, ..moved(job, Status::Queued, same)? })
}

/// A waiting job ends; the worker of a running one is asked to stop. The unit comes back when no attempt was made.
fn called_off(job: JobState, same: Change) -> Result<Change, Refused> {
    match job.status {
        Status::Queued => {
            let refunds = job.attempt == 0 && !job.refunded;
            Ok(Change { refunds, line: Line::Leaves, ..moved(job, Status::Canceled, same)? })
        }
        Status::Processing => Ok(Change { cancel_requested: true, ..same }),
        ended => Err(Refused::AlreadyFinished(ended)),
    }
}

/// The change of status, with its fixed consequences: leaving `processing` ends the lease, and reaching a final status sets `ends`.
fn moved(job: JobState, to: Status, same: Change) -> Result<Change, Refused> {
    let status = job.status.transition(to)?;
    let hold = if job.status == Status::Processing { Hold::Ends } else { Hold::Unchanged };
    let ends = status.is_terminal() && !job.status.is_terminal();
    let input = if ends { Input::Garbage } else { same.input };
    Ok(Change { status, hold, ends, input, ..same })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use remaster_shared::job::{FaceReport, FaceStatus};

    use super::*;

    const QUEUED: JobState = JobState::SUBMITTED;
    const RUNNING: JobState = JobState { status: Status::Processing, attempt: 1, begun: true, served: true, ..QUEUED };

    fn result() -> JobResult {
        let faces = FaceReport { found: 0, restored: 0, status: FaceStatus::Off };
        JobResult { width: 2, height: 2, bytes: 9, sha256: String::new(), faces, precision: None }
    }

    fn after(job: JobState, event: Event) -> Change {
        decide(&Policy::default(), job, event).unwrap()
    }

    #[test]
    fn a_claim_serves_its_client_once() {
        let first = after(QUEUED, Event::Claimed);
        assert_eq!(
            (first.status, first.attempt, first.hold, first.serves),
            (Status::Processing, 1, Hold::Begins, true)
        );
        let again = after(JobState { served: true, attempt: 1, ..QUEUED }, Event::Claimed);
        assert_eq!((again.attempt, again.serves), (2, false));
    }

    #[test]
    fn a_canceled_job_s_picture_is_garbage() {
        let canceled = JobState { cancel_requested: true, ..RUNNING };
        let change = after(canceled, Event::Finished(Outcome::Succeeded(result())));
        assert_eq!((change.status, change.output, change.result), (Status::Canceled, Output::Garbage, None));
    }

    #[test]
    fn what_may_pass_is_tried_again_and_then_refunded() {
        let error = JobError::internal();
        let retried = after(RUNNING, Event::Finished(Outcome::Failed(error.clone())));
        assert!(matches!((retried.status, retried.line), (Status::Queued, Line::JoinsAfter(_))));
        let last = JobState { attempt: 3, ..RUNNING };
        let failed = after(last, Event::Finished(Outcome::Failed(error)));
        assert_eq!((failed.status, failed.refunds, failed.ends), (Status::Failed, true, true));
        let bad = JobError::new(ErrorCode::ImageCorrupt, "cut short");
        let failed = after(RUNNING, Event::Finished(Outcome::Failed(bad)));
        assert_eq!((failed.status, failed.refunds), (Status::Failed, false));
    }

    #[test]
    fn a_withdrawn_job_is_refunded_in_whatever_state() {
        for &status in Status::ALL {
            let attempt = u32::from(status != Status::Queued);
            let change = after(JobState { status, attempt, ..QUEUED }, Event::Withdrawn);
            assert!(change.refunds && change.silences, "{status}");
            let again = after(JobState { status, attempt, refunded: true, ..QUEUED }, Event::Withdrawn);
            assert!(!again.refunds, "{status}");
        }
        assert_eq!(after(QUEUED, Event::Withdrawn).status, Status::Canceled);
        assert!(after(RUNNING, Event::Withdrawn).cancel_requested);
    }

    #[test]
    fn a_released_attempt_does_not_count() {
        let change = after(RUNNING, Event::Released);
        assert_eq!((change.status, change.attempt, change.line), (Status::Queued, 0, Line::Joins));
    }

    #[test]
    fn a_fault_of_the_service_s_own_costs_no_attempt() {
        let change = after(RUNNING, Event::Finished(Outcome::Deferred(Duration::from_secs(10))));
        assert_eq!((change.status, change.attempt, change.refunds), (Status::Queued, 0, false));
        let Line::JoinsAfter(wait) = change.line else { panic!("{change:?}") };
        assert!((Duration::from_millis(7500)..Duration::from_millis(12_500)).contains(&wait));
    }

    #[test]
    fn a_fault_that_only_this_job_meets_ends_it_with_a_refund() {
        let job = JobState { deferrals: MAX_DEFERRALS, ..RUNNING };
        let change = after(job, Event::Finished(Outcome::Deferred(Duration::from_secs(10))));
        assert_eq!((change.status, change.refunds, change.ends), (Status::Failed, true, true));
    }

    #[test]
    fn a_claim_that_nobody_heard_of_costs_no_attempt() {
        let claimed = JobState { begun: false, ..RUNNING };
        assert_eq!(after(claimed, Event::LeaseExpired).attempt, 0);
        assert_eq!(after(RUNNING, Event::LeaseExpired).attempt, 1);
        assert!(after(claimed, Event::Heartbeat).begun);
    }

    #[test]
    fn a_failed_job_is_queued_again_while_its_input_is_kept() {
        let failed = JobState { status: Status::Failed, attempt: 3, deferrals: 7, refunded: true, ..RUNNING };
        let change = after(failed, Event::Requeued { input_kept: true });
        assert_eq!((change.status, change.attempt, change.line), (Status::Queued, 0, Line::Joins));
        assert!(change.reopens && !change.serves && !change.refunds);
        let refused = |job, input_kept| decide(&Policy::default(), job, Event::Requeued { input_kept }).unwrap_err();
        assert_eq!(refused(failed, false), Refused::InputGone);
        for &status in Status::ALL.iter().filter(|status| **status != Status::Failed) {
            let illegal = IllegalTransition { from: status, to: Status::Queued };
            assert_eq!(refused(JobState { status, ..RUNNING }, true), Refused::Illegal(illegal));
        }
    }

    #[test]
    fn only_a_failed_job_s_input_is_kept() {
        let bad = JobError::new(ErrorCode::ImageCorrupt, "cut short");
        assert_eq!(after(RUNNING, Event::Finished(Outcome::Failed(bad))).input, Input::GarbageLater);
        assert_eq!(after(RUNNING, Event::Finished(Outcome::Succeeded(result()))).input, Input::Garbage);
        assert_eq!(after(QUEUED, Event::CancelRequested).input, Input::Garbage);
        assert_eq!(after(RUNNING, Event::Finished(Outcome::Failed(JobError::internal()))).input, Input::Unchanged);
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let outcomes = [
            Outcome::Succeeded(result()),
            Outcome::Canceled,
            Outcome::Failed(JobError::internal()),
            Outcome::Failed(JobError::new(ErrorCode::ImageCorrupt, "cut short")),
            Outcome::Deferred(Duration::from_secs(5)),
        ];
        prop_oneof![
            Just(Event::Claimed),
            Just(Event::Heartbeat),
            prop::sample::select(outcomes.to_vec()).prop_map(Event::Finished),
            Just(Event::Released),
            Just(Event::LeaseExpired),
            Just(Event::CancelRequested),
            Just(Event::Withdrawn),
            Just(Event::ResultExpired),
            any::<bool>().prop_map(|input_kept| Event::Requeued { input_kept }),
        ]
    }

    proptest! {
        /// Over any sequence of events: one end more than there were reopenings, one refund at most, and no more attempts than are
        /// allowed.
        #[test]
        fn a_job_ends_once_and_is_refunded_once(events in prop::collection::vec(any_event(), 0..60)) {
            let policy = Policy::default();
            let (mut job, mut ends, mut reopenings, mut refunds) = (QUEUED, 0, 0, 0);
            for event in events {
                let Ok(change) = decide(&policy, job, event) else { continue };
                ends += u32::from(change.ends);
                reopenings += u32::from(change.reopens);
                refunds += u32::from(change.refunds);
                prop_assert!(change.attempt <= policy.max_attempts);
                prop_assert_eq!(change.hold == Hold::Begins, job.status == Status::Queued && change.status == Status::Processing);
                job = job.after(&change);
            }
            prop_assert!(refunds <= 1);
            prop_assert_eq!(ends, reopenings + u32::from(job.status.is_terminal()));
        }
    }
}
