//! What reads the bytes of strangers. Each [target](TARGETS) takes any bytes, and neither panics nor takes more than its bounds, whatever
//! they are.
//!
//! `cargo xtask fuzz` lets libFuzzer look for bytes that break one; the tests try the corpora, and changes to them at random.

#![allow(clippy::unwrap_used, reason = "a check, which is to panic")]

mod pictures;
mod requests;
mod texts;
mod weights;

/// A target: its name, which is that of its folder in `corpus`, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("header", pictures::header),
    ("decode", pictures::decode),
    ("ncnn", weights::ncnn),
    ("checkpoint", weights::checkpoint),
    ("onnx", weights::onnx),
    ("texts", texts::texts),
    ("requests", requests::requests),
];

/// The target of this name.
pub fn target(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, run)| *run)
}
