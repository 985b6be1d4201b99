//! Commands and settings. Every setting is a flag and an environment variable of the same name; help texts here are
//! what `docs/configuration.md` is made of.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use remaster_api::proxies::TrustedProxies;
use remaster_engine::{Device, Precision};
use remaster_shared::job::{FaceMode, MetadataPolicy, ModelId, Scale};
use remaster_webhooks::{egress::EgressPolicy, sign::Signer};
use remaster_worker::upscale::TileSettings;

use crate::parse::{self, LogFormat, Maybe};

/// Restores and enlarges photos: a service with a queue, and a command line.
///
/// Without a command: serve.
#[derive(Parser)]
#[command(name = "remaster", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: Box<ServeArgs>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run everything in one process: API, worker, embedded store
    Serve(Box<ServeArgs>),
    /// Run an API node: no models, no worker; needs REDIS_URL and STORAGE_URL
    Api(Box<ApiNodeArgs>),
    /// Run a worker node: no HTTP but health and metrics; needs REDIS_URL and STORAGE_URL
    Worker(Box<WorkerNodeArgs>),
    /// Enhance files here, without a server
    Enhance(Box<EnhanceArgs>),
    /// List, fetch, import and check models
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Ask a running node whether it lives; exits with 0 if it does
    Healthcheck(HealthcheckArgs),
    /// Print every setting with its default and what it does
    Config,
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub api: ApiArgs,
    #[command(flatten)]
    pub webhooks: WebhookArgs,
    #[command(flatten)]
    pub admin: AdminArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub worker: WorkerArgs,
    #[command(flatten)]
    pub networks: NetworkArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub models: ModelsArgs,
    #[command(flatten)]
    pub pull: PullArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Args)]
pub struct ApiNodeArgs {
    #[command(flatten)]
    pub api: ApiArgs,
    #[command(flatten)]
    pub webhooks: WebhookArgs,
    #[command(flatten)]
    pub admin: AdminArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub networks: NetworkArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Args)]
pub struct WorkerNodeArgs {
    #[command(flatten)]
    pub admin: AdminArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub worker: WorkerArgs,
    #[command(flatten)]
    pub networks: NetworkArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub models: ModelsArgs,
    #[command(flatten)]
    pub pull: PullArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Args)]
#[command(next_help_heading = "API")]
pub struct ApiArgs {
    /// Address and port that the API listens on
    #[arg(long, env = "BIND", default_value = "127.0.0.1:8000", value_parser = parse::address)]
    pub bind: SocketAddr,
    /// Prefix of every link in answers; by default the host that the request named
    #[arg(long, env = "PUBLIC_URL", default_value = "", value_parser = parse::maybe_url, hide_default_value = true)]
    pub public_url: Maybe<String>,
    /// Reverse proxies whose Forwarded or X-Forwarded-For is believed: networks, addresses, loopback, private
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "", value_parser = parse::typed::<TrustedProxies>, hide_default_value = true)]
    pub trusted_proxies: TrustedProxies,
    /// Images per client and UTC day
    #[arg(long, env = "FREE_DAILY_LIMIT", default_value = "10000", value_parser = parse::count)]
    pub free_daily_limit: u64,
    /// Largest accepted upload, in bytes
    #[arg(long, env = "MAX_UPLOAD_BYTES", default_value = "50000000", value_parser = parse::count)]
    pub max_upload_bytes: u64,
    /// Most pixels of an accepted image
    #[arg(long, env = "MAX_INPUT_PIXELS", default_value = "40000000", value_parser = parse::count)]
    pub max_input_pixels: u64,
    /// Most pixels of a result
    #[arg(long, env = "MAX_OUTPUT_PIXELS", default_value = "200000000", value_parser = parse::count)]
    pub max_output_pixels: u64,
    /// How long POST /enhance holds its caller before it answers 202
    #[arg(long, env = "SYNC_TIMEOUT", default_value = "120s", value_parser = parse::duration)]
    pub sync_timeout: Duration,
    /// Most files in one batch
    #[arg(long, env = "MAX_BATCH_FILES", default_value = "100", value_parser = parse::small_count)]
    pub max_batch_files: u32,
}

#[derive(Args)]
#[command(next_help_heading = "Webhooks")]
pub struct WebhookArgs {
    /// ed25519 keys that sign webhooks, each whsk_ and base64 of 32 bytes, newest first: while one is being replaced both
    /// sign; by default one that the store keeps
    #[arg(long, env = "WEBHOOK_SIGNING_KEY", default_value = "", value_parser = parse::maybe_signer, hide_default_value = true, hide_env_values = true)]
    pub webhook_signing_key: Maybe<Signer>,
    /// Networks and addresses that are not public and where webhooks may go all the same, such as 10.1.0.0/16
    #[arg(long, env = "WEBHOOK_ALLOW", default_value = "", value_parser = parse::typed::<EgressPolicy>, hide_default_value = true)]
    pub webhook_allow: EgressPolicy,
}

#[derive(Args)]
#[command(next_help_heading = "Administration")]
pub struct AdminArgs {
    /// Address and port for health and metrics, apart from the public port; a worker node has no other
    #[arg(long, env = "ADMIN_BIND", default_value = "", value_parser = parse::maybe_address, hide_default_value = true)]
    pub admin_bind: Maybe<SocketAddr>,
}

#[derive(Args)]
pub struct HealthcheckArgs {
    /// What to ask
    #[arg(long, default_value = "http://127.0.0.1:8000/health", value_parser = parse::public_url)]
    pub url: String,
}

#[derive(Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// Keep jobs in this Redis (7 or newer) or Valkey instead of the embedded store: redis://, rediss://, redis-cluster://,
    /// redis-sentinel://
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// Folder of the embedded store, and of results by default
    #[arg(long, env = "DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// Where inputs and results lie: file:///some/folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or
    /// memory:///; by default the folder blobs in DATA_DIR. Credentials and endpoints are those of the cloud's own
    /// variables, such as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL
    #[arg(long, env = "STORAGE_URL", hide_env_values = true)]
    pub storage_url: Option<String>,
    /// Address under which callers reach an S3 endpoint, when it is another than this process uses
    #[arg(long, env = "STORAGE_PUBLIC_ENDPOINT", default_value = "", value_parser = parse::maybe_url, hide_default_value = true)]
    pub storage_public_endpoint: Maybe<String>,
    /// 0: results go through the API even where the storage could hand them out by signed URLs
    #[arg(long, env = "SIGNED_URLS", default_value = "1", value_parser = parse::switch)]
    pub signed_urls: bool,
    /// Jobs waiting, over all clients, past which submits are refused
    #[arg(long, env = "MAX_QUEUE", default_value = "100000", value_parser = parse::count)]
    pub max_queue: u64,
    /// How long a result is kept
    #[arg(long, env = "RESULT_TTL", default_value = "24h", value_parser = parse::duration)]
    pub result_ttl: Duration,
    /// How long a worker may be silent before its job goes to another
    #[arg(long, env = "LEASE", default_value = "30s", value_parser = parse::lease)]
    pub lease: Duration,
    /// Attempts at a job that fails through no fault of its own
    #[arg(long, env = "MAX_ATTEMPTS", default_value = "3", value_parser = parse::small_count)]
    pub max_attempts: u32,
}

#[derive(Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkerArgs {
    /// Jobs at once: while one is decoded or encoded, another has the device
    #[arg(long, env = "WORKER_JOBS", default_value = "2", value_parser = parse::small_count)]
    pub worker_jobs: u32,
}

#[derive(Args)]
#[command(next_help_heading = "Engine")]
pub struct NetworkArgs {
    /// 0: enlarge by Lanczos only, without networks
    #[arg(long, env = "USE_REALESRGAN", default_value = "1", value_parser = parse::switch)]
    pub use_realesrgan: bool,
}

#[derive(Args, Clone)]
#[command(next_help_heading = "Engine")]
pub struct EngineArgs {
    /// Where networks run: auto, cpu, cuda:0, cuda:0,1,2,3 or tensorrt:0
    #[arg(long, env = "DEVICE", default_value = "auto", value_parser = parse::typed::<Device>)]
    pub device: Device,
    /// In what numbers networks compute: auto, fp32 or fp16; auto is fp32, until fp16 has been measured on GPUs
    #[arg(long, env = "PRECISION", default_value = "auto", value_parser = parse::typed::<Precision>)]
    pub precision: Precision,
    /// Largest side of what a network is given at once, in pixels; memory grows with its square
    #[arg(long, env = "TILE", default_value_t, value_parser = parse::typed::<TileSettings>)]
    pub tile: TileSettings,
    /// ONNX Runtime library to load instead of the pulled one
    #[arg(long, env = "ORT_DYLIB_PATH")]
    pub ort_dylib_path: Option<PathBuf>,
}

#[derive(Args)]
#[command(next_help_heading = "Models")]
pub struct ModelsArgs {
    /// Folder of models and the inference runtime; by default in the user's cache
    #[arg(long, env = "MODELS_DIR")]
    pub models_dir: Option<PathBuf>,
    /// Folder or URL prefix tried first for every asset
    #[arg(long, env = "ASSET_MIRROR")]
    pub asset_mirror: Option<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Models")]
pub struct PullArgs {
    /// 0: fetch nothing unasked; only `remaster models pull` does
    #[arg(long, env = "PULL_MODELS", default_value = "1", value_parser = parse::switch)]
    pub pull_models: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// error, warn, info, debug, trace, or a filter such as info,remaster_worker=debug
    #[arg(long, env = "LOG_LEVEL", default_value = "info", value_parser = parse::filter)]
    pub log_level: String,
    /// text or json
    #[arg(long, env = "LOG_FORMAT", default_value = "text", value_parser = parse::log_format)]
    pub log_format: LogFormat,
}

#[derive(Args)]
pub struct EnhanceArgs {
    /// Images: files, folders (searched recursively) or glob patterns
    #[arg(required = true)]
    pub inputs: Vec<String>,
    /// A file ending in .png for one image, else a folder
    #[arg(short, long)]
    pub output: PathBuf,
    /// How much larger, per side: 2 or 4
    #[arg(long, default_value = "2", value_parser = parse::option::<Scale>)]
    pub scale: Scale,
    /// An installed upscaler's id, or auto
    #[arg(long, default_value = "auto", value_parser = parse::model)]
    pub model: ModelId,
    /// auto, off or require
    #[arg(long, default_value = "auto", value_parser = parse::option::<FaceMode>)]
    pub faces: FaceMode,
    /// From 0 (face as enlarged) to 1 (restored face)
    #[arg(long, default_value = "1", value_parser = parse::fraction)]
    pub face_strength: f64,
    /// false: Lanczos instead of the network for everything but faces
    #[arg(long, default_value = "true", action = clap::ArgAction::Set, value_parser = parse::boolean)]
    pub background: bool,
    /// strip or keep EXIF
    #[arg(long, default_value = "strip", value_parser = parse::option::<MetadataPolicy>)]
    pub metadata: MetadataPolicy,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub models: ModelsArgs,
    #[command(flatten)]
    pub pull: PullArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Subcommand)]
pub enum ModelsCommand {
    /// What is installed and what is missing
    List {
        #[command(flatten)]
        models: ModelsArgs,
    },
    /// Fetch, verify and install: the defaults, the given ids, or everything
    Pull {
        ids: Vec<String>,
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        models: ModelsArgs,
    },
    /// Install a weight file that is already here (.onnx, or ncnn .param with its .bin beside it)
    Import {
        file: PathBuf,
        /// The id under which it is installed
        #[arg(long = "as", value_name = "ID")]
        id: String,
        /// How much it enlarges, for a file that does not say
        #[arg(long)]
        scale: Option<u32>,
        #[command(flatten)]
        models: ModelsArgs,
    },
    /// Hash what is installed and compare
    Verify {
        #[command(flatten)]
        models: ModelsArgs,
    },
}
