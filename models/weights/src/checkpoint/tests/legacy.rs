//! Files in the layout from before PyTorch 1.6. Files of this layout that PyTorch wrote are among the fixtures.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{Pickle, WeightsError, read_pth, refused};

const MAGIC: &[u8] = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.";
const PROTOCOL: &[u8] = b"\x80\x02M\xe9\x03.";
const SYSTEM: &[u8] = b"\x80\x02}q\x00(X\x10\x00\x00\x00protocol_versionM\xe9\x03X\x0d\x00\x00\x00little_endian\x88u.";

fn object() -> Vec<u8> {
    Pickle::new().tensor("a", "7", 2, 0, &[2], &[1]).tensor("b", "8", 1, 0, &[1], &[1]).end()
}

fn keys(keys: &[&str]) -> Vec<u8> {
    let texts = keys.iter().flat_map(|key| [b"X", &(key.len() as u32).to_le_bytes()[..], key.as_bytes()].concat());
    [b"\x80\x02]q\x00(".to_vec(), texts.collect(), b"e.".to_vec()].concat()
}

fn storage(values: &[f32]) -> Vec<u8> {
    let count = (values.len() as u64).to_le_bytes();
    count.into_iter().chain(values.iter().flat_map(|value| value.to_le_bytes())).collect()
}

/// The parts of a good file; a test changes one.
fn parts() -> [Vec<u8>; 7] {
    [
        MAGIC.to_vec(),
        PROTOCOL.to_vec(),
        SYSTEM.to_vec(),
        object(),
        keys(&["8", "7"]),
        storage(&[3.0]),
        storage(&[1.0, 2.0]),
    ]
}

fn with(at: usize, part: &[u8]) -> Vec<u8> {
    let mut parts = parts();
    parts[at] = part.to_vec();
    parts.concat()
}

#[test]
fn storages_follow_in_the_order_of_their_keys() {
    let file = parts().concat();
    let mut weights = read_pth(&file).unwrap();
    assert_eq!(weights.take("a", &[2]).unwrap(), [1.0_f32.to_le_bytes(), 2.0_f32.to_le_bytes()].concat());
    assert_eq!(weights.take("b", &[1]).unwrap(), 3.0_f32.to_le_bytes());
    assert_eq!(weights.finish(), Ok(()));
}

#[test]
fn code_in_any_part_is_refused_by_name() {
    for at in 1..5 {
        let file = with(at, b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.");
        assert_eq!(read_pth(&file).unwrap_err(), WeightsError::Foreign("posix.system".into()));
    }
}

#[test]
fn what_is_not_as_torch_save_writes_is_refused() {
    let huge = [&(u64::MAX / 4 + 1).to_le_bytes()[..], &[0; 8]].concat();
    let part = object().windows(3).position(|three| three == b"K\x02t").unwrap();
    let mut view = object();
    view.splice(part + 2..part + 2, *b"K\x00");
    for (file, what) in [
        (with(1, b"\x80\x02M\xe8\x03."), "known protocol"),
        (with(2, b"\x80\x02}X\x0d\x00\x00\x00little_endian\x89s."), "byte order"),
        (with(2, b"\x80\x02N."), "byte order"),
        (with(3, &view), "part of another"),
        (with(4, b"\x80\x02N."), "does not list"),
        (with(4, b"\x80\x02](K\x01e."), "not text"),
        (with(4, &keys(&["8", "8"])), "no tensor has"),
        (with(4, &keys(&["8", "7", "9"])), "no tensor has"),
        (with(4, &keys(&["8"])), "16 bytes follow"),
        (with(6, &storage(&[1.0])), "has 4 bytes, not 2 values"),
        (with(6, &huge), "ends within its storage \"7\""),
        ([parts().concat(), vec![0]].concat(), "1 bytes follow"),
    ] {
        assert!(refused(&file).contains(what), "{what}: {}", refused(&file));
    }
}

proptest! {
    #[test]
    fn a_cut_file_is_refused(at in any::<Index>()) {
        let file = parts().concat();
        prop_assert!(read_pth(&file[..at.index(file.len())]).is_err());
    }

    #[test]
    fn a_changed_file_does_no_harm(at in any::<Index>(), bytes in vec(any::<u8>(), 1..4)) {
        let mut file = parts().concat();
        let at = at.index(file.len());
        file.splice(at..=at, bytes);
        let _ = read_pth(&file);
    }
}
