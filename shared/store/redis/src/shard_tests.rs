//! What is promised of a store that is spread over several shards: the contract, an even load, and that a server that is down stops
//! only its own shards.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fred::util::redis_keyslot;
use remaster_shared::clock::ManualClock;
use remaster_store::contract::{self, client as number, new_job_of, request, result};
use remaster_store::{
    Claim, ClaimRequest, Jobs, NewJobs, Outcome, Store, Submissions, SubmitError, WorkQueue, contract_tests,
};
use remaster_testkit::{RedisCluster, RedisServer};

use super::*;

const SHARDS: u16 = 12;

/// All clients of a test in one shard of several: every turn is as the rules have it. That a queue is full is told a moment late, which has
/// a test of its own.
mod one_of_two {
    use super::*;

    async fn make(policy: Policy, clock: Arc<ManualClock>) -> (Arc<dyn Store>, RedisServer) {
        let server = RedisServer::start();
        let store = RedisStore::with_clock(&server.url(), policy, 2, Some(clock)).await.unwrap();
        (Arc::new(store), server)
    }

    contract_tests!(make:
        the_quota_is_never_overdrawn
        a_batch_is_charged_whole_or_not
        a_key_stands_for_one_submit
        a_refused_submit_leaves_its_key_free
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
}

/// Each client in a shard of its own: what does not depend on whose turn it is.
mod each {
    use super::*;

    async fn make(policy: Policy, clock: Arc<ManualClock>) -> (Arc<dyn Store>, RedisServer) {
        let server = RedisServer::start();
        let store = RedisStore::with_clock(&server.url(), policy, MOST, Some(clock)).await.unwrap();
        (Arc::new(store), server)
    }

    contract_tests!(make:
        the_quota_is_never_overdrawn
        a_batch_is_charged_whole_or_not
        a_key_stands_for_one_submit
        a_refused_submit_leaves_its_key_free
        stats_count_today
        a_client_s_jobs_keep_their_order
        a_job_goes_its_way
        a_lost_lease_is_fenced
        a_job_that_kills_its_workers_is_poison
        what_may_pass_is_retried_and_then_refunded
        what_is_the_caller_s_fault_is_final_and_charged
        shutdown_gives_the_job_back
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
    );
}

/// What the order of clients has to do with, who are in several shards here, and what is told of all shards a moment late.
const OF_ONE_SHARD: [&str; 11] = [
    "a_full_queue_refuses_and_charges_nothing",
    "one_photo_does_not_wait_for_a_batch",
    "clients_take_turns_by_cost",
    "an_idle_client_saves_no_turns",
    "a_returning_client_is_like_a_new_one",
    "a_retry_brings_no_old_turns_back",
    "a_retry_costs_no_second_turn",
    "a_client_s_waiting_jobs_are_purged",
    "random_interleavings_follow_the_rules_1",
    "random_interleavings_follow_the_rules_2",
    "random_interleavings_follow_the_rules_3",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_the_three_masters_of_a_cluster() {
    let cluster = RedisCluster::start();
    let names: Vec<_> = contract::NAMES.iter().filter(|name| !OF_ONE_SHARD.contains(name)).collect();
    assert_eq!(names.len(), contract::NAMES.len() - OF_ONE_SHARD.len());
    for name in names {
        println!("{name}");
        cluster.empty();
        let clock = ManualClock::at(contract::start());
        let store =
            RedisStore::with_clock(&cluster.url(), Policy::default(), SHARDS, Some(clock.clone())).await.unwrap();
        contract::run(name, Arc::new(store), clock).await;
    }
}

/// A client of the first 256, evenly spread over all shards.
async fn submit(store: &RedisStore, client: u8) -> Result<(), SubmitError> {
    store.submit(NewJobs::new(number(client), vec![new_job_of(number(client))])).await.map(drop)
}

#[tokio::test]
async fn all_nodes_agree_on_the_number_of_shards() {
    let server = RedisServer::start();
    RedisStore::open_sharded(&server.url(), Policy::default(), SHARDS).await.unwrap();
    let other = RedisStore::open(&server.url(), Policy::default()).await.err().unwrap().to_string();
    assert!(other.contains("12 shards") && other.contains("REDIS_SHARDS is 1"), "{other}");
    // A store of a release that knew no shards has one.
    let old = RedisServer::start();
    old.command(&["SET", "{rm}:seq", "1"]);
    assert!(RedisStore::open_sharded(&old.url(), Policy::default(), SHARDS).await.is_err());
    RedisStore::open(&old.url(), Policy::default()).await.unwrap();
}

#[tokio::test]
async fn a_photo_does_not_wait_for_a_batch_in_another_shard() {
    let server = RedisServer::start();
    let store = RedisStore::open_sharded(&server.url(), Policy::default(), SHARDS).await.unwrap();
    for _ in 0..100 {
        submit(&store, 0).await.unwrap();
    }
    for photo in [50, 100, 150, 200, 250] {
        submit(&store, photo).await.unwrap();
        // The batch has waited longer once.
        let mut served = Vec::new();
        for _ in 0..2 {
            let Claim::Job(job, _) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
            served.push(job.client);
        }
        assert!(served.contains(&number(photo)), "{served:?}");
    }
}

#[tokio::test]
async fn a_queue_is_full_over_all_shards() {
    let server = RedisServer::start();
    let policy = Policy { max_queue: 10, ..Policy::default() };
    let store = RedisStore::open_sharded(&server.url(), policy, SHARDS).await.unwrap();
    for client in 0..10 {
        submit(&store, client * 20).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let refused = submit(&store, 250).await;
    assert!(matches!(refused, Err(SubmitError::QueueFull { waiting: 10, limit: 10 })), "{refused:?}");
    assert_eq!(store.quota(number(250)).await.unwrap().used, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_masters_share_the_load() {
    let cluster = RedisCluster::start();
    let mut nodes = Vec::new();
    for _ in 0..6 {
        nodes.push(RedisStore::open_sharded(&cluster.url(), Policy::default(), SHARDS).await.unwrap());
    }
    let before = cluster.calls();
    for client in 0..=255 {
        for _ in 0..4 {
            submit(&nodes[usize::from(client) % 6], client).await.unwrap();
        }
    }
    let submitted = cluster.calls();
    let done = AtomicU64::new(0);
    let work = nodes.iter().map(async |node| {
        while done.load(Ordering::Relaxed) < 4 * 256 {
            let Claim::Job(_, lease) = node.claim(&request()).await.unwrap() else { continue };
            node.heartbeat(&lease).await.unwrap();
            node.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
            done.fetch_add(1, Ordering::Relaxed);
        }
    });
    tokio::time::timeout(Duration::from_secs(60), futures::future::join_all(work)).await.expect("all work is done");
    let worked = cluster.calls();
    for (what, from, to) in [("submits", before, submitted), ("work", submitted, worked)] {
        let calls = [0, 1, 2].map(|master| to[master] - from[master]);
        let even = calls.iter().sum::<u64>() as f64 / 3.0;
        assert!(calls.iter().all(|calls| (0.8..1.2).contains(&(*calls as f64 / even))), "{what}: {calls:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_down_stops_only_its_shards() {
    const DOWN: usize = 1;
    let mut cluster = RedisCluster::with_replicas(1);
    let store = RedisStore::open_sharded(&cluster.url(), Policy::default(), SHARDS).await.unwrap();
    let master = |client: u8| {
        let slot = redis_keyslot(store.shards.of_client(number(client)).tag().as_bytes());
        usize::from(slot) * 3 / 16_384
    };
    let clients: Vec<u8> = (0..=255).step_by(11).collect();
    cluster.stop(DOWN);
    let down = Instant::now();
    let (mut refused, mut accepted, mut slowest) = (0, 0, Duration::ZERO);
    // Until the replica has taken over and every client is served again.
    loop {
        let mut all = true;
        for &client in &clients {
            let began = Instant::now();
            let answer = submit(&store, client).await;
            if master(client) == DOWN {
                refused += u32::from(answer.is_err());
                all &= answer.is_ok();
                continue;
            }
            answer.expect("the other masters are there");
            // A busy machine may be late to answer which shard has work.
            let Claim::Job(job, lease) = store.claim(&request()).await.unwrap() else { continue };
            store.heartbeat(&lease).await.unwrap();
            store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
            assert_ne!(store.get(job.id).await.unwrap(), None);
            accepted += 1;
            slowest = slowest.max(began.elapsed());
        }
        assert!(store.stats().await.is_ok(), "what tells of all shards answers too");
        if all && refused > 0 {
            break;
        }
        assert!(down.elapsed() < Duration::from_secs(90), "the replica does not take over");
    }
    assert!(accepted > 0, "{accepted} jobs of other shards");
    assert!(slowest < Duration::from_secs(4), "the slowest took {slowest:?}");
}

/// The worker hears nothing of the job that it was given, and the client of another shard has waited longer.
#[tokio::test]
async fn a_claim_of_several_shards_whose_answer_was_lost_gives_its_job_again() {
    let server = RedisServer::start();
    let store = RedisStore::open_sharded(&server.url(), Policy::default(), SHARDS).await.unwrap();
    submit(&store, 0).await.unwrap();
    submit(&store, 250).await.unwrap();
    let (lost, asked) = (store.shards.of_client(number(250)), request());
    let Claim::Job(given, _) = store.claim_from(lost, &asked).await.unwrap() else { panic!("nothing to claim") };
    store.is_unanswered(lost, &asked, Instant::now());
    let other = ClaimRequest { worker: "another".into(), ..request() };
    let Claim::Job(job, _) = store.claim(&other).await.unwrap() else { panic!("nothing to claim") };
    assert_eq!(job.client, number(0), "the claim is of one worker");
    let Claim::Job(job, lease) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    assert_eq!((job.id, job.attempt, lease.fence), (given.id, 1, asked.fence));
    store.heartbeat(&lease).await.unwrap();
    assert!(matches!(store.claim(&request()).await.unwrap(), Claim::Nothing { .. }));
}
