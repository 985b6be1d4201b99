//! The spans of jobs, to a collector of [OpenTelemetry](https://opentelemetry.io) over HTTP, as JSON.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use remaster_shared::trace::{JobSpan, Tracer, WHOLE};
use remaster_shared::version::VERSION;
use uuid::Uuid;

/// How long sending the last spans may take at the end of the process.
const FLUSH: Duration = Duration::from_secs(1);

/// Collects spans, and sends them now and then from a thread of its own.
struct Otlp(BatchSpanProcessor);

/// Sends spans to the collector at `endpoint`, which is a URL without the path of traces.
///
/// # Errors
/// The HTTP client cannot be built.
pub fn to_collector(endpoint: &str) -> anyhow::Result<Arc<dyn Tracer>> {
    remaster_shared::tls::install_default_provider();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpJson)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    let version = KeyValue::new("service.version", VERSION.as_str());
    processor.set_resource(&Resource::builder().with_service_name("remaster").with_attribute(version).build());
    Ok(Arc::new(Otlp(processor)))
}

impl Tracer for Otlp {
    fn record(&self, span: JobSpan) {
        let (trace, whole) = span.ids();
        let (id, parent) = if span.name == WHOLE {
            (SpanId::from_bytes(whole), SpanId::INVALID)
        } else {
            let [a, b, c, d, e, f, g, h, ..] = *Uuid::new_v4().as_bytes();
            (SpanId::from_bytes([a, b, c, d, e, f, g, h]), SpanId::from_bytes(whole))
        };
        let trace = TraceId::from_bytes(trace);
        self.0.on_end(SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: parent,
            parent_span_is_remote: true,
            span_kind: SpanKind::Internal,
            name: span.name.into(),
            start_time: span.began,
            end_time: span.ended,
            attributes: span.attributes.into_iter().map(|(name, value)| KeyValue::new(name, value)).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: InstrumentationScope::builder("remaster").build(),
        });
    }

    fn flush(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}
