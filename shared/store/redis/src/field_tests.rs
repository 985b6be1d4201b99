//! Redis as it is in the field: full, unable to save, silent for a while, evicting, failed over to a replica that lags.

use std::time::{Duration, Instant};

use remaster_shared::clock::ManualClock;
use remaster_shared::idempotency::FingerprintBuilder;
use remaster_shared::job::Status;
use remaster_store::contract::{client as number, new_job, request, result, start, submit};
use remaster_store::rules::job::INPUT_KEPT;
use remaster_store::{
    Beat, Claim, ClaimRequest, Housekeeping, Idempotency, Jobs, LeaseError, NewJobs, Outcome, Submissions, SubmitError,
    WorkQueue,
};
use remaster_testkit::RedisServer;

use super::*;

fn one_job() -> NewJobs {
    NewJobs::new(number(1), vec![new_job()])
}

/// Calls until the store answers, as a caller that tries again would.
async fn soon<T, E: std::fmt::Debug>(verb: impl AsyncFn() -> Result<T, E>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match verb().await {
            Ok(done) => return done,
            Err(error) if Instant::now() > deadline => panic!("still {error:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[tokio::test]
async fn a_full_server_works_jobs_off_and_takes_none() {
    let (server, clock) = (RedisServer::start(), ManualClock::at(start()));
    let store = RedisStore::with_clock(&server.url(), Policy::default(), 1, Some(clock.clone())).await.unwrap();
    let id = submit(&store, 1, 2).await[0];
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(matches!(store.submit(one_job()).await, Err(SubmitError::Store(_))));
    assert_eq!(store.quota(number(1)).await.unwrap().used, 2, "nothing is charged");
    assert_eq!(store.get(id).await.unwrap().unwrap().position, Some(1));
    assert_eq!(store.stats().await.unwrap().queued, 2);
    let Claim::Job(job, lease) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    assert_eq!((job.id, store.heartbeat(&lease).await.unwrap()), (id, Beat::GoOn));
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    clock.advance(INPUT_KEPT);
    store.reap().await.unwrap();
    let garbage = store.garbage(10).await.unwrap();
    assert_eq!(garbage.len(), 1);
    store.collected(garbage).await.unwrap();

    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    store.submit(one_job()).await.unwrap();
    assert_eq!(store.quota(number(1)).await.unwrap().used, 3);
}

#[tokio::test]
async fn a_server_that_cannot_save_still_reads_and_recovers_by_itself() {
    let server = RedisServer::start_with(&["--save", "3600 1", "--dbfilename", "taken.rdb"]);
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let id = submit(&store, 1, 1).await[0];
    let obstacle = server.folder().join("taken.rdb");
    std::fs::create_dir_all(obstacle.join("x")).unwrap();
    let saved = |status: &str| {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !server.command(&["INFO", "persistence"]).contains(&format!("rdb_last_bgsave_status:{status}")) {
            assert!(Instant::now() < deadline, "a save ends as {status}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    server.command(&["BGSAVE"]);
    saved("err");
    assert!(store.submit(one_job()).await.is_err());
    assert!(store.claim(&request()).await.is_err());
    assert_eq!(store.get(id).await.unwrap().unwrap().status, Status::Queued);
    assert_eq!(store.quota(number(1)).await.unwrap().used, 1);

    std::fs::remove_dir_all(obstacle).unwrap();
    server.command(&["BGSAVE"]);
    saved("ok");
    store.submit(one_job()).await.unwrap();
    let Claim::Job(job, _) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    assert_eq!(job.id, id);
}

/// The server is silent three times, for longer than a command may take, each time right when a worker claims, and the worker is
/// gone after that.
#[tokio::test]
async fn a_silent_server_costs_no_attempt() {
    let server = RedisServer::start();
    let policy = Policy { lease: Duration::from_secs(1), ..Policy::default() };
    assert_eq!(policy.max_attempts, 3);
    let store = RedisStore::open(&server.url(), policy).await.unwrap();
    let id = submit(&store, 1, 1).await[0];
    for _ in 0..3 {
        server.freeze();
        assert!(store.claim(&request()).await.is_err());
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.thaw();
        // The server carries out what it was sent, though nobody waits for the answer any more.
        let taken = async || match store.get(id).await {
            Ok(Some(job)) if job.status == Status::Processing => Ok(()),
            other => Err(format!("{other:?}")),
        };
        soon(taken).await;
        let returned = async || {
            store.reap().await.map_err(|error| error.to_string())?;
            match store.get(id).await {
                Ok(Some(job)) if job.status == Status::Queued => Ok(job.attempt),
                other => Err(format!("{other:?}")),
            }
        };
        assert_eq!(soon(returned).await, 0);
    }
    let Claim::Job(job, lease) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    assert_eq!((job.id, job.attempt), (id, 1));
    assert_eq!(store.finish(&lease, Outcome::Succeeded(result())).await.unwrap().status, Status::Succeeded);
}

/// A server with a `volatile-*` policy may delete what has a time to live.
#[tokio::test]
async fn what_has_to_last_has_no_time_to_live() {
    let server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let idempotency = Idempotency {
        key: "again".parse().unwrap(),
        fingerprint: FingerprintBuilder::new().part("file", b"a").finish(),
    };
    store.submit(NewJobs { idempotency: Some(idempotency), ..one_job() }).await.unwrap();
    let Claim::Job(_, lease) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    let keys = server.command(&["KEYS", "*"]);
    assert!(keys.contains("quota") && keys.contains("idem:"), "{keys}");
    for key in keys.lines() {
        // Losing this key only means that a claim whose answer was lost cannot be repeated.
        let may_go = key.starts_with("{rm}:f:");
        assert!(may_go || server.command(&["TTL", key]) == "-1", "{key}");
    }
}

#[tokio::test]
async fn a_job_that_was_evicted_holds_up_nobody() {
    let server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let ids = submit(&store, 1, 3).await;
    server.command(&["DEL", &format!("{{rm}}:j:{}", ids[0])]);
    let Claim::Job(job, lease) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    assert_eq!(job.id, ids[1]);
    server.command(&["DEL", &format!("{{rm}}:j:{}", ids[1])]);
    assert!(matches!(store.heartbeat(&lease).await, Err(LeaseError::Lost)));
    store.reap().await.unwrap();
    let Claim::Job(job, _) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    assert_eq!(job.id, ids[2]);
    assert_eq!(store.stats().await.unwrap().queued, 0);
    // That the other is gone shows when its lease ends.
    assert_eq!(store.gauges().await.unwrap().lost, 1);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_fails_and_holds_up_nobody() {
    let server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let ids = submit(&store, 1, 2).await;
    server.command(&["HSET", &format!("{{rm}}:j:{}", ids[0]), "input", "no JSON"]);
    assert!(store.claim(&request()).await.is_err());
    assert_eq!(server.command(&["HGET", &format!("{{rm}}:j:{}", ids[0]), "status"]), "failed");
    assert_eq!(store.quota(number(1)).await.unwrap().used, 1);
    let Claim::Job(job, _) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    assert_eq!(job.id, ids[1]);
}

/// A replica that did not hear of the last claims becomes the master.
#[tokio::test]
async fn a_failover_to_a_lagging_replica_never_gives_one_fence_twice() {
    let (mut master, replica) = (RedisServer::start(), RedisServer::start());
    let store = RedisStore::open(&master.url(), Policy::default()).await.unwrap();
    let id = submit(&store, 1, 1).await[0];
    replica.follow(&master);
    // From here on it hears nothing.
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    let Claim::Job(_, first) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    store.heartbeat(&first).await.unwrap();
    master.stop();

    let after = RedisStore::open(&replica.url(), Policy::default()).await.unwrap();
    let Claim::Job(job, second) = after.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    assert_eq!((job.id, second.attempt), (id, first.attempt));
    assert_ne!(second.fence, first.fence, "each attempt has an output of its own");
    assert!(matches!(after.finish(&first, Outcome::Succeeded(result())).await, Err(LeaseError::Lost)));
    let done = after.finish(&second, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(done.output, Some(second.fence.into()));
}

#[tokio::test]
async fn a_submit_waits_for_replicas_where_that_is_set() {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    let store = RedisStore::open(&master.url(), Policy::default()).await.unwrap().confirmed_by(1).await.unwrap();
    assert!(store.submit(one_job()).await.is_err(), "there is no replica");
    replica.follow(&master);
    soon(async || store.submit(one_job()).await).await;
    replica.freeze();
    let error = store.submit(one_job()).await.unwrap_err().to_string();
    assert!(error.contains("0 of 1 replicas"), "{error}");
    replica.thaw();
    soon(async || store.submit(one_job()).await).await;
}

#[tokio::test]
async fn a_claim_of_library_5_is_understood() {
    let server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let id = submit(&store, 1, 1).await[0];
    let ClaimRequest { worker, fence, skills, .. } = request();
    let mut args = vec![String::new(), worker.clone(), "30000".into(), "3".into(), fence.to_string()];
    args.extend(skills.iter().map(ToString::to_string));
    let reply: wire::ClaimReply = store.call(COMMON, "rm_claim_5", args).await.unwrap();
    let wire::ClaimReply::Job(job) = reply else { panic!("{reply:?}") };
    assert_eq!(wire::record(&job).unwrap().id, id);
    let lease = remaster_store::Lease { job: id, attempt: 1, fence, worker };
    assert_eq!(store.heartbeat(&lease).await.unwrap(), Beat::GoOn);
}

/// A server that stood still reads its connections in any order.
#[tokio::test]
async fn a_submit_that_arrives_after_its_withdrawal_is_refused() {
    let server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let (late, other) = (new_job(), new_job());
    store.withdraw(late.id).await.unwrap();
    let refused = store.submit(NewJobs::new(number(1), vec![late.clone()])).await;
    assert!(matches!(refused, Err(SubmitError::Store(_))));
    assert!(store.get(late.id).await.unwrap().is_none());
    store.submit(NewJobs::new(number(1), vec![other])).await.unwrap();
    assert_eq!(store.quota(number(1)).await.unwrap().used, 1);
}

#[tokio::test]
async fn a_withdrawal_waits_for_replicas_where_that_is_set() {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    replica.follow(&master);
    let store = RedisStore::open(&master.url(), Policy::default()).await.unwrap().confirmed_by(1).await.unwrap();
    let job = new_job();
    let id = job.id;
    store.submit(NewJobs::new(number(1), vec![job])).await.unwrap();
    replica.freeze();
    assert!(store.withdraw(id).await.is_err());
    replica.thaw();
    soon(async || store.withdraw(id).await).await;
    assert_eq!(store.quota(number(1)).await.unwrap().used, 0);
}
