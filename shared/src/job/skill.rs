//! What a job needs of a worker.

use std::fmt;

use super::{EnhanceParams, FaceMode, ModelId};

/// What the name of a skill ends with that includes the restoration of faces. No [`ModelId`] contains the sign.
const FACES: &str = "+faces";
/// What follows the name of an upscaler that is told how much noise to remove, for which a worker has its weak denoiser too.
const DENOISE: &str = "+denoise";

/// The networks without which a job cannot be done, in one name by which jobs and workers are brought together:
/// `realesrgan-x4plus`, or `realesrgan-x4plus+faces` where faces have to be restored too, or `+faces` without an upscaler;
/// `realesr-general-x4v3+denoise` where noise is to be left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill(String);

impl Skill {
    /// The skill that a job with these parameters needs; `None` where any worker will do.
    pub fn needed(params: &EnhanceParams) -> Option<Self> {
        let denoise = if params.denoise.is_some() { DENOISE } else { "" };
        let upscaler = if params.background { format!("{}{denoise}", params.model) } else { String::new() };
        match params.faces {
            FaceMode::Require => Some(Self::with_faces(&upscaler)),
            FaceMode::Auto | FaceMode::Off => (!upscaler.is_empty()).then_some(Self(upscaler)),
        }
    }

    /// The skills of a worker with these upscalers, with the weak denoisers of some of them, and with networks for faces or without.
    pub fn of_worker(upscalers: &[ModelId], denoisers: &[ModelId], faces: bool) -> Vec<Self> {
        let plain = upscalers.iter().map(|model| model.as_str().to_owned());
        let names: Vec<_> = plain.chain(denoisers.iter().map(|model| format!("{model}{DENOISE}"))).collect();
        let with_faces = std::iter::once("").chain(names.iter().map(String::as_str)).filter(|_| faces);
        let with_faces: Vec<_> = with_faces.map(Self::with_faces).collect();
        names.into_iter().map(Self).chain(with_faces).collect()
    }

    /// The name of the upscaler in the name of a skill; empty where it has none.
    pub fn upscaler(name: &str) -> &str {
        let name = name.strip_suffix(FACES).unwrap_or(name);
        name.strip_suffix(DENOISE).unwrap_or(name)
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
            Some(needed) => Skill::of_worker(upscalers, &[], faces).contains(&needed),
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
        assert!(!can(&job(false, require), std::slice::from_ref(&one), false));
        let gentle = EnhanceParams { denoise: Some("0.5".parse().unwrap()), ..job(true, require) };
        assert!(!can(&gentle, std::slice::from_ref(&one), true));
        let both = Skill::of_worker(std::slice::from_ref(&one), std::slice::from_ref(&one), true);
        assert!(both.contains(&Skill::needed(&gentle).unwrap()));
        assert!(both.contains(&Skill::needed(&job(true, require)).unwrap()));
    }

    #[test]
    fn a_skill_names_its_upscaler() {
        let names = ["realesrgan-x4plus", "realesrgan-x4plus+faces", "+faces", "", "a+denoise", "a+denoise+faces"];
        assert_eq!(names.map(Skill::upscaler), ["realesrgan-x4plus", "realesrgan-x4plus", "", "", "a", "a"]);
    }
}
