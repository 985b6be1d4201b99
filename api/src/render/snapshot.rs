//! A record as it was read once, with what has been rendered of it: many followers of a job or a batch are sent the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::response::sse::Event;
use remaster_shared::job::UrlBase;

/// What a rendering depends on beside the record: what its links start with, and the version that its receivers have.
type From = (UrlBase, Option<String>);

/// A record and its renderings.
pub struct Snapshot<T> {
    /// The record.
    pub record: T,
    versions: Mutex<HashMap<UrlBase, String>>,
    events: Mutex<HashMap<From, Vec<Event>>>,
}

impl<T> Snapshot<T> {
    /// The record, of which nothing has been rendered.
    pub fn new(record: T) -> Self {
        Self { record, versions: Mutex::default(), events: Mutex::default() }
    }

    /// The version of the record, which `render` makes once.
    pub fn version(&self, base: &UrlBase, render: impl FnOnce(&T) -> String) -> String {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.entry(base.clone()).or_insert_with(|| render(&self.record)).clone()
    }

    /// The events for those who have the version `before`, which `render` makes once.
    pub fn events(&self, base: &UrlBase, before: Option<&str>, render: impl FnOnce(&T) -> Vec<Event>) -> Vec<Event> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let from = (base.clone(), before.map(str::to_owned));
        events.entry(from).or_insert_with(|| render(&self.record)).clone()
    }
}
