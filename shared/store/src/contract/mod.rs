//! The contract suite: what every store does, as tests that run against each implementation.
//!
//! A store runs it with `contract_tests!(make)`, where `make` is an async function from a [`Policy`] and a clock to a store and
//! something that is dropped after it. A test that is missing from the list below is dead code, which the lints refuse.

#![allow(clippy::unwrap_used, reason = "tests, built as a library for the tests of the stores")]

mod batches;
mod canceling;
mod fixtures;
mod hooks;
mod housekeeping;
mod interleaving;
mod opening;
mod operations;
mod submitting;
mod turns;
mod watching;
mod working;

use std::{collections::HashSet, sync::Arc, time::Duration};

use remaster_shared::blob_key::{BlobKey, OutputName};
use remaster_shared::client::ClientKey;
use remaster_shared::clock::ManualClock;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::fleet::{Announcement, WORKER_REMEMBERED, WORKER_SEEN};
use remaster_shared::idempotency::FingerprintBuilder;
use remaster_shared::job::{BatchId, FaceMode, Fence, InputInfo, JobId, ModelId, OutputFormat, Skill, Status};
use remaster_shared::recipe::Recipe;

pub use fixtures::{client, new_job, new_job_of, request, result, start, submit};
pub use opening::{OldStore, the_jobs_of_an_old_store_go_on};
pub use turns::newcomers_without_end;

use self::fixtures::{claim, idle, pass, status, used};
use self::{
    batches::*, canceling::*, hooks::*, housekeeping::*, interleaving::*, operations::*, submitting::*, turns::*,
    watching::*, working::*,
};
use crate::rules::job::{INPUT_KEPT, POISON};
use crate::rules::retry;
use crate::*;

/// Makes both [`run`] and the macro `contract_tests` from the one list of tests.
macro_rules! contract {
    ($dollar:tt: $($name:ident)*) => {
        /// The names of its tests.
        pub const NAMES: &[&str] = &[$( stringify!($name) ),*];

        /// Runs the test `name` of the contract.
        ///
        /// # Panics
        /// The store breaks the contract, or there is no such test.
        pub async fn run(name: &str, store: Arc<dyn Store>, clock: Arc<ManualClock>) {
            match name {
                $( stringify!($name) => $name(store, clock).await, )*
                other => panic!("the contract has no test {other}"),
            }
        }

        /// Runs the contract, or the named tests of it, against the store that `make` gives.
        #[macro_export]
        macro_rules! contract_tests {
            ($dollar make:path) => { $crate::contract_tests!($dollar make: $($name)*); };
            ($dollar make:path: $dollar ($dollar name:ident)*) => { $dollar (
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $dollar name() {
                    let clock = ::remaster_shared::clock::ManualClock::at($crate::contract::start());
                    let (store, _guard) = $dollar make($crate::Policy::default(), clock.clone()).await;
                    $crate::contract::run(stringify!($dollar name), store, clock).await;
                }
            )* };
        }
    };
}

contract!($:
    the_quota_is_never_overdrawn
    a_batch_is_charged_whole_or_not
    a_key_stands_for_one_submit
    a_refused_submit_leaves_its_key_free
    a_full_queue_refuses_and_charges_nothing
    stats_count_today
    one_photo_does_not_wait_for_a_batch
    newcomers_without_end_starve_nobody
    clients_take_turns_by_cost
    an_idle_client_saves_no_turns
    a_returning_client_is_like_a_new_one
    a_retry_brings_no_old_turns_back
    a_client_s_jobs_keep_their_order
    a_retry_costs_no_second_turn
    a_job_goes_its_way
    a_lost_lease_is_fenced
    a_job_that_kills_its_workers_is_poison
    what_may_pass_is_retried_and_then_refunded
    what_is_the_caller_s_fault_is_final_and_charged
    shutdown_gives_the_job_back
    a_result_is_known_by_its_recipe
    nothing_is_lost_under_contention
    a_claim_whose_answer_was_lost_costs_nothing
    a_fault_of_the_service_costs_no_attempt
    a_pause_of_everything_costs_no_attempt
    a_worker_is_given_only_what_it_has_the_model_for
    a_job_that_insists_on_faces_waits_for_a_worker_that_restores_them
    who_has_a_share_of_a_worker_comes_after_others
    a_queued_job_is_canceled_and_refunded
    a_submit_is_undone_when_its_answer_was_lost
    a_running_job_is_asked_to_stop
    a_withdrawn_job_that_has_ended_is_refunded_too
    blobs_without_use_are_named_until_gone
    an_output_has_the_name_of_its_format
    a_canceled_picture_is_garbage
    garbage_that_cannot_be_deleted_hides_none
    an_orphan_is_what_no_job_uses_or_deletes
    one_worker_in_a_period_sweeps
    a_pause_gives_no_jobs_and_a_resume_wakes
    a_drained_worker_is_given_no_jobs
    failed_running_and_waiting_jobs_are_listed
    a_failed_job_is_queued_again
    a_job_whose_input_is_gone_stays_failed
    a_requeued_job_opens_its_batch_and_tells_again
    a_client_s_waiting_jobs_are_purged
    a_quota_is_adjusted
    a_webhook_is_sent_again
    gauges_tell_what_waits
    a_requeue_disturbs_no_other_webhook
    an_attempt_that_told_of_an_earlier_end_changes_nothing
    watchers_hear_of_each_change
    a_submit_wakes_a_waiting_worker
    a_job_wakes_one_worker_and_a_claim_the_next
    workers_are_known_by_what_they_said_last
    a_batch_is_kept_together
    a_refused_file_has_failed_from_the_start
    the_rest_of_a_batch_is_canceled
    a_batch_is_remembered_as_long_as_its_jobs
    a_batch_s_watchers_hear_of_its_jobs
    a_webhook_is_due_with_its_job_s_end
    whatever_ends_a_job_makes_its_webhook_due
    a_batch_s_webhook_is_due_with_its_last_job
    a_delivery_is_its_holder_s_for_a_while
    a_failed_delivery_comes_again_and_ends
    one_host_cannot_take_every_turn
    who_is_still_to_be_told_keeps_the_record
    a_withdrawn_job_tells_nobody
    a_due_webhook_wakes_its_deliverer
    random_interleavings_follow_the_rules_1
    random_interleavings_follow_the_rules_2
    random_interleavings_follow_the_rules_3
);
