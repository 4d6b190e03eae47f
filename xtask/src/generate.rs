//! Writes what is made from the code, and tells what is stale.

use std::{fs, path::Path};

/// A file, from the root of the workspace, and what makes its content.
type Document = (&'static str, fn() -> String);

/// The documents of the references. A new one needs a line here and nothing else.
const DOCUMENTS: &[Document] = &[
    ("docs/reference/settings.md", strongroom_server::config::settings_reference),
    ("docs/reference/operations.md", strongroom_api::operations_reference),
    ("docs/reference/openapi.json", openapi),
];

fn openapi() -> String {
    let text = serde_json::to_string_pretty(&strongroom_api::document()).unwrap_or_default();
    text + "\n"
}

/// Writes all of them and says whether it could.
pub(crate) fn run(root: &Path) -> bool {
    DOCUMENTS.iter().all(|(path, make)| match write(&root.join(path), &make()) {
        Ok(()) => {
            println!("wrote {path}");
            true
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            false
        }
    })
}

/// Those whose file isn't what would be written now.
pub(crate) fn stale(root: &Path) -> Vec<String> {
    stale_of(root, DOCUMENTS)
}

fn stale_of(root: &Path, documents: &[Document]) -> Vec<String> {
    let is_fresh =
        |path: &str, make: fn() -> String| fs::read_to_string(root.join(path)).is_ok_and(|text| text == make());
    let stale = documents.iter().filter(|(path, make)| !is_fresh(path, *make));
    stale.map(|(path, _)| format!("{path} is stale or missing: run `cargo xtask generate`")).collect()
}

fn write(file: &Path, content: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_or_missing_document_is_stale() {
        let root = std::env::temp_dir().join(format!("xtask-generate-{}", std::process::id()));
        let documents: [Document; 1] = [("docs/a.md", || "new".to_owned())];
        let file = root.join("docs/a.md");
        let expected = ["docs/a.md is stale or missing: run `cargo xtask generate`"];
        assert_eq!(stale_of(&root, &documents), expected);
        write(&file, "old").unwrap();
        assert_eq!(stale_of(&root, &documents), expected);
        write(&file, "new").unwrap();
        assert_eq!(stale_of(&root, &documents), Vec::<String>::new());
        fs::remove_dir_all(root).unwrap();
    }
}
