//! The data dictionary as Markdown: tables, topics, statuses and metrics, each as the code has them.

use std::fmt::Write;

use calltide_schemas::metrics::exposed::{EXPOSED, Exposed, Shape};
use calltide_schemas::metrics::{Basis, Metric, OUTCOMES, QUEUES, RECYCLING, Unit};
use calltide_schemas::status::{Class, Status};
use calltide_schemas::tables::{Column, DAY, Kind, Null, TABLES, TableDef};
use serde_json::Value;

use super::asyncapi;

/// What the rows are that queues are counted by.
const QUEUES_INTRO: &str = "\n## Metrics of the queues report\n\n\
     Counted over `queue_visits`, with the limits that were asked for beside each row: `within_ms` (X, 20 s) and `short_ms` (5 s). \
     Grouped by queue, rows count visits: a call that came to a queue twice is there twice. Where a row is over several queues, \
     as the total is, it counts each call once: by the first visit in which an agent took it, else by its last one. The call's \
     wait is then all that it waited in queues up to the end of that visit; its talk and hold are of all its visits. So a total \
     is no sum of the rows above it, but offered is the sum of the eleven outcomes in every row.\n\n\
     Visits are told once their call is over: those that still wait are in no count. Percentiles are exact; between two waits \
     they are interpolated, then rounded to a millisecond.\n\n\
     | metric | unit | version | counted per | meaning | formula |\n|---|---|---|---|---|---|\n";

/// The whole document.
pub(super) fn text() -> String {
    let mut text = String::from(
        "# Data dictionary\n\n\
         Generated from `schemas/src`; renew it with `CALLTIDE_BLESS=1 cargo test --release --workspace --test contract`.\n\n\
         Times are microseconds since 1970 UTC in the topics and `TIMESTAMP` (UTC) in SQL; durations end in `_ms`.\n",
    );
    text += "\n## Tables\n";
    TABLES.iter().for_each(|def| text += &table(def));
    text += "\n## Topics\n\n\
             Their payloads and headers are described by `schemas/contract/asyncapi.json`.\n\n";
    text += &asyncapi::table();
    text += "\n## Statuses\n\n\
             What became of a call, and what each status reads as among the five classic words of a dial and the nine of older reports.\n\n\
             | status | class | dial_status | classic | meaning |\n|---|---|---|---|---|\n";
    text.extend(Status::ALL.into_iter().map(status));
    text += "\n## Classes\n\n| class | meaning |\n|---|---|\n";
    let classes = meanings(&schemars::schema_for!(Class).to_value());
    text.extend(
        Class::ALL.into_iter().map(|class| format!("| `{}` | {} |\n", class.name(), told(&classes, class.name()))),
    );
    text += "\n## Metrics of the outcomes report\n\n\
             Percentages are 0 to 100 and null over zero. `{name}` in a formula is another metric. After these come the counts of \
             the single statuses.\n\n\
             | metric | unit | version | counted per | meaning | formula |\n|---|---|---|---|---|---|\n";
    text += &metrics(OUTCOMES);
    text += "\n## Metrics of the recycling report\n\n\
             Counted per contact: as they are, or were at the end of the range; per attempt: of those for contacts.\n\n\
             | metric | unit | version | counted per | meaning | formula |\n|---|---|---|---|---|---|\n";
    text += &metrics(RECYCLING);
    text += QUEUES_INTRO;
    text += &metrics(QUEUES);
    text += "\n## Metrics of the processes\n\n\
             What `/metrics` shows, in Prometheus' form. `source` of the metrics `calltide_source_…` is the `source_id` of the \
             table `sources` without the PBX.\n\n\
             | metric | shape | labels | meaning |\n|---|---|---|---|\n";
    text.extend(EXPOSED.iter().map(exposed));
    text
}

fn metrics(report: &[Metric]) -> String {
    let mut text = String::new();
    for metric in report {
        let unit = match metric.unit {
            Unit::Count => "count",
            Unit::Percent => "percent",
            Unit::Millis => "ms",
            Unit::Ratio => "ratio",
        };
        let mut bases: Vec<_> =
            metric.bases.iter().map(|b| if *b == Basis::Attempt { "attempt" } else { "contact" }).collect();
        if bases.is_empty() {
            bases.push("visit or call");
        }
        let (name, version, doc) = (metric.name, metric.version, cell(metric.doc));
        let (bases, formula) = (bases.join(", "), cell(metric.formula));
        writeln!(text, "| `{name}` | {unit} | {version} | {bases} | {doc} | `{formula}` |")
            .expect("text takes everything");
    }
    text
}

fn exposed(of: &Exposed) -> String {
    let shape = match of.shape {
        Shape::Counter => "counter",
        Shape::Gauge => "gauge",
        Shape::Histogram => "histogram",
    };
    format!("| `{}` | {shape} | {} | {} |\n", of.name, of.labels.join(", "), cell(of.doc))
}

fn table(def: &TableDef) -> String {
    let mut text = format!("\n### {}\n\n{}\n\n", def.name, def.doc);
    let key = match def.key {
        Some(key) => format!("Key `{key}`: the row with the highest `version` counts."),
        None => "No key: rows are only added.".to_owned(),
    };
    let (topic, day_of) = (def.topic, def.day_of);
    writeln!(text, "Topic `{topic}`. {key} Files by `{DAY}`, the UTC day of `{day_of}`.\n")
        .expect("text takes everything");
    text += "| column | type | null | meaning |\n|---|---|---|---|\n";
    text.extend(def.columns.iter().map(column));
    text
}

fn column(column: &Column) -> String {
    let kind = match column.kind {
        Kind::Text => "text",
        Kind::Int => "integer",
        Kind::Bool => "boolean",
        Kind::Time => "time",
    };
    let null = if column.null == Null::Yes { "yes" } else { "" };
    format!("| `{}` | {kind} | {null} | {} |\n", column.name, cell(column.doc))
}

fn status(status: Status) -> String {
    let meanings = meanings(&schemars::schema_for!(Status).to_value());
    let (name, class, dial) = (status.name(), status.class().name(), status.dial_status());
    let (classic, meaning) = (status.classic().name(), told(&meanings, name));
    format!("| `{name}` | {class} | {dial} | `{classic}` | {meaning} |\n")
}

/// The words of an enum and what its docstrings say of them.
fn meanings(schema: &Value) -> Vec<(String, String)> {
    let variants = schema["oneOf"].as_array().expect("an enum with docstrings");
    let text = |variant: &Value, key: &str| variant[key].as_str().expect("a word and its docstring").to_owned();
    variants.iter().map(|v| (text(v, "const"), text(v, "description"))).collect()
}

fn told(meanings: &[(String, String)], name: &str) -> String {
    cell(&meanings.iter().find(|(word, _)| word == name).expect("every word has a docstring").1)
}

/// Text that can stand in a cell of a Markdown table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
