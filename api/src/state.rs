//! What every handler works with.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::proxies::TrustedProxies;
use remaster_blobs::Blobs;
use remaster_pictures::header::PixelLimits;
use remaster_shared::job::UrlBase;
use remaster_shared::metrics::Metrics;
use remaster_store::Submissions;
use remaster_webhooks::egress::EgressPolicy;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::fleet::FleetView;

#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Links start with this; when `None`, with the host that the request named.
    pub public_url: Option<UrlBase>,
    pub daily_limit: u64,
    /// Whose word on whom they forward for is believed.
    pub trusted_proxies: TrustedProxies,
    pub max_upload_bytes: u64,
    pub pixels: PixelLimits,
    /// How long `POST /enhance` holds its caller.
    pub sync_timeout: Duration,
    /// Uploads lie here while they are looked at.
    pub spool: PathBuf,
    /// Whether networks are used at all; without, every picture is enlarged by Lanczos.
    pub use_realesrgan: bool,
    /// Whether `GET /metrics` is answered here, on the public port.
    pub metrics: bool,
    /// Files in one batch.
    pub max_batch_files: usize,
    pub webhooks: Webhooks,
}

/// What callers may ask for and need to know of webhooks; sending them is done elsewhere.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// Where they may go.
    pub policy: EgressPolicy,
    /// `whpk_…` of each key that signs, newest first.
    pub public_keys: Vec<String>,
}

/// The service behind the routes.
pub struct Api {
    /// Takes jobs and tells of them; it cannot claim one.
    pub store: Arc<dyn Submissions>,
    pub blobs: Blobs,
    pub fleet: FleetView,
    pub settings: ApiSettings,
    /// Cancelled when the server is about to stop: nobody is held any longer.
    pub stopping: CancellationToken,
    /// Uploads being received at once.
    pub uploads: Semaphore,
    /// The same for batches, which take their time.
    pub batches: Semaphore,
    pub metrics: Arc<Metrics>,
}

impl Api {
    /// Uploads received at once; more wait for their turn, unread.
    pub const UPLOADS: usize = 64;
    pub const BATCHES: usize = 16;
}

pub type Shared = Arc<Api>;
