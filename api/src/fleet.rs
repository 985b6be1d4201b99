//! The workers and the models that they have, as the store knew them a moment ago.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use moka::future::Cache;
use remaster_shared::catalogue::{Kind, ModelInfo, denoisers, restores_faces};
use remaster_shared::fleet::WorkerSeen;
use remaster_shared::job::ModelId;
use remaster_store::{Jobs, StoreError, WorkerRegistry};

/// How old the view of the fleet may be. The store is asked no more often than this, however many submits arrive.
const MAX_AGE: Duration = Duration::from_secs(1);

/// How long the last view is used while the store does not tell who the workers are. With several shards that is one server's work, and the
/// others go on taking jobs meanwhile.
const KEPT: Duration = Duration::from_secs(60);
/// How long the store is waited for where there is such a view.
const PATIENCE: Duration = Duration::from_millis(300);

/// What all workers announced, put together.
#[derive(Debug, Default)]
pub struct Fleet {
    /// The workers that are there now.
    pub workers: Vec<WorkerSeen>,
    /// Every known model. A model is installed when some worker has it, or had it when it was last seen.
    pub models: Vec<ModelInfo>,
    /// The same of the workers that restore faces; none is installed where there is no such worker.
    pub restoring: Vec<ModelInfo>,
    /// The upscalers that some worker can tell how much noise to remove.
    pub denoisers: Vec<ModelId>,
    /// The same of the workers that restore faces.
    pub restoring_denoisers: Vec<ModelId>,
}

impl Fleet {
    fn new(known: &[ModelInfo], mut workers: Vec<WorkerSeen>, now: Timestamp) -> Self {
        let models = merged(known, workers.iter());
        // A worker does that alone: with a detector and a restorer of its own.
        let restorers = || workers.iter().filter(|worker| restores_faces(&worker.said.models));
        let restoring = merged(known, restorers());
        let restoring_denoisers = all_denoisers(known, restorers());
        let denoisers = all_denoisers(known, workers.iter());
        workers.retain(|worker| worker.is_live(now));
        Self { workers, models, restoring, denoisers, restoring_denoisers }
    }

    /// How many of the present workers have the model.
    pub fn workers_with(&self, model: &str) -> u64 {
        let has_it = |worker: &&WorkerSeen| worker.said.models.iter().any(|own| own.id == model);
        self.workers.iter().filter(has_it).count() as u64
    }

    /// Whether a model of this kind is installed.
    pub fn has_kind(&self, kind: Kind) -> bool {
        self.models.iter().any(|model| model.installed && model.kind == kind)
    }
}

/// The known models and those that the workers have.
fn merged<'a>(known: &[ModelInfo], workers: impl Iterator<Item = &'a WorkerSeen>) -> Vec<ModelInfo> {
    let mut models = known.to_vec();
    for announced in workers.flat_map(|worker| &worker.said.models) {
        match models.iter_mut().find(|model| model.id == announced.id) {
            Some(model) => model.installed = true,
            None => models.push(announced.clone()),
        }
    }
    models[known.len()..].sort_by(|one, other| one.id.cmp(&other.id));
    models
}

/// The upscalers of which one of these workers has the weak denoiser too.
fn all_denoisers<'a>(known: &[ModelInfo], workers: impl Iterator<Item = &'a WorkerSeen>) -> Vec<ModelId> {
    let of_worker = |worker| denoisers(&merged(known, std::iter::once(worker)));
    let mut all = Vec::new();
    for model in workers.flat_map(of_worker) {
        if !all.contains(&model) {
            all.push(model);
        }
    }
    all
}

/// The fleet, read from the store at most once per half second.
pub struct FleetView {
    registry: Arc<dyn WorkerRegistry>,
    /// Read only for the store's clock, by which workers count as live.
    jobs: Arc<dyn Jobs>,
    /// The models of this release, whether or not a worker has them.
    known: Arc<[ModelInfo]>,
    /// Holds one value. Concurrent readers of a value that is too old wait for one query of the store.
    cache: Cache<(), Arc<Fleet>>,
    /// The last answer of the store.
    last: Last,
}

/// An answer, and when it came.
type Last = Arc<Mutex<Option<(Instant, Arc<Fleet>)>>>;

impl FleetView {
    /// A view of the workers in `registry`. `known` are the models of this release.
    pub fn new(registry: Arc<dyn WorkerRegistry>, jobs: Arc<dyn Jobs>, known: Vec<ModelInfo>) -> Self {
        let known = known.into_iter().map(|model| ModelInfo { installed: false, ..model }).collect();
        let cache = Cache::builder().max_capacity(1).time_to_live(MAX_AGE).build();
        Self { registry, jobs, known, cache, last: Last::default() }
    }

    /// Where the workers announce themselves.
    pub fn registry(&self) -> &dyn WorkerRegistry {
        &*self.registry
    }

    /// The fleet as it was at most half a second ago; while the store does not answer, as it was at most a minute ago.
    ///
    /// # Errors
    /// The store does not answer, and has not for a minute. An error is not cached: the next call asks the store again.
    pub async fn current(&self) -> Result<Arc<Fleet>, StoreError> {
        self.cache.try_get_with((), self.read()).await.map_err(|error: Arc<StoreError>| (*error).clone())
    }

    async fn read(&self) -> Result<Arc<Fleet>, StoreError> {
        let Some(last) = self.last() else { return self.ask().await };
        // A late answer is not thrown away: it is the last one for those who ask next.
        match tokio::time::timeout(PATIENCE, tokio::spawn(self.ask())).await {
            Ok(Ok(Ok(fleet))) => Ok(fleet),
            _ => Ok(last),
        }
    }

    fn ask(&self) -> impl Future<Output = Result<Arc<Fleet>, StoreError>> + Send + use<> {
        let (registry, jobs) = (Arc::clone(&self.registry), Arc::clone(&self.jobs));
        let (known, last) = (Arc::clone(&self.known), Arc::clone(&self.last));
        async move {
            let fleet = Arc::new(Fleet::new(&known, registry.workers().await?, jobs.now()));
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&fleet)));
            Ok(fleet)
        }
    }

    /// The last answer of the store, unless it is too old.
    fn last(&self) -> Option<Arc<Fleet>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < KEPT).map(|(_, fleet)| Arc::clone(fleet))
    }
}
