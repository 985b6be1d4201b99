//! The contract on a real redis-server that each test starts on a port of its own, and what only this store promises.

use std::time::Duration;

use remaster_shared::clock::ManualClock;
use remaster_shared::job::Status;
use remaster_shared::quota::UtcDay;
use remaster_store::contract::{client as number, new_job, newcomers_without_end, request, start, submit};
use remaster_store::{Claim, Jobs, NewJobs, Store, Submissions, WorkQueue, contract_tests};
use remaster_testkit::{RedisCluster, RedisSentinel, RedisServer, RedisTls};

use super::wire::json;
use super::*;

async fn make(policy: Policy, clock: Arc<ManualClock>) -> (Arc<dyn Store>, RedisServer) {
    let server = RedisServer::start();
    let store = RedisStore::with_clock(&server.url(), policy, 1, Some(clock)).await.unwrap();
    (Arc::new(store), server)
}

contract_tests!(make);

#[tokio::test]
async fn of_two_thousand_clients_nobody_starves() {
    let (store, _kept) = make(Policy::default(), ManualClock::at(start())).await;
    newcomers_without_end(&*store, 2000, 6000).await;
}

#[tokio::test]
async fn the_library_s_transitions_are_the_domain_s() {
    let server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    for &from in Status::ALL {
        for &to in Status::ALL {
            let names = vec![from.as_str(), to.as_str()];
            let legal: u32 = store.servers.any().fcall("rm_legal", "{rm}", names).await.unwrap();
            assert_eq!(legal == 1, from.transition(to).is_ok(), "{from} -> {to}");
        }
    }
}

#[tokio::test]
async fn two_nodes_share_clients_jobs_and_changes() {
    let server = RedisServer::start();
    let one = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let two = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let address = "192.0.2.1".parse().unwrap();
    assert_eq!(one.hasher().key(address), two.hasher().key(address));
    let id = submit(&one, 1, 1).await[0];
    let mut watch = one.watch(id.0);
    two.wait_for_work(&request().skills, Duration::from_secs(5)).await;
    let Claim::Job(job, _) = two.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
    assert_eq!(job.id, id);
    tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.expect("the other node hears of it");
}

#[tokio::test]
async fn a_restart_loses_nothing_and_is_survived() {
    let mut server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let id = submit(&store, 1, 1).await[0];
    server.restart();
    let recovered = async {
        loop {
            match store.get(id).await {
                Ok(job) => return job,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let job = tokio::time::timeout(Duration::from_secs(5), recovered).await.expect("recovers within 5 s");
    assert_eq!(job.unwrap().status, Status::Queued);
    assert_eq!(store.quota(number(1)).await.unwrap().used, 1);
}

#[tokio::test]
async fn a_lost_library_is_loaded_again() {
    let server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let _: () = store.servers.any().function_delete("remaster").await.unwrap();
    store.submit(NewJobs::new(number(1), vec![new_job()])).await.unwrap();
}

#[tokio::test]
async fn an_unanswered_command_fails_within_two_seconds() {
    let mut server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    server.stop();
    let began = std::time::Instant::now();
    assert!(store.submit(NewJobs::new(number(1), vec![new_job()])).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_cannot_be_used_is_said_in_a_line() {
    let policy = Policy::default;
    let bad = RedisStore::open("http://localhost", policy()).await.err().unwrap().to_string();
    assert!(bad.contains("REDIS_URL") && bad.contains("redis://host:6379"), "{bad}");
    let nobody = RedisStore::open("redis://127.0.0.1:9", policy()).await.err().unwrap().to_string();
    assert!(nobody.contains("does not answer"), "{nobody}");
    let server = RedisServer::start();
    let store = RedisStore::open(&server.url(), policy()).await.unwrap();
    let newer = "#!lua name=remaster\nredis.register_function('rm_version', function() return 99 end)";
    let _: () = store.servers.any().function_load(true, newer).await.unwrap();
    let refused = RedisStore::open(&server.url(), policy()).await.err().unwrap().to_string();
    assert!(refused.contains("newer remaster"), "{refused}");
}

#[tokio::test]
async fn it_measures_how_late_changes_are_heard() {
    let server = RedisServer::start();
    let metrics = Arc::new(Metrics::default());
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap().measured_by(Arc::clone(&metrics));
    let heard = async {
        while !metrics.text(None).contains("remaster_event_lag_seconds_count 1") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(8), heard).await.unwrap();
    drop(store);
}

/// The core of the contract where Redis is more than one plain server.
mod cluster {
    use super::*;

    async fn make(policy: Policy, clock: Arc<ManualClock>) -> (Arc<dyn Store>, RedisCluster) {
        let cluster = RedisCluster::start();
        let store = RedisStore::with_clock(&cluster.url(), policy, 1, Some(clock)).await.unwrap();
        (Arc::new(store), cluster)
    }

    contract_tests!(make:
        a_job_goes_its_way
        one_photo_does_not_wait_for_a_batch
        a_lost_lease_is_fenced
        blobs_without_use_are_named_until_gone
        watchers_hear_of_each_change
        a_submit_wakes_a_waiting_worker
        workers_are_known_by_what_they_said_last
    );
}

mod sentinel {
    use super::*;

    async fn make(policy: Policy, clock: Arc<ManualClock>) -> (Arc<dyn Store>, RedisSentinel) {
        let sentinel = RedisSentinel::start();
        let store = RedisStore::with_clock(&sentinel.url(), policy, 1, Some(clock)).await.unwrap();
        (Arc::new(store), sentinel)
    }

    contract_tests!(make:
        a_job_goes_its_way
        watchers_hear_of_each_change
        a_submit_wakes_a_waiting_worker
    );
}

/// Over TLS. Which authorities are trusted is a setting of the process (`SSL_CERT_FILE`), so each test runs itself once
/// more with that set.
mod tls {
    use super::*;

    const URL: &str = "REMASTER_TEST_TLS_URL";

    async fn make(policy: Policy, clock: Arc<ManualClock>) -> (Arc<dyn Store>, ()) {
        let Ok(url) = std::env::var(URL) else {
            let untrusted = RedisTls::start();
            let refused = RedisStore::with_clock(&untrusted.url(), policy, 1, Some(clock)).await;
            assert!(refused.is_err(), "a certificate of an unknown authority is refused");
            let name = std::thread::current().name().unwrap().to_owned();
            let again = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", &name])
                .env("SSL_CERT_FILE", untrusted.authority())
                .env(URL, untrusted.url())
                .status();
            drop(untrusted);
            std::process::exit(again.unwrap().code().unwrap_or(1));
        };
        let store = RedisStore::with_clock(&url, policy, 1, Some(clock)).await.unwrap();
        (Arc::new(store), ())
    }

    contract_tests!(make:
        a_job_goes_its_way
        watchers_hear_of_each_change
        a_submit_wakes_a_waiting_worker
    );
}

/// A node of the release before, beside nodes of this one.
#[tokio::test]
async fn a_submit_in_the_form_of_library_2_is_understood() {
    let server = RedisServer::start();
    let store = RedisStore::open(&server.url(), Policy::default()).await.unwrap();
    let jobs = [new_job(), new_job()];
    let mut args: Vec<String> = vec![String::new(), number(1).to_string(), UtcDay::of(store.now()).0.to_string()];
    args.extend(["100", "100", "", ""].map(String::from));
    for job in &jobs {
        args.extend([job.id.to_string(), json(&job.params).unwrap(), json(&job.input).unwrap(), "1".into()]);
    }
    let reply: wire::SubmitReply = store.call(COMMON, "rm_submit", args).await.unwrap();
    assert_eq!((reply.used, store.stats().await.unwrap().queued), (2, 2));
    for job in &jobs {
        let Claim::Job(claimed, _) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
        assert_eq!((claimed.id, claimed.input, claimed.batch), (job.id, job.input.clone(), None));
    }
}
