//! The corpora, and changes to them at random. What once broke a target is in its corpus.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use remaster_fuzz::TARGETS;

/// How many changes to each corpus are tried.
const CHANGES: u32 = 2000;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Flips, cuts, repeats or joins.
fn change(bytes: &mut Vec<u8>, rng: &mut SmallRng, other: &[u8]) {
    for _ in 0..rng.random_range(1..8) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.random()),
            2 => bytes.splice(at.., other.iter().copied().skip(at)).for_each(drop),
            3 => bytes.extend_from_within(at..),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.random_range(0..8)),
        }
        bytes.truncate(1 << 16);
    }
}

#[test]
fn no_bytes_break_a_target() {
    for (name, run) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() > 1, "{name} has no corpus");
        corpus.iter().for_each(|bytes| run(bytes));
        let mut rng = SmallRng::seed_from_u64(7);
        for _ in 0..CHANGES {
            let mut bytes = corpus.choose(&mut rng).unwrap().clone();
            let other = corpus.choose(&mut rng).unwrap();
            change(&mut bytes, &mut rng, other);
            run(&bytes);
        }
    }
}
