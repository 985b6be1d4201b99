//! What a job needs of a worker.

use std::fmt;

use super::{EnhanceParams, FaceMode, ModelId};

/// What the name of a skill ends with that includes the restoration of faces. No [`ModelId`] contains the sign.
const FACES: &str = "+faces";

/// The networks without which a job cannot be done, in one name by which jobs and workers are brought together:
/// `realesrgan-x4plus`, or `realesrgan-x4plus+faces` where faces have to be restored too, or `+faces` without an upscaler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill(String);

impl Skill {
    /// The skill that a job with these parameters needs; `None` where any worker will do.
    pub fn needed(params: &EnhanceParams) -> Option<Self> {
        let upscaler = if params.background { params.model.as_str() } else { "" };
        match params.faces {
            FaceMode::Require => Some(Self::with_faces(upscaler)),
            FaceMode::Auto | FaceMode::Off => (!upscaler.is_empty()).then(|| Self(upscaler.to_owned())),
        }
    }

    /// The skills of a worker with these upscalers, and with networks for faces or without.
    pub fn of_worker(upscalers: &[ModelId], faces: bool) -> Vec<Self> {
        let plain = upscalers.iter().map(|model| Self(model.as_str().to_owned()));
        let names = std::iter::once("").chain(upscalers.iter().map(ModelId::as_str));
        plain.chain(names.filter(|_| faces).map(Self::with_faces)).collect()
    }

    /// The name of the upscaler in the name of a skill; empty where it has none.
    pub fn upscaler(name: &str) -> &str {
        name.strip_suffix(FACES).unwrap_or(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn with_faces(upscaler: &str) -> Self {
        Self(format!("{upscaler}{FACES}"))
    }
}

impl fmt::Display for Skill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_the_skill_for_a_job_if_it_has_all_networks_of_it() {
        let [one, other] = ["realesrgan-x4plus", "realesr-animevideov3"].map(|name| ModelId::parse(name).unwrap());
        let job = |background, faces| EnhanceParams { background, faces, ..EnhanceParams::of(one.clone()) };
        let can = |params: &EnhanceParams, upscalers: &[ModelId], faces| match Skill::needed(params) {
            Some(needed) => Skill::of_worker(upscalers, faces).contains(&needed),
            None => true,
        };
        for faces in [FaceMode::Off, FaceMode::Auto] {
            assert!(can(&job(false, faces), &[], false));
            assert!(can(&job(true, faces), &[other.clone(), one.clone()], false));
            assert!(!can(&job(true, faces), std::slice::from_ref(&other), true));
        }
        let require = FaceMode::Require;
        assert!(can(&job(true, require), std::slice::from_ref(&one), true));
        assert!(!can(&job(true, require), std::slice::from_ref(&one), false));
        assert!(!can(&job(true, require), std::slice::from_ref(&other), true));
        assert!(can(&job(false, require), &[], true));
        assert!(!can(&job(false, require), &[one], false));
    }

    #[test]
    fn a_skill_names_its_upscaler() {
        let names = ["realesrgan-x4plus", "realesrgan-x4plus+faces", "+faces", ""].map(Skill::upscaler);
        assert_eq!(names, ["realesrgan-x4plus", "realesrgan-x4plus", "", ""]);
    }
}
