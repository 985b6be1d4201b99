//! Whose turn it is.

use super::*;

pub(super) async fn one_photo_does_not_wait_for_a_batch(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    submit(&*store, 1, 2000).await;
    for claimed_before in [0, 1, 5] {
        for _ in 0..claimed_before {
            claim(&*store).await;
        }
        let single = submit(&*store, 2 + claimed_before, 1).await[0];
        assert!(store.get(single).await.unwrap().unwrap().position.unwrap() <= 2);
        let next = [claim(&*store).await.0.id, claim(&*store).await.0.id];
        assert!(next.contains(&single), "after {claimed_before} claims");
    }
}

/// Many clients with a photo each wait, and with every claim one more comes: the first are served first, and a client
/// with a batch keeps moving on.
pub(super) async fn newcomers_without_end_starve_nobody(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    newcomers_without_end(&*store, 100, 1900).await;
}

/// A client with a batch of 20 and others with one photo each wait, `clients` in all, and one more arrives with each of `claims` claims.
///
/// # Panics
/// One of the first is not served within the bound of [`crate::rules::fairness`], or the batch gets less than three quarters of its share.
pub async fn newcomers_without_end(store: &dyn Store, clients: u32, claims: u32) {
    let client = |number: u32| {
        let mut key = [0; 16];
        // Spread, so that the order of the keys is not the order of arrival.
        key[..4].copy_from_slice(&number.wrapping_mul(0x9E37_79B9).to_be_bytes());
        ClientKey(key)
    };
    let submit = async |number: u32, jobs: usize| {
        let new = NewJobs::new(client(number), (0..jobs).map(|_| new_job_of(client(number))).collect());
        store.submit(new).await.unwrap().jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let batch = submit(0, 20).await;
    let mut first = Vec::new();
    for number in 1..clients {
        first.extend(submit(number, 1).await);
    }
    let mut served = HashSet::new();
    for newcomer in 0..claims {
        served.insert(claim(store).await.0.id);
        submit(clients + newcomer, 1).await;
        if newcomer + 1 == clients * 5 / 4 {
            let late = first.iter().filter(|id| !served.contains(id)).count();
            assert_eq!(late, 0, "the first are served within {} claims", clients * 5 / 4);
        }
    }
    let of_the_batch = batch.iter().filter(|id| served.contains(id)).count() as u32;
    // Among so many clients a fair share is one claim in as many.
    let share = (claims / clients).min(20);
    assert!(of_the_batch >= share * 3 / 4, "{of_the_batch} of the batch, whose share is {share}");
}

pub(super) async fn clients_take_turns_by_cost(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    // Client 1's pictures are four times client 2's.
    let small = |_| {
        let mut job = new_job_of(client(2));
        (job.input.width, job.input.height) = (500, 250);
        job
    };
    store.submit(NewJobs::new(client(1), (0..100).map(|_| new_job()).collect())).await.unwrap();
    store.submit(NewJobs::new(client(2), (0..100).map(small).collect())).await.unwrap();
    let mut turns = [0, 0];
    for _ in 0..50 {
        let (job, _) = claim(&*store).await;
        turns[usize::from(job.client == client(2))] += 1;
    }
    assert!((36..=44).contains(&turns[1]), "{turns:?}");
}

pub(super) async fn an_idle_client_saves_no_turns(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    submit(&*store, 1, 50).await;
    submit(&*store, 2, 1).await;
    for _ in 0..30 {
        claim(&*store).await;
    }
    // Client 2 was idle for most of that; it now alternates, and does not catch up.
    submit(&*store, 2, 10).await;
    let mut of_two = 0;
    for _ in 0..10 {
        of_two += usize::from(claim(&*store).await.0.client == client(2));
    }
    assert!((5..=6).contains(&of_two), "{of_two}");
}

/// Who was served hours ago, when nobody waited, owes nothing for it.
pub(super) async fn a_returning_client_is_like_a_new_one(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    for number in [1, 3] {
        let mut large = new_job_of(client(number));
        (large.input.width, large.input.height) = (4000, 3000);
        store.submit(NewJobs::new(client(number), vec![large])).await.unwrap();
        let (_, lease) = claim(&*store).await;
        store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    }
    submit(&*store, 2, 100).await;
    claim(&*store).await;
    let single = submit(&*store, 1, 1).await[0];
    assert_eq!(claim(&*store).await.0.id, single);
}

/// A client whose job came back for a retry after a while gets no turns for the time it waited.
pub(super) async fn a_retry_brings_no_old_turns_back(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    submit(&*store, 1, 1).await;
    let (_, lease) = claim(&*store).await;
    submit(&*store, 2, 60).await;
    for _ in 0..40 {
        claim(&*store).await;
    }
    store.finish(&lease, Outcome::Failed(JobError::internal())).await.unwrap();
    clock.advance(Duration::from_secs(20));
    submit(&*store, 1, 20).await;
    let mut of_one = 0;
    for _ in 0..10 {
        of_one += usize::from(claim(&*store).await.0.client == client(1));
    }
    assert!((5..=6).contains(&of_one), "{of_one}");
}

pub(super) async fn a_client_s_jobs_keep_their_order(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 20).await;
    for id in ids {
        assert_eq!(claim(&*store).await.0.id, id);
    }
}

pub(super) async fn a_retry_costs_no_second_turn(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let first = submit(&*store, 1, 2).await[0];
    let (_, lease) = claim(&*store).await;
    store.finish(&lease, Outcome::Failed(JobError::internal())).await.unwrap();
    clock.advance(Duration::from_secs(60));
    submit(&*store, 2, 2).await;
    let order: Vec<_> = [claim(&*store).await, claim(&*store).await, claim(&*store).await]
        .into_iter()
        .map(|(job, _)| (job.client, job.id))
        .collect();
    // Client 2 goes first, because client 1 was already served. After that both clients have almost the same start, and
    // client 1's retry is its oldest job.
    assert_eq!(order[0].0, client(2));
    assert!(order[1..].contains(&(client(1), first)), "{order:?}");
}
