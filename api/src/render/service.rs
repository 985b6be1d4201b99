//! What the service answers about itself, as JSON.

use jiff::Timestamp;
use remaster_shared::catalogue::ModelInfo;
use remaster_shared::fleet::WorkerSeen;
use remaster_shared::version::VERSION;
use serde::Serialize;
use utoipa::ToSchema;

use crate::fleet::Fleet;

/// The answer to `GET /models`.
#[derive(Serialize, ToSchema)]
pub struct ModelList {
    models: Vec<ModelView>,
}

/// A model, and how many workers have it now.
#[derive(Serialize, ToSchema)]
pub struct ModelView {
    #[serde(flatten)]
    model: ModelInfo,
    workers: u64,
}

impl From<&Fleet> for ModelList {
    fn from(fleet: &Fleet) -> Self {
        let view = |model: &ModelInfo| ModelView { model: model.clone(), workers: fleet.workers_with(&model.id) };
        Self { models: fleet.models.iter().map(view).collect() }
    }
}

/// The answer to `GET /health`.
#[derive(Serialize, ToSchema)]
pub struct Health {
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    service: &'static str,
    version: &'static str,
}

impl Health {
    /// The process is alive at this time.
    pub fn at(timestamp: Timestamp) -> Self {
        Self { status: "ok", timestamp, service: "remaster", version: VERSION.as_str() }
    }
}

/// The answer to `GET /ready`: for each dependency `ok`, or what is wrong with it.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    status: &'static str,
    store: &'static str,
    storage: &'static str,
    models: &'static str,
    workers: &'static str,
}

/// Which dependencies are there.
#[derive(Debug, Clone, Copy)]
pub struct Dependencies {
    /// Whether the job store answers.
    pub store: bool,
    /// Whether the object storage answers.
    pub storage: bool,
    /// Whether an upscaler is installed, or none is needed.
    pub models: bool,
    /// Whether there is a worker.
    pub workers: bool,
    /// Whether one of the workers takes jobs.
    pub working: bool,
}

impl Dependencies {
    /// Whether jobs can be taken and worked on.
    pub fn are_ready(self) -> bool {
        self.store && self.storage && self.models && self.workers && self.working
    }
}

impl From<Dependencies> for Readiness {
    fn from(dependencies: Dependencies) -> Self {
        let ok_or = |ok, problem| if ok { "ok" } else { problem };
        Self {
            status: ok_or(dependencies.are_ready(), "unavailable"),
            store: ok_or(dependencies.store, "unreachable"),
            storage: ok_or(dependencies.storage, "unreachable"),
            models: ok_or(dependencies.models, "no upscaler on any worker"),
            workers: match (dependencies.workers, dependencies.working) {
                (true, true) => "ok",
                (true, false) => "all paused after a fault of their own",
                (false, _) => "none seen",
            },
        }
    }
}

/// The answer to `GET /stats`.
#[derive(Serialize, ToSchema)]
pub struct StatsView {
    /// Clients that submitted something today.
    pub total_ips_today: u64,
    /// Quota units that were charged today.
    pub total_requests_today: u64,
    /// Whether the job store is Redis.
    pub redis_connected: bool,
    /// Images that a client may submit per UTC day.
    pub daily_limit_per_ip: u64,
    /// The kind of the job store: `sqlite` or `redis`.
    pub store: &'static str,
    /// Jobs that wait in the queue.
    pub queue_depth: u64,
    /// Jobs that a worker is working on.
    pub processing: u64,
    /// Workers that are there now.
    pub workers: u64,
    /// What each of these workers announced.
    pub fleet: Vec<WorkerView>,
}

/// A worker as it announced itself.
#[derive(Serialize, ToSchema)]
pub struct WorkerView {
    name: String,
    version: String,
    /// The device that it computes on, for example `cpu` or `cuda:0`.
    device: String,
    /// The ids of the models that it has.
    models: Vec<String>,
    /// How many jobs it works on at once.
    jobs: u32,
    /// How many jobs it is working on.
    in_flight: u32,
    /// Whether it takes no jobs at present, because a part of it failed (its log says which). It takes jobs again by itself
    /// once that part works.
    paused: bool,
    /// When it last announced itself.
    #[schema(value_type = String, format = DateTime)]
    last_seen: Timestamp,
}

impl From<&WorkerSeen> for WorkerView {
    fn from(WorkerSeen { said, at }: &WorkerSeen) -> Self {
        Self {
            name: said.name.clone(),
            version: said.version.clone(),
            device: said.device.clone(),
            models: said.models.iter().filter(|model| model.kind.is_model()).map(|model| model.id.clone()).collect(),
            jobs: said.jobs,
            in_flight: said.in_flight,
            paused: said.paused.is_some(),
            last_seen: *at,
        }
    }
}

/// The answer to `GET /webhooks/key`.
#[derive(Serialize, ToSchema)]
pub struct WebhookKeys {
    /// The newest ed25519 public key, as `whpk_` and base64.
    key: String,
    /// All keys that sign now, newest first. While a key is being replaced there are two, and each webhook is signed with both.
    keys: Vec<String>,
}

impl From<&[String]> for WebhookKeys {
    /// The keys, newest first.
    fn from(keys: &[String]) -> Self {
        Self { key: keys.first().cloned().unwrap_or_default(), keys: keys.to_vec() }
    }
}
