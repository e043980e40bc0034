//! Generated documents are checked in, so that a change of the contract is seen in review.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{asyncapi, dictionary, json_schema};

/// Set to anything, it makes the tests write what they would compare with.
const BLESS: &str = "CALLTIDE_BLESS";

const HOW: &str = "if the change is meant, run: CALLTIDE_BLESS=1 cargo test --release --workspace --test contract";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests asks by it; the contract itself reads no environment"
)]
fn blessing() -> bool {
    std::env::var_os(BLESS).is_some()
}

#[test]
fn every_topic_has_its_json_schema_and_the_asyncapi_document_all_of_them() {
    let folder = folder("contract");
    let mut expected = BTreeSet::new();
    for (name, schema) in json_schema::all().into_iter().chain([(asyncapi::FILE.to_owned(), asyncapi::document())]) {
        let path = folder.join(&name);
        if blessing() {
            let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
            std::fs::write(&path, text + "\n").expect("the schema is written");
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        // Compared as values: the order of keys depends on the features that other crates ask of serde_json.
        let stored: Value = serde_json::from_str(&text).unwrap_or_default();
        assert!(stored == schema, "{name} is not what the code says; {HOW}");
        expected.insert(name);
    }
    let there: BTreeSet<String> = std::fs::read_dir(&folder)
        .expect("the folder of schemas")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(there, expected, "schemas of topics that are no more");
}

#[test]
fn the_data_dictionary_says_what_the_tables_are() {
    let path = folder("../docs/data-dictionary.md");
    let text = dictionary::text();
    if blessing() {
        std::fs::write(&path, &text).expect("the dictionary is written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == text, "docs/data-dictionary.md is not what the code says; {HOW}");
}
