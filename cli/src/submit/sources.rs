//! What is submitted: files, folders, patterns, URLs, lists on stdin, and what appears in a folder.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::bail;
use futures::Stream;
use url::Url;

use crate::files::{expand, place};

/// How often a watched folder is looked at. A file that did not change between two looks counts as complete.
const LOOK: Duration = Duration::from_secs(2);

/// An image and the path of its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is read from.
    pub from: From,
    /// The PNG to write.
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
pub fn named(inputs: &[String], output: &Path) -> anyhow::Result<Vec<Source>> {
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
    Ok(place(images, output)?.into_iter().map(|(from, output)| Source { from, output }).collect())
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
pub fn appearing(folder: PathBuf, output: PathBuf) -> impl Stream<Item = Source> + Send {
    let state = (HashMap::<PathBuf, (u64, SystemTime)>::new(), HashSet::<PathBuf>::new(), Vec::<Source>::new());
    futures::stream::unfold(state, move |(mut seen, mut given, mut ready)| {
        let (folder, output) = (folder.clone(), output.clone());
        async move {
            loop {
                if let Some(source) = ready.pop() {
                    return Some((source, (seen, given, ready)));
                }
                for (path, relative) in expand(&folder.to_string_lossy()).unwrap_or_default() {
                    // A result in the watched folder is no image to submit.
                    let Ok(meta) = path.metadata() else { continue };
                    if given.contains(&path) || path.starts_with(&output) {
                        continue;
                    }
                    let now = (meta.len(), meta.modified().unwrap_or(SystemTime::UNIX_EPOCH));
                    if seen.insert(path.clone(), now) == Some(now) {
                        given.insert(path.clone());
                        let output = output.join(relative).with_extension("png");
                        ready.push(Source { from: From::File(path), output });
                    }
                }
                if ready.is_empty() {
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    })
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
        let sources = named(&inputs, &folder.path().join("out")).unwrap();
        let outputs: Vec<_> = sources.iter().map(|source| source.output.file_name().unwrap()).collect();
        assert_eq!(outputs, ["a.png", "a-2.png"]);
        assert!(matches!(&sources[1].from, From::Web(url) if url.query() == Some("size=2")));
        assert!(named(&["none.jpg".into()], folder.path()).is_err());
    }

    #[test]
    fn a_url_cannot_name_a_path() {
        assert_eq!(sanitized("..%2F..%2Fetc"), Path::new("_2F.._2Fetc"));
        assert_eq!(sanitized(".htaccess"), Path::new("htaccess"));
    }
}
