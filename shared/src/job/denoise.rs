//! How much noise is removed, by a network of which there is a weak denoiser too.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::params::{ModelId, ParamError};

/// What stands between the id of a network and the percentage in the id of a mixture. No [`ModelId`] that is parsed contains the sign.
const MIXED: &str = "+denoise-";

/// How much noise a network removes, from 0 (what the weak denoiser does) to 1 (what the network does by itself). It is a number in JSON,
/// and is kept in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Denoise(u8);

impl Denoise {
    /// What the network does by itself.
    pub const FULL: Self = Self(100);
    const ACCEPTS: &str = "a number from 0 to 1";

    /// From 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl TryFrom<f64> for Denoise {
    type Error = ParamError;

    fn try_from(share: f64) -> Result<Self, ParamError> {
        share.to_string().parse()
    }
}

impl From<Denoise> for f64 {
    fn from(denoise: Denoise) -> f64 {
        denoise.share()
    }
}

impl FromStr for Denoise {
    type Err = ParamError;

    fn from_str(text: &str) -> Result<Self, ParamError> {
        let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
        let refused = || ParamError { name: "denoise", got: text.to_owned(), accepts: Self::ACCEPTS };
        share.map(|share| Self((share * 100.0).round() as u8)).ok_or_else(refused)
    }
}

impl fmt::Display for Denoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.share().fmt(f)
    }
}

impl ModelId {
    /// The id, for an engine, of the mixture of this network and its weak denoiser.
    pub fn denoising(&self, denoise: Option<Denoise>) -> Self {
        match denoise {
            None | Some(Denoise::FULL) => self.clone(),
            Some(Denoise(percent)) => Self::unchecked(format!("{self}{MIXED}{percent}")),
        }
    }

    /// The network of a mixture, and how much noise it removes; this id itself where it is not of a mixture.
    pub fn mixture(&self) -> (Self, Denoise) {
        let mixed = self.as_str().split_once(MIXED);
        match mixed.and_then(|(network, percent)| Some((network, percent.parse().ok()?))) {
            Some((network, percent)) => (Self::unchecked(network.to_owned()), Denoise(percent)),
            None => (self.clone(), Denoise::FULL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_kept_in_hundredths() {
        assert_eq!("0.347".parse::<Denoise>().unwrap().share(), 0.35);
        assert_eq!(serde_json::to_string(&"0.5".parse::<Denoise>().unwrap()).unwrap(), "0.5");
        assert_eq!(serde_json::from_str::<Denoise>("1").unwrap(), Denoise::FULL);
        for bad in ["-0.1", "1.1", "x", "NaN", ""] {
            let error = bad.parse::<Denoise>().unwrap_err();
            assert_eq!((error.name, error.accepts), ("denoise", "a number from 0 to 1"), "{bad:?}");
        }
    }

    #[test]
    fn a_mixture_has_an_id_of_its_own() {
        let network = ModelId::parse("realesr-general-x4v3").unwrap();
        let some: Denoise = "0.35".parse().unwrap();
        let mixed = network.denoising(Some(some));
        assert_eq!(mixed.as_str(), "realesr-general-x4v3+denoise-35");
        assert_eq!(mixed.mixture(), (network.clone(), some));
        for whole in [None, Some(Denoise::FULL)] {
            assert_eq!(network.denoising(whole), network);
        }
        assert_eq!(network.mixture(), (network.clone(), Denoise::FULL));
        assert!(ModelId::parse(mixed.as_str()).is_err());
    }
}
