//! Redis that evicts: what has a time to live by itself, and what `allkeys-*` takes, key by key.

use std::time::Duration;

use remaster_shared::clock::ManualClock;
use remaster_shared::idempotency::FingerprintBuilder;
use remaster_shared::job::{BatchId, BatchStatus, JobId, UrlBase};
use remaster_shared::webhook::{Subject, Target};
use remaster_store::contract::{client as number, new_job, new_job_of, request, result, start, submit};
use remaster_store::{
    Claim, HookRoom, Housekeeping, Idempotency, Jobs, Lease, NewJobs, Outbox, Outcome, Submissions, SubmitError,
    WorkQueue,
};
use remaster_testkit::RedisServer;

use super::*;

fn evict(server: &RedisServer, kind: char, id: impl std::fmt::Display) {
    assert_eq!(server.command(&["DEL", &format!("{{rm}}:{kind}:{id}")]), "1");
}

async fn claimed(store: &RedisStore) -> (JobId, Lease) {
    let Claim::Job(job, lease) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    store.heartbeat(&lease).await.unwrap();
    (job.id, lease)
}

fn told(jobs: usize) -> NewJobs {
    let base = UrlBase::new("https://photos.example.org");
    let webhook = Some(Target { url: "https://example.com/".parse().unwrap(), secret: None, base });
    NewJobs { webhook, ..NewJobs::new(number(1), (0..jobs).map(|_| new_job()).collect()) }
}

async fn due(store: &RedisStore) -> Vec<Subject> {
    let room = HookRoom { total: 100, per_host: 10, ..HookRoom::default() };
    store.due_hooks(room).await.unwrap().due.iter().map(|hook| hook.subject).collect()
}

/// What has a time to live may go, and nothing that lasts has one: a server with a `volatile-*` policy that is full refuses submits, as one
/// with `noeviction` does.
#[tokio::test]
async fn a_full_server_that_evicts_what_has_a_time_to_live_loses_nothing() {
    let server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    submit(&store, 1, 50).await;
    // Claims leave keys with a time to live behind.
    let leases = [claimed(&store).await.1, claimed(&store).await.1];
    let used: u64 = told_by(&server, "memory", "used_memory");
    server.command(&["CONFIG", "SET", "maxmemory", &(used + 1_000_000).to_string()]);
    let keyed = |client: u8| {
        let fingerprint = FingerprintBuilder::new().part("file", b"a").finish();
        let idempotency = Some(Idempotency { key: "once".parse().unwrap(), fingerprint });
        NewJobs { idempotency, ..NewJobs::new(number(client), (0..20).map(|_| new_job_of(number(client))).collect()) }
    };
    let (mut accepted, mut refused) = (Vec::new(), None);
    for client in 2..=255 {
        match store.submit(keyed(client)).await {
            Ok(submitted) => accepted.push((client, submitted.jobs)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    assert!(matches!(refused, Some(SubmitError::Store(_))), "{refused:?}");
    assert_ne!(told_by(&server, "stats", "evicted_keys"), 0, "it was so full that it evicted");
    for (client, jobs) in &accepted {
        assert_eq!(store.quota(number(*client)).await.unwrap().used, 20);
        for job in jobs {
            assert!(store.get(job.id).await.unwrap().is_some());
        }
    }
    // What is under way and what waits is worked off all the same.
    for lease in leases {
        store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    }
    let (_, lease) = claimed(&store).await;
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(store.gauges().await.unwrap().lost, 0);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    for (client, _) in accepted {
        assert!(store.submit(keyed(client)).await.unwrap().replayed, "the key is known");
    }
}

fn told_by(server: &RedisServer, section: &str, name: &str) -> u64 {
    let told = server.command(&["INFO", section]);
    let value = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_batch_goes_on_without_jobs_that_were_evicted() {
    let (server, clock) = (RedisServer::start(), ManualClock::at(start()));
    let store = RedisStore::with_clock(&server.url(), Policy::default(), 1, Some(clock.clone())).await.unwrap();
    let batch = BatchId::of(number(1));
    let ids = store.submit(NewJobs { batch: Some(batch), ..told(4) }).await.unwrap().jobs;
    let ids: Vec<_> = ids.iter().map(|job| job.id).collect();
    let (first, lease) = claimed(&store).await;
    assert_eq!(first, ids[0]);
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    evict(&server, 'j', ids[1]);
    let (third, lease) = claimed(&store).await;
    assert_eq!(third, ids[2], "the second is gone");
    evict(&server, 'j', ids[3]);
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(due(&store).await, [], "as far as is known, the fourth still waits");
    // A worker looks for it.
    assert!(matches!(store.claim(&request()).await.unwrap(), Claim::Nothing { .. }));
    store.reap().await.unwrap();
    let batch_now = store.batch(batch).await.unwrap().unwrap();
    assert_eq!((batch_now.status(), batch_now.jobs.len()), (BatchStatus::Finished, 2));
    assert_eq!(due(&store).await, [Subject::Batch(batch)]);
    let gauges = store.gauges().await.unwrap();
    assert_eq!((gauges.lost, gauges.queued_by_model), (2, [].into()));
    // A batch that is evicted as a whole leaves nothing behind.
    let other = BatchId::of(number(1));
    let ids = store.submit(NewJobs { batch: Some(other), ..told(1) }).await.unwrap().jobs;
    evict(&server, 'b', other);
    let (_, lease) = claimed(&store).await;
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    clock.advance(Duration::from_secs(60));
    store.reap().await.unwrap();
    assert_eq!(store.batch(other).await.unwrap(), None);
    assert!(store.get(ids[0].id).await.unwrap().is_some());
    assert_eq!(server.command(&["KEYS", &format!("*{other}*")]), "");
    assert_eq!(server.command(&["ZRANGE", "{rm}:open", "0", "-1"]), "");
}

#[tokio::test]
async fn a_webhook_that_was_evicted_holds_up_no_other() {
    let server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(store.submit(told(1)).await.unwrap().jobs[0].id);
        let (_, lease) = claimed(&store).await;
        store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    }
    evict(&server, 'h', ids[0]);
    assert_eq!(due(&store).await, [Subject::Job(ids[1])]);
    assert_eq!(store.gauges().await.unwrap().lost, 1);
}
