//! Which files `remaster enhance` and `remaster submit` read, and where they write each result.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

/// The file name extensions that are searched for in folders. The format is recognised by a file's bytes.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "tif", "tiff"];

/// An image and the path of its result.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    /// The image to read.
    pub input: PathBuf,
    /// The PNG to write.
    pub output: PathBuf,
}

/// Pairs each image that `inputs` names with the path of its result, see [`place`].
///
/// # Errors
/// An input does not exist, there are no images, or `output` does not fit the number of images.
pub fn pair(inputs: &[String], output: &Path) -> anyhow::Result<Vec<Pair>> {
    let mut images = Vec::new();
    for input in inputs {
        images.extend(expand(input)?);
    }
    if images.is_empty() {
        bail!("there are no images in {}; the accepted extensions are {}", inputs.join(", "), EXTENSIONS.join(", "));
    }
    Ok(place(images, output)?.into_iter().map(|(input, output)| Pair { input, output }).collect())
}

/// Gives each image, with its relative path, the path of its result. For a single image the result is `output` itself if that ends in
/// `.png`. Otherwise `output` is a folder, and each result has the same relative path in it as the image has in its own folder.
///
/// # Errors
/// `output` does not fit the number of images.
pub fn place<T>(images: Vec<(T, PathBuf)>, output: &Path) -> anyhow::Result<Vec<(T, PathBuf)>> {
    if names_a_file(output) {
        let count = images.len();
        let Ok([(image, _)]) = <[_; 1]>::try_from(images) else {
            bail!("{} is one file, but there are {count} images; name a folder", output.display());
        };
        return Ok(vec![(image, output.to_owned())]);
    }
    if output.is_file() {
        bail!("{} is a file; name a folder, or a new file ending in .png", output.display());
    }
    if is_image(output) {
        bail!("results are PNG files; {} has to end in .png or name a folder", output.display());
    }
    let mut taken = HashSet::new();
    Ok(images.into_iter().map(|(image, relative)| (image, unique_path(&output.join(relative), &mut taken))).collect())
}

/// Whether `output` is the path of one result rather than a folder.
fn names_a_file(output: &Path) -> bool {
    output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) && !output.is_dir()
}

/// Whether the name is that of an image.
pub fn is_image(path: &Path) -> bool {
    path.extension().is_some_and(|extension| EXTENSIONS.contains(&&*extension.to_string_lossy().to_lowercase()))
}

/// The images that `input` names (a file, a folder or a pattern), each with its relative path in an output folder.
///
/// # Errors
/// There is no such file.
pub fn expand(input: &str) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let path = Path::new(input);
    let file_name = |path: &Path| path.file_name().map(PathBuf::from).unwrap_or_default();
    if path.is_file() {
        return Ok(vec![(path.to_owned(), file_name(path))]);
    }
    if path.is_dir() {
        let mut found = Vec::new();
        for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
            let entry = entry?;
            if entry.file_type().is_file() && is_image(entry.path()) {
                let relative = entry.path().strip_prefix(path).unwrap_or(entry.path());
                found.push((entry.path().to_owned(), relative.to_owned()));
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

/// `path` with the extension `.png`, and with a number if an earlier image has that path already.
pub fn unique_path(path: &Path, taken: &mut HashSet<PathBuf>) -> PathBuf {
    let mut candidate = path.with_extension("png");
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    for number in 2.. {
        if taken.insert(candidate.clone()) {
            break;
        }
        candidate = path.with_file_name(format!("{stem}-{number}.png"));
    }
    candidate
}

/// Writes a result: `write` fills a temporary file in the same folder, which is then renamed, so that the result appears as a whole
/// or not at all.
///
/// # Errors
/// The folder cannot be made, or the file not be written.
pub fn persist(output: &Path, write: impl FnOnce(&mut fs::File) -> io::Result<()>) -> anyhow::Result<()> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    write(temporary.as_file_mut())?;
    make_readable(temporary.as_file())?;
    temporary.persist(output)?;
    Ok(())
}

/// Lets other users read the file, which as a temporary file only its owner could.
fn make_readable(file: &fs::File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_relative_paths_and_never_collide() {
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
