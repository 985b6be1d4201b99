//! Fetching as a person watches it: what and how large, a bar where there is a terminal, a line where there is none.

use std::{
    collections::HashMap,
    io::IsTerminal,
    sync::{Mutex, PoisonError},
};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use remaster_models::Progress;

#[derive(Default)]
pub struct Bars {
    all: MultiProgress,
    each: Mutex<HashMap<String, Fetch>>,
}

/// One asset on its way.
struct Fetch {
    bar: ProgressBar,
    /// What is said once the source delivers; a source may turn out to have nothing.
    announcement: Option<String>,
    source: String,
}

impl Bars {
    fn say(&self, line: &str) {
        self.all.suspend(|| eprintln!("{line}"));
    }

    fn bar(&self, asset_id: &str, total_bytes: u64) -> ProgressBar {
        let bar = ProgressBar::new(total_bytes).with_message(asset_id.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{msg:24} {bar:30} {bytes:>10} / {total_bytes} {eta}") {
            bar.set_style(style);
        }
        if std::io::stderr().is_terminal() { self.all.add(bar) } else { ProgressBar::hidden() }
    }
}

impl Progress for Bars {
    fn started(&self, asset_id: &str, total_bytes: u64, source: &str) {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if each.get(asset_id).is_some_and(|fetch| fetch.source == source) {
            return;
        }
        let bar = each.remove(asset_id).map_or_else(|| self.bar(asset_id, total_bytes), |fetch| fetch.bar);
        let announcement = Some(format!("fetching {asset_id} ({}) from {source}", HumanBytes(total_bytes)));
        each.insert(asset_id.to_owned(), Fetch { bar, announcement, source: source.to_owned() });
    }

    fn advanced(&self, asset_id: &str, bytes_done: u64) {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(fetch) = each.get_mut(asset_id) else { return };
        fetch.bar.set_position(bytes_done);
        if bytes_done > 0
            && let Some(line) = fetch.announcement.take()
        {
            self.say(&line);
        }
    }

    fn finished(&self, asset_id: &str) {
        if let Some(fetch) = self.each.lock().unwrap_or_else(PoisonError::into_inner).remove(asset_id) {
            fetch.bar.finish_and_clear();
        }
        self.say(&format!("installed {asset_id}"));
    }

    fn note(&self, line: &str) {
        self.say(line);
    }
}
