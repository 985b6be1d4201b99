//! The options of a submit, from the query and from the fields of a form: each name is known, and none is given twice.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use remaster_shared::error::ErrorCode;
use remaster_shared::idempotency::FingerprintBuilder;
use remaster_shared::job::{EnhanceParams, ModelId, UrlBase};
use remaster_shared::webhook::Target;
use remaster_shared::webhook::secret::SecretError;
use remaster_webhooks::egress::EgressPolicy;

use super::option_spec::{
    BACKGROUND, DENOISE, FACE_STRENGTH, FACES, FORMAT, GRAIN, MAX_SIDE, METADATA, MODEL, OPTIONS, OptionSpec, QUALITY,
    SCALE, WEBHOOK_SECRET, WEBHOOK_URL,
};
use crate::problem::{ApiResult, Problem, QUOTED};

/// The pairs of a query. They are not a map, because a name that is repeated has to be refused.
pub type QueryPairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// The options that a request gives, as text by name.
#[derive(Debug, Default)]
pub struct SubmitOptions(BTreeMap<&'static str, String>);

impl SubmitOptions {
    /// The options in the query.
    ///
    /// # Errors
    /// 400 `invalid_parameter` when the query cannot be read or [`SubmitOptions::add`] refuses one of its pairs.
    pub fn from_query(query: QueryPairs) -> ApiResult<Self> {
        let Query(pairs) =
            query.map_err(|error| Problem::new(ErrorCode::InvalidParameter, format!("{}.", error.body_text())))?;
        let mut options = Self::default();
        for (name, value) in &pairs {
            options.add(name, value)?;
        }
        Ok(options)
    }

    /// Adds the option `name`. Its value is not looked at yet.
    ///
    /// # Errors
    /// 400 `invalid_parameter` when there is no such option, or it was given before.
    pub fn add(&mut self, name: &str, value: &str) -> ApiResult<()> {
        let Some(spec) = OPTIONS.into_iter().find(|spec| spec.name == name) else { return Err(unknown(name)) };
        match self.0.insert(spec.name, value.trim().to_owned()) {
            None => Ok(()),
            Some(_) => {
                Err(Problem::new(ErrorCode::InvalidParameter, format!("{} is given more than once.", spec.name)))
            }
        }
    }

    /// Adds the options, as the caller wrote them, to the fingerprint of the request.
    pub fn add_to(&self, fingerprint: FingerprintBuilder) -> FingerprintBuilder {
        self.0.iter().fold(fingerprint, |so_far, (name, value)| so_far.part(name, value.as_bytes()))
    }

    /// The parameters of the job, as they are asked for: the model may be `auto`, and whether the workers have it is not
    /// known yet.
    ///
    /// # Errors
    /// 400 `invalid_parameter` that names the option, the value and what the option takes.
    pub fn params(&self) -> ApiResult<EnhanceParams> {
        Ok(EnhanceParams {
            scale: self.text(&SCALE).parse()?,
            faces: self.text(&FACES).parse()?,
            metadata: self.text(&METADATA).parse()?,
            model: ModelId::parse(self.text(&MODEL))?,
            face_strength: self.fraction(&FACE_STRENGTH)?,
            background: background(self.text(&BACKGROUND))?,
            format: self.text(&FORMAT).parse()?,
            quality: self.text(&QUALITY).parse()?,
            max_side: self.given(&MAX_SIDE).filter(|text| !text.is_empty()).map(str::parse).transpose()?,
            denoise: self.given(&DENOISE).filter(|text| !text.is_empty()).map(str::parse).transpose()?,
            grain: self.fraction(&GRAIN)?,
        })
    }

    /// Where the end is reported, if the caller wants that. Links in the report start with `base`.
    ///
    /// # Errors
    /// 400 `invalid_webhook_url` when `policy` does not allow the address, and 400 `invalid_parameter` for a secret that is not
    /// one or has no address.
    pub fn webhook(&self, policy: &EgressPolicy, base: &UrlBase) -> ApiResult<Option<Target>> {
        let secret = self.given(&WEBHOOK_SECRET).filter(|text| !text.is_empty());
        let Some(url) = self.given(&WEBHOOK_URL).filter(|text| !text.is_empty()) else {
            let detail = "There is a webhook_secret without a webhook_url.";
            return if secret.is_some() { Err(Problem::new(ErrorCode::InvalidParameter, detail)) } else { Ok(None) };
        };
        let url = policy
            .check_url(url)
            .map_err(|error| Problem::new(ErrorCode::InvalidWebhookUrl, format!("webhook_url: {error}.")))?;
        // The answer does not repeat the secret, not even one that is refused.
        let secret = secret.map(str::parse).transpose().map_err(|error: SecretError| {
            Problem::new(ErrorCode::InvalidParameter, format!("webhook_secret: {error}."))
        })?;
        Ok(Some(Target { url, secret, base: base.clone() }))
    }

    /// A number from 0 to 1.
    fn fraction(&self, spec: &OptionSpec) -> ApiResult<f64> {
        let text = self.text(spec);
        let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
        number.ok_or_else(|| Problem::parameter(spec.name, text, "a number from 0 to 1"))
    }

    fn given(&self, spec: &OptionSpec) -> Option<&str> {
        self.0.get(spec.name).map(String::as_str)
    }

    /// The value that was given, or else the default.
    fn text(&self, spec: &OptionSpec) -> &str {
        self.given(spec).or(spec.default).unwrap_or_default()
    }
}

fn unknown(name: &str) -> Problem {
    let name: String = name.chars().take(QUOTED).collect();
    let known = OPTIONS.map(|spec| spec.name).join(", ");
    let detail = format!("{name:?} is not an option; the options are {known} and the image goes in file.");
    Problem::new(ErrorCode::InvalidParameter, detail)
}

fn background(text: &str) -> ApiResult<bool> {
    text.parse().map_err(|_| Problem::parameter(BACKGROUND.name, text, "true or false"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use remaster_shared::catalogue::AUTO;

    #[test]
    fn the_described_defaults_are_those_of_the_types() {
        let params = SubmitOptions::default().params().unwrap();
        assert_eq!(params, EnhanceParams::of(ModelId::parse(AUTO).unwrap()));
    }

    #[test]
    fn an_unknown_option_is_refused_with_the_list_of_the_known_ones() {
        let refused = SubmitOptions::default().add("size", "2").unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidParameter);
        for spec in OPTIONS {
            assert!(refused.detail.contains(spec.name), "{}", refused.detail);
        }
    }
}
