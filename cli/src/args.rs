//! The commands and settings. Every setting is a flag and an environment variable of the same name. `docs/configuration.md`
//! is generated from the help texts here.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use remaster_api::option_spec::{BACKGROUND, FACE_STRENGTH, FACES, GRAIN, METADATA, MODEL, OptionSpec, QUALITY, SCALE};
use remaster_api::proxies::TrustedProxies;
use remaster_engine::{Device, Precision};
use remaster_shared::job::{
    Denoise, EnhanceParams, FaceMode, MaxSide, MetadataPolicy, ModelId, OutputFormat, Quality, Scale,
};
use remaster_shared::version::VERSION;
use remaster_webhooks::{egress::EgressPolicy, sign::Signer};
use remaster_worker::upscale::TileSettings;

use crate::parse::{self, LogFormat, OptionalSetting};

/// Restores and enlarges photos, as a service with a queue and on the command line.
///
/// Without a command it runs `serve`.
#[derive(Parser)]
#[command(name = "remaster", version = VERSION.as_str(), args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: Box<ServeArgs>,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Run everything in one process: the API, a worker and the embedded store
    Serve(Box<ServeArgs>),
    /// Run an API node, which has no models and no worker; it needs REDIS_URL and STORAGE_URL
    Api(Box<ApiNodeArgs>),
    /// Run a worker node, which serves only the administration port over HTTP; it needs REDIS_URL and STORAGE_URL
    Worker(Box<WorkerNodeArgs>),
    /// Enhance local files without a server
    Enhance(Box<EnhanceArgs>),
    /// Enhance images with a running service; an interrupted command can be repeated, and no image is paid twice
    Submit(Box<SubmitArgs>),
    /// Measure how fast this machine runs the installed networks
    Bench(Box<BenchArgs>),
    /// List, fetch, import and verify models
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Look at the queue of a running service, and act on it: needs a node with ADMIN_BIND
    Jobs {
        #[command(subcommand)]
        command: JobsCommand,
        #[command(flatten)]
        admin: AdminUrlArgs,
    },
    /// Copy DATA_DIR, also while a service uses it
    Backup(BackupArgs),
    /// Check the health of a running node; the exit code is 0 if it is healthy
    Healthcheck(HealthcheckArgs),
    /// Print every setting with its default and its description
    Config,
    /// Print the OpenAPI document
    Openapi,
}

/// The settings of `remaster serve`.
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

/// The settings of `remaster api`.
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

/// The settings of `remaster worker`.
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

/// The settings of the HTTP API.
#[derive(Args)]
#[command(next_help_heading = "API")]
pub struct ApiArgs {
    /// Address and port that the API listens on
    #[arg(long, env = "BIND", default_value = "127.0.0.1:8000", value_parser = parse::address)]
    pub bind: SocketAddr,
    /// Prefix of every link in responses and webhooks; by default the host that the request names
    #[arg(long, env = "PUBLIC_URL", default_value = "", value_parser = parse::optional_url, hide_default_value = true)]
    pub public_url: OptionalSetting<String>,
    /// Names of the service that requests may name as their host, separated by commas, besides addresses, localhost and the host of
    /// PUBLIC_URL; by default any name if BIND is reached over a network, and no further name if BIND is a loopback address
    #[arg(long, env = "ALLOWED_HOSTS", value_delimiter = ',', value_parser = parse::host_name)]
    pub allowed_hosts: Vec<String>,
    /// Reverse proxies whose Forwarded or X-Forwarded-For header is trusted: networks, addresses, and the words loopback and
    /// private, separated by commas
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "", hide_default_value = true)]
    pub trusted_proxies: TrustedProxies,
    /// Number of images that a client may submit per UTC day
    #[arg(long, env = "FREE_DAILY_LIMIT", default_value = "10000", value_parser = parse::count)]
    pub free_daily_limit: u64,
    /// Bytes of images that a client may submit per UTC day, by one node
    #[arg(long, env = "DAILY_UPLOAD_BYTES", default_value = "50000000000", value_parser = parse::count)]
    pub daily_upload_bytes: u64,
    /// Megapixels of results that a client may ask for per UTC day, by one node
    #[arg(long, env = "DAILY_MEGAPIXELS", default_value = "200000", value_parser = parse::count)]
    pub daily_megapixels: u64,
    /// Number of files that cannot be used that are looked at for a client per UTC day, by one node
    #[arg(long, env = "DAILY_REFUSED_FILES", default_value = "2000", value_parser = parse::count)]
    pub daily_refused_files: u64,
    /// Number of images beyond FREE_DAILY_LIMIT that a client may submit per UTC day because it canceled others, by one node
    #[arg(long, env = "DAILY_REFUNDS", default_value = "10000", value_parser = parse::count)]
    pub daily_refunds: u64,
    /// Size of the largest accepted upload, in bytes
    #[arg(long, env = "MAX_UPLOAD_BYTES", default_value = "50000000", value_parser = parse::count)]
    pub max_upload_bytes: u64,
    /// Largest number of pixels of an accepted image
    #[arg(long, env = "MAX_INPUT_PIXELS", default_value = "52000000", value_parser = parse::count)]
    pub max_input_pixels: u64,
    /// Largest number of pixels of a result
    #[arg(long, env = "MAX_OUTPUT_PIXELS", default_value = "208000000", value_parser = parse::count)]
    pub max_output_pixels: u64,
    /// Networks and addresses that images may be fetched from by their URLs although they are not public, such as 10.1.0.0/16; none: no
    /// images are fetched at all
    #[arg(long, env = "IMAGE_URL_ALLOW", default_value = "", hide_default_value = true)]
    pub image_url_allow: EgressPolicy,
    /// How long POST /enhance waits for the result before it answers 202
    #[arg(long, env = "SYNC_TIMEOUT", default_value = "120s", value_parser = parse::duration)]
    pub sync_timeout: Duration,
    /// Largest number of open connections; further ones are closed at once
    #[arg(long, env = "MAX_CONNECTIONS", default_value = "4096", value_parser = parse::count)]
    pub max_connections: u64,
    /// Largest number of open connections from one address, unless it is a trusted proxy
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", default_value = "256", value_parser = parse::count)]
    pub max_connections_per_address: u64,
    /// Largest number of files in a batch
    #[arg(long, env = "MAX_BATCH_FILES", default_value = "100", value_parser = parse::small_count)]
    pub max_batch_files: u32,
}

/// The settings of webhooks.
#[derive(Args)]
#[command(next_help_heading = "Webhooks")]
pub struct WebhookArgs {
    /// ed25519 keys that sign webhooks, newest first, separated by commas, each whsk_ and the base64 of 32 bytes; while a key
    /// is being replaced the old and the new key both sign; by default one key that is derived from a secret of the store
    #[arg(long, env = "WEBHOOK_SIGNING_KEY", default_value = "", value_parser = parse::optional_signer, hide_default_value = true, hide_env_values = true)]
    pub webhook_signing_key: OptionalSetting<Signer>,
    /// Networks and addresses that webhooks may be sent to although they are not public, such as 10.1.0.0/16; none: no webhooks are sent
    #[arg(long, env = "WEBHOOK_ALLOW", default_value = "", hide_default_value = true)]
    pub webhook_allow: EgressPolicy,
}

/// The settings of the administration port.
#[derive(Args)]
#[command(next_help_heading = "Administration")]
pub struct AdminArgs {
    /// Address and port for health, metrics and the actions of operators (`remaster jobs`), separate from the public port and to be
    /// reachable by operators only; a worker node serves no other port
    #[arg(long, env = "ADMIN_BIND", default_value = "", value_parser = parse::optional_address, hide_default_value = true)]
    pub admin_bind: OptionalSetting<SocketAddr>,
}

/// Where `remaster jobs` finds the service.
#[derive(Args)]
pub struct AdminUrlArgs {
    /// The URL of a node's administration port
    #[arg(long, env = "ADMIN_URL", default_value = "http://127.0.0.1:9100", value_parser = parse::public_url, global = true)]
    pub admin_url: String,
}

/// The arguments of `remaster backup`.
#[derive(Args)]
pub struct BackupArgs {
    /// The folder that the copy is made in; it has to be empty, or not to be there
    pub to: PathBuf,
    /// Folder of the embedded store and the pictures
    #[arg(long, env = "DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    #[arg(long, env = "REDIS_URL", hide = true, hide_env_values = true)]
    pub redis_url: Option<String>,
    #[arg(long, env = "STORAGE_URL", hide = true, hide_env_values = true)]
    pub storage_url: Option<String>,
}

/// The arguments of `remaster healthcheck`.
#[derive(Args)]
pub struct HealthcheckArgs {
    /// The URL to request
    #[arg(long, default_value = "http://127.0.0.1:8000/health", value_parser = parse::public_url)]
    pub url: String,
}

/// The settings of the job store and the object storage.
#[derive(Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// Redis (7 or newer) or Valkey that keeps the jobs instead of the embedded store: a URL that begins with redis://,
    /// rediss://, redis-cluster:// or redis-sentinel://
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// Number of Redis replicas that have to confirm a submission before it is acknowledged, so that a failover loses none; 0: none
    #[arg(long, env = "REDIS_WAIT_REPLICAS", default_value = "0", value_parser = parse::replicas)]
    pub redis_wait_replicas: u32,
    /// Number of shards over which the jobs are spread in Redis, by client, so that the masters of a Redis Cluster share the load. It
    /// cannot be changed once a node has started with it
    #[arg(long, env = "REDIS_SHARDS", default_value = "1", value_parser = parse::shards)]
    pub redis_shards: u16,
    /// Folder of the embedded store, and of inputs and results unless STORAGE_URL is set
    #[arg(long, env = "DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// Space that the disk of DATA_DIR has to have left for an upload to be accepted, in bytes. With half of it left, a worker takes no more
    /// jobs
    #[arg(long, env = "MIN_FREE_BYTES", default_value = "1000000000", value_parser = parse::count)]
    pub min_free_bytes: u64,
    /// Where inputs and results are stored: file:///some/folder, s3://bucket/prefix, gs://bucket/prefix,
    /// az://container/prefix or memory:///; by default the folder blobs in DATA_DIR. Credentials and endpoints are read from
    /// the cloud provider's own variables, such as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL
    #[arg(long, env = "STORAGE_URL", hide_env_values = true)]
    pub storage_url: Option<String>,
    /// URL under which callers reach an S3 endpoint, if it differs from the one that this process uses
    #[arg(long, env = "STORAGE_PUBLIC_ENDPOINT", default_value = "", value_parser = parse::optional_url, hide_default_value = true)]
    pub storage_public_endpoint: OptionalSetting<String>,
    /// 1: callers download results from the storage by signed URLs, if it can sign; 0: all results go through the API
    #[arg(long, env = "SIGNED_URLS", default_value = "1", value_parser = parse::switch)]
    pub signed_urls: bool,
    /// Number of queued jobs over all clients from which on submissions are refused
    #[arg(long, env = "MAX_QUEUE", default_value = "100000", value_parser = parse::count)]
    pub max_queue: u64,
    /// How long a result is kept
    #[arg(long, env = "RESULT_TTL", default_value = "24h", value_parser = parse::duration)]
    pub result_ttl: Duration,
    /// How long a worker may send no heartbeat before its job goes to another worker
    #[arg(long, env = "LEASE", default_value = "30s", value_parser = parse::lease)]
    pub lease: Duration,
    /// Number of attempts at a job that fails through the service's fault
    #[arg(long, env = "MAX_ATTEMPTS", default_value = "3", value_parser = parse::small_count)]
    pub max_attempts: u32,
}

/// The settings of a worker.
#[derive(Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkerArgs {
    /// Number of jobs that a worker processes at once; while one is decoded or encoded, another uses the device
    #[arg(long, env = "WORKER_JOBS", default_value = "2", value_parser = parse::small_count)]
    pub worker_jobs: u32,
    /// How long an attempt at a picture may take. A job that takes longer, or clearly would, fails with what its caller can do about it
    #[arg(long, env = "JOB_TIMEOUT", default_value = "1h", value_parser = parse::job_timeout)]
    pub job_timeout: Duration,
    /// 1: a picture that the same client sends again with the same options, while its first result is kept, is given that result, and charged
    /// as before; 0: it is made again
    #[arg(long, env = "REUSE_RESULTS", default_value = "1", value_parser = parse::switch)]
    pub reuse_results: bool,
    /// How long running jobs may go on after a stop is requested. Container runtimes allow 10 seconds for the whole stop by default
    #[arg(long, env = "JOB_GRACE", default_value = "6s", value_parser = parse::duration)]
    pub job_grace: Duration,
}

/// Whether networks are used at all.
#[derive(Args)]
#[command(next_help_heading = "Engine")]
pub struct NetworkArgs {
    /// 1: enlarge with networks; 0: enlarge with a Lanczos filter only
    #[arg(long, env = "USE_REALESRGAN", default_value = "1", value_parser = parse::switch)]
    pub use_realesrgan: bool,
}

/// The settings of the inference engine.
#[derive(Args, Clone)]
#[command(next_help_heading = "Engine")]
pub struct EngineArgs {
    /// Device that the networks run on: auto, cpu, openvino, cuda:0, cuda:0,1,2,3 or tensorrt:0; auto is the first GPU of NVIDIA, or else the CPU, through OpenVINO where that is installed
    #[arg(long, env = "DEVICE", default_value = "auto")]
    pub device: Device,
    /// Numeric precision of the networks: auto, fp32, fp16 or bf16; auto means fp16 on a GPU, and bf16 on a CPU that is faster in it, where the network stays within 48 dB of fp32, and else fp32
    #[arg(long, env = "PRECISION", default_value = "auto")]
    pub precision: Precision,
    /// Largest side of a tile, in pixels, or auto: as large as is worth it and as the memory that the process may use allows. The memory grows with the square of the side
    #[arg(long, env = "TILE", default_value = "auto")]
    pub tile: TileSettings,
    /// ONNX Runtime library to load instead of the fetched one
    #[arg(long, env = "ORT_DYLIB_PATH")]
    pub ort_dylib_path: Option<PathBuf>,
}

/// Where models are, and where they are fetched from.
#[derive(Args)]
#[command(next_help_heading = "Models")]
pub struct ModelsArgs {
    /// Folder of the models and the inference runtime; by default a folder in the user's cache
    #[arg(long, env = "MODELS_DIR")]
    pub models_dir: Option<PathBuf>,
    /// Folder or URL prefix that is tried first for every file to fetch
    #[arg(long, env = "ASSET_MIRROR")]
    pub asset_mirror: Option<String>,
}

/// Whether missing models are fetched.
#[derive(Args)]
#[command(next_help_heading = "Models")]
pub struct PullArgs {
    /// 1: missing default models are fetched at start; 0: only `remaster models pull` fetches models
    #[arg(long, env = "PULL_MODELS", default_value = "1", value_parser = parse::switch)]
    pub pull_models: bool,
}

/// The settings of the log.
#[derive(Args)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// Log level: error, warn, info, debug or trace; or a filter such as info,remaster_worker=debug
    #[arg(long, env = "LOG_LEVEL", default_value = "info", value_parser = parse::filter)]
    pub log_level: String,
    /// Log format: text or json
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// URL of an OpenTelemetry collector (OTLP over HTTP, as JSON) that gets a trace of each job, such as http://localhost:4318
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "", value_parser = parse::optional_url, hide_default_value = true)]
    pub otel_exporter_otlp_endpoint: OptionalSetting<String>,
}

/// The default of an option of a submit, which is the default of the same option here.
fn default_of(option: &OptionSpec) -> &'static str {
    option.default.unwrap_or_default()
}

/// What is to be made of an image.
#[derive(Args, Clone)]
pub struct JobOptionArgs {
    /// How much larger the result is, per side: 1, 2, 3 or 4
    #[arg(long, default_value = default_of(&SCALE), value_parser = parse::option::<Scale>)]
    pub scale: Scale,
    /// Id of an installed upscaler, or auto
    #[arg(long, default_value = default_of(&MODEL), value_parser = parse::model)]
    pub model: ModelId,
    /// Whether faces are restored: auto, off or require
    #[arg(long, default_value = default_of(&FACES), value_parser = parse::option::<FaceMode>)]
    pub faces: FaceMode,
    /// How much of the restored face is blended in, from 0 (the enlarged face) to 1 (the restored face)
    #[arg(long, default_value = default_of(&FACE_STRENGTH), value_parser = parse::fraction)]
    pub face_strength: f64,
    /// Whether the network enlarges the background; with false a Lanczos filter enlarges everything but faces
    #[arg(long, default_value = default_of(&BACKGROUND), action = clap::ArgAction::Set, value_parser = parse::boolean)]
    pub background: bool,
    /// Whether EXIF data are removed or copied: strip or keep
    #[arg(long, default_value = default_of(&METADATA), value_parser = parse::option::<MetadataPolicy>)]
    pub metadata: MetadataPolicy,
    /// The file format of results: png, webp or jpeg. By default the one that the name of the output ends in, or png
    #[arg(long, value_parser = parse::option::<OutputFormat>)]
    pub format: Option<OutputFormat>,
    /// How much of the picture a JPEG or a WebP keeps, from 1 to 100; a WebP of 100 keeps every pixel
    #[arg(long, default_value = default_of(&QUALITY), value_parser = parse::option::<Quality>)]
    pub quality: Quality,
    /// The largest side of results in pixels; larger ones are reduced to it
    #[arg(long, value_parser = parse::option::<MaxSide>)]
    pub max_side: Option<MaxSide>,
    /// How much noise the network removes, from 0 to 1; for networks that can do more or less of it, such as realesr-general-x4v3, which auto
    /// takes then
    #[arg(long, value_parser = parse::option::<Denoise>)]
    pub denoise: Option<Denoise>,
    /// How much of the original's own grain is laid over the result, from 0 to 1
    #[arg(long, default_value = default_of(&GRAIN), value_parser = parse::fraction)]
    pub grain: f64,
}

impl JobOptionArgs {
    /// What is to be made, of images whose upscaler is `model` and whose results are of `format`.
    pub fn params(&self, model: ModelId, format: OutputFormat) -> EnhanceParams {
        EnhanceParams {
            scale: self.scale,
            model,
            faces: self.faces,
            face_strength: self.face_strength,
            background: self.background,
            metadata: self.metadata,
            format,
            quality: self.quality,
            max_side: self.max_side,
            denoise: self.denoise,
            grain: self.grain,
        }
    }
}

/// The arguments of `remaster submit`.
#[derive(Args)]
pub struct SubmitArgs {
    /// Images: files, folders (which are searched recursively), glob patterns, http(s) URLs, or - for a list of these on stdin, one
    /// in a line
    #[arg(required_unless_present = "watch")]
    pub inputs: Vec<String>,
    /// For one image a file that ends in .png, .webp or .jpg, otherwise a folder
    #[arg(short, long)]
    pub output: PathBuf,
    /// The service to submit to
    #[arg(long, env = "REMASTER_SERVER", default_value = "http://127.0.0.1:8000", value_parser = parse::public_url)]
    pub server: String,
    #[command(flatten)]
    pub options: JobOptionArgs,
    /// Number of images that are under way at once
    #[arg(long, default_value = "8", value_parser = parse::small_count)]
    pub concurrency: u32,
    /// How long to go on trying when the service is not reachable or has no room
    #[arg(long, default_value = "10m", value_parser = parse::duration)]
    pub patience: Duration,
    /// Public URL that receives a webhook for each image
    #[arg(long)]
    pub webhook: Option<String>,
    /// Process images that appear in this folder, until interrupted
    #[arg(long, value_name = "DIR", conflicts_with = "inputs")]
    pub watch: Option<PathBuf>,
    /// Make results again that are there already
    #[arg(long)]
    pub overwrite: bool,
    /// Print a line of JSON for each image on stdout
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `remaster enhance`.
#[derive(Args)]
pub struct EnhanceArgs {
    /// Images: files, folders (which are searched recursively) or glob patterns
    #[arg(required = true)]
    pub inputs: Vec<String>,
    /// For one image a file that ends in .png, .webp or .jpg, otherwise a folder
    #[arg(short, long)]
    pub output: PathBuf,
    #[command(flatten)]
    pub options: JobOptionArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub models: ModelsArgs,
    #[command(flatten)]
    pub pull: PullArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// The arguments of `remaster bench`.
#[derive(Args)]
pub struct BenchArgs {
    /// The networks to measure; all upscalers and face restorers that are installed if there is none
    #[arg(value_parser = parse::model)]
    pub networks: Vec<ModelId>,
    /// The side of an upscaler's input, in pixels
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(16..=4096))]
    pub side: u32,
    /// How often each network is run after the first time
    #[arg(long, default_value = "5", value_parser = parse::small_count)]
    pub runs: u32,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub models: ModelsArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// The commands below `remaster jobs`. Each prints the answer as JSON.
#[derive(Subcommand)]
pub enum JobsCommand {
    /// Show the queue as a whole: counts, whether claiming is paused, and the workers
    Queue,
    /// List failed jobs, jobs that are being worked on, or the longest waiting job of each client
    List {
        /// failed, processing or queued
        #[arg(long, default_value = "failed")]
        status: String,
        /// Only jobs that failed with this error code
        #[arg(long)]
        code: Option<String>,
        /// The most jobs to list, up to 1000
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one job
    Show {
        /// The id of the job
        id: String,
    },
    /// Queue failed jobs again, without a charge, as long as their inputs are kept
    Requeue {
        /// Ids of jobs
        #[arg(required_unless_present = "code")]
        ids: Vec<String>,
        /// Every job that failed with this error code
        #[arg(long, conflicts_with = "ids")]
        code: Option<String>,
    },
    /// Give no jobs to workers; jobs that are being worked on go on
    Pause,
    /// Give jobs to workers again, or to one drained worker
    Resume {
        /// The name of a drained worker
        worker: Option<String>,
    },
    /// Give no jobs to one worker; those that it works on go on
    Drain {
        /// The name of the worker
        worker: String,
    },
    /// Cancel the waiting jobs of a client
    Purge {
        /// The client's IP address
        address: String,
    },
    /// Show the quota of a client, or change it for today
    Quota {
        /// The client's IP address
        address: String,
        /// Units to give back; a negative number takes units away
        #[arg(long, allow_negative_numbers = true)]
        give_back: Option<i64>,
    },
    /// Send the webhook of a job or a batch again
    Resend {
        /// The id of the job or the batch
        id: String,
    },
}

/// The commands below `remaster models`.
#[derive(Subcommand)]
pub enum ModelsCommand {
    /// List the models that are installed and those that are missing
    List {
        #[command(flatten)]
        models: ModelsArgs,
    },
    /// Fetch, verify and install models
    Pull {
        /// Ids of the models; without any, the default models
        ids: Vec<String>,
        /// Every known model
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        models: ModelsArgs,
    },
    /// Install a local weight file
    Import {
        /// The file: .onnx, .pth, .safetensors, or an ncnn .param with its .bin beside it
        file: PathBuf,
        /// The id under which the model is installed
        #[arg(long = "as", value_name = "ID")]
        id: String,
        /// How much the network enlarges, per side, if the file does not say so
        #[arg(long)]
        scale: Option<u32>,
        #[command(flatten)]
        models: ModelsArgs,
    },
    /// Compare the hashes of the installed files with the recorded ones
    Verify {
        #[command(flatten)]
        models: ModelsArgs,
    },
}
