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
    each: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    fn say(&self, line: &str) {
        self.all.suspend(|| eprintln!("{line}"));
    }

    fn with(&self, id: &str, act: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = self.each.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            act(bar);
        }
    }
}

impl Progress for Bars {
    fn started(&self, asset_id: &str, total_bytes: u64, source: &str) {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if each.contains_key(asset_id) {
            return;
        }
        self.say(&format!("fetching {asset_id} ({}) from {source}", HumanBytes(total_bytes)));
        let bar = ProgressBar::new(total_bytes).with_message(asset_id.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{msg:24} {bar:30} {bytes:>10} / {total_bytes} {eta}") {
            bar.set_style(style);
        }
        let bar = if std::io::stderr().is_terminal() { self.all.add(bar) } else { bar };
        each.insert(asset_id.to_owned(), bar);
    }

    fn advanced(&self, asset_id: &str, bytes_done: u64) {
        self.with(asset_id, |bar| bar.set_position(bytes_done));
    }

    fn finished(&self, asset_id: &str) {
        self.with(asset_id, ProgressBar::finish_and_clear);
        self.say(&format!("installed {asset_id}"));
    }

    fn note(&self, line: &str) {
        self.say(line);
    }
}
