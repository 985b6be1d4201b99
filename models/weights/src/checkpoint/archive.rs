//! The zip file that [`torch.save`](https://github.com/pytorch/pytorch/blob/main/torch/serialization.py) has written
//! since PyTorch 1.6: the pickle `NAME/data.pkl`, and the storages `NAME/data/KEY`.
//!
//! PyTorch never compresses members, so each is a piece of the file itself and nothing is unpacked. A compressed member
//! is refused, and so are members that together claim more bytes than the file has.

use std::collections::HashMap;
use std::io::{self, Cursor};

use zip::{CompressionMethod, ZipArchive};

use super::error::WeightsError;

/// The bytes of each storage where they lie in the file, by the key of the storage.
pub(crate) type Storages<'a> = HashMap<String, &'a [u8]>;

/// The members of a `.pth` file, by their names without the folder.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    members: HashMap<String, &'a [u8]>,
}

impl<'a> Archive<'a> {
    /// Finds every member and checks it, its checksum included.
    ///
    /// # Errors
    /// A file that is no zip file of this layout, or a member that is compressed or damaged.
    pub(crate) fn open(file: &'a [u8]) -> Result<Self, WeightsError> {
        if file.first() == Some(&0x80) {
            let what = "a bare pickle, which is not what torch.save writes";
            return Err(WeightsError::File(what.to_owned()));
        }
        let broken = |what: String| WeightsError::File(format!("not a PyTorch file: {}", what.replace('\n', " ")));
        let mut zip = ZipArchive::new(Cursor::new(file)).map_err(|error| broken(error.to_string()))?;
        let mut left = file.len() as u64;
        let mut all = Vec::with_capacity(zip.len());
        for index in 0..zip.len() {
            let mut member = zip.by_index(index).map_err(|error| broken(error.to_string()))?;
            let name = String::from_utf8(member.name_raw().to_vec()).map_err(|error| broken(error.to_string()))?;
            if member.compression() != CompressionMethod::Stored || member.size() != member.compressed_size() {
                return Err(broken(format!("its member {name:?} is compressed")));
            }
            // Overlapping members would make a large model out of a small file.
            left = left
                .checked_sub(member.size())
                .ok_or_else(|| broken(format!("its members up to {name:?} claim more bytes than the file has")))?;
            io::copy(&mut member, &mut io::sink()).map_err(|error| broken(format!("member {name:?}: {error}")))?;
            let start = member.data_start().and_then(|start| usize::try_from(start).ok());
            let length = usize::try_from(member.size()).ok();
            let bytes = start.zip(length).and_then(|(start, length)| file.get(start..start.checked_add(length)?));
            all.push((name, bytes.ok_or_else(|| broken("a member lies outside of the file".to_owned()))?));
        }
        let mut folders = all.iter().filter_map(|(name, _)| name.strip_suffix("data.pkl"));
        let (Some(folder), None) = (folders.next(), folders.next()) else {
            return Err(broken("it does not have one data.pkl".to_owned()));
        };
        let inside = |(name, bytes): &(String, &'a [u8])| Some((name.strip_prefix(folder)?.to_owned(), *bytes));
        let archive = Self { members: all.iter().filter_map(inside).collect() };
        if archive.members.get("byteorder").is_some_and(|order| order.trim_ascii() != b"little") {
            return Err(broken("its byte order is not little-endian".to_owned()));
        }
        Ok(archive)
    }

    /// The pickle, and the storages by their keys.
    pub(crate) fn into_parts(self) -> (&'a [u8], Storages<'a>) {
        let pickle = self.members.get("data.pkl").copied().unwrap_or_default();
        let storage = |(name, bytes): (String, &'a [u8])| Some((name.strip_prefix("data/")?.to_owned(), bytes));
        (pickle, self.members.into_iter().filter_map(storage).collect())
    }
}
