//! The data dictionary as Markdown: tables, topics, statuses and metrics, each as the code has them.

use std::fmt::Write;

use calltide_schemas::metrics::agents::{AGENTS, Over};
use calltide_schemas::metrics::exposed::{EXPOSED, Exposed, Shape};
use calltide_schemas::metrics::{Basis, CALLERS, CHARGES, Metric, OUTCOMES, QUEUES, RECYCLING, Unit};
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
     Visits that last are `waiting`: they stand beside, and are in no other figure. Percentiles are exact; between two waits \
     they are interpolated, then rounded to a millisecond.\n\n\
     | metric | unit | version | counted per | meaning | formula |\n|---|---|---|---|---|---|\n";

/// What the rows are that agents are counted by.
const AGENTS_INTRO: &str = "\n## Metrics of the agents and teams reports\n\n\
     Counted over `agent_intervals`, `legs` and `agent_sessions`. Intervals are cut at the borders of hours, days, weeks or months in \
     the asked zone, and at those of the range; one that goes on is counted up to the present moment. So every time of a row is \
     exact, and rows sum up to their total. Beside each piece of an interval are `ms`, `pieces` (alike ones are one row), `logged_in` (it is a part of a login) and \
     `began` (the interval began in it). A leg counts where it was offered, with all its talk and hold, for the person and the \
     team that `agent_names` has for its agent or device at that moment; a login where it began, a log-out where it was.\n\n\
     Agents who are never seen to log in, as members from a PBX's configuration, have calls and no login: what is over logins \
     is null for them, and a row over several agents has the logins that are known. Queues and PBXs have no logins, so that by \
     them what needs one is left out; by reason there are `pause_ms` and `pauses` alone.\n\n\
     | metric | unit | version | counted over | meaning | formula |\n|---|---|---|---|---|---|\n";

/// A day that `query-api/tests/query/agents_report/day.rs` computes metric by metric.
const AGENTS_EXAMPLE: &str = "\nAn example. Anna is logged in from 9:00 to 12:00, which is 10 800 s. She is available for 7 877 s, paused for 600 s (lunch) and \
     1 200 s (break), her phone rings for 35 s, she talks for 908 s, holds for 60 s and wraps up for 120 s; together 10 800 s. Of \
     seven offers she answers four: a sale with 300 s of talk and one hold of 60 s, which the customer ends; a question of 8 s, which \
     she ends; a call out of 590 s, which she ends; and a colleague's of 10 s, which she transfers. One she misses, one she refuses, \
     one a colleague takes.\n\n\
     | metric | from | value |\n|---|---|---|\n\
     | `logins`, `first_login_at`, `last_logout_at` | | 1, 9:00, 12:00 |\n\
     | `login_ms` | 12:00 - 9:00 | 10 800 000 |\n\
     | `pause_ms`, `pauses` | 600 s + 1 200 s | 1 800 000, 2 |\n\
     | `available_ms` | 1 800 s + 3 760 s + 590 s + 1 157 s + 570 s | 7 877 000 |\n\
     | `on_contact_ms` | 908 s + 60 s + 120 s | 1 088 000 |\n\
     | `ringing_ms` | 20 s + 10 s + 5 s | 35 000 |\n\
     | `talk_ms` | 240 s + 60 s + 8 s + 590 s + 10 s | 908 000 |\n\
     | `hold_ms`, `holds` | 60 s | 60 000, 1 |\n\
     | `wrap_up_ms` | 60 s + 30 s + 30 s | 120 000 |\n\
     | `occupancy_pct` | 1 088 / (1 088 + 7 877) | 12.14 |\n\
     | `utilisation_pct` | 1 088 / 10 800 | 10.07 |\n\
     | `availability_pct` | (10 800 - 1 800) / 10 800 | 83.33 |\n\
     | `pause_pct` | 1 800 / 10 800 | 16.67 |\n\
     | `offers`, `handled`, `missed` | 4 answered, 1 missed and 1 refused, 1 taken by a colleague | 7, 4, 2 |\n\
     | `answer_rate_pct` | 4 / 7 | 57.14 |\n\
     | `missed_pct` | 2 / 7 | 28.57 |\n\
     | `inbound`, `outbound`, `internal` | of the four | 2, 1, 1 |\n\
     | `handled_talk_ms` | 300 s + 8 s + 590 s + 10 s | 908 000 |\n\
     | `handled_hold_ms`, `held` | 60 s in one | 60 000, 1 |\n\
     | `aht_ms` | (908 s + 60 s + 120 s) / 4 | 272 000 |\n\
     | `talk_avg_ms` | 908 s / 4 | 227 000 |\n\
     | `hold_avg_ms` | 60 s / 1 | 60 000 |\n\
     | `transfers_out`, `transfer_rate_pct` | 1 / 4 | 1, 25 |\n\
     | `hung_up_first`, `customer_hung_up_first`, `hung_up_first_pct` | 2 / (2 + 1); of the transferred one nothing is said | 2, 1, 66.67 |\n\
     | `short`, `short_pct` | the 8 s, not the 10 s: 1 / 4 | 1, 25 |\n\
     | `handled_per_hour` | 4 / 3 h | 1.33 |\n";
/// What the rows are that charges are counted by.
const CHARGES_INTRO: &str = "\n## Metrics of the charges report\n\n\
     Counted over `charges`, each in the bucket in which it was answered. Every row is of one currency, the last of its groups, \
     whether it is asked for or not: amounts of several are never summed, and there is a total for each. What no rate fits is in \
     rows without a currency.\n\n\
     By hand: a rate of 0.06 EUR a minute, at least 30 s, then in steps of 6 s, and 0.10 for the connection. A call of 10 s is \
     charged as 30 s: 0.10 + 0.06 × 30 / 60 = 0.13; one of 61 s as 66 s: 0.10 + 0.06 × 66 / 60 = 0.166. Together `calls` 2, \
     `up_ms` 71000, `billed_s` 96, `amount` 0.296.\n\n\
     | metric | unit | version | counted per | meaning | formula |\n|---|---|---|---|---|---|\n";

/// The whole document.
pub(super) fn text() -> String {
    let mut text = String::from(
        "# Data dictionary\n\n\
         Generated from `schemas/src`; renew it with `CALLTIDE_BLESS=1 cargo test --release --workspace --test contract`.\n\n\
         Times are microseconds since 1970 UTC in the topics and `TIMESTAMP` (UTC) in SQL; durations end in `_ms`.\n\
         Decimal numbers are text such as `0.0375` in the topics and `NUMERIC(18, 6)` in SQL.\n",
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
    text += AGENTS_INTRO;
    text.extend(AGENTS.iter().map(|of| metric(&of.metric, over(of.over))));
    text += AGENTS_EXAMPLE;
    text += "\n## Metrics of the callers report\n\n\
             Counted over callers: the different numbers of inbound calls, each once in a row and once in the total. `calls` beside \
             each are its calls in the row; `lost` says that the last of them was not answered, `served` that an agent spoke with \
             the caller after it, up to now. For example, whoever abandons at 9:00 and gets through at 9:05 is a repeat caller and \
             not lost; whoever abandons at 9:10 is lost, and served once a call to them is answered.\n\n\
             | metric | unit | version | counted over | meaning | formula |\n|---|---|---|---|---|---|\n";
    text.extend(CALLERS.iter().map(|of| metric(of, "callers")));
    text += CHARGES_INTRO;
    text += &metrics_per(CHARGES, "connection");
    text += "\n## Metrics of the processes\n\n\
             What `/metrics` shows, in Prometheus' form. `source` of the metrics `calltide_source_…` is the `source_id` of the \
             table `sources` without the PBX.\n\n\
             | metric | shape | labels | meaning |\n|---|---|---|---|\n";
    text.extend(EXPOSED.iter().map(exposed));
    text
}

fn metrics(report: &[Metric]) -> String {
    metrics_per(report, "visit or call")
}

/// `rows` is what rows are where a metric names no basis.
fn metrics_per(report: &[Metric], rows: &str) -> String {
    let mut text = String::new();
    for of in report {
        let mut bases: Vec<_> =
            of.bases.iter().map(|b| if *b == Basis::Attempt { "attempt" } else { "contact" }).collect();
        if bases.is_empty() {
            bases.push(rows);
        }
        text += &metric(of, &bases.join(", "));
    }
    text
}

fn metric(of: &Metric, counted: &str) -> String {
    let unit = match of.unit {
        Unit::Count => "count",
        Unit::Percent => "percent",
        Unit::Millis => "ms",
        Unit::Ratio => "ratio",
        Unit::Moment => "time",
        Unit::Seconds => "s",
        Unit::Amount => "amount",
    };
    let (name, version, doc, formula) = (of.name, of.version, cell(of.doc), cell(of.formula));
    format!("| `{name}` | {unit} | {version} | {counted} | {doc} | `{formula}` |\n")
}

const fn over(over: Over) -> &'static str {
    match over {
        Over::Logins => "all pieces of logins",
        Over::States => "pieces",
        Over::Legs => "legs",
        Over::Sessions => "logins",
        Over::Row | Over::RowWithLogins => "the row",
    }
}

/// The example says something of every metric.
#[test]
fn the_example_of_agents_has_every_metric() {
    for of in AGENTS {
        let name = format!("`{}`", of.metric.name);
        assert!(AGENTS_EXAMPLE.contains(&name), "{name}");
    }
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
        Kind::Decimal => "decimal",
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
