//! Which shard a worker claims from, where there are several.
//!
//! A worker looks at all of them, and claims from the one whose client has waited longest. So each shard is given workers in proportion to
//! the clients that wait there, without anything that all workers have to read or write. Of very many shards it looks at that of
//! its process and at some others; where it finds nothing, and with each eighth claim, it looks at all.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::join_all;
use rand::seq::SliceRandom;
use remaster_store::{Claim, ClaimRequest, StoreError};

use super::RedisStore;
use super::shards::Shard;
use super::wire::{self, Glimpse};

/// How many shards are looked at first.
const FIRST: usize = 16;
/// One claim of so many looks at all shards from the start, so that the client that has waited longest of all is served.
const LONGEST_WAIT_EVERY: u64 = 8;
/// How long a shard may take to answer. One that takes longer is left alone for a while, so that it holds up no work of others.
const GLIMPSE: Duration = Duration::from_millis(500);
/// How soon a worker looks again while the server of a shard does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// A claim whose answer was lost. If a job was given, the same request gives it again, as long as the lease lasts.
pub(super) struct Unanswered {
    /// The tag of the shard.
    shard: String,
    request: ClaimRequest,
    at: Instant,
}

/// What a search for a job has come to so far.
#[derive(Default)]
struct Search {
    next: Option<Duration>,
    answered: bool,
    failed: Option<StoreError>,
}

impl RedisStore {
    /// Claims a job of any shard.
    ///
    /// # Errors
    /// No shard answers.
    pub(super) async fn claim_from_any(&self, request: &ClaimRequest) -> Result<Claim, StoreError> {
        if let Some(claim) = self.answer_to_an_earlier_claim(&request.worker).await {
            return Ok(claim);
        }
        let mut order: Vec<&Shard> = self.shards.all().iter().collect();
        order.swap(0, self.home);
        order[1..].shuffle(&mut rand::rng());
        let all = self.claims.fetch_add(1, Ordering::Relaxed) % LONGEST_WAIT_EVERY == LONGEST_WAIT_EVERY - 1;
        let (first, others) = order.split_at(if all { order.len() } else { FIRST.min(order.len()) });
        let mut search = Search::default();
        let mut found = self.with_work(first, request, &mut search).await;
        let mut rest = Some(others);
        // As long as others wait anywhere, clients that have their share of this worker do not go first.
        if found.iter().all(|(waited, _)| *waited <= 0.0)
            && let Some(others) = rest.take()
        {
            found.extend(self.with_work(others, request, &mut search).await);
        }
        loop {
            found.sort_by(|one, other| other.0.total_cmp(&one.0));
            for (_, shard) in found {
                match self.claim_from(shard, request).await {
                    Ok(Claim::Nothing { next }) => search.next = sooner(search.next, next),
                    Ok(claim) => return Ok(claim),
                    Err(error) => {
                        self.is_unanswered(shard, request, Instant::now());
                        search.fails(shard, error);
                    }
                }
            }
            let Some(others) = rest.take() else { break };
            found = self.with_work(others, request, &mut search).await;
        }
        match search {
            Search { answered: false, failed: Some(error), .. } => Err(error),
            Search { next, failed: Some(_), .. } => Ok(Claim::Nothing { next: sooner(next, Some(AGAIN)) }),
            Search { next, .. } => Ok(Claim::Nothing { next }),
        }
    }

    /// The request may have been carried out.
    pub(super) fn is_unanswered(&self, shard: &Shard, request: &ClaimRequest, at: Instant) {
        let (shard, request) = (shard.tag().to_owned(), request.clone());
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        unanswered.push(Unanswered { shard, request, at });
    }

    /// Makes a claim of the worker again whose answer was lost, once the shard's server answers again.
    async fn answer_to_an_earlier_claim(&self, worker: &str) -> Option<Claim> {
        let (shard, Unanswered { request, at, .. }) = {
            let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
            unanswered.retain(|claim| claim.at.elapsed() < self.policy.lease);
            let shard = |claim: &Unanswered| {
                let shard = self.shards.all().iter().find(|shard| shard.tag() == claim.shard)?;
                (claim.request.worker == worker && !shard.rests()).then_some(shard)
            };
            let (place, shard) =
                unanswered.iter().enumerate().find_map(|(place, claim)| Some((place, shard(claim)?)))?;
            (shard, unanswered.swap_remove(place))
        };
        match self.claim_from(shard, &request).await {
            Ok(Claim::Nothing { .. }) => None,
            Ok(claim) => Some(claim),
            Err(error) => {
                tracing::debug!(shard = shard.tag(), %error, "claims leave this shard alone for a while");
                shard.rest();
                self.is_unanswered(shard, &request, at);
                None
            }
        }
    }

    /// Those of the shards that have something to do, each with how long its client has waited, as [`Glimpse`] tells it.
    async fn with_work<'a>(
        &self,
        shards: &[&'a Shard],
        request: &ClaimRequest,
        search: &mut Search,
    ) -> Vec<(f64, &'a Shard)> {
        let (resting, awake): (Vec<_>, Vec<_>) = shards.iter().copied().partition(|shard| shard.rests());
        if let Some(shard) = resting.first() {
            search.failed = Some(StoreError::new(format!("the server of {} did not answer a moment ago", shard.tag())));
        }
        let looks = awake.into_iter().map(async |shard| (shard, self.glimpse(shard, request).await));
        let mut found = Vec::new();
        for (shard, glimpse) in join_all(looks).await {
            match glimpse {
                Ok(Glimpse { waited, next }) => {
                    search.answered = true;
                    if waited >= 0.0 || next == 0.0 {
                        found.push((waited, shard));
                    } else {
                        search.next = sooner(search.next, wire::wait(next));
                    }
                }
                Err(error) => search.fails(shard, error),
            }
        }
        found
    }

    async fn glimpse(&self, shard: &Shard, request: &ClaimRequest) -> Result<Glimpse, StoreError> {
        let args = std::iter::once(self.time()).chain(claimant(request)).collect();
        let look = self.call(shard.tag(), "rm_glimpse", args);
        tokio::time::timeout(GLIMPSE, look).await.unwrap_or_else(|_| {
            self.servers.suspect();
            Err(StoreError::new(format!("the server of {} does not answer", shard.tag())))
        })
    }
}

impl Search {
    fn fails(&mut self, shard: &Shard, error: StoreError) {
        tracing::debug!(shard = shard.tag(), %error, "claims leave this shard alone for a while");
        shard.rest();
        self.failed = Some(error);
    }
}

/// What a worker can do, and who has a share of it, as the functions take it.
pub(super) fn claimant(request: &ClaimRequest) -> impl Iterator<Item = String> {
    let skills = request.skills.iter().map(ToString::to_string);
    skills.chain(request.busy.iter().map(|client| format!("@{client}")))
}

fn sooner(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}
