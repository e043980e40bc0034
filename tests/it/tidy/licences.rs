//! Which licences a crate may come under: reads SPDX expressions and the allow list in `deny.toml`.
//!
//! The grammar is SPDX's, `OR` below `AND` below `WITH`, with the older `/` for `OR`. It knows nothing of crates.

use std::collections::BTreeSet;

/// The allow list of `deny.toml`, which `cargo deny` reads too.
pub(super) fn allowed(deny: &str) -> BTreeSet<String> {
    let table: toml::Table = deny.parse().expect("deny.toml is TOML");
    let list = table["licenses"]["allow"].as_array().expect("deny.toml has licenses.allow");
    list.iter().map(|name| name.as_str().expect("a licence's name").to_owned()).collect()
}

/// Whether some choice of the expression's licences is allowed as a whole.
pub(super) fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    let fits = any(&mut words, allowed);
    fits && words.is_empty()
}

fn any(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut fits = all(words, allowed);
    while take(words, "OR") {
        fits |= all(words, allowed);
    }
    fits
}

fn all(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut fits = one(words, allowed);
    while take(words, "AND") {
        fits &= one(words, allowed);
    }
    fits
}

fn one(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    if take(words, "(") {
        let fits = any(words, allowed);
        return take(words, ")") && fits;
    }
    let Some((name, rest)) = words.split_first() else { return false };
    *words = rest;
    if !take(words, "WITH") {
        return allowed.contains(*name);
    }
    let Some((exception, rest)) = words.split_first() else { return false };
    *words = rest;
    // An exception only adds permissions.
    allowed.contains(*name) || allowed.contains(&format!("{name} WITH {exception}"))
}

fn take(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        Some(_) | None => false,
    }
}

#[test]
fn licence_expressions() {
    let allowed: BTreeSet<String> = ["MIT", "Apache-2.0", "ISC"].map(str::to_owned).into();
    let cases = [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("MIT AND ISC", true),
        ("ISC AND (GPL-3.0 OR MIT)", true),
        ("ISC AND (GPL-3.0 OR LGPL-2.1)", false),
        ("GPL-3.0 AND ISC OR MIT", true),
        ("GPL-3.0 AND (ISC OR MIT)", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
        ("MIT MIT", false),
        ("(MIT", false),
        ("", false),
    ];
    for (expression, expected) in cases {
        assert_eq!(permits(expression, &allowed), expected, "{expression}");
    }
}
