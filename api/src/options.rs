//! The options of a submit, from the query and from form fields: each known, each once, each acceptable.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use remaster_shared::catalogue::{AUTO, Kind, resolve};
use remaster_shared::error::ErrorCode;
use remaster_shared::idempotency::FingerprintBuilder;
use remaster_shared::job::{EnhanceParams, FaceMode, MetadataPolicy, ModelId, Scale, UrlBase};
use remaster_shared::webhook::Target;
use remaster_shared::webhook::secret::SecretError;
use remaster_webhooks::egress::EgressPolicy;

use crate::fleet::Fleet;
use crate::problem::{Answer, Problem};

/// Query pairs as they came: names may repeat, so that a repetition can be refused.
pub type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Names in the order they are documented.
const KNOWN: [&str; 8] =
    ["scale", "model", "faces", "face_strength", "background", "metadata", "webhook_url", "webhook_secret"];

/// Options as they came, by name.
#[derive(Debug, Default)]
pub struct Options(BTreeMap<&'static str, String>);

impl Options {
    pub fn add(&mut self, name: &str, value: &str) -> Answer<()> {
        let Some(known) = KNOWN.into_iter().find(|known| *known == name) else {
            let name: String = name.chars().take(80).collect();
            let detail =
                format!("{name:?} is not an option; the options are {} and the image goes in file.", KNOWN.join(", "));
            return Err(Problem::new(ErrorCode::InvalidParameter, detail));
        };
        match self.0.insert(known, value.trim().to_owned()) {
            None => Ok(()),
            Some(_) => Err(Problem::new(ErrorCode::InvalidParameter, format!("{known} is given more than once."))),
        }
    }

    /// Adds what was asked for, as it was asked, to a request's fingerprint.
    pub fn mark(&self, fingerprint: FingerprintBuilder) -> FingerprintBuilder {
        self.0.iter().fold(fingerprint, |so_far, (name, value)| so_far.part(name, value.as_bytes()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The job's parameters, with `auto` resolved to what workers have.
    pub fn resolve(&self, fleet: &Fleet, use_networks: bool) -> Answer<EnhanceParams> {
        let parse_or = |name: &str, default: &'static str| self.get(name).unwrap_or(default).to_owned();
        let scale: Scale = parse_or("scale", "2").parse()?;
        let faces: FaceMode = parse_or("faces", "auto").parse()?;
        let metadata: MetadataPolicy = parse_or("metadata", "strip").parse()?;
        let asked = ModelId::parse(&parse_or("model", AUTO))?;
        let face_strength = strength(&parse_or("face_strength", "1"))?;
        let background = match parse_or("background", "true").as_str() {
            "true" => use_networks,
            "false" => false,
            other => return Err(Problem::parameter("background", other, "true or false")),
        };
        if faces == FaceMode::Require && !(fleet.has_kind(Kind::Detector) && fleet.has_kind(Kind::FaceRestorer)) {
            let detail = "Face restoration is not installed, and faces is require; use faces=auto to go on without.";
            return Err(Problem::new(ErrorCode::ModelUnavailable, detail));
        }
        let model = if background { upscaler(&fleet.models, &asked, scale)? } else { asked };
        Ok(EnhanceParams { scale, model, faces, face_strength, background, metadata })
    }

    /// Whom to tell at the end, if anybody; links in what is told start with `base`.
    pub fn webhook(&self, policy: &EgressPolicy, base: &UrlBase) -> Answer<Option<Target>> {
        let secret = self.get("webhook_secret").filter(|text| !text.is_empty());
        let Some(url) = self.get("webhook_url").filter(|text| !text.is_empty()) else {
            let detail = "There is a webhook_secret without a webhook_url.";
            return if secret.is_some() { Err(Problem::new(ErrorCode::InvalidParameter, detail)) } else { Ok(None) };
        };
        let url = policy
            .check_url(url)
            .map_err(|error| Problem::new(ErrorCode::InvalidWebhookUrl, format!("webhook_url: {error}.")))?;
        // The secret is not repeated, not even a wrong one.
        let secret = secret.map(str::parse).transpose().map_err(|error: SecretError| {
            Problem::new(ErrorCode::InvalidParameter, format!("webhook_secret: {error}."))
        })?;
        Ok(Some(Target { url, secret, base: base.clone() }))
    }
}

fn upscaler(models: &[remaster_shared::catalogue::ModelInfo], asked: &ModelId, scale: Scale) -> Answer<ModelId> {
    if let Some(model) = resolve(models, asked, scale) {
        return Ok(model);
    }
    let listed =
        asked.as_str() == AUTO || models.iter().any(|model| model.id == asked.as_str() && model.kind == Kind::Upscaler);
    if listed {
        let detail = format!("The model {asked} is on no worker now; GET /models lists what is there.");
        Err(Problem::new(ErrorCode::ModelUnavailable, detail))
    } else {
        Err(Problem::parameter("model", asked.as_str(), "auto or the id of an upscaler (GET /models lists them)"))
    }
}

fn strength(text: &str) -> Answer<f64> {
    text.parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| Problem::parameter("face_strength", text, "a number from 0 to 1"))
}
