//! What every hand-written Rust file keeps to.

use std::collections::BTreeMap;

use super::{Findings, texts};

/// A file is shorter than this, so that it is about one thing.
const LINES_MAX: usize = 500;

/// A file longer than this says in more than one line what it is for; a test's situations speak for themselves.
const BRIEF_LINES: usize = 120;

/// Names that say nothing of the field; whatever would be put there has a better place.
const EMPTY_NAMES: [&str; 8] = ["utils", "util", "helpers", "helper", "common", "manager", "types", "misc"];

/// Folders and files whose code may be replayed: the same records give the same bytes.
const PURE: [&str; 7] = [
    "schemas/src/",
    "ingest/src/decode/",
    "processor/src/agents/",
    "processor/src/calls/",
    "processor/src/recycling/",
    "processor/src/vocabulary/",
    "processor/src/fold.rs",
];

/// Pure files that hold hash maps, which have no order: they look up by key, and sort what they go through.
const HASHED: [&str; 2] = ["ingest/src/decode/redact.rs", "processor/src/calls/state.rs"];

/// Files of 500 lines and more.
const LONG: [&str; 0] = [];

/// Long files whose heading is one line only.
const BRIEF: [&str; 1] = ["processor/src/calls/rows.rs"];

/// Words of unfinished work, written in pieces so that this file has none of them.
const UNFINISHED: [&str; 5] = [
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("#[ig", "nore"),
];

/// What would make a replay differ from the first run.
const IMPURE: [&str; 6] =
    ["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "env::var", "thread::sleep"];

/// Everything wrong with one file.
pub(super) fn check(path: &str, text: &str) -> Findings {
    let mut findings = problems(path, text);
    findings.retain(|(rule, _)| !excepted(rule, path));
    findings.into_iter().map(|(_, finding)| format!("{path}{finding}")).collect()
}

/// Exceptions for files that need none any more, or that are gone.
pub(super) fn unneeded_exceptions(sources: &BTreeMap<&str, &str>) -> Findings {
    let listed = [(Rule::Long, &LONG[..]), (Rule::Brief, &BRIEF[..]), (Rule::Hashed, &HASHED[..])];
    let needed = |rule: &Rule, path: &str| {
        sources.get(path).is_some_and(|text| problems(path, text).iter().any(|(found, _)| found == rule))
    };
    let unneeded = listed.iter().flat_map(|(rule, paths)| paths.iter().filter(|path| !needed(rule, path)));
    unneeded
        .map(|path| format!("{path}: needs no exception any more, take it off the list in tests/it/tidy/source.rs"))
        .collect()
}

/// Rules that have a list of exceptions.
#[derive(Debug, PartialEq, Eq)]
enum Rule {
    Long,
    Brief,
    Hashed,
    /// Without exceptions.
    Always,
}

fn excepted(rule: &Rule, path: &str) -> bool {
    match rule {
        Rule::Long => LONG.contains(&path),
        Rule::Brief => BRIEF.contains(&path),
        Rule::Hashed => HASHED.contains(&path),
        Rule::Always => false,
    }
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.starts_with("tests/") || path.contains("/tests/") || path.contains("/examples/")
}

fn problems(path: &str, text: &str) -> Vec<(Rule, String)> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines >= LINES_MAX {
        found.push((Rule::Long, format!(": {lines} lines; below {LINES_MAX} it is easier to be about one thing")));
    }
    let heading = text.lines().take_while(|line| line.starts_with("//!")).count();
    match heading {
        0 => found.push((Rule::Always, ":1: opens without `//!`: what does it do, what must it not know?".to_owned())),
        1 if lines > BRIEF_LINES && !is_test(path) => {
            found.push((
                Rule::Brief,
                ":1: what must it not know, where to read next? (2 to 6 lines of `//!`)".to_owned(),
            ));
        }
        1..=6 => {}
        _ => found.push((Rule::Always, format!(":1: {heading} lines of `//!`; 6 are enough"))),
    }
    let name = path.rsplit('/').find(|part| *part != "mod.rs").unwrap_or(path);
    if EMPTY_NAMES.contains(&name.trim_end_matches(".rs")) {
        found.push((Rule::Always, ": its name says nothing of what is in it".to_owned()));
    }
    let pure = PURE.iter().any(|folder| path.starts_with(folder)) && !is_test(path);
    let library = path.split_once('/').is_some_and(|(krate, rest)| krate != "tests" && rest.starts_with("src/"));
    for (number, line) in text.lines().enumerate() {
        let mut at = |rule, finding: String| found.push((rule, format!(":{}: {finding}", number + 1)));
        for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
            at(Rule::Always, format!("`{word}`: finish it, or say in prose what is left"));
        }
        if library && ["println!(", "print!("].iter().any(|word| line.contains(word)) {
            at(Rule::Always, "a library writes to nobody's terminal".to_owned());
        }
        if pure {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                at(Rule::Always, format!("`{word}` in code that may be replayed"));
            }
            if line.contains("HashMap<") || line.contains("HashSet<") {
                at(Rule::Hashed, "a hash map has no order; use a BTreeMap in code that may be replayed".to_owned());
            }
        }
    }
    found
}

#[test]
fn violations_are_found() {
    let long = format!("//! A.\n//! B.\n{}", "\n".repeat(498));
    let half = format!("//! A.\n{}", "\n".repeat(150));
    let unfinished = format!("//! A.\nfn a() {{ {}) }}", UNFINISHED[0]);
    let cases = [
        ("a.rs", "//! A.\nfn a() {}", None),
        ("a.rs", "fn a() {}", Some("a.rs:1: opens without `//!`")),
        ("a.rs", "//! 1\n//! 2\n//! 3\n//! 4\n//! 5\n//! 6\n//! 7\n", Some("a.rs:1: 7 lines")),
        ("a.rs", &half, Some("a.rs:1: what must it not know")),
        ("a/tests/a.rs", &half, None),
        ("a.rs", &long, Some("a.rs: 500 lines")),
        ("a/utils.rs", "//! A.", Some("a/utils.rs: its name")),
        ("a/helpers/mod.rs", "//! A.", Some("a/helpers/mod.rs: its name")),
        ("a.rs", &unfinished, Some("a.rs:2: `")),
        ("ingest/src/a.rs", "//! A.\nprintln!(\"a\")", Some("ingest/src/a.rs:2: a library")),
        ("ingest/src/a.rs", "//! A.\nwriteln!(out, \"a\")", None),
        ("tests/it/a.rs", "//! A.\nprintln!(\"a\")", None),
        ("src/main.rs", "//! A.\nprintln!(\"a\")", None),
        ("schemas/src/a.rs", "//! A.\nlet a = SystemTime::now();", Some("schemas/src/a.rs:2: `SystemTime::now`")),
        ("processor/src/fold.rs", "//! A.\nlet a = env::var(\"A\");", Some("processor/src/fold.rs:2: `env::var`")),
        ("processor/src/lake/a.rs", "//! A.\nlet a = SystemTime::now();", None),
        ("processor/src/calls/a.rs", "//! A.\na: FxHashMap<u8, u8>,", Some("processor/src/calls/a.rs:2: a hash map")),
        ("processor/src/calls/state.rs", "//! A.\na: FxHashMap<u8, u8>,", None),
    ];
    for (path, text, expected) in cases {
        let found = check(path, text);
        match expected {
            None => assert_eq!(found, Vec::<String>::new(), "{path}"),
            Some(begin) => assert!(found.len() == 1 && found[0].starts_with(begin), "{path}: {found:?}, not {begin}"),
        }
    }
}

#[test]
fn an_exception_without_need_is_found() {
    let sources = texts(&[("processor/src/calls/state.rs", "//! A.\nmap: BTreeMap<u8, u8>,")]);
    let found = unneeded_exceptions(&sources);
    assert!(found.iter().any(|f| f.starts_with("processor/src/calls/state.rs: needs no exception")), "{found:?}");
    let sources = texts(&[("processor/src/calls/state.rs", "//! A.\nmap: FxHashMap<u8, u8>,")]);
    let found = unneeded_exceptions(&sources);
    assert!(!found.iter().any(|f| f.starts_with("processor/src/calls/state.rs")), "{found:?}");
}
