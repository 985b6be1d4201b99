//! Which files `enhance` reads, and where each result goes.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

/// Endings looked for in folders; what a file is, its bytes say.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "tif", "tiff"];

#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    pub input: PathBuf,
    pub output: PathBuf,
}

/// Pairs each image under `inputs` with its result's path: `output` itself for one file when it ends in `.png`, else a
/// PNG in the folder `output`, in the place that the image has below its own folder.
pub fn pair(inputs: &[String], output: &Path) -> anyhow::Result<Vec<Pair>> {
    let mut images = Vec::new();
    for input in inputs {
        images.extend(expand(input)?);
    }
    if images.is_empty() {
        bail!("there are no images in {}; looked for {}", inputs.join(", "), ENDINGS.join(", "));
    }
    let names_a_file = output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) && !output.is_dir();
    if names_a_file {
        let [(input, _)] = images.as_slice() else {
            bail!("{} names one file, and there are {} images; name a folder", output.display(), images.len());
        };
        return Ok(vec![Pair { input: input.clone(), output: output.to_owned() }]);
    }
    if output.is_file() {
        bail!("{} is a file; name a folder, or a new file ending in .png", output.display());
    }
    if output.extension().is_some_and(|ending| ENDINGS.contains(&&*ending.to_string_lossy().to_lowercase())) {
        bail!("results are PNG: {} should end in .png, or name a folder", output.display());
    }
    let mut taken = HashSet::new();
    Ok(images
        .into_iter()
        .map(|(input, place)| Pair { input, output: free_place(&output.join(place), &mut taken) })
        .collect())
}

/// The images that `input` means, each with its place in an output folder.
fn expand(input: &str) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let path = Path::new(input);
    let file_name = |path: &Path| path.file_name().map(PathBuf::from).unwrap_or_default();
    if path.is_file() {
        return Ok(vec![(path.to_owned(), file_name(path))]);
    }
    if path.is_dir() {
        let mut found = Vec::new();
        for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
            let entry = entry?;
            let image = entry
                .path()
                .extension()
                .is_some_and(|ending| ENDINGS.contains(&&*ending.to_string_lossy().to_lowercase()));
            if entry.file_type().is_file() && image {
                let place = entry.path().strip_prefix(path).unwrap_or(entry.path());
                found.push((entry.path().to_owned(), place.to_owned()));
            }
        }
        return Ok(found);
    }
    let matched = glob::glob(input).with_context(|| format!("{input:?} is neither a file, a folder nor a pattern"))?;
    let files: Vec<PathBuf> =
        matched.collect::<Result<Vec<_>, _>>()?.into_iter().filter(|path| path.is_file()).collect();
    if files.is_empty() {
        bail!("{input}: no such file");
    }
    Ok(files.into_iter().map(|path| (path.clone(), file_name(&path))).collect())
}

/// `place` with the ending `.png`, numbered when `a.jpg` and `a.png` both want it.
fn free_place(place: &Path, taken: &mut HashSet<PathBuf>) -> PathBuf {
    let mut candidate = place.with_extension("png");
    let stem = place.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    for number in 2.. {
        if taken.insert(candidate.clone()) {
            break;
        }
        candidate = place.with_file_name(format!("{stem}-{number}.png"));
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_places_and_never_meet() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("in/sub")).unwrap();
        for name in ["in/a.jpg", "in/a.png", "in/sub/a.JPG", "in/notes.txt"] {
            std::fs::write(root.join(name), b"x").unwrap();
        }
        let input = |name: &str| root.join(name).to_string_lossy().into_owned();
        let out = root.join("out");
        let outputs = |inputs: &[String], output: &Path| -> Vec<PathBuf> {
            pair(inputs, output).unwrap().into_iter().map(|pair| pair.output).collect()
        };
        let expected = [out.join("a.png"), out.join("a-2.png"), out.join("sub/a.png")];
        assert_eq!(outputs(&[input("in")], &out), expected);
        assert_eq!(outputs(&[input("in/*.jpg")], &out), [out.join("a.png")]);
        assert_eq!(outputs(&[input("in/a.jpg")], &root.join("b.png")), [root.join("b.png")]);
        assert!(pair(&[input("in")], &root.join("b.png")).unwrap_err().to_string().contains("name a folder"));
        assert!(pair(&[input("in/a.jpg")], &root.join("b.jpg")).is_err());
        assert!(pair(&[input("in/none.jpg")], &out).unwrap_err().to_string().contains("no such file"));
    }
}
