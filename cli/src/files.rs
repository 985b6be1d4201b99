//! Which files `remaster enhance` and `remaster submit` read, and where they write each result.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use remaster_shared::job::OutputFormat;

/// The file name extensions that are searched for in folders. The format is recognised by a file's bytes.
const EXTENSIONS: [&str; 10] = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "gif", "bmp", "heic", "heif"];

/// An image and the path of its result.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    /// The image to read.
    pub input: PathBuf,
    /// The file to write.
    pub output: PathBuf,
}

/// Pairs each image that `inputs` names with the path of its result, see [`place`].
///
/// # Errors
/// An input does not exist, there are no images, or `output` does not fit the number of images.
pub fn pair(inputs: &[String], output: &Path, format: OutputFormat) -> anyhow::Result<Vec<Pair>> {
    let mut images = Vec::new();
    for input in inputs {
        images.extend(expand(input)?);
    }
    if images.is_empty() {
        bail!("there are no images in {}; the accepted extensions are {}", inputs.join(", "), EXTENSIONS.join(", "));
    }
    Ok(place(images, output, format)?.into_iter().map(|(input, output)| Pair { input, output }).collect())
}

/// The format of results: that of the file that `output` names, or else the one that is `asked` for, or PNG.
///
/// # Errors
/// `output` names a file of another format than is asked for.
pub fn output_format(output: &Path, asked: Option<OutputFormat>) -> anyhow::Result<OutputFormat> {
    match (names_a_file(output), asked) {
        (Some(named), Some(asked)) if named != asked => {
            bail!("{} is not the name of a file of the format {}", output.display(), asked.extension())
        }
        (named, asked) => Ok(named.or(asked).unwrap_or_default()),
    }
}

/// Gives each image, with its relative path, the path of its result. For a single image the result is `output` itself if that ends in
/// the extension of a format. Otherwise `output` is a folder, and each result has the same relative path in it as the image has in its own folder.
///
/// # Errors
/// `output` does not fit the number of images.
pub fn place<T>(images: Vec<(T, PathBuf)>, output: &Path, format: OutputFormat) -> anyhow::Result<Vec<(T, PathBuf)>> {
    if names_a_file(output).is_some() {
        let count = images.len();
        let Ok([(image, _)]) = <[_; 1]>::try_from(images) else {
            bail!("{} is one file, but there are {count} images; name a folder", output.display());
        };
        return Ok(vec![(image, output.to_owned())]);
    }
    if output.is_file() {
        bail!("{} is a file; name a folder, or a new file ending in .png, .webp or .jpg", output.display());
    }
    if is_image(output) {
        bail!("{} has to end in .png, .webp or .jpg, or name a folder", output.display());
    }
    let mut taken = HashSet::new();
    let mut path = |relative| unique_path(&output.join(relative), format, &mut taken);
    Ok(images.into_iter().map(|(image, relative): (T, PathBuf)| (image, path(relative))).collect())
}

/// The format of one result, if `output` is its path rather than a folder.
fn names_a_file(output: &Path) -> Option<OutputFormat> {
    let format = OutputFormat::of_extension(&output.extension()?.to_string_lossy())?;
    (!output.is_dir()).then_some(format)
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

/// `path` with the extension of `format`, and with a number if an earlier image has that path already.
pub fn unique_path(path: &Path, format: OutputFormat, taken: &mut HashSet<PathBuf>) -> PathBuf {
    let extension = format.extension();
    let mut candidate = path.with_extension(extension);
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    for number in 2.. {
        if taken.insert(candidate.clone()) {
            break;
        }
        candidate = path.with_file_name(format!("{stem}-{number}.{extension}"));
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
            let format = output_format(output, None).unwrap();
            pair(inputs, output, format).unwrap().into_iter().map(|pair| pair.output).collect()
        };
        let expected = [out.join("a.png"), out.join("a-2.png"), out.join("sub/a.png")];
        assert_eq!(outputs(&[input("in")], &out), expected);
        assert_eq!(outputs(&[input("in/*.jpg")], &out), [out.join("a.png")]);
        assert_eq!(outputs(&[input("in/a.jpg")], &root.join("b.png")), [root.join("b.png")]);
        assert_eq!(outputs(&[input("in/a.jpg")], &root.join("b.JPEG")), [root.join("b.JPEG")]);
        let refused = |name: &str, output: &Path| {
            pair(&[input(name)], output, OutputFormat::Webp).map(drop).unwrap_err().to_string()
        };
        assert!(refused("in", &root.join("b.png")).contains("name a folder"));
        assert!(refused("in/a.jpg", &root.join("b.tif")).contains("name a folder"));
        assert!(refused("in/none.jpg", &out).contains("no such file"));
        let webp = pair(&[input("in/a.jpg")], &out, OutputFormat::Webp).unwrap();
        assert_eq!(webp[0].output, out.join("a.webp"));
        assert!(output_format(&root.join("b.png"), Some(OutputFormat::Jpeg)).is_err());
        assert_eq!(output_format(&out, Some(OutputFormat::Jpeg)).unwrap(), OutputFormat::Jpeg);
    }
}
