//! The deliverer against a receiver that behaves in every way, by a clock that is moved by hand.

use std::path::Path;

use remaster_testkit::{Manner, Receiver, body, header};
use tokio::net::TcpListener;

use super::*;
use crate::egress::SystemLookup;
use crate::schedule::WAITS;
use remaster_shared::clock::ManualClock;
use remaster_shared::job::{JobId, UrlBase};
use remaster_shared::webhook::{Delivery, DeliveryStatus, Target};
use remaster_store::contract::{client, new_job, start};
use remaster_store::{NewJobs, Policy, SharedStore};
use remaster_store_sqlite::SqliteStore;

/// A store in a folder, a job in it with a webhook, and the deliverer.
struct Post {
    store: SharedStore,
    clock: Arc<ManualClock>,
    deliverer: Deliverer,
    job: JobId,
    folder: tempfile::TempDir,
}

fn open(folder: &Path, clock: &Arc<ManualClock>) -> (SharedStore, Deliverer) {
    let store: SharedStore = Arc::new(SqliteStore::open(folder, Policy::default(), clock.clone()).unwrap());
    let egress = Egress::new("127.0.0.0/8".parse().unwrap(), Arc::new(SystemLookup)).unwrap();
    let deliverer = Deliverer::new(store.clone(), egress, Signer::from_seed([7; 32]), Arc::default());
    (store, deliverer)
}

impl Post {
    async fn new(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(start());
        let (store, deliverer) = open(folder.path(), &clock);
        let target = Target { url: url.parse().unwrap(), secret: None, base: UrlBase::new("https://photos.example") };
        let new = NewJobs { webhook: Some(target), ..NewJobs::new(client(1), vec![new_job()]) };
        let job = new.jobs[0].id;
        store.submit(new).await.unwrap();
        store.cancel(job).await.unwrap();
        Self { store, clock, deliverer, job, folder }
    }

    async fn to(receiver: &Receiver) -> Self {
        Self::new(&receiver.url("/hook?token=secret")).await
    }

    /// The process ends and another begins.
    fn restarted(self) -> Self {
        let Self { store, clock, deliverer, job, folder } = self;
        drop((store, deliverer));
        let (store, deliverer) = open(folder.path(), &clock);
        Self { store, clock, deliverer, job, folder }
    }

    /// Tries what is due; says how many that were.
    async fn round(&self) -> usize {
        let room = HookRoom { total: 10, per_host: 10, ..HookRoom::default() };
        let due = self.store.due_hooks(room).await.unwrap().due;
        let count = due.len();
        for hook in due {
            self.deliverer.attempt(hook).await;
        }
        count
    }

    async fn standing(&self) -> Delivery {
        self.store.get(self.job).await.unwrap().unwrap().webhook.unwrap()
    }

    /// What a job shows after a first attempt: the receiver's status, the error, seconds until the next.
    async fn after_one(&self) -> (Option<u16>, Option<String>, Option<i64>) {
        assert_eq!(self.round().await, 1);
        let standing = self.standing().await;
        let wait = standing.next_attempt_at.map(|at| at.duration_since(self.store.now()).as_secs());
        let last = standing.last_attempt.unwrap();
        (last.status, last.error, wait)
    }
}

#[tokio::test]
async fn a_delivery_says_what_happened_and_is_signed() {
    let receiver = Receiver::start(Manner::Answers("204 No Content")).await;
    let post = Post::to(&receiver).await;
    assert_eq!(post.round().await, 1);
    let request = receiver.received().remove(0);
    assert!(request.starts_with("POST /hook?token=secret HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(&request, "content-type"), "application/json");
    assert_eq!(header(&request, "webhook-id"), format!("msg_{}", post.job));
    assert_eq!(header(&request, "webhook-timestamp"), start().as_second().to_string());
    let told: serde_json::Value = serde_json::from_str(body(&request)).unwrap();
    assert_eq!((&told["type"], &told["timestamp"]), (&"job.canceled".into(), &start().to_string().into()));
    assert_eq!(told["data"]["urls"]["self"], format!("https://photos.example/jobs/{}", post.job));
    assert_eq!(told["data"]["webhook"], serde_json::Value::Null);
    let message =
        Message { id: header(&request, "webhook-id"), timestamp: start().as_second(), body: body(&request).as_bytes() };
    assert_eq!(header(&request, "webhook-signature"), Signer::from_seed([7; 32]).sign(&message).join(" "));

    let standing = post.standing().await;
    assert_eq!((standing.status, standing.attempts), (DeliveryStatus::Delivered, 1));
    post.clock.advance(Duration::from_secs(100 * 3600));
    assert_eq!(post.round().await, 0);
}

#[tokio::test]
async fn every_manner_has_its_treatment() {
    // Manner, status and error shown on the job, seconds until the next attempt (give or take a tenth), `None` for none.
    let refused = Some("the receiver refused it");
    let cases = [
        (Manner::Answers("500 Internal Server Error"), Some(500), refused, Some(5)),
        (Manner::Answers("503 Service Unavailable\r\nretry-after: 120"), Some(503), refused, Some(120)),
        (Manner::Answers("429 Too Many Requests\r\nretry-after: 3600"), Some(429), refused, Some(3600)),
        (
            Manner::Answers("503 Service Unavailable\r\nretry-after: Sun, 01 Mar 2026 12:10:00 GMT"),
            Some(503),
            refused,
            Some(600),
        ),
        (
            Manner::Answers("302 Found\r\nlocation: http://127.0.0.1:1/"),
            Some(302),
            Some("redirects are not followed"),
            Some(5),
        ),
        (Manner::Answers("410 Gone"), Some(410), Some("the receiver wants no more"), None),
        (Manner::Closes, None, Some("the connection broke off before there was an answer"), Some(5)),
    ];
    for (manner, status, error, wait) in cases {
        let receiver = Receiver::start(manner).await;
        let post = Post::to(&receiver).await;
        let (got, reason, next) = post.after_one().await;
        assert_eq!((got, reason.as_deref()), (status, error));
        assert_eq!(receiver.received().len(), 1, "a redirect is not followed");
        match (wait, next) {
            (None, None) => assert_eq!(post.standing().await.status, DeliveryStatus::Failed),
            (Some(wait), Some(next)) => {
                assert!(
                    (f64::from(wait) * 0.9 - 1.0..=f64::from(wait) * 1.1).contains(&(next as f64)),
                    "{wait} {next}"
                );
                assert_eq!(post.standing().await.status, DeliveryStatus::Pending);
            }
            other => panic!("{status:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up_in_time() {
    let receiver = Receiver::start(Manner::Silent).await;
    let post = Post::to(&receiver).await;
    let began = std::time::Instant::now();
    let (status, error, wait) = post.after_one().await;
    assert_eq!((status, error.as_deref()), (None, Some("no answer in time")));
    assert!((4..=6).contains(&wait.unwrap()));
    assert!((14.0..25.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_may_not_be_told_is_told_alike() {
    // Neither a name that does not exist nor one of this machine tells its submitter which it is.
    for url in ["http://no-such-name.invalid/", "http://localhost.localdomain.invalid/"] {
        let post = Post::new(url).await;
        let (status, error, _) = post.after_one().await;
        let expected = "the host's name does not resolve, or not to public addresses only";
        assert_eq!((status, error.as_deref()), (None, Some(expected)));
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let post = Post::new(&format!("http://127.0.0.1:{closed}/")).await;
    assert_eq!(post.after_one().await.1.as_deref(), Some("no connection could be made"));
    let post = Post::new("http://10.0.0.1/").await;
    assert_eq!(post.after_one().await.1.as_deref(), Some("10.0.0.1 is not a public address (private)"));
}

#[tokio::test]
async fn the_whole_schedule_is_kept_over_restarts() {
    let receiver = Receiver::start(Manner::Answers("500 Internal Server Error")).await;
    let mut post = Post::to(&receiver).await;
    let mut sent = Vec::new();
    for attempts in 1..=10 {
        assert_eq!(post.round().await, 1, "attempt {attempts}");
        sent.extend(receiver.received());
        assert_eq!(post.standing().await.attempts, attempts);
        post = post.restarted();
        assert_eq!(post.round().await, 0, "not before its time");
        if let Some(wait) = WAITS.get(attempts as usize - 1) {
            post.clock.advance(wait.mul_f64(0.89));
            assert_eq!(post.round().await, 0, "not before its time");
            post.clock.advance(wait.mul_f64(0.22));
        }
    }
    assert_eq!(post.standing().await.status, DeliveryStatus::Failed);
    post.clock.advance(Duration::from_secs(100 * 3600));
    assert_eq!(post.round().await, 0);
    // The same message each time, at its own time.
    let times: std::collections::BTreeSet<_> =
        sent.iter().map(|request| header(request, "webhook-timestamp")).collect();
    assert_eq!((sent.len(), times.len()), (10, 10));
    for request in &sent {
        assert_eq!((header(request, "webhook-id"), body(request)), (header(&sent[0], "webhook-id"), body(&sent[0])));
    }
}

#[tokio::test]
async fn a_receiver_that_comes_back_is_told_once() {
    let receiver = Receiver::start(Manner::Closes).await;
    let post = Post::to(&receiver).await;
    post.round().await;
    receiver.behave(Manner::Answers("200 OK"));
    let post = post.restarted();
    post.clock.advance(Duration::from_secs(6));
    assert_eq!(post.round().await, 1);
    assert_eq!(receiver.received().len(), 2);
    assert_eq!(post.standing().await.status, DeliveryStatus::Delivered);
    post.clock.advance(Duration::from_secs(3600));
    assert_eq!(post.round().await, 0);
}

#[tokio::test]
async fn it_runs_until_it_is_stopped_and_bounds_what_one_host_gets() {
    let slow = Receiver::start(Manner::Silent).await;
    let quick = Receiver::start(Manner::Answers("200 OK")).await;
    let post = Post::to(&slow).await;
    let submit = async |url: String| {
        let target = Target { url: url.parse().unwrap(), secret: None, base: UrlBase::new("") };
        let new = NewJobs { webhook: Some(target), ..NewJobs::new(client(1), vec![new_job()]) };
        let id = new.jobs[0].id;
        post.store.submit(new).await.unwrap();
        post.store.cancel(id).await.unwrap();
        id
    };
    for _ in 0..20 {
        submit(slow.url("/")).await;
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn(post.deliverer.clone().run(stop.clone()));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let id = submit(format!("http://127.0.0.2:{}/", quick.port)).await;
    let delivered = async {
        while post.store.get(id).await.unwrap().unwrap().webhook.unwrap().status != DeliveryStatus::Delivered {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), delivered).await.expect("the quick one does not wait for the slow");
    assert_eq!((slow.received().len(), quick.received().len()), (PER_HOST, 1));
    stop.cancel();
    tokio::time::timeout(GRACE + Duration::from_secs(2), running).await.expect("it stops").unwrap();
}
