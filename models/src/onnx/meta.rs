//! What a model says about itself: `remaster.*` entries in the ONNX `metadata_props`.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::path::Path;

use prost::Message;

use super::proto::{Entry, Model};
use super::wire;
use crate::manifest::Kind;

/// `ModelProto.metadata_props`.
const METADATA_PROPS: u64 = 14;
/// Our entries are far shorter.
const MAX_ENTRY: u64 = 1 << 16;
pub(crate) const PREFIX: &str = "remaster.";

/// A model's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub id: String,
    pub kind: Kind,
    pub architecture: String,
    pub scale: u32,
    pub source_sha256: String,
}

impl Description {
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

    /// Protobuf bytes that, appended to a `ModelProto`, add this description to it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        Model { metadata_props: self.entries(), ..Model::default() }.encode_to_vec()
    }

    fn from_entries(entries: &[Entry]) -> Option<Self> {
        let get = |key: &str| {
            let mut ours = entries.iter().filter(|entry| entry.key.strip_prefix(PREFIX) == Some(key));
            ours.next_back().map(|entry| entry.value.clone())
        };
        Some(Self {
            id: get("id")?,
            kind: Kind::from_name(&get("kind")?)?,
            architecture: get("architecture")?,
            scale: get("scale")?.parse().ok()?,
            source_sha256: get("source_sha256")?,
        })
    }
}

/// Reads a model file's description; `None` when it carries none of ours. The weights are skipped.
pub(crate) fn read(path: &Path) -> io::Result<Option<Description>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let entries = entries(&mut BufReader::new(file), length)?;
    Ok(Description::from_entries(&entries))
}

/// Every metadata entry of a model in memory.
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
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.onnx");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path).unwrap(), None);
        bytes.extend(description().encode());
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path).unwrap(), Some(description()));
        for end in 0..bytes.len() {
            let _ = entries_of(&bytes[..end]);
        }
        assert!(entries_of(&[0xff; 40]).is_err());
        assert!(entries_of(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_err());
    }
}
