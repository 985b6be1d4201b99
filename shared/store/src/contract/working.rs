//! Working: leases, attempts, and how they end.

use super::*;

pub(super) async fn a_job_goes_its_way(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let queued = store.get(id).await.unwrap().unwrap();
    assert_eq!((queued.status, queued.position, queued.attempt), (Status::Queued, Some(1), 0));
    assert_eq!((queued.created_at, queued.input.filename.as_deref()), (start(), Some("a.jpg")));

    clock.advance(Duration::from_secs(2));
    let (job, lease) = claim(&*store).await;
    assert_eq!((job.id, job.status, job.attempt), (id, Status::Processing, 1));
    store.progress(&lease, 0.5).await.unwrap();
    assert_eq!(store.get(id).await.unwrap().unwrap().progress, 0.5);
    assert_eq!(store.heartbeat(&lease).await.unwrap(), Beat::GoOn);

    let done = store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(store.get(id).await.unwrap().unwrap(), done);
    assert_eq!((done.status, done.progress, done.result), (Status::Succeeded, 1.0, Some(result())));
    assert_eq!(done.expires_at, Some(store.now() + Policy::default().result_ttl));
    assert!(matches!(store.finish(&lease, Outcome::Canceled).await, Err(LeaseError::Lost)));
    assert_eq!(idle(&*store).await, None);
    assert!(store.get(JobId::random()).await.unwrap().is_none());
}

pub(super) async fn a_lost_lease_is_fenced(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, old) = claim(&*store).await;
    let lease = Policy::default().lease;
    pass(&*store, &clock, lease - Duration::from_secs(1)).await;
    assert_eq!(store.heartbeat(&old).await.unwrap(), Beat::GoOn);
    pass(&*store, &clock, lease - Duration::from_secs(1)).await;
    assert_eq!(idle(&*store).await, Some(Duration::from_secs(1)));
    clock.advance(Duration::from_secs(2));

    let (job, new) = claim(&*store).await;
    assert_eq!((job.id, job.attempt), (id, 2));
    assert_ne!(new.fence, old.fence);
    assert!(matches!(store.heartbeat(&old).await, Err(LeaseError::Lost)));
    assert!(matches!(store.progress(&old, 0.9).await, Err(LeaseError::Lost)));
    assert!(matches!(store.release(&old).await, Err(LeaseError::Lost)));
    let late = store.finish(&old, Outcome::Succeeded(result())).await;
    assert!(matches!(late, Err(LeaseError::Lost)));
    assert_eq!(status(&*store, id).await, Status::Processing);
    store.finish(&new, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(used(&*store, 1).await, 1);
}

pub(super) async fn a_job_that_kills_its_workers_is_poison(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    for attempt in 1..=Policy::default().max_attempts {
        assert_eq!(claim(&*store).await.0.attempt, attempt);
        pass(&*store, &clock, Policy::default().lease).await;
    }
    assert_eq!(store.reap().await.unwrap().poisoned, 1);
    let job = store.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.error), (Status::Failed, Some(JobError::new(ErrorCode::Poison, POISON))));
    assert_eq!(used(&*store, 1).await, 0);
    assert_eq!(idle(&*store).await, None);
}

pub(super) async fn what_may_pass_is_retried_and_then_refunded(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    for attempt in 1..=Policy::default().max_attempts {
        let (job, lease) = claim(&*store).await;
        assert_eq!(job.attempt, attempt);
        store.finish(&lease, Outcome::Failed(JobError::internal())).await.unwrap();
        if attempt < Policy::default().max_attempts {
            let wait = idle(&*store).await.expect("a retry is due later");
            assert_eq!(status(&*store, id).await, Status::Queued);
            assert_eq!(used(&*store, 1).await, 1);
            let base = Policy::default().retry_after * 2_u32.pow(attempt - 1);
            assert!(wait > base / 2 && wait < base * 2, "{wait:?} after attempt {attempt}");
            clock.advance(wait);
        }
    }
    let job = store.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.error), (Status::Failed, Some(JobError::internal())));
    assert_eq!(used(&*store, 1).await, 0);
}

pub(super) async fn what_is_the_caller_s_fault_is_final_and_charged(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, lease) = claim(&*store).await;
    let error = JobError::new(ErrorCode::ImageCorrupt, "cut short");
    store.finish(&lease, Outcome::Failed(error.clone())).await.unwrap();
    let job = store.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.error, job.attempt), (Status::Failed, Some(error), 1));
    assert_eq!(used(&*store, 1).await, 1);
    assert_eq!(idle(&*store).await, None);
}

pub(super) async fn shutdown_gives_the_job_back(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, lease) = claim(&*store).await;
    store.release(&lease).await.unwrap();
    let job = store.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.attempt, job.started_at), (Status::Queued, 0, None));
    let (job, again) = claim(&*store).await;
    assert_eq!((job.id, job.attempt), (id, 1));
    assert_ne!(again.fence, lease.fence);
    assert!(matches!(store.heartbeat(&lease).await, Err(LeaseError::Lost)));
}

/// Many workers, many clients, random ends: every job ends once, and the quota adds up.
pub(super) async fn nothing_is_lost_under_contention(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    const CLIENTS: u8 = 5;
    const JOBS: usize = 40;
    let mut ids = Vec::new();
    for number in 0..CLIENTS {
        ids.extend(submit(&*store, number, JOBS).await);
    }
    let workers = (0..8_u32).map(|worker| {
        let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
        tokio::spawn(async move {
            let mut succeeded = Vec::new();
            let mut step = worker;
            while let Claim::Job(job, lease) = store.claim(&request()).await.unwrap() {
                step = step.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                match step >> 29 {
                    // The worker dies.
                    0 => clock.advance(Policy::default().lease / 4),
                    1 => store.release(&lease).await.or_else(lost).unwrap(),
                    2 => store
                        .finish(&lease, Outcome::Failed(JobError::internal()))
                        .await
                        .map(drop)
                        .or_else(lost)
                        .unwrap(),
                    3 => drop(store.cancel(job.id).await),
                    _ => {
                        let finished = store.finish(&lease, Outcome::Succeeded(result())).await;
                        if finished.is_ok_and(|job| job.status == Status::Succeeded) {
                            succeeded.push(job.id);
                        }
                    }
                }
            }
            succeeded
        })
    });
    let mut succeeded = Vec::new();
    for worker in futures::future::join_all(workers).await {
        succeeded.extend(worker.unwrap());
    }
    // The jobs that are left are finished without disturbance.
    loop {
        pass(&*store, &clock, Policy::default().lease).await;
        store.reap().await.unwrap();
        match store.claim(&request()).await.unwrap() {
            Claim::Job(job, lease) => {
                store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
                succeeded.push(job.id);
            }
            Claim::Nothing { next: None } => break,
            other => assert!(matches!(other, Claim::Nothing { .. })),
        }
    }
    let unique: std::collections::HashSet<_> = succeeded.iter().collect();
    assert_eq!(unique.len(), succeeded.len(), "a job succeeded twice");
    let mut charged = 0;
    for id in ids {
        let job = store.get(id).await.unwrap().unwrap();
        assert!(job.status.is_terminal(), "{:?} is {}", id, job.status);
        assert_eq!(job.status == Status::Succeeded, unique.contains(&id));
        charged += u64::from(job.status != Status::Failed);
    }
    let mut total = 0;
    for number in 0..CLIENTS {
        total += used(&*store, number).await;
    }
    // Failed ones were refunded, here all through the service's fault. Canceled ones had started.
    assert_eq!(total, charged);
}

fn lost(error: LeaseError) -> Result<(), LeaseError> {
    match error {
        LeaseError::Lost => Ok(()),
        store => Err(store),
    }
}

/// A worker that asks for a job and does not hear the answer.
pub(super) async fn a_claim_whose_answer_was_lost_costs_nothing(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 2).await;
    let asked = request();
    for _ in 0..3 {
        // The same request again gives the same job, and only that.
        let Claim::Job(job, lease) = store.claim(&asked).await.unwrap() else { panic!("nothing to claim") };
        assert_eq!((job.id, job.attempt, lease.fence), (ids[0], 1, asked.fence));
    }
    assert_eq!(claim(&*store).await.0.id, ids[1]);
    // Nobody was ever heard of: however often that happens, it is no attempt.
    for _ in 0..5 {
        pass(&*store, &clock, Policy::default().lease).await;
        store.reap().await.unwrap();
        let Claim::Job(job, _) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
        assert_eq!((job.id, job.attempt), (ids[0], 1));
    }
}

pub(super) async fn a_fault_of_the_service_costs_no_attempt(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    for deferrals in 0..10 {
        let (job, lease) = claim(&*store).await;
        assert_eq!(job.attempt, 1);
        store.finish(&lease, Outcome::Deferred(Duration::from_secs(10))).await.unwrap();
        let wait = idle(&*store).await.expect("it comes again later");
        let [least, most] = [0.75, 1.25].map(|spread| retry::deferral(Duration::from_secs(10), deferrals, spread));
        // Redis counts in whole milliseconds.
        assert!((least - Duration::from_millis(1)..=most).contains(&wait), "{wait:?} after {deferrals} deferrals");
        assert_eq!((status(&*store, id).await, used(&*store, 1).await), (Status::Queued, 1));
        pass(&*store, &clock, wait).await;
    }
}

/// The store, the machine or the clock stands still for a minute or for a day: no worker could be heard of meanwhile.
pub(super) async fn a_pause_of_everything_costs_no_attempt(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, lease) = claim(&*store).await;
    for pause in [Policy::default().lease * 2, Duration::from_secs(24 * 3600)] {
        clock.advance(pause);
        store.reap().await.unwrap();
        assert_eq!(store.heartbeat(&lease).await.unwrap(), Beat::GoOn);
    }
    // From then on silence counts again.
    pass(&*store, &clock, Policy::default().lease).await;
    assert_eq!(store.reap().await.unwrap().requeued, 1);
    assert_eq!(store.get(id).await.unwrap().unwrap().attempt, 1);
}

pub(super) async fn a_worker_is_given_only_what_it_has_the_model_for(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let other = ModelId::parse("realesr-animevideov3").unwrap();
    let mut drawing = new_job();
    drawing.params.model = other.clone();
    let mut without = new_job_of(client(2));
    (without.params.model, without.params.background) = (other.clone(), false);
    let [drawing, without] = [(1, drawing), (2, without)].map(|(number, job)| (number, job.id, job));
    for (number, _, job) in [drawing.clone(), without.clone()] {
        store.submit(NewJobs::new(client(number), vec![job])).await.unwrap();
    }
    let photo = submit(&*store, 3, 1).await[0];
    // Nothing of the line is lost by passing over what needs another model.
    let mut claimed = [claim(&*store).await.0.id, claim(&*store).await.0.id];
    claimed.sort();
    let mut expected = [without.1, photo];
    expected.sort();
    assert_eq!(claimed, expected);
    let nothing = ClaimRequest { skills: Vec::new(), ..request() };
    assert!(matches!(store.claim(&nothing).await.unwrap(), Claim::Nothing { .. }));
    let able = ClaimRequest { skills: Skill::of_worker(&[other], &[], false), ..request() };
    assert!(matches!(store.claim(&able).await.unwrap(), Claim::Job(job, _) if job.id == drawing.1));
}

pub(super) async fn who_has_a_share_of_a_worker_comes_after_others(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let first = submit(&*store, 1, 4).await;
    let busy = || ClaimRequest { busy: vec![client(1)], ..request() };
    assert_eq!(claim(&*store).await.0.id, first[0]);
    let later = [submit(&*store, 2, 1).await[0], submit(&*store, 3, 1).await[0]];
    let mut claimed = Vec::new();
    for _ in 0..4 {
        let Claim::Job(job, _) = store.claim(&busy()).await.unwrap() else { panic!("nothing to claim") };
        claimed.push(job.id);
    }
    claimed[..2].sort();
    let mut expected = later.to_vec();
    expected.sort();
    // When nobody else waits, it goes on.
    expected.extend(&first[1..3]);
    assert_eq!(claimed, expected);
    // Whoever needs what the worker lacks is no reason to wait.
    let mut drawing = new_job_of(client(2));
    drawing.params.model = ModelId::parse("realesr-animevideov3").unwrap();
    store.submit(NewJobs::new(client(2), vec![drawing])).await.unwrap();
    assert!(matches!(store.claim(&busy()).await.unwrap(), Claim::Job(job, _) if job.id == first[3]));
}

pub(super) async fn a_job_that_insists_on_faces_waits_for_a_worker_that_restores_them(
    store: Arc<dyn Store>,
    _clock: Arc<ManualClock>,
) {
    let mut portrait = new_job();
    portrait.params.faces = FaceMode::Require;
    let (id, upscaler) = (portrait.id, portrait.params.model.clone());
    store.submit(NewJobs::new(client(1), vec![portrait])).await.unwrap();
    let photo = submit(&*store, 2, 1).await[0];
    assert_eq!(claim(&*store).await.0.id, photo);
    idle(&*store).await;
    let queued = store.gauges().await.unwrap().queued_by_model;
    assert_eq!(queued, [("realesrgan-x4plus".to_owned(), 1)].into());
    let able = ClaimRequest { skills: Skill::of_worker(&[upscaler], &[], true), ..request() };
    assert!(matches!(store.claim(&able).await.unwrap(), Claim::Job(job, _) if job.id == id));
}

pub(super) async fn a_result_is_known_by_its_recipe(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let [recipe, other] = [Recipe([1; 32]), Recipe([2; 32])];
    submit(&*store, 1, 1).await;
    let (job, lease) = claim(&*store).await;
    assert_eq!(store.made_by(client(1), recipe).await.unwrap(), None);
    store.note_recipe(&job, lease.fence.into(), recipe).await.unwrap();
    // There is no result yet.
    assert_eq!(store.made_by(client(1), recipe).await.unwrap(), None);
    let done = store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    let found = store.made_by(client(1), recipe).await.unwrap().expect("it is known");
    assert_eq!((found.id, found.output_key()), (done.id, done.output_key()));
    assert_eq!(found.result, Some(result()));
    // What one client has had made tells no other that it was there.
    assert_eq!(store.made_by(client(2), recipe).await.unwrap(), None);
    assert_eq!(store.made_by(client(1), other).await.unwrap(), None);
    // The latest one counts, for it is kept the longest.
    submit(&*store, 1, 1).await;
    let (again, lease) = claim(&*store).await;
    store.note_recipe(&again, lease.fence.into(), recipe).await.unwrap();
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(store.made_by(client(1), recipe).await.unwrap().unwrap().id, again.id);
    // An output of an attempt that was lost is not the one that the job has.
    store.note_recipe(&again, Fence::random().into(), recipe).await.unwrap();
    assert_eq!(store.made_by(client(1), recipe).await.unwrap(), None);
    store.note_recipe(&again, lease.fence.into(), recipe).await.unwrap();
    assert!(store.made_by(client(1), recipe).await.unwrap().is_some());
    clock.advance(Policy::default().result_ttl + Duration::from_secs(1));
    store.reap().await.unwrap();
    assert_eq!(store.made_by(client(1), recipe).await.unwrap(), None);
}
