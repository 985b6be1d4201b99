//! What the person sees: bars on a terminal, lines elsewhere, JSON for scripts, and a summary.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use remaster_shared::job::JobView;
use serde_json::json;

use super::ended::Ended;
use super::sources::Source;
use super::words::in_words;

/// The number of steps of a bar.
const STEPS: u64 = 1000;

/// The report of one run.
pub struct Report {
    json: bool,
    bars: MultiProgress,
    all: ProgressBar,
    began: Instant,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    done: u64,
    there: u64,
    failed: Vec<String>,
}

/// The bar of one image.
pub struct Line(ProgressBar);

impl Line {
    /// Shows how far the job is.
    pub fn follow(&self, job: &JobView) {
        self.0.set_position((job.progress * STEPS as f64) as u64);
        let place = job.queue.as_ref().map(|queue| format!("place {} in line", queue.position));
        self.0.set_prefix(place.unwrap_or_else(|| job.status.to_string()));
    }
}

impl Report {
    /// A report; with `json` each image is a line of JSON on stdout.
    pub fn new(json: bool) -> Self {
        let (bars, all) = (MultiProgress::new(), ProgressBar::no_length());
        let all = if std::io::stderr().is_terminal() { bars.add(all) } else { ProgressBar::hidden() };
        Self { json, bars, all, began: Instant::now(), counts: Mutex::default() }
    }

    /// How many images there will be.
    pub fn expect(&self, images: u64) {
        self.all.set_length(images);
        if let Ok(style) = ProgressStyle::with_template("{pos} of {len} images {wide_bar} {eta}") {
            self.all.set_style(style);
        }
        self.all.tick();
    }

    /// An image begins.
    pub fn begin(&self, source: &Source) -> Line {
        let bar = ProgressBar::new(STEPS).with_message(source.from.to_string());
        if let Ok(style) = ProgressStyle::with_template("  {msg} {prefix} {bar:30} {percent:>3} %") {
            bar.set_style(style);
        }
        let shown = std::io::stderr().is_terminal();
        Line(if shown { self.bars.insert_before(&self.all, bar) } else { ProgressBar::hidden() })
    }

    /// An image has ended.
    pub fn end(&self, source: &Source, line: Line, ended: Ended) {
        line.0.finish_and_clear();
        self.all.inc(1);
        let (from, output) = (source.from.to_string(), source.output.display().to_string());
        let (status, words) = match &ended {
            Ended::Done(job) => {
                let size = job.result.as_ref().map(|result| format!(" ({}x{})", result.width, result.height));
                ("succeeded", format!("{output}{}", size.unwrap_or_default()))
            }
            Ended::AlreadyThere => ("skipped", format!("{output} is there already")),
            Ended::Failed { message, .. } => ("failed", format!("error: {from}: {message}")),
        };
        self.bars.suspend(|| match (self.json, &ended) {
            (true, Ended::Done(job)) => {
                println!("{}", json!({"input": from, "status": status, "output": output, "job": job}));
            }
            (true, Ended::Failed { code, message }) => {
                let error = json!({"code": code, "message": message});
                println!("{}", json!({"input": from, "status": status, "error": error}));
            }
            (true, Ended::AlreadyThere) => println!("{}", json!({"input": from, "status": status, "output": output})),
            (false, Ended::Failed { .. }) => eprintln!("{words}"),
            (false, _) => println!("{words}"),
        });
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match ended {
            Ended::Done(_) => counts.done += 1,
            Ended::AlreadyThere => counts.there += 1,
            Ended::Failed { .. } => counts.failed.push(from),
        }
    }

    /// Prints the summary on stderr, and says whether nothing has failed.
    pub fn summary(&self) -> bool {
        self.all.finish_and_clear();
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let there = if counts.there > 0 { format!(", {} were there already", counts.there) } else { String::new() };
        let (done, failed, took) = (counts.done, counts.failed.len(), in_words(self.began.elapsed()));
        eprintln!("{done} done, {failed} failed{there}, in {took}");
        counts.failed.iter().for_each(|input| eprintln!("  failed: {input}"));
        counts.failed.is_empty()
    }

    /// The command was interrupted.
    pub fn interrupted(&self) {
        self.all.finish_and_clear();
        eprintln!("interrupted; jobs that were submitted go on, and the same command finds their results again");
    }
}
