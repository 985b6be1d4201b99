//! The metrics of this process, in the text format of
//! [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/), which Prometheus reads.

mod gpu;
mod process;
mod queue;
mod work;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram, info::Info};
use prometheus_client::registry::Registry;

use crate::error::ErrorCode;
use crate::job::Status;
use crate::stats::{QueueGauges, Stats};
use crate::trace::{self, JobSpan, Tracer};
use crate::version::VERSION;
use gpu::GpuMetrics;
use process::ProcessMetrics;
use queue::QueueMetrics;
use work::WorkMetrics;

pub use work::EngineRun;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabel {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    outcome: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabel {
    verb: &'static str,
}

/// What the store reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreNumbers {
    /// Its counts.
    pub stats: Stats,
    /// What else operators watch.
    pub queue: QueueGauges,
    /// How long ago the oldest job of the client that waits the longest was submitted.
    pub oldest: Duration,
    /// Workers that are there.
    pub workers: u64,
    /// Workers among them that take no jobs.
    pub paused: u64,
}

/// Counters of this process, and what the store reports of all.
pub struct Metrics {
    registry: Registry,
    settled: Family<StatusLabel, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    seconds: Histogram,
    waited: Histogram,
    store: Calls,
    storage: Calls,
    event_lag: Histogram,
    answers: Family<CodeLabel, Counter>,
    refusals: Family<ErrorLabel, Counter>,
    request_seconds: Family<RouteLabels, Histogram>,
    webhooks: Family<OutcomeLabel, Counter>,
    work: WorkMetrics,
    process: ProcessMetrics,
    gpus: OnceLock<Option<GpuMetrics>>,
    queue: QueueMetrics,
    tracer: OnceLock<Arc<dyn Tracer>>,
}

/// The upper bounds of the histogram of job durations, in seconds.
const DURATION_BOUNDS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0];

/// The upper bounds of the histogram of waits in the queue, in seconds.
const WAIT_BOUNDS: [f64; 12] = [0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];
/// The upper bounds of the histograms of calls of the store and the storage, in seconds.
const CALL_BOUNDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 60.0];

/// The upper bounds of the histogram of requests, in seconds. Long polls take up to 60, and `POST /enhance` longer.
const REQUEST_BOUNDS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];
/// The upper bounds of the histogram of how late changes are heard, in seconds.
const LAG_BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0];

/// The calls of a store or a storage, by verb.
struct Calls {
    seconds: Family<VerbLabel, Histogram>,
    errors: Family<VerbLabel, Counter>,
}

impl Calls {
    /// Those of `what`, in words, whose names begin with `name`.
    fn in_registry(registry: &mut Registry, name: &str, what: &str) -> Self {
        let seconds = Family::new_with_constructor((|| Histogram::new(CALL_BOUNDS)) as fn() -> Histogram);
        let errors = Family::default();
        registry.register(
            format!("{name}_call_seconds"),
            format!("Time of a call of the {what} by this node, by verb"),
            seconds.clone(),
        );
        registry.register(
            format!("{name}_errors"),
            format!("Calls of the {what} that failed, by verb"),
            errors.clone(),
        );
        Self { seconds, errors }
    }

    fn begin(&self, verb: &'static str) -> Call<'_> {
        Call { calls: self, label: VerbLabel { verb }, began: Instant::now() }
    }
}

/// One call, until it is answered or fails. One that nobody waits for any more counts as neither.
pub struct Call<'a> {
    calls: &'a Calls,
    label: VerbLabel,
    began: Instant,
}

impl Call<'_> {
    /// There was an answer.
    pub fn answered(self) {
        self.calls.seconds.get_or_create(&self.label).observe(self.began.elapsed().as_secs_f64());
    }

    /// There was no answer in time, or nobody is there, or the call was not carried out.
    pub fn failed(self) {
        self.calls.errors.get_or_create(&self.label).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("remaster");
        let (settled, answers, webhooks) = (Family::default(), Family::default(), Family::default());
        let seconds = Histogram::new(DURATION_BOUNDS);
        registry.register(
            "jobs_settled",
            "Attempts that ended on this node, by the status of the job after the attempt",
            settled.clone(),
        );
        registry.register(
            "job_seconds",
            "Time from the claim of a job to the end of the attempt, in seconds",
            seconds.clone(),
        );
        registry.register("http_answers", "HTTP responses of this node, by status code", answers.clone());
        let refusals = Family::default();
        registry.register(
            "http_problems",
            "HTTP responses of this node with a problem, by error code",
            refusals.clone(),
        );
        let request_seconds = Family::new_with_constructor((|| Histogram::new(REQUEST_BOUNDS)) as fn() -> Histogram);
        registry.register(
            "http_request_seconds",
            "Time from a request to the beginning of its answer by this node, by method and route",
            request_seconds.clone(),
        );
        registry.register(
            "webhook_attempts",
            "Attempts of this node to deliver webhooks, by outcome",
            webhooks.clone(),
        );
        let (attempts, waited) = (Family::default(), Histogram::new(WAIT_BOUNDS));
        registry.register(
            "attempts",
            "Attempts of this node by outcome (succeeded, failed, canceled, retried, deferred, given_back, lost) and error code",
            attempts.clone(),
        );
        registry.register(
            "job_wait_seconds",
            "Time from the submission of a job to its first claim, in seconds, of jobs that this node claimed",
            waited.clone(),
        );
        let store = Calls::in_registry(&mut registry, "store", "job store");
        let storage = Calls::in_registry(&mut registry, "storage", "object storage");
        let event_lag = Histogram::new(LAG_BOUNDS);
        registry.register(
            "event_lag_seconds",
            "Time from the publication of a change to its arrival at this node, measured every half minute; with Redis only",
            event_lag.clone(),
        );
        // What has not happened yet is told as 0, so that the first time is seen as a change.
        for outcome in ["delivered", "retry", "given_up"] {
            drop(webhooks.get_or_create(&OutcomeLabel { outcome }));
        }
        for outcome in ["succeeded", "failed", "canceled", "retried", "deferred", "given_back", "lost"] {
            drop(attempts.get_or_create(&AttemptLabels { outcome, code: "" }));
        }
        let work = WorkMetrics::in_registry(&mut registry);
        let build = Info::new([("version", VERSION.as_str())]);
        registry.register("build", "Which build this node runs", build);
        Self {
            registry,
            settled,
            attempts,
            seconds,
            waited,
            store,
            storage,
            event_lag,
            answers,
            refusals,
            request_seconds,
            webhooks,
            work,
            process: ProcessMetrics::default(),
            gpus: OnceLock::new(),
            queue: QueueMetrics::default(),
            tracer: OnceLock::new(),
        }
    }
}

impl Metrics {
    /// Counts an attempt that ended after `seconds`, measured from the claim, and left the job in the state `status`.
    pub fn settled(&self, status: Status, seconds: f64) {
        self.settled.get_or_create(&StatusLabel { status: status.as_str() }).inc();
        self.seconds.observe(seconds);
    }

    /// Counts an attempt by its outcome (see the metric's description) and the code of its error, or an empty one.
    pub fn attempted(&self, outcome: &'static str, code: &'static str) {
        self.attempts.get_or_create(&AttemptLabels { outcome, code }).inc();
    }

    /// A job was given the result of an earlier one.
    pub fn reused(&self) {
        self.work.reused.inc();
    }

    /// A job was claimed for the first time after it had waited for `seconds`.
    pub fn waited(&self, seconds: f64) {
        self.waited.observe(seconds);
    }

    /// A call of the store begins.
    pub fn store_call(&self, verb: &'static str) -> Call<'_> {
        self.store.begin(verb)
    }

    /// A call of the object storage begins.
    pub fn storage_call(&self, verb: &'static str) -> Call<'_> {
        self.storage.begin(verb)
    }

    /// A change was heard so long after it was published.
    pub fn event_heard(&self, lag: Duration) {
        self.event_lag.observe(lag.as_secs_f64());
    }

    /// Counts an attempt to deliver a webhook by its outcome: `delivered`, `retry` or `given_up`.
    pub fn webhook(&self, outcome: &'static str) {
        self.webhooks.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// The answer to a request of this method on this route began so long after the request.
    pub fn request_took(&self, method: &'static str, route: &str, time: Duration) {
        let labels = RouteLabels { method, route: route.to_owned() };
        self.request_seconds.get_or_create(&labels).observe(time.as_secs_f64());
    }

    /// From now on spans of jobs go there too. It can be said once.
    pub fn trace_to(&self, tracer: Arc<dyn Tracer>) {
        let _ = self.tracer.set(tracer);
    }

    /// Hands on a span, which is only made where spans go somewhere.
    pub fn span(&self, span: impl FnOnce() -> JobSpan) {
        if let Some(tracer) = self.tracer.get() {
            tracer.record(span());
        }
    }

    /// Sends the spans that are not sent yet.
    pub fn flush_spans(&self) {
        if let Some(tracer) = self.tracer.get() {
            tracer.flush();
        }
    }

    /// A stage of a job ended after so much time.
    pub fn stage(&self, stage: &'static str, time: Duration) {
        self.work.stage(stage, time);
        if let Some(job) = trace::current() {
            self.span(|| JobSpan::ending(job, stage, time));
        }
    }

    /// A run of this network begins, and lasts until what is returned is dropped.
    pub fn engine_run(&self, model: &str) -> EngineRun<'_> {
        self.work.run(model)
    }

    /// Counts an HTTP response by its status code.
    pub fn answered(&self, code: u16) {
        self.answers.get_or_create(&CodeLabel { code }).inc();
    }

    /// Counts an HTTP response that is an error by its error code.
    pub fn refused(&self, code: ErrorCode) {
        self.refusals.get_or_create(&ErrorLabel { code: code.as_str() }).inc();
    }

    /// From now on the GPUs of this machine are told of, if it has NVIDIA's driver.
    pub fn watch_gpus(&self) {
        self.gpus.get_or_init(GpuMetrics::open);
    }

    /// Renders every metric. `store` holds what the store reported, with the workers that are there; without it, these are left out.
    pub fn text(&self, store: Option<StoreNumbers>) -> String {
        let mut text = String::new();
        self.work.catch_up();
        // Writing to a string cannot fail.
        let _ = encode_registry(&mut text, &self.registry);
        if let Some(process) = self.process.registry() {
            let _ = encode_registry(&mut text, &process);
        }
        if let Some(gpus) = self.gpus.get().and_then(Option::as_ref) {
            let _ = encode_registry(&mut text, gpus.registry());
        }
        if let Some(numbers) = store {
            self.queue.set(numbers);
            let _ = encode_registry(&mut text, &self.queue.registry);
        }
        let _ = encode_eof(&mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_with_their_names_and_labels() {
        let metrics = Metrics::default();
        metrics.settled(Status::Succeeded, 0.3);
        metrics.settled(Status::Succeeded, 70.0);
        metrics.answered(202);
        metrics.refused(ErrorCode::QuotaExceeded);
        metrics.request_took("GET", "/jobs/{id}", Duration::from_millis(3));
        metrics.attempted("failed", "image_corrupt");
        metrics.waited(3.0);
        metrics.stage("decode", Duration::from_millis(20));
        drop(metrics.engine_run("realesrgan-x4plus"));
        metrics.event_heard(Duration::from_millis(3));
        metrics.store_call("claim").answered();
        metrics.store_call("claim").failed();
        // Nobody waits for this one any more.
        let _ = metrics.store_call("get");
        metrics.storage_call("put").answered();
        let text = metrics.text(Some(StoreNumbers {
            stats: Stats { queued: 7, ..Stats::default() },
            queue: QueueGauges {
                queued_by_model: [("realesrgan-x4plus".to_owned(), 6)].into(),
                reclaimed: 3,
                lost: 1,
                ..QueueGauges::default()
            },
            oldest: Duration::from_secs(90),
            workers: 2,
            paused: 1,
        }));
        for line in [
            "remaster_jobs_settled_total{status=\"succeeded\"} 2",
            "remaster_job_seconds_bucket{le=\"0.5\"} 1",
            "remaster_http_answers_total{code=\"202\"} 1",
            "remaster_http_problems_total{code=\"quota_exceeded\"} 1",
            "remaster_http_request_seconds_bucket{le=\"0.005\",method=\"GET\",route=\"/jobs/{id}\"} 1",
            "remaster_build_info{version=",
            "remaster_webhook_attempts_total{outcome=\"given_up\"} 0",
            "remaster_queue_depth 7",
            "remaster_workers 2",
            "remaster_workers_paused 1",
            "remaster_attempts_total{outcome=\"failed\",code=\"image_corrupt\"} 1",
            "remaster_job_wait_seconds_bucket{le=\"5.0\"} 1",
            "remaster_store_call_seconds_count{verb=\"claim\"} 1",
            "remaster_store_errors_total{verb=\"claim\"} 1",
            "remaster_storage_call_seconds_count{verb=\"put\"} 1",
            "remaster_event_lag_seconds_bucket{le=\"0.005\"} 1",
            "remaster_model_queue_depth{model=\"realesrgan-x4plus\"} 6",
            "remaster_queue_oldest_seconds 90",
            "remaster_jobs_reclaimed_total 3",
            "remaster_jobs_lost_total 1",
            "remaster_stage_seconds_bucket{le=\"0.025\",stage=\"decode\"} 1",
            "remaster_engine_runs_total{model=\"realesrgan-x4plus\"} 1",
            "remaster_engine_busy_seconds_total ",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        for name in
            ["process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_open_fds ", "process_threads "]
        {
            assert_eq!(text.contains(name), cfg!(target_os = "linux"), "{name} in {text}");
        }
        // What all have in common is not this node's, and nothing is told of it that was not reported.
        let own = metrics.text(None);
        assert!(!own.contains("queue_depth") && own.contains("http_answers") && own.ends_with("# EOF\n"), "{own}");
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(!text.contains("verb=\"get\""));
    }
}
