//! What is going on now: each agent's state, and each queue's callers, agents and day so far.
//!
//! Agents are the intervals without an end, callers the visits that say `waiting`; both tables are asked at one moment. The
//! day's figures have the formulas of the queues report, over the local day so far. It does not know why somebody waits.

use calltide_schemas::Micros;
use calltide_schemas::metrics::QUEUES;
use calltide_schemas::metrics::queues::{SHORT_S, WITHIN_S};

use super::instant::zone;
use super::{DayStart, time};
use crate::engine::calendar::Days;
use crate::{Engine, QueryError, QueryOutput};

/// Nobody waits for longer: what says so was never told the end. Older days need not be looked through.
const WAIT_MICROS_MAX: i64 = 24 * 3_600_000_000;

/// The metrics of a queue's day that are shown.
const TODAY: [&str; 6] = [
    "offered",
    "answered",
    "abandoned",
    "service_level_answered_pct",
    "service_level_offered_pct",
    "service_level_removed_pct",
];

/// What is asked.
#[derive(Debug, Clone)]
pub struct LiveQuery {
    /// The present moment.
    pub now: Micros,
    /// IANA zone of the day.
    pub tz: String,
    /// When it begins there.
    pub day_start: DayStart,
    /// The service level's limit in seconds, included.
    pub within_s: u32,
    /// Abandons earlier than this, in seconds, are short.
    pub short_s: u32,
}

impl LiveQuery {
    /// With the usual limits, and days in UTC.
    pub fn at(now: Micros) -> Self {
        let (tz, day_start) = ("UTC".to_owned(), DayStart::default());
        Self { now, tz, day_start, within_s: WITHIN_S, short_s: SHORT_S }
    }
}

/// The present.
#[derive(Debug, Clone)]
pub struct Live {
    /// A row for each agent who is in some state.
    pub agents: QueryOutput,
    /// A row for each queue with agents, with callers, or with visits today.
    pub queues: QueryOutput,
}

/// Looks.
///
/// # Errors
/// An unknown time zone, or whatever the engine says.
pub async fn live(engine: &Engine, query: &LiveQuery) -> Result<Live, QueryError> {
    let today = today(query)?;
    let inquiry = engine.inquiry(&["agent_intervals", "agent_sessions", "queue_visits"]).await?;
    let agents = inquiry.report(&agents(query.now)).await?;
    let queues = inquiry.report(&queues(query, today)).await?;
    Ok(Live { agents, queues })
}

/// When the present day began.
fn today(query: &LiveQuery) -> Result<Micros, QueryError> {
    let began = Days::new(zone(&query.tz)?, query.day_start).began(query.now.0);
    began.map(Micros).map_err(|e| QueryError::Invalid { message: e.to_string() })
}

fn agents(now: Micros) -> String {
    format!(
        "SELECT agent, person, team, state, while_paused, started_at AS since, {} AS for_ms, reason, pbx, queue, call_id, at_once \
         FROM agent_intervals WHERE ended_at IS NULL ORDER BY agent, person",
        since_ms(now, "started_at")
    )
}

/// How long it is since a time, in ms; the clocks of PBXs may be ahead.
fn since_ms(now: Micros, at: &str) -> String {
    format!("greatest(({} - arrow_cast({at}, 'Int64')) / 1000, 0)", now.0)
}

/// Callers, agents and the day, each under the others, then as one row a queue.
fn queues(query: &LiveQuery, today: Micros) -> String {
    let staff = ["agents", "available", "ringing", "on_call", "wrap_up", "paused"];
    let waiting = ["waiting", "longest_wait_ms"];
    let columns: Vec<_> = waiting.iter().chain(&staff).chain(&TODAY).copied().collect();
    let row = |rows: String, has: &[&str]| {
        let value = |name: &&str| match has.contains(name) {
            true => format!(", {name}"),
            false if name.ends_with("_pct") => format!(", NULL::double AS {name}"),
            false => format!(", NULL::bigint AS {name}"),
        };
        format!("SELECT pbx, queue{} FROM ({rows})", columns.iter().map(value).collect::<String>())
    };
    let sources = [row(callers(query.now), &waiting), row(members(), &staff), row(day(query, today), &TODAY)];
    let one = |name: &&str| match *name {
        "longest_wait_ms" => format!(", max({name}) AS {name}"),
        name if name.ends_with("_pct") => format!(", max({name}) AS {name}"),
        name => format!(", coalesce(max({name}), 0) AS {name}"),
    };
    format!(
        "SELECT queue, pbx{} FROM ({}) GROUP BY pbx, queue ORDER BY queue, pbx",
        columns.iter().map(one).collect::<String>(),
        sources.join(" UNION ALL ")
    )
}

/// Who waits.
fn callers(now: Micros) -> String {
    format!(
        "SELECT pbx, queue, count(*) AS waiting, {} AS longest_wait_ms FROM queue_visits WHERE outcome = 'waiting' \
         AND entered_at >= {} GROUP BY pbx, queue",
        since_ms(now, "min(entered_at)"),
        time(Micros(now.0.saturating_sub(WAIT_MICROS_MAX))),
    )
}

/// Who works for a queue: whoever checked in to it, and static members while it keeps them busy. An available agent may be
/// paused in some queues, which the interval then names.
fn members() -> String {
    let busy = "state IN ('on_call', 'hold', 'ringing', 'wrap_up')";
    let paused = "(doing.state = 'paused' OR (doing.state = 'available' AND strpos(',' || replace(coalesce(doing.queue, ''), \
                  ', ', ',') || ',', ',' || members.queue || ',') > 0))";
    format!(
        "WITH doing AS (SELECT person, pbx, state, queue FROM agent_intervals WHERE ended_at IS NULL), \
         members AS (SELECT pbx, queue, person FROM agent_sessions WHERE kind = 'checkin' AND ended_at IS NULL \
         UNION SELECT pbx, queue, person FROM doing WHERE queue IS NOT NULL AND {busy}) \
         SELECT members.pbx, members.queue, count(*) AS agents, \
         count(*) FILTER (WHERE doing.state = 'available' AND NOT {paused}) AS available, \
         count(*) FILTER (WHERE doing.state = 'ringing') AS ringing, \
         count(*) FILTER (WHERE doing.state IN ('on_call', 'hold')) AS on_call, \
         count(*) FILTER (WHERE doing.state = 'wrap_up') AS wrap_up, count(*) FILTER (WHERE {paused}) AS paused \
         FROM members JOIN doing ON doing.person = members.person GROUP BY members.pbx, members.queue"
    )
}

/// The visits of the day so far.
fn day(query: &LiveQuery, today: Micros) -> String {
    let shown = QUEUES.iter().filter(|metric| TODAY.contains(&metric.name));
    let values = shown.map(|metric| format!(", {} AS {}", metric.sql(QUEUES), metric.name)).collect::<String>();
    format!(
        "SELECT pbx, queue{values} FROM (SELECT *, {} AS within_ms, {} AS short_ms FROM queue_visits WHERE entered_at >= {}) \
         GROUP BY pbx, queue",
        i64::from(query.within_s) * 1_000,
        i64::from(query.short_s) * 1_000,
        time(today),
    )
}
