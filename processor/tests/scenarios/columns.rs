//! Rows have the columns of `schemas::tables`: the same names, in the same order, null only where that is allowed.

use std::collections::BTreeSet;

use calltide_schemas::tables::{Kind, Null, TABLES};
use calltide_schemas::topics::{TOPICS, TopicDef};
use serde_json::Value;

use crate::timeline::records::{heartbeat, records, with_heartbeats};
use crate::timeline::told;
use crate::ways::{ALL, PBX, replay};

/// Enough for a row in every table, and a fact that comes too late.
const DAY: &str = "
    09:00:00 originate 74951000001 on trunk for campaign spring contact c1 as T
    09:00:01 T rings
    09:00:03 T answers
    09:00:03 T enters queue sales
    09:00:04 queue sales offers T to agent Agent/101 at PJSIP/101 as A
    09:00:09 A answers
    09:00:40 A hangs up
    09:01:00 call from withheld to support on trunk as C
    09:01:00 C enters queue support
    09:01:09 C hangs up";

#[test]
fn rows_are_as_the_tables_say() {
    let mut told = with_heartbeats(&told(DAY), ALL);
    let late = told.iter().find(|t| t.headers.iter().any(|h| h.1 == "BridgeEnter")).unwrap().clone();
    told.push(heartbeat(late.at + 30 * 3_600_000_000));
    told.push(late);
    let replayed = replay(&records(PBX, &told));
    let mut seen = BTreeSet::new();
    for output in &replayed.outputs {
        // What recycling is told is no table's.
        let Some(table) = TABLES.iter().find(|t| t.topic == output.topic) else { continue };
        let Some(payload) = &output.record.payload else { continue };
        seen.insert(table.name);
        let names: Vec<&str> = table.columns.iter().map(|c| c.name).collect();
        assert_eq!(names_in_order(payload), names, "{}", table.name);
        let row: serde_json::Map<String, Value> = serde_json::from_slice(payload).unwrap();
        for column in table.columns {
            let value = &row[column.name];
            let fits = match column.kind {
                Kind::Text | Kind::Decimal => value.is_string(),
                Kind::Int | Kind::Time => value.is_i64(),
                Kind::Bool => value.is_boolean(),
            };
            let null = value.is_null() && column.null == Null::Yes;
            assert!(fits || null, "{}.{} is {value}", table.name, column.name);
        }
        let key = row[table.key.unwrap()].as_str().unwrap();
        assert_eq!(output.record.key, key.as_bytes());
        assert_eq!(output.record.id, format!("{}:{key}:{}", output.record.kind, row["version"]));
    }
    let own = |topic: &&TopicDef| topic.writer == "processor, fold `calls`";
    let all: BTreeSet<&str> = TOPICS.iter().filter(own).filter_map(|topic| topic.table).collect();
    assert_eq!(seen, all, "every table that the fold fills");
}

/// The names of a JSON object's members as they are written.
fn names_in_order(json: &[u8]) -> Vec<String> {
    struct Names(Vec<String>);
    impl<'de> serde::Deserialize<'de> for Names {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Members)
        }
    }
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Names;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a row")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
            let mut names = Vec::new();
            while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                names.push(name);
            }
            Ok(Names(names))
        }
    }
    serde_json::from_slice::<Names>(json).unwrap().0
}
