//! Markdown with one title and links that lead somewhere; golden files that can be read; nothing of one machine.

use super::Findings;

/// A golden file is read by whoever reviews a change of it.
const GOLDEN_LINES_MAX: usize = 200;

/// Where golden files are, by their name or a folder in their path.
const GOLDEN: [&str; 4] = [".snap", ".golden", "/golden/", "/snapshots/"];

/// Paths that only exist on the machine where something was written; in pieces, so that this file has none of them.
const ONE_MACHINE: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("../sha", "red")];

/// Endings by which a word between backticks is taken for a file.
const FILE_ENDINGS: [&str; 8] = [".rs", ".md", ".toml", ".sh", ".json", ".yaml", ".yml", ".html"];

/// Everything wrong with one Markdown file.
pub(super) fn check(path: &str, text: &str, exists: &dyn Fn(&str) -> bool) -> Findings {
    let mut findings = Vec::new();
    let prose = prose(text);
    let titles = prose.iter().filter(|line| line.starts_with("# ")).count();
    if titles != 1 {
        findings.push(format!("{path}: {titles} titles (`# `); one says what it is about"));
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    for target in prose.iter().flat_map(|line| links(line)) {
        let file = target.split('#').next().unwrap_or_default();
        if target.contains("://") || target.starts_with("mailto:") || file.is_empty() {
            continue;
        }
        let full = resolve(folder, file);
        if !exists(&full) {
            findings.push(format!("{path}: links to {target}, which is not there"));
        }
    }
    findings
}

/// Files and functions between backticks that are not there. `name()` and `Type::name()` are functions.
pub(super) fn named(text: &str, exists: &dyn Fn(&str) -> bool, code: &str) -> Findings {
    let mut findings = Vec::new();
    let prose = prose(text);
    for word in prose.iter().flat_map(|line| line.split('`').skip(1).step_by(2)) {
        if let Some(function) = word.strip_suffix("()") {
            let name = function.rsplit("::").next().unwrap_or(function);
            if !code.contains(&format!("fn {name}(")) && !code.contains(&format!("fn {name}<")) {
                findings.push(format!("ARCHITECTURE.md: names the function {word}, which is not there"));
            }
        } else if is_file(word) && !exists(word) {
            findings.push(format!("ARCHITECTURE.md: names {word}, which is not there"));
        }
    }
    findings
}

fn is_file(word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    plain && (FILE_ENDINGS.iter().any(|end| word.ends_with(end)) || word.ends_with('/'))
}

/// A golden file that nobody would read.
pub(super) fn golden(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    let is_golden =
        GOLDEN.iter().any(|part| if part.starts_with('.') { path.ends_with(part) } else { path.contains(part) });
    (is_golden && lines >= GOLDEN_LINES_MAX)
        .then(|| format!("{path}: {lines} lines; who will read them? Below {GOLDEN_LINES_MAX}, please"))
}

/// Lines that name a place of one machine.
pub(super) fn of_one_machine(path: &str, text: &str) -> Findings {
    let found = |line: &str| ONE_MACHINE.iter().find(|place| line.contains(**place));
    let lines = text.lines().enumerate().filter_map(|(number, line)| Some((number + 1, found(line)?)));
    lines.map(|(number, place)| format!("{path}:{number}: `{place}` is a place of one machine")).collect()
}

/// The lines outside of code blocks.
fn prose(text: &str) -> Vec<&str> {
    let mut code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        } else if !code {
            lines.push(line);
        }
    }
    lines
}

/// The targets of `[text](target)` outside of backticks.
fn links(line: &str) -> Vec<&str> {
    let outside = line.split('`').step_by(2);
    let targets = outside.flat_map(|part| part.split("](").skip(1));
    let mut found: Vec<&str> = targets.filter_map(|rest| rest.split([')', ' ']).next()).collect();
    // A link whose text is code: `](` follows the closing backtick.
    found.sort_unstable();
    found.dedup();
    found
}

/// A relative link from a folder, as a path from the repository's root.
fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

#[test]
fn violations_of_documents_are_found() {
    let exists = |path: &str| path == "docs/a.md";
    let found = |text: &str| check("docs/adr/x.md", text, &exists);
    let fine =
        "# X\n\nSee [a](../a.md), [it](../a.md#b), [here](#x), [web](https://example.org/a).\n```\n# no title\n```\n";
    assert_eq!(found(fine), Vec::<String>::new());
    assert_eq!(found("[`a`](../a.md)\n# X"), Vec::<String>::new());
    assert_eq!(found("no title"), ["docs/adr/x.md: 0 titles (`# `); one says what it is about"]);
    assert_eq!(found("# X\n# Y"), ["docs/adr/x.md: 2 titles (`# `); one says what it is about"]);
    assert_eq!(found("# X\n[b](b.md)"), ["docs/adr/x.md: links to b.md, which is not there"]);
    assert_eq!(found("# X\n[`b`](../b.md)"), ["docs/adr/x.md: links to ../b.md, which is not there"]);
}

#[test]
fn names_that_are_not_there_are_found() {
    let found = |text: &str| named(text, &|path| path == "src/main.rs", "fn tell(a: u8) {}\nfn of<T>() {}");
    assert_eq!(found("`src/main.rs`, `tell()`, `Talk::of()`, `calls`, `a b.rs`"), Vec::<String>::new());
    assert_eq!(found("`src/lib.rs`"), ["ARCHITECTURE.md: names src/lib.rs, which is not there"]);
    assert_eq!(found("`lib/`"), ["ARCHITECTURE.md: names lib/, which is not there"]);
    assert_eq!(found("`tells()`"), ["ARCHITECTURE.md: names the function tells(), which is not there"]);
}

#[test]
fn long_golden_files_and_places_of_one_machine_are_found() {
    let (long, short) = ("\n".repeat(200), "\n".repeat(199));
    assert!(golden("tests/golden/a.txt", &long).is_some());
    assert!(golden("a/b.snap", &long).is_some());
    assert!(golden("a/b.snap", &short).is_none());
    assert!(golden("a/b.txt", &long).is_none());
    let text = format!("fine\ncd {}anna", ONE_MACHINE[0]);
    assert_eq!(of_one_machine("a.sh", &text).len(), 1);
    assert!(of_one_machine("a.sh", "cd /homes").is_empty());
}
