//! The progress of downloads on stderr: a line for each file with its size and source, and a bar if stderr is a terminal.

use std::{
    collections::HashMap,
    io::IsTerminal,
    sync::{Mutex, PoisonError},
};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use remaster_models::Progress;

/// The progress bars of all files that are being fetched.
#[derive(Default)]
pub struct Bars {
    all: MultiProgress,
    /// Whether failures of single sources go to the log instead of the terminal.
    hides_notes: bool,
    fetches: Mutex<HashMap<String, Fetch>>,
}

/// A file that is being fetched.
struct Fetch {
    bar: ProgressBar,
    /// The line that is printed when the first bytes arrive. It is not printed before, because the source may not have the
    /// file.
    announcement: Option<String>,
    source: String,
}

impl Bars {
    /// Bars that leave failures of single sources to the log.
    pub fn without_notes() -> Self {
        Self { hides_notes: true, ..Self::default() }
    }

    fn print(&self, line: &str) {
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
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        if fetches.get(asset_id).is_some_and(|fetch| fetch.source == source) {
            return;
        }
        let bar = fetches.remove(asset_id).map_or_else(|| self.bar(asset_id, total_bytes), |fetch| fetch.bar);
        let announcement = Some(format!("fetching {asset_id} ({}) from {source}", HumanBytes(total_bytes)));
        fetches.insert(asset_id.to_owned(), Fetch { bar, announcement, source: source.to_owned() });
    }

    fn advanced(&self, asset_id: &str, bytes_done: u64) {
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(fetch) = fetches.get_mut(asset_id) else { return };
        fetch.bar.set_position(bytes_done);
        if bytes_done > 0
            && let Some(line) = fetch.announcement.take()
        {
            self.print(&line);
        }
    }

    fn finished(&self, asset_id: &str) {
        if let Some(fetch) = self.fetches.lock().unwrap_or_else(PoisonError::into_inner).remove(asset_id) {
            fetch.bar.finish_and_clear();
        }
        self.print(&format!("installed {asset_id}"));
    }

    fn note(&self, line: &str) {
        if self.hides_notes {
            tracing::debug!("{line}");
        } else {
            self.print(line);
        }
    }
}
