//! Topics and tables name each other.

use std::collections::BTreeSet;

use calltide_schemas::envelope::Source;
use calltide_schemas::tables::{Kind, Null, TABLES, table};
use calltide_schemas::topics::{EVENTS, OF_THE_LOG, PREFIX, TOPICS};

#[test]
fn each_table_is_filled_by_the_topic_that_names_it() {
    for topic in TOPICS {
        assert!(topic.name.starts_with(PREFIX), "{}", topic.name);
        if let Some(name) = topic.table {
            let def = table(name).unwrap_or_else(|| panic!("{} fills {name}, which is no table", topic.name));
            assert_eq!(def.topic, topic.name);
            assert_eq!(def.key.is_some(), topic.compacted, "{}: a topic with a key per row is compacted", topic.name);
        }
    }
    for def in TABLES {
        assert!(TOPICS.iter().any(|t| t.table == Some(def.name)), "{} is filled by no topic", def.name);
    }
}

#[test]
fn keys_days_and_orders_are_columns() {
    for def in TABLES {
        let names: BTreeSet<_> = def.columns.iter().map(|c| c.name).collect();
        assert_eq!(names.len(), def.columns.len(), "{} has a column twice", def.name);
        let day = def.column(def.day_of).expect("the day's column");
        assert_eq!((day.kind, day.null), (Kind::Time, Null::No), "{}.{}", def.name, day.name);
        for name in def.key.iter().chain(def.sort) {
            assert!(names.contains(name), "{} has no column {name}", def.name);
        }
        if def.key.is_some() {
            assert_eq!(def.column("version").map(|c| (c.kind, c.null)), Some((Kind::Int, Null::No)), "{}", def.name);
        }
        for column in def.columns {
            let time_by_name = column.name.ends_with("_at") || column.name.ends_with("_until") || column.name == "at";
            // `left_at` of a call is a place; everything else that ends so is a time.
            let is_place = (def.day_of, column.name) == ("started_at", "left_at");
            assert_eq!(column.kind == Kind::Time, time_by_name && !is_place, "{}.{}", def.name, column.name);
        }
    }
}

#[test]
fn every_source_is_a_kind_of_event_and_kinds_tell_topics_apart() {
    let events = TOPICS.iter().find(|topic| topic.name == EVENTS).expect("the topic of events");
    let schema = schemars::schema_for!(Source).to_value();
    let words = schema["oneOf"].as_array().expect("an enum with docstrings").iter();
    let sources: Vec<_> = words.map(|word| word["const"].as_str().expect("a word")).collect();
    assert_eq!(events.kinds, sources);
    let kinds: Vec<_> = TOPICS.iter().chain(OF_THE_LOG).flat_map(|topic| topic.kinds).collect();
    assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), kinds.len(), "{kinds:?}");
}

#[test]
fn the_key_of_a_fact_is_its_tables_key() {
    for topic in TOPICS.iter().filter(|topic| topic.compacted && topic.table.is_some()) {
        assert_eq!(Some(topic.key), topic.table.and_then(table).and_then(|def| def.key), "{}", topic.name);
    }
}
