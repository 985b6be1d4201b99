//! Names of the files in a ZIP.

use std::collections::HashSet;

/// The longest name of an entry without its extension, in bytes.
const MAX_STEM: usize = 200;

/// Names for pictures that were made from uploads: the name of the upload as far as every file system allows it, and no name
/// twice, whether or not the file system distinguishes case.
#[derive(Default)]
pub struct EntryNames(HashSet<String>);

impl EntryNames {
    /// The next name, from that of the upload and with the extension of the result.
    pub fn next(&mut self, original: Option<&str>, extension: &str) -> String {
        let stem = safe(original.unwrap_or("picture"));
        (1_u32..)
            .map(|number| if number == 1 { String::new() } else { format!(" ({number})") })
            .map(|number| format!("{stem}{number}.{extension}"))
            .find(|name| self.0.insert(name.to_lowercase()))
            .unwrap_or_default()
    }
}

/// The name without its extension and without what some file system does not allow in a name.
fn safe(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let allowed = |c: char| !c.is_control() && !r#"/\:*?"<>|"#.contains(c);
    let mut stem: String = stem.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    stem.truncate(stem.floor_char_boundary(MAX_STEM));
    // A leading dot hides a file, and Windows drops trailing dots and spaces.
    let stem = stem.trim_matches(['.', ' ']);
    match stem {
        "" => "picture".to_owned(),
        stem if is_device(stem) => format!("_{stem}"),
        stem => stem.to_owned(),
    }
}

/// Whether Windows takes the name for a device, which it does whatever follows the first dot.
fn is_device(stem: &str) -> bool {
    let first = stem.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = first.strip_prefix("com").or_else(|| first.strip_prefix("lpt"));
    let digit = |rest: &str| rest.chars().count() == 1 && rest.chars().all(|c| "0123456789¹²³".contains(c));
    ["con", "prn", "aux", "nul"].contains(&first.as_str()) || numbered.is_some_and(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_each_is_there_once() {
        let mut names = EntryNames::default();
        for (original, name) in [
            (Some("a.jpg"), "a.png"),
            (Some("A.JPEG"), "A (2).png"),
            (Some("a.png"), "a (3).png"),
            (Some("a (2).tif"), "a (2) (2).png"),
            (None, "picture.png"),
            (Some(".jpg"), "picture (2).png"),
            (Some("..\\..\\x:y?.jpg"), "_.._x_y_.png"),
            (Some("Großmutter 1932.jpg"), "Großmutter 1932.png"),
            (Some("archive.tar.gz"), "archive.tar.png"),
            (Some("NUL.jpg"), "_NUL.png"),
            (Some("com1.jpg"), "_com1.png"),
            (Some("con.tar.jpg"), "_con.tar.png"),
            (Some("comp.jpg"), "comp.png"),
            (Some("console.jpg"), "console.png"),
            (Some("no ending"), "no ending.png"),
            (Some("dots... .jpg"), "dots.png"),
        ] {
            assert_eq!(names.next(original, "png"), name, "{original:?}");
        }
        assert_eq!(names.next(Some(&"ü".repeat(255)), "png").len(), MAX_STEM + ".png".len());
    }
}
