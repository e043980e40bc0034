//! The repository's own text files, by their path from its root.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Folders that are made, not written: builds and the data of a run.
const MADE: [&str; 2] = ["target", "calltide-data"];

/// All text files.
pub(crate) struct Repository {
    files: BTreeMap<String, String>,
}

impl Repository {
    pub(crate) fn read() -> Self {
        let mut files = BTreeMap::new();
        gather(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut files);
        Self { files }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(crate) fn ending(&self, end: &str) -> BTreeMap<&str, &str> {
        self.all().filter(|(path, _)| path.ends_with(end)).collect()
    }

    pub(crate) fn text(&self, path: &str) -> &str {
        self.files.get(path).unwrap_or_else(|| panic!("{path} is missing"))
    }

    /// Whether there is such a file or folder.
    pub(crate) fn has(&self, path: &str) -> bool {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
    }
}

fn gather(folder: &Path, place: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let entry = entry.expect("an entry of a folder");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if place.is_empty() { name.clone() } else { format!("{place}/{name}") };
        let kind = entry.file_type().expect("what an entry is");
        if kind.is_dir() {
            // `.ci` is ours, `.git` and other tools' folders are not.
            if !MADE.contains(&name.as_str()) && (!name.starts_with('.') || name == ".ci") {
                gather(&entry.path(), &path, files);
            }
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.insert(path, text);
        }
    }
}
