//! How the steps of the pipeline tell how far they are.

/// Is called with the fraction of the work that is done, 0..=1, which never falls.
pub type Progress<'a> = &'a (dyn Fn(f64) + Send + Sync);
