//! Rows as `cel_custom` writes them, and as broken files have them.

#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

fn columns() -> CelColumns {
    CelColumns::new(&["EventType", "eventtime", "cid_name", "extra"].map(str::to_owned)).unwrap()
}

fn items(pieces: &[&[u8]]) -> Vec<String> {
    let show = |item: Item<'_>| match item {
        Item::Row(row) => {
            let values: Vec<String> = row.headers().map(|(_, value)| value.escape_ascii().to_string()).collect();
            format!("{} {}", row.at.0, values.join("|"))
        }
        Item::Garbage(garbage) => {
            format!("{} {}: {}", garbage.flaw.name(), garbage.position, garbage.bytes.escape_ascii())
        }
    };
    let mut rows = Rows::new(columns(), LocalClock::new(TimeZone::UTC));
    let mut seen = Vec::new();
    for piece in pieces {
        rows.push(piece);
        while let Some(item) = rows.next() {
            seen.push(show(item));
        }
    }
    while let Some(item) = rows.finish().map(show) {
        seen.push(item);
        while let Some(item) = rows.next() {
            seen.push(show(item));
        }
    }
    seen
}

#[test]
fn situations() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "quotes, commas and line breaks in values",
            "\"ANSWER\",\"1.5\",\"a, \"\"b\"\"\nc\",\"\"\nHANGUP,2,,x\r\n\r\nANSWER,3,,\n",
            &["1500000 ANSWER|1.5|a, \\\"b\\\"\\nc|", "2000000 HANGUP|2||x", "3000000 ANSWER|3||"],
        ),
        ("local time", "A,1970-01-01 00:00:01.000002,,\n", &["1000002 A|1970-01-01 00:00:01.000002||"]),
        (
            "too few and too many columns",
            "A,1\nA,1,x,y,z,z,z\nB,2,,\n",
            &["unknown_columns 0: A,1", "unknown_columns 4: A,1,x,y,z,z,z", "2000000 B|2||"],
        ),
        ("no time", "A,soon,,\nB,2,,\n", &["bad_time 0: A,soon,,", "2000000 B|2||"]),
        (
            "a row torn within a value doesn't swallow the next",
            "\"A\",\"1\",\"spr\n\"B\",\"2\",\"\",\"\"\n\"C\",\"3\",\"\",\"\"\n",
            &["unknown_columns 0: \\\"A\\\",\\\"1\\\",\\\"spr", "2000000 B|2||", "3000000 C|3||"],
        ),
        (
            "nor does one torn in its first value",
            "\"AN\n\"B\",\"2\",\"\",\"\"\n\"C\",\"3\",\"\",\"\"\n",
            &["unknown_columns 0: \\\"AN", "2000000 B|2||", "3000000 C|3||"],
        ),
        (
            "the last row was being written",
            "\"A\",\"1\",\"\",\"\"\n\"B\",\"2\",\"\",\"{",
            &["1000000 A|1||", "torn_line 14: \\\"B\\\",\\\"2\\\",\\\"\\\",\\\"{"],
        ),
        (
            "a quote that is never closed",
            "\"A\",\"1,\n\"B\",\"2\",\"\",\"x\"\n\"C\",\"3\",\"\",\"\"",
            &[
                "unknown_columns 0: \\\"A\\\",\\\"1,",
                "2000000 B|2||x",
                "torn_line 23: \\\"C\\\",\\\"3\\\",\\\"\\\",\\\"\\\"",
            ],
        ),
        ("nothing", "", &[]),
    ];
    for (situation, text, expected) in cases {
        assert_eq!(items(&[text.as_bytes()]), *expected, "{situation}");
        let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(items(&single), *expected, "{situation}, byte by byte");
    }
}

#[test]
fn a_row_without_an_end_does_not_fill_the_memory() {
    let mut rows = Rows::new(columns(), LocalClock::new(TimeZone::UTC));
    let mut garbage = 0;
    for _ in 0..50 {
        rows.push(&[b'x'; 100_000]);
        while let Some(item) = rows.next() {
            assert!(matches!(item, Item::Garbage(Garbage { flaw: Flaw::TooLong, .. })));
            garbage += 1;
        }
        assert!(rows.buf.len() < ROW_BYTES_MAX * 2);
    }
    rows.push(b"\nA,1,,\n");
    assert!(matches!(rows.next(), Some(Item::Row(_))));
    assert_eq!(garbage, 1);
}

#[test]
fn columns_must_tell_type_and_time() {
    assert_eq!(
        CelColumns::new(&["eventtype".into()]).unwrap_err().to_string(),
        "the columns of a cel file must include eventtime"
    );
    assert_eq!(CelColumns::default(), CelColumns::new(&DEFAULT.map(str::to_owned)).unwrap());
}

proptest! {
    #[test]
    fn any_bytes_cut_anywhere_give_the_same_items(
        text in "([AB\",\r\n12é]|A,1,,\n|\"B\",\"2\",\"\",\"\"\n){0,80}",
        steps in proptest::collection::vec(1_usize..20, 1..10),
    ) {
        let (mut rest, mut pieces) = (text.as_bytes(), Vec::new());
        for step in steps.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at((*step).min(rest.len()));
            pieces.push(piece);
            rest = later;
        }
        prop_assert_eq!(items(&pieces), items(&[text.as_bytes()]));
    }
}
