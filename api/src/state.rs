//! The state that every handler works with.

use std::{path::PathBuf, sync::Arc, time::Duration};

use remaster_blobs::Blobs;
use remaster_pictures::header::PixelLimits;
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord, UrlBase};
use remaster_shared::metrics::Metrics;
use remaster_shared::quota::UtcDay;
use remaster_store::Submissions;
use remaster_webhooks::egress::{Egress, EgressPolicy};
use tokio_util::sync::CancellationToken;

use crate::connections::ConnectionLimits;
use crate::dependencies::DependencyView;
use crate::fleet::FleetView;
use crate::hosts::Hosts;
use crate::lookup::shared_reads::SharedReads;
use crate::parse::allowances::{Allowances, DailyAllowances};
use crate::parse::client::Client;
use crate::parse::networks::Networks;
use crate::parse::turns::Turns;
use crate::proxies::TrustedProxies;
use crate::render::snapshot::Snapshot;

/// The settings that the API reads.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// What links start with. When `None`, they start with the host that the request named.
    pub public_url: Option<UrlBase>,
    /// The hosts that requests may name.
    pub hosts: Hosts,
    /// Images that a client may submit per UTC day.
    pub daily_limit: u64,
    /// What a client may cause in a day besides.
    pub allowances: DailyAllowances,
    /// The proxies whose `Forwarded` and `X-Forwarded-For` headers are believed.
    pub trusted_proxies: TrustedProxies,
    /// The largest image file that is accepted, in bytes.
    pub max_upload_bytes: u64,
    /// How many pixels a picture and its result may have.
    pub pixels: PixelLimits,
    /// How long `POST /enhance` waits for the result before it answers 202.
    pub sync_timeout: Duration,
    /// The folder that holds an upload until its header has been read.
    pub spool: PathBuf,
    /// How much space that folder's disk has to have, in bytes, for an upload to be accepted.
    pub min_free_bytes: u64,
    /// Whether networks are used at all. Without them every picture is enlarged by Lanczos resampling.
    pub use_realesrgan: bool,
    /// Whether `GET /metrics` is answered on the public port.
    pub metrics: bool,
    /// The limits on connections.
    pub connections: ConnectionLimits,
    /// The most files that one batch may have.
    pub max_batch_files: usize,
    /// What callers may ask of webhooks.
    pub webhooks: Webhooks,
    /// The addresses that images may be fetched from.
    pub image_urls: EgressPolicy,
}

/// What callers may ask of webhooks and need to know about them. They are sent by another part of the service.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// The addresses that webhooks may be sent to.
    pub policy: EgressPolicy,
    /// The public signing keys as `whpk_…`, newest first.
    pub public_keys: Vec<String>,
}

/// The reads of jobs and of batches that are followed.
#[derive(Default)]
pub(crate) struct FollowedReads {
    pub(crate) jobs: SharedReads<JobId, Snapshot<JobRecord>>,
    pub(crate) batches: SharedReads<BatchId, Snapshot<BatchRecord>>,
}

/// The state behind the routes.
pub struct Api {
    /// The job store. Through this port jobs can be submitted, read and canceled, but not claimed.
    pub store: Arc<dyn Submissions>,
    /// The object storage of inputs and results.
    pub blobs: Blobs,
    /// The workers and the models that they have.
    pub fleet: FleetView,
    /// Which of the things that this process depends on are there.
    pub dependencies: DependencyView,
    /// Fetches images from the addresses that callers name.
    pub fetcher: Egress,
    /// The settings of this process.
    pub settings: ApiSettings,
    /// Cancelled when the server is about to stop, so that long polls and event streams end.
    pub stopping: CancellationToken,
    /// The turns of uploads of a single image.
    pub uploads: Turns,
    /// The turns of batch uploads. Batches take long, so they do not share the turns of single uploads.
    pub batches: Turns,
    /// The turns of requests that wait for something to happen to a job or a batch.
    pub(crate) follows: Turns,
    /// The reads of what is followed.
    pub(crate) followed: FollowedReads,
    /// What the larger networks of IPv6 callers have submitted.
    pub(crate) networks: Networks,
    /// What each client has caused today.
    pub(crate) allowances: Allowances,
    /// The counters behind `GET /metrics`.
    pub metrics: Arc<Metrics>,
}

/// What the API is made of.
pub struct Parts {
    /// [`Api::store`].
    pub store: Arc<dyn Submissions>,
    /// [`Api::blobs`].
    pub blobs: Blobs,
    /// [`Api::fleet`].
    pub fleet: FleetView,
    /// [`Api::fetcher`].
    pub fetcher: Egress,
    /// [`Api::settings`].
    pub settings: ApiSettings,
    /// [`Api::stopping`].
    pub stopping: CancellationToken,
    /// [`Api::metrics`].
    pub metrics: Arc<Metrics>,
}

impl Api {
    /// The state of a process that has not answered anything yet.
    pub fn new(Parts { store, blobs, fleet, fetcher, settings, stopping, metrics }: Parts) -> Self {
        Self {
            store,
            blobs,
            fleet,
            dependencies: DependencyView::default(),
            fetcher,
            networks: Networks::new(settings.daily_limit),
            allowances: Allowances::new(settings.allowances, settings.daily_limit),
            settings,
            stopping,
            uploads: Turns::new(64, 16, "Too many uploads are being received"),
            batches: Turns::new(16, 4, "Too many batches are being received"),
            follows: Turns::new(16_384, 256, "Too many requests wait for the end of jobs"),
            followed: FollowedReads::default(),
            metrics,
        }
    }

    /// Counts a request or a file of the client that was refused, if that was for the picture.
    pub(crate) fn count_refusal(&self, client: Client, code: ErrorCode) {
        if code.is_of_a_picture() {
            self.allowances.refuse(UtcDay::of(self.store.now()), client.key);
        }
    }
}

/// The state as handlers share it.
pub type Shared = Arc<Api>;
