//! What is submitted: files, folders, patterns, URLs, lists on stdin, and what appears in a folder.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::bail;
use futures::Stream;
use remaster_shared::job::OutputFormat;
use url::Url;

use crate::files::{expand, is_image, place, unique_path};

/// How often a watched folder is looked at. A file that did not change between two looks counts as complete.
const LOOK: Duration = Duration::from_secs(2);

/// An image and the path of its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is read from.
    pub from: From,
    /// The file to write.
    pub output: PathBuf,
}

/// Where an image is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// A local file.
    File(PathBuf),
    /// The web.
    Web(Url),
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            From::File(path) => write!(f, "{}", path.display()),
            From::Web(url) => write!(f, "{url}"),
        }
    }
}

/// The images that the arguments name.
///
/// # Errors
/// A file does not exist, there are no images, or `output` does not fit their number.
pub fn named(inputs: &[String], output: &Path, format: OutputFormat) -> anyhow::Result<Vec<Source>> {
    let mut images = Vec::new();
    for input in inputs {
        if input == "-" {
            for line in std::io::stdin().lock().lines() {
                let line = line?;
                if !line.trim().is_empty() {
                    images.extend(one(line.trim())?);
                }
            }
        } else {
            images.extend(one(input)?);
        }
    }
    if images.is_empty() {
        bail!("there are no images in {}", inputs.join(", "));
    }
    Ok(place(images, output, format)?.into_iter().map(|(from, output)| Source { from, output }).collect())
}

fn one(input: &str) -> anyhow::Result<Vec<(From, PathBuf)>> {
    match Url::parse(input) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {
            let name = url.path_segments().and_then(|mut parts| parts.next_back()).filter(|name| !name.is_empty());
            let name = sanitized(name.unwrap_or("image"));
            Ok(vec![(From::Web(url), name)])
        }
        _ => Ok(expand(input)?.into_iter().map(|(path, relative)| (From::File(path), relative)).collect()),
    }
}

/// A file name that stays in its folder, whatever a URL says.
fn sanitized(name: &str) -> PathBuf {
    let name: String = name.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    PathBuf::from(name.trim_start_matches('.'))
}

/// The images that are in `folder` or appear there, each once it is complete.
///
/// # Errors
/// The results would lie in the folder that is watched, or a folder cannot be made.
pub fn appearing(
    folder: &Path,
    output: &Path,
    format: OutputFormat,
) -> anyhow::Result<impl Stream<Item = Source> + Send + use<>> {
    std::fs::create_dir_all(output)?;
    let (folder, output) = (folder.canonicalize()?, output.canonicalize()?);
    if folder == output {
        bail!("the results cannot lie in the folder that is watched; name another one with --output");
    }
    let folder = Watched { folder, output, format, ..Watched::default() };
    Ok(futures::stream::unfold(folder, |mut folder| async move {
        loop {
            if let Some(source) = folder.ready.pop_front() {
                return Some((source, folder));
            }
            folder.look();
            if folder.ready.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }))
}

/// A folder in which images appear.
#[derive(Default)]
struct Watched {
    folder: PathBuf,
    output: PathBuf,
    format: OutputFormat,
    /// Size and time of each image at the last look.
    seen: HashMap<PathBuf, (u64, SystemTime)>,
    /// Images that were taken, and the paths of their results.
    given: HashSet<PathBuf>,
    taken: HashSet<PathBuf>,
    ready: VecDeque<Source>,
}

impl Watched {
    /// Takes what did not change since the last look. What cannot be read is passed over until the next one.
    fn look(&mut self) {
        let entries = walkdir::WalkDir::new(&self.folder).sort_by_file_name().into_iter().filter_map(Result::ok);
        for entry in entries.filter(|entry| entry.file_type().is_file() && is_image(entry.path())) {
            let path = entry.path().to_owned();
            let (Ok(meta), Ok(relative)) = (entry.metadata(), path.strip_prefix(&self.folder)) else { continue };
            if self.given.contains(&path) || path.starts_with(&self.output) {
                continue;
            }
            let now = (meta.len(), meta.modified().unwrap_or(SystemTime::UNIX_EPOCH));
            if self.seen.insert(path.clone(), now) == Some(now) {
                let output = unique_path(&self.output.join(relative), self.format, &mut self.taken);
                self.given.insert(path.clone());
                self.ready.push_back(Source { from: From::File(path), output });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_files_have_results_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let photo = folder.path().join("a.jpg");
        std::fs::write(&photo, b"x").unwrap();
        let inputs = [photo.to_string_lossy().into_owned(), "https://example.com/x/a.jpg?size=2".into()];
        let sources = named(&inputs, &folder.path().join("out"), OutputFormat::Png).unwrap();
        let outputs: Vec<_> = sources.iter().map(|source| source.output.file_name().unwrap()).collect();
        assert_eq!(outputs, ["a.png", "a-2.png"]);
        assert!(matches!(&sources[1].from, From::Web(url) if url.query() == Some("size=2")));
        assert!(named(&["none.jpg".into()], folder.path(), OutputFormat::Png).is_err());
    }

    #[test]
    fn a_url_cannot_name_a_path() {
        assert_eq!(sanitized("..%2F..%2Fetc"), Path::new("_2F.._2Fetc"));
        assert_eq!(sanitized(".htaccess"), Path::new("htaccess"));
    }
}
