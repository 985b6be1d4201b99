//! The outbox of webhooks: filled by transitions, emptied by deliverers.

use remaster_shared::job::UrlBase;
use remaster_shared::webhook::{Attempt, Attempted, Delivery, DeliveryStatus, DueHook, Next, Subject, Target};

use super::*;

fn target(url: &str) -> Option<Target> {
    let base = UrlBase::new("https://photos.example.org");
    Some(Target { url: url.parse().unwrap(), secret: None, base })
}

pub fn told(number: u8, url: &str) -> NewJobs {
    NewJobs { webhook: target(url), ..NewJobs::new(client(number), vec![new_job_of(client(number))]) }
}

fn room() -> HookRoom {
    HookRoom { total: 100, per_host: 10, ..HookRoom::default() }
}

pub async fn due(store: &dyn Store) -> Vec<DueHook> {
    store.due_hooks(room()).await.unwrap().due
}

pub async fn attempted(store: &dyn Store, hook: &DueHook, status: u16, next: Next) {
    let attempt = Attempt { at: store.now(), status: Some(status), error: None };
    let body = Some(hook.body.clone().unwrap_or_else(|| "{}".into()));
    let done = Attempted { subject: hook.subject, attempts: hook.attempts, attempt, body, next };
    store.hook_attempted(done).await.unwrap();
}

pub async fn standing(store: &dyn Store, job: JobId) -> Delivery {
    store.get(job).await.unwrap().unwrap().webhook.expect("it has a webhook")
}

pub(super) async fn a_webhook_is_due_with_its_job_s_end(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let new = told(1, "https://example.com/a?token=1");
    let id = new.jobs[0].id;
    store.submit(new).await.unwrap();
    assert_eq!(standing(&*store, id).await, Delivery::new(None, None, 0, None));
    let (_, lease) = claim(&*store).await;
    assert_eq!(store.due_hooks(room()).await.unwrap(), DueHooks::default());
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(standing(&*store, id).await, Delivery::new(None, Some(start()), 0, None));
    let hooks = due(&*store).await;
    let expected = DueHook { subject: Subject::Job(id), target: hooks[0].target.clone(), attempts: 0, body: None };
    assert_eq!(hooks, [expected]);
    assert_eq!(Some(&hooks[0].target), target("https://example.com/a?token=1").as_ref());
    attempted(&*store, &hooks[0], 204, Next::Delivered).await;
    let last = Attempt { at: start(), status: Some(204), error: None };
    assert_eq!(standing(&*store, id).await, Delivery::new(Some(DeliveryStatus::Delivered), None, 1, Some(last)));
    // A job without a webhook has no delivery.
    let plain = submit(&*store, 1, 1).await[0];
    store.cancel(plain).await.unwrap();
    assert_eq!(store.get(plain).await.unwrap().unwrap().webhook, None);
    assert_eq!(store.due_hooks(room()).await.unwrap(), DueHooks::default());
}

pub(super) async fn whatever_ends_a_job_makes_its_webhook_due(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let submit = async || {
        let new = told(1, "https://example.com/");
        let id = new.jobs[0].id;
        store.submit(new).await.unwrap();
        id
    };
    let ended = async |id: JobId, how: &str| {
        let hooks = due(&*store).await;
        assert_eq!(hooks.iter().map(|hook| hook.subject).collect::<Vec<_>>(), [Subject::Job(id)], "{how}");
        attempted(&*store, &hooks[0], 200, Next::Delivered).await;
    };
    let id = submit().await;
    store.cancel(id).await.unwrap();
    ended(id, "canceled while queued").await;

    let outcomes = [
        ("succeeded", Outcome::Succeeded(result())),
        ("stopped", Outcome::Canceled),
        ("failed", Outcome::Failed(JobError::new(ErrorCode::ImageCorrupt, "cut short"))),
    ];
    for (how, outcome) in outcomes {
        let id = submit().await;
        let (_, lease) = claim(&*store).await;
        store.finish(&lease, outcome).await.unwrap();
        ended(id, how).await;
    }

    let id = submit().await;
    let (_, lease) = claim(&*store).await;
    store.cancel(id).await.unwrap();
    store.release(&lease).await.unwrap();
    ended(id, "canceled, then given back").await;

    let id = submit().await;
    for _ in 0..Policy::default().max_attempts {
        claim(&*store).await;
        assert_eq!(due(&*store).await, []);
        pass(&*store, &clock, Policy::default().lease).await;
    }
    store.reap().await.unwrap();
    ended(id, "poison").await;
}

pub(super) async fn a_batch_s_webhook_is_due_with_its_last_job(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let (id, new) = batch_of(1, (0..3).map(|_| new_job()).collect());
    let ids: Vec<_> = new.jobs.iter().map(|job| job.id).collect();
    store.submit(NewJobs { webhook: target("https://example.com/"), ..new }).await.unwrap();
    let (_, lease) = claim(&*store).await;
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    store.cancel(ids[1]).await.unwrap();
    assert_eq!(due(&*store).await, []);
    store.cancel(ids[2]).await.unwrap();
    let hooks = due(&*store).await;
    assert_eq!(hooks.iter().map(|hook| hook.subject).collect::<Vec<_>>(), [Subject::Batch(id)]);
    attempted(&*store, &hooks[0], 200, Next::Delivered).await;
    let standing = store.batch(id).await.unwrap().unwrap().webhook.unwrap();
    assert_eq!((standing.status, standing.attempts), (DeliveryStatus::Delivered, 1));

    let mut refused = new_job();
    refused.refused = Some(JobError::new(ErrorCode::UnsupportedFormat, "no image"));
    let (id, new) = batch_of(1, vec![refused]);
    store.submit(NewJobs { webhook: target("https://example.com/"), ..new }).await.unwrap();
    assert_eq!(due(&*store).await[0].subject, Subject::Batch(id));
}

pub(super) async fn a_delivery_is_its_holder_s_for_a_while(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let new = told(1, "https://example.com/");
    let id = new.jobs[0].id;
    store.submit(new).await.unwrap();
    store.cancel(id).await.unwrap();
    let first = due(&*store).await.remove(0);
    assert_eq!(store.due_hooks(room()).await.unwrap(), DueHooks { due: vec![], next: Some(HOOK_LEASE) });
    clock.advance(HOOK_LEASE);
    let second = due(&*store).await.remove(0);
    assert_eq!(second, first);
    attempted(&*store, &second, 500, Next::Retry(Duration::from_secs(5))).await;
    // The result of the attempt that was overtaken is ignored.
    attempted(&*store, &first, 200, Next::Delivered).await;
    let standing = standing(&*store, id).await;
    assert_eq!((standing.status, standing.attempts), (DeliveryStatus::Pending, 1));
}

pub(super) async fn a_failed_delivery_comes_again_and_ends(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let new = told(1, "https://example.com/");
    let id = new.jobs[0].id;
    store.submit(new).await.unwrap();
    store.cancel(id).await.unwrap();
    let wait = Duration::from_secs(5);
    for attempts in 0..3 {
        let hook = due(&*store).await.remove(0);
        assert_eq!((hook.attempts, hook.body.as_deref()), (attempts, (attempts > 0).then_some("{}")));
        attempted(&*store, &hook, 503, Next::Retry(wait)).await;
        assert_eq!(store.due_hooks(room()).await.unwrap(), DueHooks { due: vec![], next: Some(wait) });
        let last = Attempt { at: store.now(), status: Some(503), error: None };
        let next = store.now() + wait;
        assert_eq!(standing(&*store, id).await, Delivery::new(None, Some(next), attempts + 1, Some(last)));
        clock.advance(wait);
    }
    let hook = due(&*store).await.remove(0);
    attempted(&*store, &hook, 410, Next::GiveUp).await;
    let standing = standing(&*store, id).await;
    assert_eq!((standing.status, standing.attempts, standing.next_attempt_at), (DeliveryStatus::Failed, 4, None));
    clock.advance(Duration::from_secs(100 * 3600));
    assert_eq!(store.due_hooks(room()).await.unwrap(), DueHooks::default());
}

pub(super) async fn one_host_cannot_take_every_turn(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for _ in 0..20 {
        let new = told(1, "https://slow.example.com/x");
        let id = new.jobs[0].id;
        store.submit(new).await.unwrap();
        store.cancel(id).await.unwrap();
    }
    clock.advance(Duration::from_secs(1));
    let new = told(2, "https://example.org:8443/y");
    let id = new.jobs[0].id;
    store.submit(new).await.unwrap();
    store.cancel(id).await.unwrap();
    let room =
        |total, busy: usize| HookRoom { total, per_host: 4, under_way: [("slow.example.com".to_owned(), busy)].into() };
    let hosts = async |room| {
        let hooks = store.due_hooks(room).await.unwrap();
        hooks.due.iter().map(|hook| hook.target.host().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(hosts(room(2, 0)).await, ["slow.example.com"; 2]);
    assert_eq!(hosts(room(100, 4)).await, ["example.org"]);
    assert_eq!(hosts(room(100, 1)).await, ["slow.example.com"; 3]);
    // A host at its bound is not waited for.
    assert_eq!(store.due_hooks(room(100, 4)).await.unwrap().next, Some(HOOK_LEASE));
    assert_eq!(store.due_hooks(room(100, 0)).await.unwrap().due.len(), 4);
}

pub(super) async fn who_is_still_to_be_told_keeps_the_record(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let new = told(1, "https://example.com/");
    let id = new.jobs[0].id;
    store.submit(new).await.unwrap();
    store.cancel(id).await.unwrap();
    clock.advance(INPUT_KEPT);
    let garbage = store.garbage(10).await.unwrap();
    store.collected(garbage).await.unwrap();
    let kept = Policy::default().result_ttl + Policy::default().record_ttl;
    clock.advance(kept + Duration::from_secs(60));
    assert_eq!(store.reap().await.unwrap().forgotten, 0);
    let hook = due(&*store).await.remove(0);
    attempted(&*store, &hook, 200, Next::Delivered).await;
    clock.advance(Duration::from_secs(3600));
    assert_eq!(store.reap().await.unwrap().forgotten, 1);
    assert_eq!(store.get(id).await.unwrap(), None);
}

pub(super) async fn a_withdrawn_job_tells_nobody(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let new = told(1, "https://example.com/");
    let id = new.jobs[0].id;
    store.submit(new).await.unwrap();
    store.withdraw(id).await.unwrap();
    let (batch, new) = batch_of(1, vec![new_job(), new_job()]);
    let ids: Vec<_> = new.jobs.iter().map(|job| job.id).collect();
    store.submit(NewJobs { webhook: target("https://example.com/"), ..new }).await.unwrap();
    for id in ids {
        store.withdraw(id).await.unwrap();
    }
    assert_eq!(store.batch(batch).await.unwrap().unwrap().counts().canceled, 2);
    assert_eq!(store.due_hooks(room()).await.unwrap(), DueHooks::default());
    assert_eq!(used(&*store, 1).await, 0);
}

pub(super) async fn a_due_webhook_wakes_its_deliverer(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let new = told(1, "https://example.com/");
    let id = new.jobs[0].id;
    store.submit(new).await.unwrap();
    store.wait_for_hooks(Duration::from_millis(100)).await;
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let began = std::time::Instant::now();
            store.wait_for_hooks(Duration::from_secs(20)).await;
            began.elapsed()
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    store.cancel(id).await.unwrap();
    assert!(waiting.await.unwrap() < Duration::from_secs(10));
}
