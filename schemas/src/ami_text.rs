//! Undoes the C-escapes that Asterisk puts into some AMI values: `O\'Brien` was `O'Brien`.
//!
//! Only these are escaped: `CallerIDName`, `ConnectedLineName` and the value of `ChanVariable` within channel snapshots, the
//! `Value` of `VarSet`, and the texts of presence. Envelopes keep what was on the wire, so whoever interprets them calls
//! [`unescape`] for those and for nothing else. Source: Asterisk `main/utils.c`, function `ast_escape_c_alloc`.

use std::borrow::Cow;

/// The text before it was escaped. A backslash before anything else than Asterisk escapes stays.
pub fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find('\\') else {
        return Cow::Borrowed(text);
    };
    let mut plain = String::with_capacity(text.len());
    plain.push_str(&text[..first]);
    let mut chars = text[first..].chars().peekable();
    while let Some(char) = chars.next() {
        let original = if char == '\\' { chars.peek().copied().and_then(meaning) } else { None };
        if original.is_some() {
            chars.next();
        }
        plain.push(original.unwrap_or(char));
    }
    Cow::Owned(plain)
}

/// What a letter behind a backslash stands for.
const fn meaning(letter: char) -> Option<char> {
    match letter {
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        '\\' | '\'' | '"' | '?' => Some(letter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_asterisk_escapes_them() {
        let cases = [
            ("Agent 101", "Agent 101"),
            (r"O\'Brien", "O'Brien"),
            (r#"say \"hi\"\?"#, r#"say "hi"?"#),
            (r"C:\\temp", r"C:\temp"),
            (r"\\n", r"\n"),
            (r"a\nb\r\t\a\b\f\v", "a\nb\r\t\x07\x08\x0c\x0b"),
            (r"5\% \ü", r"5\% \ü"),
            ("end\\", "end\\"),
            ("", ""),
        ];
        for (wire, plain) in cases {
            assert_eq!(unescape(wire), plain, "{wire}");
        }
        assert!(matches!(unescape("nothing to do"), Cow::Borrowed(_)));
    }
}
