//! The deliverer against receivers of every behaviour, with a manual clock.

use std::net::IpAddr;
use std::path::Path;

use remaster_testkit::{Behaviour, Receiver, body, header};
use tokio::net::TcpListener;

use super::*;
use crate::egress::{Lookup, SystemLookup};
use crate::schedule::RETRY_DELAYS;
use remaster_shared::clock::ManualClock;
use remaster_shared::job::{BatchId, JobId, UrlBase};
use remaster_shared::webhook::{Delivery, DeliveryStatus, Target};
use remaster_store::contract::{client, new_job, start};
use remaster_store::{NewJobs, Policy, SharedStore};
use remaster_store_sqlite::SqliteStore;

/// A store in a folder with one ended job that has a webhook, and the deliverer.
struct Delivering {
    store: SharedStore,
    clock: Arc<ManualClock>,
    deliverer: Deliverer,
    job: JobId,
    folder: tempfile::TempDir,
}

/// Every name below `example` is one of this machine.
struct OneMachine;

#[async_trait::async_trait]
impl Lookup for OneMachine {
    async fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        match name.ends_with(".example") {
            true => Ok(vec![IpAddr::from([127, 0, 0, 1])]),
            false => SystemLookup.lookup(name).await,
        }
    }
}

fn open(folder: &Path, clock: &Arc<ManualClock>) -> (SharedStore, Deliverer) {
    let store: SharedStore = Arc::new(SqliteStore::open(folder, Policy::default(), clock.clone()).unwrap());
    let egress = Egress::new("127.0.0.0/8".parse().unwrap(), Arc::new(OneMachine)).unwrap();
    let deliverer = Deliverer::new(store.clone(), egress, Signer::from_seed([7; 32]), Arc::default());
    (store, deliverer)
}

/// A job that has ended and whose webhook goes to `url`.
async fn ended_job(store: &SharedStore, url: &str) -> JobId {
    let target = Target { url: url.parse().unwrap(), secret: None, base: UrlBase::new("https://photos.example") };
    let new = NewJobs { webhook: Some(target), ..NewJobs::new(client(1), vec![new_job()]) };
    let job = new.jobs[0].id;
    store.submit(new).await.unwrap();
    store.cancel(job).await.unwrap();
    job
}

impl Delivering {
    async fn new(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(start());
        let (store, deliverer) = open(folder.path(), &clock);
        let job = ended_job(&store, url).await;
        Self { store, clock, deliverer, job, folder }
    }

    async fn to(receiver: &Receiver) -> Self {
        Self::new(&receiver.url("/hook?token=secret")).await
    }

    /// The same after a restart of the process.
    fn restarted(self) -> Self {
        let Self { store, clock, deliverer, job, folder } = self;
        drop((store, deliverer));
        let (store, deliverer) = open(folder.path(), &clock);
        Self { store, clock, deliverer, job, folder }
    }

    /// Attempts every delivery that is due, and returns how many there were.
    async fn attempt_due(&self) -> usize {
        let room = HookRoom { total: 10, per_host: 10, ..HookRoom::default() };
        let due = self.store.due_hooks(room).await.unwrap().due;
        let count = due.len();
        for hook in due {
            self.deliverer.attempt(hook).await;
        }
        count
    }

    async fn delivery_state(&self) -> Delivery {
        self.store.get(self.job).await.unwrap().unwrap().webhook.unwrap()
    }

    /// Makes one attempt, and returns what the job shows then: the status of the response, the error, and the seconds until
    /// the next attempt.
    async fn first_attempt(&self) -> (Option<u16>, Option<String>, Option<i64>) {
        assert_eq!(self.attempt_due().await, 1);
        let state = self.delivery_state().await;
        let wait = state.next_attempt_at.map(|at| at.duration_since(self.store.now()).as_secs());
        let last = state.last_attempt.unwrap();
        (last.status, last.error, wait)
    }
}

#[tokio::test]
async fn a_delivery_says_what_happened_and_is_signed() {
    let receiver = Receiver::start(Behaviour::Respond("204 No Content")).await;
    let delivering = Delivering::to(&receiver).await;
    assert_eq!(delivering.attempt_due().await, 1);
    let request = receiver.received().remove(0);
    assert!(request.starts_with("POST /hook?token=secret HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(&request, "content-type"), "application/json");
    assert_eq!(header(&request, "webhook-id"), format!("msg_{}", delivering.job));
    assert_eq!(header(&request, "webhook-timestamp"), start().as_second().to_string());
    let told: serde_json::Value = serde_json::from_str(body(&request)).unwrap();
    assert_eq!((&told["type"], &told["timestamp"]), (&"job.canceled".into(), &start().to_string().into()));
    assert_eq!(told["data"]["urls"]["self"], format!("https://photos.example/jobs/{}", delivering.job));
    assert_eq!(told["data"]["webhook"], serde_json::Value::Null);
    let message =
        Message { id: header(&request, "webhook-id"), timestamp: start().as_second(), body: body(&request).as_bytes() };
    assert_eq!(header(&request, "webhook-signature"), Signer::from_seed([7; 32]).sign(&message).join(" "));

    let state = delivering.delivery_state().await;
    assert_eq!((state.status, state.attempts), (DeliveryStatus::Delivered, 1));
    delivering.clock.advance(Duration::from_secs(100 * 3600));
    assert_eq!(delivering.attempt_due().await, 0);
}

#[tokio::test]
async fn each_behaviour_has_its_consequence() {
    // The behaviour; the status and the error that the job shows; the seconds until the next attempt, within a tenth, or
    // `None` if there is none.
    let refused = Some("the receiver refused it");
    let cases = [
        (Behaviour::Respond("500 Internal Server Error"), Some(500), refused, Some(5)),
        (Behaviour::Respond("503 Service Unavailable\r\nretry-after: 120"), Some(503), refused, Some(120)),
        (Behaviour::Respond("429 Too Many Requests\r\nretry-after: 3600"), Some(429), refused, Some(3600)),
        (
            Behaviour::Respond("503 Service Unavailable\r\nretry-after: Sun, 01 Mar 2026 12:10:00 GMT"),
            Some(503),
            refused,
            Some(600),
        ),
        (
            Behaviour::Respond("302 Found\r\nlocation: http://127.0.0.1:1/"),
            Some(302),
            Some("redirects are not followed"),
            Some(5),
        ),
        (Behaviour::Respond("410 Gone"), Some(410), Some("the receiver wants no more"), None),
        (Behaviour::Disconnect, None, Some("the connection broke off before there was an answer"), Some(5)),
    ];
    for (behaviour, status, error, wait) in cases {
        let receiver = Receiver::start(behaviour).await;
        let delivering = Delivering::to(&receiver).await;
        let (got, reason, next) = delivering.first_attempt().await;
        assert_eq!((got, reason.as_deref()), (status, error));
        assert_eq!(receiver.received().len(), 1, "a redirect is not followed");
        match (wait, next) {
            (None, None) => assert_eq!(delivering.delivery_state().await.status, DeliveryStatus::Failed),
            (Some(wait), Some(next)) => {
                assert!(
                    (f64::from(wait) * 0.9 - 1.0..=f64::from(wait) * 1.1).contains(&(next as f64)),
                    "{wait} {next}"
                );
                assert_eq!(delivering.delivery_state().await.status, DeliveryStatus::Pending);
            }
            other => panic!("{status:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up_in_time() {
    let receiver = Receiver::start(Behaviour::Hang).await;
    let delivering = Delivering::to(&receiver).await;
    let began = std::time::Instant::now();
    let (status, error, wait) = delivering.first_attempt().await;
    assert_eq!((status, error.as_deref()), (None, Some("no answer in time")));
    assert!((4..=6).contains(&wait.unwrap()));
    assert!((14.0..25.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn unresolvable_names_give_one_error() {
    // The submitter cannot tell a name that does not exist from a name of this machine.
    for url in ["http://no-such-name.invalid/", "http://localhost.localdomain.invalid/"] {
        let delivering = Delivering::new(url).await;
        let (status, error, _) = delivering.first_attempt().await;
        let expected = "the host's name does not resolve, or not to public addresses only";
        assert_eq!((status, error.as_deref()), (None, Some(expected)));
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let delivering = Delivering::new(&format!("http://127.0.0.1:{closed}/")).await;
    assert_eq!(delivering.first_attempt().await.1.as_deref(), Some("no connection could be made"));
    let delivering = Delivering::new("http://10.0.0.1/").await;
    assert_eq!(delivering.first_attempt().await.1.as_deref(), Some("10.0.0.1 is not a public address (private)"));
}

#[tokio::test]
async fn the_whole_schedule_is_kept_over_restarts() {
    let receiver = Receiver::start(Behaviour::Respond("500 Internal Server Error")).await;
    let mut delivering = Delivering::to(&receiver).await;
    let mut sent = Vec::new();
    for attempts in 1..=10 {
        assert_eq!(delivering.attempt_due().await, 1, "attempt {attempts}");
        sent.extend(receiver.received());
        assert_eq!(delivering.delivery_state().await.attempts, attempts);
        delivering = delivering.restarted();
        assert_eq!(delivering.attempt_due().await, 0, "no attempt before it is due");
        if let Some(wait) = RETRY_DELAYS.get(attempts as usize - 1) {
            delivering.clock.advance(wait.mul_f64(0.89));
            assert_eq!(delivering.attempt_due().await, 0, "no attempt before it is due");
            delivering.clock.advance(wait.mul_f64(0.22));
        }
    }
    assert_eq!(delivering.delivery_state().await.status, DeliveryStatus::Failed);
    delivering.clock.advance(Duration::from_secs(100 * 3600));
    assert_eq!(delivering.attempt_due().await, 0);
    // Every attempt sends the same message with its own timestamp.
    let times: std::collections::BTreeSet<_> =
        sent.iter().map(|request| header(request, "webhook-timestamp")).collect();
    assert_eq!((sent.len(), times.len()), (10, 10));
    for request in &sent {
        assert_eq!((header(request, "webhook-id"), body(request)), (header(&sent[0], "webhook-id"), body(&sent[0])));
    }
}

#[tokio::test]
async fn a_receiver_that_comes_back_is_told_once() {
    let receiver = Receiver::start(Behaviour::Disconnect).await;
    let delivering = Delivering::to(&receiver).await;
    delivering.attempt_due().await;
    receiver.set_behaviour(Behaviour::Respond("200 OK"));
    let delivering = delivering.restarted();
    delivering.clock.advance(Duration::from_secs(6));
    assert_eq!(delivering.attempt_due().await, 1);
    assert_eq!(receiver.received().len(), 2);
    assert_eq!(delivering.delivery_state().await.status, DeliveryStatus::Delivered);
    delivering.clock.advance(Duration::from_secs(3600));
    assert_eq!(delivering.attempt_due().await, 0);
}

#[tokio::test]
async fn many_names_of_one_machine_are_one_receiver() {
    let receiver = Receiver::start(Behaviour::Hang).await;
    let delivering = Delivering::to(&receiver).await;
    for name in 0..80 {
        let url = format!("http://name-{name}.example:{}/", receiver.port).parse().unwrap();
        let target = Target { url, secret: None, base: UrlBase::new("") };
        let jobs = (0..4).map(|_| new_job()).collect::<Vec<_>>();
        for job in jobs {
            let id = job.id;
            let new = NewJobs { webhook: Some(target.clone()), ..NewJobs::new(client(1), vec![job]) };
            delivering.store.submit(new).await.unwrap();
            delivering.store.cancel(id).await.unwrap();
        }
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn(delivering.deliverer.clone().run(stop.clone()));
    receiver.wait_until_received(16, Duration::from_secs(5)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(receiver.received().len(), 16);
    stop.cancel();
    running.abort();
}

#[tokio::test]
async fn it_runs_until_it_is_stopped_and_bounds_what_one_host_gets() {
    let slow = Receiver::start(Behaviour::Hang).await;
    let quick = Receiver::start(Behaviour::Respond("200 OK")).await;
    let delivering = Delivering::to(&slow).await;
    let submit = async |url: String| {
        let target = Target { url: url.parse().unwrap(), secret: None, base: UrlBase::new("") };
        let new = NewJobs { webhook: Some(target), ..NewJobs::new(client(1), vec![new_job()]) };
        let id = new.jobs[0].id;
        delivering.store.submit(new).await.unwrap();
        delivering.store.cancel(id).await.unwrap();
        id
    };
    for _ in 0..20 {
        submit(slow.url("/")).await;
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn(delivering.deliverer.clone().run(stop.clone()));
    slow.wait_until_received(MAX_IN_FLIGHT_PER_HOST, Duration::from_secs(5)).await;
    let id = submit(format!("http://127.0.0.2:{}/", quick.port)).await;
    let delivered = async {
        while delivering.store.get(id).await.unwrap().unwrap().webhook.unwrap().status != DeliveryStatus::Delivered {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), delivered)
        .await
        .expect("the quick receiver does not wait for the slow one");
    assert_eq!((slow.received().len(), quick.received().len()), (MAX_IN_FLIGHT_PER_HOST, 1));
    stop.cancel();
    tokio::time::timeout(SHUTDOWN_GRACE + Duration::from_secs(2), running).await.expect("it stops").unwrap();
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_left_alone_for_a_while() {
    let receiver = Receiver::start(Behaviour::Disconnect).await;
    let delivering = Delivering::to(&receiver).await;
    for _ in 0..19 {
        ended_job(&delivering.store, &receiver.url("/")).await;
    }
    while delivering.attempt_due().await > 0 {}
    assert_eq!(receiver.received().len(), 8, "twelve were not sent");
    delivering.clock.advance(Duration::from_secs(60));
    while delivering.attempt_due().await > 0 {}
    assert_eq!(receiver.received().len(), 1, "one finds out whether it is back");
    receiver.set_behaviour(Behaviour::Respond("200 OK"));
    delivering.clock.advance(Duration::from_secs(330));
    while delivering.attempt_due().await > 0 {}
    assert_eq!(receiver.received().len(), 20, "all are delivered");
}

#[tokio::test]
async fn the_webhook_of_a_large_batch_leaves_its_jobs_out() {
    let receiver = Receiver::start(Behaviour::Respond("200 OK")).await;
    let delivering = Delivering::to(&receiver).await;
    // The one job that is there has a webhook too.
    assert_eq!(delivering.attempt_due().await, 1);
    let told = async |jobs: usize| {
        let target = Target {
            url: receiver.url("/").parse().unwrap(),
            secret: None,
            base: UrlBase::new("https://photos.example"),
        };
        let batch = BatchId::of(client(1));
        let jobs = NewJobs::new(client(1), (0..jobs).map(|_| new_job()).collect());
        delivering.store.submit(NewJobs { webhook: Some(target), batch: Some(batch), ..jobs }).await.unwrap();
        delivering.store.cancel_batch(batch).await.unwrap();
        while delivering.attempt_due().await > 0 {}
        let request = receiver.received().pop().unwrap();
        let data = serde_json::from_str::<serde_json::Value>(body(&request)).unwrap()["data"].take();
        assert_eq!(data["urls"]["self"], format!("https://photos.example/batches/{batch}"));
        (data["jobs"].as_array().unwrap().len(), data["total"].as_u64().unwrap(), data["counts"]["canceled"].clone())
    };
    assert_eq!(told(100).await, (100, 100, 100.into()));
    assert_eq!(told(101).await, (0, 101, 101.into()));
}
