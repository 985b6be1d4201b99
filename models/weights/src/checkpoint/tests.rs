//! `.pth` files, written by hand, so that each can be broken in one way.

mod legacy;

use std::io::{Cursor, Write};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::pickle::{self, value::Value};
use super::{WeightsError, read_pth};

/// A pickle as `torch.save` writes it: a dictionary of tensors.
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Self(b"\x80\x02}q\x00(".to_vec())
    }

    /// A float32 tensor of the storage `key`, which has `values` values.
    fn tensor(mut self, name: &str, key: &str, values: u8, offset: u8, dims: &[u8], strides: &[u8]) -> Self {
        self.text(name);
        self.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.0.extend(b"ctorch\nFloatStorage\n");
        self.text(key);
        self.text("cpu");
        self.0.extend([b'K', values, b't', b'Q', b'K', offset]);
        for sizes in [dims, strides] {
            self.0.push(b'(');
            sizes.iter().for_each(|&size| self.0.extend([b'K', size]));
            self.0.push(b't');
        }
        self.0.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        self
    }

    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend(b"u.");
        self.0
    }
}

/// A `.pth` file of that pickle and the storages `0`, `1`, ….
fn pth(pickle: &[u8], storages: &[&[f32]]) -> Vec<u8> {
    packed(pickle, storages, CompressionMethod::Stored)
}

fn packed(pickle: &[u8], storages: &[&[f32]], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    let mut member = |name: &str, bytes: &[u8]| {
        zip.start_file(format!("archive/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    member("data.pkl", pickle);
    for (key, values) in storages.iter().enumerate() {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        member(&format!("data/{key}"), &bytes);
    }
    zip.finish().unwrap().into_inner()
}

fn refused(file: &[u8]) -> String {
    let error = read_pth(file).unwrap_err().to_string();
    assert!(error.lines().count() == 1, "{error}");
    error
}

#[test]
fn tensors_are_pieces_of_their_storages() {
    let pickle = Pickle::new().tensor("a", "0", 6, 0, &[2, 2], &[2, 1]).tensor("b", "0", 6, 4, &[2], &[1]).end();
    let file = pth(&pickle, &[&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]);
    let mut weights = read_pth(&file).unwrap();
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    assert_eq!(weights.take("b", &[2]).unwrap(), floats(&[4.0, 5.0]));
    assert_eq!(weights.finish(), Err(WeightsError::Surplus("a".into())));
    assert!(matches!(weights.take("a", &[4]), Err(WeightsError::Shape { name, .. }) if name == "a"));
    assert_eq!(weights.take("a", &[2, 2]), Err(WeightsError::Missing("a".into())));
}

#[test]
fn code_is_refused_by_name() {
    // Python would run these as posix.system("ls"): one as the whole pickle, one in the place of a tensor.
    let attack = b"cposix\nsystem\n(X\x02\x00\x00\x00lstR";
    let whole = [b"\x80\x02", &attack[..], b"."].concat();
    let inside = [b"\x80\x02}(X\x01\x00\x00\x00a", &attack[..], b"u."].concat();
    for pickle in [whole, inside] {
        assert_eq!(read_pth(&pth(&pickle, &[])).unwrap_err(), WeightsError::Foreign("posix.system".into()));
    }
    for foreign in ["builtins\neval", "torch\nload", "torch._utils\n_rebuild_sparse_tensor", "collections\nCounter"] {
        let pickle = format!("\u{2}c{foreign}\n)R.").into_bytes();
        let pickle = [b"\x80", &pickle[..]].concat();
        assert_eq!(pickle::read(&pickle).unwrap_err(), WeightsError::Foreign(foreign.replace('\n', ".")));
    }
    // INST, OBJ, STACK_GLOBAL, NEWOBJ and EXT1 find classes in other ways.
    for opcode in [b'i', b'o', 0x93, 0x81, 0x82] {
        let error = pickle::read(&[0x80, 2, b'N', b'N', opcode, b'.']).unwrap_err();
        assert!(matches!(error, WeightsError::Pickle { at: 4, .. }), "{error}");
    }
    // These call what is accepted, but not as torch.save does.
    for call in ["ccollections\nOrderedDict\nN\u{1}R.", "ctorch\nFloatStorage\n)R.", "X\0\0\0\0)R."] {
        assert!(matches!(pickle::read(call.as_bytes()), Err(WeightsError::Pickle { .. })), "{call}");
    }
}

#[test]
fn what_a_tensor_claims_is_checked_against_its_storage() {
    let four: &[f32] = &[0.0, 1.0, 2.0, 3.0];
    let one = |values, offset, dims: &[u8], strides: &[u8]| {
        refused(&pth(&Pickle::new().tensor("a.b", "0", values, offset, dims, strides).end(), &[four]))
    };
    for (error, what) in [
        (one(4, 0, &[5], &[1]), "reaches beyond its storage"),
        (one(4, 1, &[4], &[1]), "reaches beyond its storage"),
        (one(5, 0, &[4], &[1]), "has 16 bytes, not 5 values"),
        (one(4, 0, &[2, 2], &[1, 2]), "strides [1, 2]"),
        (one(4, 0, &[200, 4], &[0, 1]), "strides [0, 1]"),
        (one(4, 0, &[4], &[]), "strides []"),
        (one(4, 0, &[0], &[1]), "absurd"),
        (one(4, 0, &[255, 255, 255, 255, 255, 255, 255, 255], &[1; 8]), "strides"),
    ] {
        assert!(error.starts_with("tensor \"a.b\": ") && error.contains(what), "{error}");
    }
    let shared = Pickle::new().tensor("a", "0", 4, 0, &[4], &[1]).tensor("b", "0", 4, 3, &[1], &[1]).end();
    assert!(refused(&pth(&shared, &[four])).contains("tensor \"b\": shares its storage"));
    let twice = Pickle::new().tensor("a", "0", 4, 0, &[1], &[1]).tensor("a", "0", 4, 1, &[1], &[1]).end();
    assert!(refused(&pth(&twice, &[four])).contains("there twice"));
    let absent = Pickle::new().tensor("a", "7", 4, 0, &[4], &[1]).end();
    assert!(refused(&pth(&absent, &[four])).contains("\"7\" is not in the file"));
    let endless = pth(&Pickle::new().tensor("a", "0", 1, 0, &[1], &[1]).end(), &[&[f32::NAN]]);
    assert!(read_pth(&endless).unwrap().take("a", &[1]).unwrap_err().to_string().contains("not a finite number"));
}

#[test]
fn nothing_is_inflated() {
    let bomb = packed(&Pickle::new().end(), &[&[0.0; 1 << 16]], CompressionMethod::Deflated);
    assert!(bomb.len() < 1 << 12);
    assert!(refused(&bomb).contains("is compressed"));
    // The directory entry of the second storage is made to name the bytes of the first.
    let mut file = pth(&Pickle::new().end(), &[&[0.0; 4000], &[0.0; 4000]]);
    let entries: Vec<usize> = (0..file.len() - 4).filter(|&at| file[at..].starts_with(b"PK\x01\x02")).collect();
    let first: [u8; 4] = file[entries[1] + 42..entries[1] + 46].try_into().unwrap();
    file[entries[2] + 42..entries[2] + 46].copy_from_slice(&first);
    let locals: Vec<usize> = (0..file.len() - 4).filter(|&at| file[at..].starts_with(b"PK\x03\x04")).collect();
    // Without the bytes that no entry names any more, the members claim more than there is.
    let gone = locals[2]..entries[0];
    let directory = (entries[0] - gone.len()) as u32;
    file.drain(gone);
    let end = file.len() - 6;
    file[end..end + 4].copy_from_slice(&directory.to_le_bytes());
    assert!(refused(&file).contains("claim more bytes than the file has"), "{}", refused(&file));
}

#[test]
fn other_files_are_named_for_what_they_are() {
    assert!(refused(b"\x80\x02}.").contains("bare pickle"));
    assert!(refused(b"x").contains("not a PyTorch file"));
    assert!(refused(&pth(b"\x80\x02N.", &[])).contains("not a dictionary"));
    assert!(refused(&pth(b"\x80\x02}(X\x06\x00\x00\x00paramsNu.", &[])).contains("not a dictionary"));
    assert!(refused(&pth(b"\x80\x02}(X\x01\x00\x00\x00aK\x01u.", &[])).contains("tensor \"a\": is not a tensor"));
}

#[test]
fn a_dictionary_may_contain_itself() {
    let pickle::Pickle { objects, root, .. } = pickle::read(b"\x80\x02}q\x00h\x00h\x00s.").unwrap();
    assert_eq!(objects.get(root), &Value::Dict(vec![(root, root)]));
}

/// A file with one tensor of four values, and its pickle.
fn whole() -> (Vec<u8>, Vec<u8>) {
    let pickle = Pickle::new().tensor("a", "0", 4, 0, &[2, 2], &[2, 1]).end();
    (pth(&pickle, &[&[0.0, 1.0, 2.0, 3.0]]), pickle)
}

proptest! {
    #[test]
    fn a_cut_pickle_is_refused(at in any::<Index>()) {
        let (_, pickle) = whole();
        prop_assert!(pickle::read(&pickle[..at.index(pickle.len())]).is_err());
    }

    #[test]
    fn a_changed_pickle_does_no_harm(at in any::<Index>(), bytes in vec(any::<u8>(), 1..4)) {
        let (_, mut pickle) = whole();
        let at = at.index(pickle.len());
        pickle.splice(at..=at, bytes);
        let _ = read_pth(&pth(&pickle, &[&[0.0; 4]]));
    }

    #[test]
    fn no_pickle_makes_the_machine_panic(bytes in vec(any::<u8>(), 0..100)) {
        let _ = pickle::read(&bytes);
    }

    #[test]
    fn a_cut_file_is_refused(at in any::<Index>()) {
        let (file, _) = whole();
        prop_assert!(read_pth(&file[..at.index(file.len())]).is_err());
    }

    #[test]
    fn a_changed_file_does_no_harm(at in any::<Index>(), byte in any::<u8>()) {
        let (mut file, _) = whole();
        let at = at.index(file.len());
        file[at] = byte;
        let _ = read_pth(&file);
    }
}

#[test]
fn a_changed_value_breaks_the_checksum() {
    let (mut file, _) = whole();
    assert!(read_pth(&file).is_ok());
    let at = file.windows(4).position(|four| four == 3.0_f32.to_le_bytes()).unwrap();
    file[at] ^= 1;
    assert!(refused(&file).contains("archive/data/0"));
}
