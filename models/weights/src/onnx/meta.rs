//! The description of a model: `remaster.*` entries in the `metadata_props` of its ONNX file.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use prost::Message;
use remaster_shared::catalogue::Kind;

use super::proto::{Entry, Model};
use super::wire;

/// The field number of `ModelProto.metadata_props`.
const METADATA_PROPS: u64 = 14;
/// The longest entry that is read; the entries of a description are far shorter.
const MAX_ENTRY: u64 = 1 << 16;
/// The prefix of the keys of a description.
pub(crate) const PREFIX: &str = "remaster.";

/// What a model says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The model's id.
    pub id: String,
    /// What the network is for.
    pub kind: Kind,
    /// The network's architecture, such as `rrdbnet`; `custom` where nobody named it.
    pub architecture: String,
    /// Output pixels per input pixel along one side; 1 for a network that does not enlarge.
    pub scale: u32,
    /// The SHA-256 of the weight file that the model was made from, in hexadecimal.
    pub source_sha256: String,
}

impl Description {
    /// Reads the description in the ONNX file `from`, or `None` where it has none. The weights are skipped.
    ///
    /// # Errors
    /// `InvalidData` for what is not an ONNX file; otherwise the errors of `from`.
    pub fn read(from: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let length = from.seek(SeekFrom::End(0))?;
        Ok(Self::from_entries(&entries(from, length)?))
    }

    /// The description as entries of the metadata.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let pairs = [
            ("id", self.id.clone()),
            ("kind", self.kind.to_string()),
            ("architecture", self.architecture.clone()),
            ("scale", self.scale.to_string()),
            ("source_sha256", self.source_sha256.clone()),
        ];
        pairs.map(|(key, value)| Entry { key: format!("{PREFIX}{key}"), value }).to_vec()
    }

    /// Protobuf bytes that add this description to the `ModelProto` they are appended to.
    pub(crate) fn encode(&self) -> Vec<u8> {
        Model { metadata_props: self.entries(), ..Model::default() }.encode_to_vec()
    }

    /// The last entry of each key counts, because a description may be appended to a file that has one.
    fn from_entries(entries: &[Entry]) -> Option<Self> {
        let get = |key: &str| {
            let mut ours = entries.iter().filter(|entry| entry.key.strip_prefix(PREFIX) == Some(key));
            ours.next_back().map(|entry| entry.value.clone())
        };
        Some(Self {
            id: get("id")?,
            kind: get("kind")?.parse().ok()?,
            architecture: get("architecture")?,
            scale: get("scale")?.parse().ok()?,
            source_sha256: get("source_sha256")?,
        })
    }
}

/// Every metadata entry of the model `model`.
pub(crate) fn entries_of(model: &[u8]) -> io::Result<Vec<Entry>> {
    entries(&mut Cursor::new(model), model.len() as u64)
}

fn entries(from: &mut (impl Read + Seek), length: u64) -> io::Result<Vec<Entry>> {
    let fields = wire::fields(from, 0..length)?;
    let contents = fields.into_iter().filter(|field| field.number == METADATA_PROPS).filter_map(|field| field.content);
    contents
        .map(|content| {
            let bytes = wire::bytes(from, &content, MAX_ENTRY)?;
            Entry::decode(bytes.as_slice()).map_err(|_| wire::invalid("a broken metadata entry"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn description() -> Description {
        Description {
            id: "a".into(),
            kind: Kind::Upscaler,
            architecture: "custom".into(),
            scale: 4,
            source_sha256: "0".repeat(64),
        }
    }

    #[test]
    fn a_description_appended_to_a_model_is_read_back() {
        let mut bytes = Model { ir_version: 8, producer_name: "x".into(), ..Model::default() }.encode_to_vec();
        assert_eq!(Description::read(&mut Cursor::new(&bytes)).unwrap(), None);
        bytes.extend(description().encode());
        assert_eq!(Description::read(&mut Cursor::new(&bytes)).unwrap(), Some(description()));
        assert!(entries_of(&[0xff; 40]).is_err());
        assert!(entries_of(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_err());
    }

    proptest! {
        /// What is read back of a cut file is the description or nothing.
        #[test]
        fn a_cut_model_has_no_other_description(at in any::<Index>()) {
            let bytes = description().encode();
            if let Ok(Some(read)) = Description::read(&mut Cursor::new(&bytes[..at.index(bytes.len())])) {
                prop_assert_eq!(read, description());
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Description::read(&mut Cursor::new(&bytes));
        }
    }
}
