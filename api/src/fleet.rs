//! What the workers can do: the models that are there to be used, and who is at work.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use remaster_shared::catalogue::{Kind, ModelInfo};
use remaster_shared::fleet::WorkerSeen;
use remaster_store::{Jobs, StoreError, WorkerRegistry};

/// The store is asked no more often than this, however many submits come.
const FRESH: Duration = Duration::from_millis(500);

/// What the workers said, put together.
#[derive(Debug, Default)]
pub struct Fleet {
    /// Those that are there now.
    pub workers: Vec<WorkerSeen>,
    /// Every known model; installed is what some worker has.
    pub models: Vec<ModelInfo>,
}

impl Fleet {
    fn of(known: &[ModelInfo], mut workers: Vec<WorkerSeen>, now: jiff::Timestamp) -> Self {
        let mut models = known.to_vec();
        for said in workers.iter().flat_map(|worker| &worker.said.models) {
            match models.iter_mut().find(|model| model.id == said.id) {
                Some(model) => model.installed = true,
                None => models.push(said.clone()),
            }
        }
        models[known.len()..].sort_by(|one, other| one.id.cmp(&other.id));
        workers.retain(|worker| worker.is_live(now));
        Self { workers, models }
    }

    /// Workers at work now that have the model.
    pub fn workers_with(&self, model: &str) -> u64 {
        let has = |worker: &&WorkerSeen| worker.said.models.iter().any(|own| own.id == model);
        self.workers.iter().filter(has).count() as u64
    }

    pub fn has_kind(&self, kind: Kind) -> bool {
        self.models.iter().any(|model| model.installed && model.kind == kind)
    }
}

/// The fleet as it was a moment ago.
pub struct FleetView {
    registry: Arc<dyn WorkerRegistry>,
    /// For its clock.
    jobs: Arc<dyn Jobs>,
    /// Models that this release knows, whether or not anybody has them.
    known: Vec<ModelInfo>,
    seen: Mutex<Option<(Instant, Arc<Fleet>)>>,
}

impl FleetView {
    pub fn new(registry: Arc<dyn WorkerRegistry>, jobs: Arc<dyn Jobs>, known: Vec<ModelInfo>) -> Self {
        let known = known.into_iter().map(|model| ModelInfo { installed: false, ..model }).collect();
        Self { registry, jobs, known, seen: Mutex::default() }
    }

    /// Where the workers announce themselves.
    pub fn registry(&self) -> &dyn WorkerRegistry {
        &*self.registry
    }

    pub async fn now(&self) -> Result<Arc<Fleet>, StoreError> {
        let seen = || self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, fleet)) = &*seen()
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(fleet));
        }
        let fleet = Arc::new(Fleet::of(&self.known, self.registry.workers().await?, self.jobs.now()));
        *seen() = Some((Instant::now(), Arc::clone(&fleet)));
        Ok(fleet)
    }
}
