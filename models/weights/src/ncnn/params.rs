//! The `key=value` parameters of one layer, read by type. A parameter that was not read is refused at the end, so that
//! none is ever ignored.

use std::collections::{BTreeMap, BTreeSet};

/// An array has the key `ARRAYS - key`.
const ARRAYS: i64 = -23300;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Params {
    values: BTreeMap<i64, Vec<String>>,
    /// The keys whose values were written as an array.
    arrays: BTreeSet<i64>,
    /// The keys that the layer has read.
    read: BTreeSet<i64>,
}

impl Params {
    /// Adds one `key=value` word.
    pub(crate) fn add(&mut self, word: &str) -> Result<(), String> {
        let bad = || format!("{word:?} is not key=value");
        let (key, value) = word.split_once('=').ok_or_else(bad)?;
        let key: i64 = key.parse().map_err(|_| bad())?;
        let (key, values) = if key <= ARRAYS {
            let mut items = value.split(',');
            let count: usize = items.next().and_then(|count| count.parse().ok()).ok_or_else(bad)?;
            let items: Vec<String> = items.map(str::to_owned).collect();
            if items.len() != count {
                return Err(format!("{word:?} announces {count} values and has {}", items.len()));
            }
            let key = ARRAYS.checked_sub(key).ok_or_else(bad)?;
            self.arrays.insert(key);
            (key, items)
        } else {
            (key, vec![value.to_owned()])
        };
        match self.values.insert(key, values) {
            None => Ok(()),
            Some(_) => Err(format!("parameter {key} is given twice")),
        }
    }

    /// Reads the integer `key`, or `default`.
    pub(crate) fn int(&mut self, key: i64, default: i64) -> Result<i64, String> {
        self.one(key)?.map_or(Ok(default), |word| {
            word.parse().map_err(|_| format!("parameter {key} is {word:?}, not an integer"))
        })
    }

    /// Reads the finite number `key`, or `default`.
    pub(crate) fn float(&mut self, key: i64, default: f32) -> Result<f32, String> {
        self.one(key)?.map_or(Ok(default), |word| number(key, &word))
    }

    /// Reads the array `key`; it is empty when it is not given.
    pub(crate) fn floats(&mut self, key: i64) -> Result<Vec<f32>, String> {
        self.read.insert(key);
        if self.values.contains_key(&key) && !self.arrays.contains(&key) {
            return Err(format!("parameter {key} is not an array"));
        }
        self.values.get(&key).into_iter().flatten().map(|word| number(key, word)).collect()
    }

    /// Reads the integer `key`, of which only the value `supported` is translated. That value is also ncnn's default.
    pub(crate) fn only(&mut self, key: i64, supported: i64, what: &str) -> Result<(), String> {
        match self.int(key, supported)? {
            value if value == supported => Ok(()),
            value => Err(format!("{what} {value} is not supported")),
        }
    }

    /// Checks that every parameter has been read.
    pub(crate) fn finish(&self) -> Result<(), String> {
        match self.values.keys().find(|key| !self.read.contains(key)) {
            None => Ok(()),
            Some(key) => Err(format!("parameter {key} is not supported")),
        }
    }

    fn one(&mut self, key: i64) -> Result<Option<String>, String> {
        self.read.insert(key);
        if self.arrays.contains(&key) {
            return Err(format!("parameter {key} is an array"));
        }
        Ok(self.values.get(&key).and_then(|words| words.first()).cloned())
    }
}

fn number(key: i64, word: &str) -> Result<f32, String> {
    let value = word.parse().ok().filter(|value: &f32| value.is_finite());
    value.ok_or_else(|| format!("parameter {key} holds {word:?}, not a number"))
}

#[cfg(test)]
mod tests {
    use super::Params;

    #[test]
    fn reads_by_type_and_refuses_the_rest() {
        let mut params = Params::default();
        for word in ["0=64", "1=2.000000e+00", "-23310=2,2.0e-01,1"] {
            params.add(word).unwrap();
        }
        assert_eq!(params.int(0, 1), Ok(64));
        assert_eq!(params.int(7, 3), Ok(3));
        assert_eq!(params.float(1, 0.0), Ok(2.0));
        assert!(params.finish().unwrap_err().contains("parameter 10"));
        assert_eq!(params.floats(10), Ok(vec![0.2, 1.0]));
        assert_eq!(params.finish(), Ok(()));
        assert!(params.int(10, 0).is_err() && params.floats(0).is_err());
        for word in ["", "=", "a=1", "0=64", "-23310=3,1", "-23311=-1"] {
            assert!(params.add(word).is_err(), "{word}");
        }
    }
}
