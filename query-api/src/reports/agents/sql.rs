//! The query of the agents report: each table is read once and summed up, then the sums are put together and the ratios taken.
//!
//! What agents did, their legs and their logins become rows with the same groups and their own metrics. Sums of them are the
//! rows of the report, and the total; only then come ratios, so that no ratio is summed up. Names are written here only, as
//! words of our own; what somebody asked for is a zone, which is known to be one.

use calltide_schemas::metrics::Unit;
use calltide_schemas::metrics::agents::{AgentMetric, Over};

use super::{AgentsQuery, Dimension, shown};
use crate::reports::{Bucket, Range, names};

/// The whole query.
pub(super) fn text(query: &AgentsQuery) -> String {
    let shown = shown(&query.by);
    let groups = groups(&query.by);
    let sums: Vec<_> = shown.iter().filter(|of| !is_of_row(of)).map(|of| summed(of)).collect();
    let counted = counted(query, &shown, &groups);
    let values: Vec<_> = shown.iter().map(|of| format!("{} AS {}", value(of), of.metric.name)).collect();
    let (sums, values) = (sums.join(", "), values.join(", "));
    let Some((first, others)) = groups.split_first() else {
        return format!("SELECT {values} FROM (SELECT {sums} FROM ({counted}))");
    };
    let total = format!("CASE WHEN is_total = 1 THEN 'total' ELSE {} END AS {}", label(first), first.name);
    let labels =
        others.iter().filter(|group| !group.hidden).map(|group| format!(", {} AS {}", label(group), group.name));
    let labels = labels.collect::<String>();
    let order = groups.iter().map(|group| format!(", {} NULLS LAST", group.name)).collect::<String>();
    let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
    let names = names.join(", ");
    format!(
        "SELECT {total}{labels}, {values} FROM (SELECT {names}, grouping({}) AS is_total, sum(counted) AS counted, {sums} \
         FROM ({counted}) GROUP BY GROUPING SETS (({names}), ())) WHERE is_total = 1 OR counted > 0 \
         ORDER BY is_total{order}",
        first.name
    )
}

/// A column that rows are grouped by.
struct Group {
    name: String,
    what: What,
    /// It tells rows apart and is not shown.
    hidden: bool,
}

/// What is shown of a group: an agent's name, and the PBX before it where several persons have that name.
fn label(group: &Group) -> String {
    let name = &group.name;
    match group.what {
        What::Dimension(Dimension::Agent) => names::label(name),
        What::Person | What::Dimension(_) => name.clone(),
    }
}

/// Where a group comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Person,
    Dimension(Dimension),
}

/// Agents of the same name on two PBXs are two persons.
fn groups(by: &[Dimension]) -> Vec<Group> {
    let mut groups: Vec<_> = by
        .iter()
        .map(|d| Group { name: format!("\"{}\"", d.name()), what: What::Dimension(*d), hidden: false })
        .collect();
    if by.contains(&Dimension::Agent) {
        groups.push(Group { name: "person".to_owned(), what: What::Person, hidden: true });
    }
    groups
}

fn is_of_row(of: &AgentMetric) -> bool {
    matches!(of.over, Over::Row | Over::RowWithLogins)
}

/// A metric over the rows that were summed up.
fn value(of: &AgentMetric) -> String {
    match of.over {
        Over::Row | Over::RowWithLogins => of.metric.formula.replace(['{', '}'], ""),
        Over::Logins | Over::States | Over::Legs | Over::Sessions => of.metric.name.to_owned(),
    }
}

/// What several sums are together. Of whom no login is known, all that needs one stays unknown; else nothing is zero.
fn summed(of: &AgentMetric) -> String {
    let name = of.metric.name;
    match (of.over, of.metric.unit) {
        (_, Unit::Moment) if name.starts_with("first") => format!("min({name}) AS {name}"),
        (_, Unit::Moment) => format!("max({name}) AS {name}"),
        (Over::Logins, _) => format!("sum({name}) AS {name}"),
        (Over::States | Over::Legs | Over::Sessions | Over::Row | Over::RowWithLogins, _) => {
            format!("coalesce(sum({name}), 0) AS {name}")
        }
    }
}

/// The sums of all sources under each other, and a row of nothing, so that there is a total of nothing, too.
fn counted(query: &AgentsQuery, shown: &[&AgentMetric], groups: &[Group]) -> String {
    let mut sources = vec![pieces(query, shown, groups)];
    if shown.iter().any(|of| of.over == Over::Legs) {
        sources.push(legs(query, shown, groups));
    }
    if shown.iter().any(|of| of.over == Over::Sessions) {
        sources.push(sessions(query, shown, groups));
    }
    let nothing = groups.iter().map(|group| format!("NULL AS {}, ", group.name)).collect::<String>();
    sources.push(format!("SELECT {nothing}0 AS counted{}", metrics(shown, &[], Form::Named)));
    sources.join(" UNION ALL ")
}

/// How the metrics of a source stand in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As formulas over its rows.
    Formulas,
    /// By name, and those of other sources as nothing.
    Named,
}

/// The metrics over these rows, each after a comma.
fn metrics(shown: &[&AgentMetric], over: &[Over], form: Form) -> String {
    let one = |of: &&AgentMetric| {
        let name = of.metric.name;
        match (form, over.contains(&of.over)) {
            (Form::Formulas, true) => format!(", {} AS {name}", of.metric.formula),
            (Form::Formulas, false) => String::new(),
            (Form::Named, true) => format!(", {name}"),
            (Form::Named, false) if of.metric.unit == Unit::Moment => format!(", NULL AS {name}"),
            (Form::Named, false) => format!(", NULL::bigint AS {name}"),
        }
    };
    shown.iter().filter(|of| !is_of_row(of)).map(one).collect()
}

/// The longest buckets of which every one that was asked for is made.
fn length(by: &[Dimension]) -> &'static str {
    let asked = |bucket| by.contains(&Dimension::Bucket(bucket));
    match (asked(Bucket::Week), asked(Bucket::Month)) {
        _ if asked(Bucket::Hour) => Bucket::Hour.name(),
        _ if asked(Bucket::Day) => Bucket::Day.name(),
        // Weeks go over the ends of months.
        (true, true) => Bucket::Day.name(),
        (true, false) => Bucket::Week.name(),
        (false, true) => Bucket::Month.name(),
        (false, false) => "all",
    }
}

/// What agents did: pieces that lie in one bucket each.
fn pieces(query: &AgentsQuery, shown: &[&AgentMetric], groups: &[Group]) -> String {
    let over = [Over::Logins, Over::States];
    let length = length(&query.by);
    let keys: Vec<_> = groups.iter().filter_map(|group| piece_key(group.what)).collect();
    let mut grouped: String = keys.iter().map(|(name, key)| format!("{key} AS {name}, ")).collect();
    let mut by: Vec<_> = keys.iter().map(|(_, key)| (*key).to_owned()).collect();
    if length != "all" {
        grouped += "bucket_at, ";
        by.push("bucket_at".to_owned());
    }
    let by = if by.is_empty() { String::new() } else { format!(" GROUP BY {}", by.join(", ")) };
    let bound = |at: Option<calltide_schemas::Micros>| at.map_or_else(|| "NULL".to_owned(), |at| at.0.to_string());
    let only = if query.by.contains(&Dimension::Reason) { " WHERE state = 'paused'" } else { "" };
    let shown_groups = groups.iter().map(|group| match group.what {
        What::Dimension(dimension) => match dimension.bucket() {
            Some(bucket) => format!("{} AS {}, ", bucket.sql("bucket_at", &query.range), group.name),
            None => format!("{}, ", group.name),
        },
        What::Person => "person, ".to_owned(),
    });
    format!(
        "SELECT {}1 AS counted{} FROM (SELECT {grouped}count(*) AS pieces{} FROM agent_pieces('{length}', {}, {}, {}, {}{}){only}{by})",
        shown_groups.collect::<String>(),
        metrics(shown, &over, Form::Named),
        metrics(shown, &over, Form::Formulas),
        query.range.zone(),
        bound(query.range.from),
        bound(query.range.to),
        bound(query.now),
        query.range.day_start(),
    )
}

/// A group of pieces that is no bucket: its name, and what it is of a piece.
fn piece_key(what: What) -> Option<(&'static str, &'static str)> {
    match what {
        What::Person => Some(("person", "person")),
        What::Dimension(Dimension::Agent) => Some(("\"agent\"", "agent")),
        What::Dimension(Dimension::Pbx) => Some(("\"pbx\"", "pbx")),
        What::Dimension(Dimension::Team) => Some(("\"team\"", "team")),
        // Of an available agent it names the queues with a pause.
        What::Dimension(Dimension::Queue) => {
            Some(("\"queue\"", "CASE WHEN state NOT IN ('available', 'paused') THEN queue END"))
        }
        What::Dimension(Dimension::Reason) => Some(("\"reason\"", "reason")),
        What::Dimension(Dimension::Bucket(_)) => None,
    }
}

/// Parts in calls, with the persons and teams that their agents were when they were offered.
fn legs(query: &AgentsQuery, shown: &[&AgentMetric], groups: &[Group]) -> String {
    let asked = |dimension| query.by.contains(&dimension);
    let named = asked(Dimension::Agent) || asked(Dimension::Team);
    let mut keys = Vec::new();
    let mut shown_groups = String::new();
    for group in groups {
        let (key, shown) = leg_key(group, &query.range);
        shown_groups += &format!("{shown} AS {}, ", group.name);
        keys.extend(key);
    }
    keys.sort();
    keys.dedup();
    let names: Vec<_> = keys.iter().map(|(name, _)| name.as_str()).collect();
    let again = if names.is_empty() { String::new() } else { format!(" GROUP BY {}", names.join(", ")) };
    let names: String = names.iter().map(|name| format!("{name}, ")).collect();
    let by: String = keys.iter().map(|(_, key)| format!("{key}, ")).collect();
    let keys: String = keys.iter().map(|(name, key)| format!("{key} AS {name}, ")).collect();
    let join = if named { names::joined("offered", "offered.offered_at") } else { "offered".to_owned() };
    let offered = format!(
        "SELECT pbx, agent, queue, offered_at, outcome, direction, talk_ms, hold_ms, transferred, hangup_by FROM legs \
         WHERE true{}",
        query.range.within("offered_at"),
    );
    let alike = "outcome, direction, transferred, hangup_by";
    let (held, short) = ("hold_ms > 0", format!("talk_ms < {}", i64::from(query.short_s) * 1_000));
    let rows = if named {
        // Of one agent there are few that are alike.
        format!(
            "SELECT {keys}{alike}, 1 AS legs, talk_ms, hold_ms, CAST({held} AS BIGINT) AS held, \
             CAST({short} AS BIGINT) AS short FROM {join}"
        )
    } else {
        // First what is alike, with few sums; all metrics are then taken over the few rows that are left.
        format!(
            "SELECT {keys}{alike}, count(*) AS legs, sum(talk_ms) AS talk_ms, sum(hold_ms) AS hold_ms, \
             count(*) FILTER (WHERE {held}) AS held, count(*) FILTER (WHERE {short}) AS short \
             FROM {join} GROUP BY {by}{alike}"
        )
    };
    format!(
        "SELECT {shown_groups}1 AS counted{} FROM (WITH offered AS ({offered}) SELECT {names}sum(legs) AS all_legs{} \
         FROM ({rows}){again})",
        metrics(shown, &[Over::Legs], Form::Named),
        metrics(shown, &[Over::Legs], Form::Formulas),
    )
}

/// What legs are grouped by for a group, and what it is of them. Names are put together once per group, not per leg.
fn leg_key(group: &Group, range: &Range) -> (Vec<(String, String)>, String) {
    let key = |name: &str, key: &str| (name.to_owned(), key.to_owned());
    match group.what {
        What::Person => (
            vec![key("known_person", "names.person"), key("leg_pbx", "offered.pbx"), key("leg_agent", "offered.agent")],
            "coalesce(known_person, leg_pbx || '/' || leg_agent)".to_owned(),
        ),
        What::Dimension(Dimension::Agent) => (
            vec![key("known_agent", "names.agent"), key("leg_agent", "offered.agent")],
            "coalesce(known_agent, leg_agent)".to_owned(),
        ),
        What::Dimension(Dimension::Pbx) => (vec![key("leg_pbx", "offered.pbx")], "leg_pbx".to_owned()),
        What::Dimension(Dimension::Team) => (vec![key("known_team", "names.team")], "known_team".to_owned()),
        What::Dimension(Dimension::Queue) => (vec![key("leg_queue", "offered.queue")], "leg_queue".to_owned()),
        // Rows by reason have no legs.
        What::Dimension(Dimension::Reason) => (Vec::new(), "NULL".to_owned()),
        What::Dimension(Dimension::Bucket(bucket)) => {
            let name = format!("leg_{}", bucket.name());
            (vec![key(&name, &bucket.sql("offered.offered_at", range))], name)
        }
    }
}

/// Logins: each where it began, and where it ended.
fn sessions(query: &AgentsQuery, shown: &[&AgentMetric], groups: &[Group]) -> String {
    let left = "coalesce(logout_at, ended_at)";
    let never = "arrow_cast(NULL, 'Timestamp(Microsecond, Some(\"UTC\"))')";
    // A login may have begun long before it ended: that day is not the table's.
    let before = query.range.before("started_at");
    let logins = format!(
        "SELECT person, agent, team, started_at AS moment, started_at, {never} AS left_at FROM agent_sessions \
         WHERE kind = 'login'{} UNION ALL SELECT person, agent, team, {left}, {never}, {left} FROM agent_sessions \
         WHERE kind = 'login' AND {left} IS NOT NULL{before}{}",
        query.range.within("started_at"),
        query.range.within(left),
    );
    let keys: Vec<_> = groups
        .iter()
        .map(|group| match group.what {
            What::Dimension(dimension) => match dimension.bucket() {
                Some(bucket) => (bucket.sql("logins.moment", &query.range), &group.name),
                None => (format!("logins.{}", dimension.name()), &group.name),
            },
            What::Person => ("logins.person".to_owned(), &group.name),
        })
        .collect();
    let by: Vec<_> = keys.iter().map(|(key, _)| key.as_str()).collect();
    let by = if by.is_empty() { String::new() } else { format!(" GROUP BY {}", by.join(", ")) };
    let inner: String = keys.iter().map(|(key, name)| format!("{key} AS {name}, ")).collect();
    let outer: String = keys.iter().map(|(_, name)| format!("{name}, ")).collect();
    format!(
        "SELECT {outer}1 AS counted{} FROM (SELECT {inner}count(*) AS ends{} FROM ({logins}) AS logins{by})",
        metrics(shown, &[Over::Sessions], Form::Named),
        metrics(shown, &[Over::Sessions], Form::Formulas),
    )
}
