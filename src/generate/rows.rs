//! The rows of calls in the tables `calls`, `attempts`, `legs` and `queue_visits`, column by column as the tables define them.
//!
//! Must not invent anything: read [`super::calls`] for that.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Decimal128Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use calltide_schemas::Micros;
use calltide_schemas::status::{Class, Status};
use calltide_schemas::tables::{Kind, TableDef, table};

use super::calls::Call;
use crate::errors::{Exit, Failure, Result};

pub(super) const PBX: &str = "generated";
const SHORT_MS: i64 = 10_000;

/// What stands in one column of one row.
pub(super) enum Cell<'a> {
    Nothing,
    Text(&'a str),
    Int(i64),
    Bool(bool),
    Time(i64),
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }
}

enum Column {
    Text(StringBuilder),
    Int(Int64Builder),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder),
}

/// The rows of one table that are being made.
pub(super) struct TableRows {
    def: &'static TableDef,
    columns: Vec<Column>,
}

/// The rows of all tables that are being made.
pub(super) struct Rows {
    calls: TableRows,
    attempts: TableRows,
    legs: TableRows,
    visits: TableRows,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            calls: TableRows::new("calls"),
            attempts: TableRows::new("attempts"),
            legs: TableRows::new("legs"),
            visits: TableRows::new("queue_visits"),
        }
    }
}

impl TableRows {
    pub(super) fn new(name: &str) -> Self {
        let Some(def) = table(name) else { unreachable!("{name} is one of the tables") };
        let column = |kind: Kind| match kind {
            Kind::Text => Column::Text(StringBuilder::new()),
            Kind::Int => Column::Int(Int64Builder::new()),
            Kind::Bool => Column::Bool(BooleanBuilder::new()),
            Kind::Time => Column::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Decimal => Column::Decimal(Decimal128Builder::new().with_data_type(kind.data_type())),
        };
        Self { def, columns: def.columns.iter().map(|c| column(c.kind)).collect() }
    }

    pub(super) fn add<'a>(&mut self, cell: impl Fn(&str) -> Cell<'a>) {
        for (def, column) in self.def.columns.iter().zip(&mut self.columns) {
            match (column, cell(def.name)) {
                (Column::Text(builder), Cell::Text(text)) => builder.append_value(text),
                (Column::Int(builder), Cell::Int(number)) => builder.append_value(number),
                (Column::Bool(builder), Cell::Bool(truth)) => builder.append_value(truth),
                (Column::Time(builder), Cell::Time(at)) => builder.append_value(at),
                (Column::Text(builder), _) => builder.append_null(),
                (Column::Int(builder), _) => builder.append_null(),
                (Column::Bool(builder), _) => builder.append_null(),
                (Column::Time(builder), _) => builder.append_null(),
                // No generated row costs money yet.
                (Column::Decimal(builder), _) => builder.append_null(),
            }
        }
    }

    /// A column that may not be null and has one is refused here.
    pub(super) fn finish(self) -> Result<(&'static str, RecordBatch)> {
        let columns = self.columns.into_iter().map(|column| match column {
            Column::Text(mut builder) => Arc::new(builder.finish()) as ArrayRef,
            Column::Int(mut builder) => Arc::new(builder.finish()) as ArrayRef,
            Column::Bool(mut builder) => Arc::new(builder.finish()) as ArrayRef,
            Column::Time(mut builder) => Arc::new(builder.finish()) as ArrayRef,
            Column::Decimal(mut builder) => Arc::new(builder.finish()) as ArrayRef,
        });
        let rows = RecordBatch::try_new(self.def.arrow_schema(), columns.collect());
        let failed = |e| Failure::new(Exit::Failed, format!("rows of {} cannot be made", self.def.name)).because(&e);
        Ok((self.def.name, rows.map_err(failed)?))
    }
}

impl Rows {
    /// Adds all rows of a call.
    pub(super) fn add(&mut self, told: &Told<'_>) {
        let call = told.call;
        self.calls.add(|name| told.in_calls(name));
        if !call.inbound {
            self.attempts.add(|name| told.in_calls(name));
        }
        if call.queue.is_some() {
            self.visits.add(|name| told.in_visits(name));
        }
        for (nth, agent) in [(1, call.missed_by), (2, call.agent)] {
            if let Some(agent) = agent {
                let (agent, id) = (format!("agent-{agent:04}"), format!("{}#{nth}", told.call_id));
                self.legs.add(|name| told.in_legs(name, nth == 2, &agent, &id));
            }
        }
    }

    /// The rows by table.
    pub(super) fn finish(self) -> Result<Vec<(&'static str, RecordBatch)>> {
        [self.calls, self.attempts, self.legs, self.visits].into_iter().map(TableRows::finish).collect()
    }
}

/// A call as it is told, with the times and names that several tables have.
pub(super) struct Told<'a> {
    pub(super) call: &'a Call,
    pub(super) call_id: String,
    visit_id: String,
    campaign: String,
    contact: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) agent: Option<String>,
    device: Option<String>,
    queued_at: i64,
    pub(super) served_at: i64,
    pub(super) ended_at: i64,
    connected: bool,
    served: bool,
}

impl<'a> Told<'a> {
    pub(super) fn of(call: &'a Call) -> Self {
        let connected = call.status.class() == Class::Connected;
        let dropped = !call.inbound && call.status == Status::NoAgent;
        // Who is called rings first; who calls is in the queue at once.
        let ringing = if call.inbound { 0 } else { call.ring_ms };
        let queued_at = call.started_at.0 + ringing * 1_000;
        let served_at = queued_at + call.wait_ms * 1_000;
        let voicemail = if call.status == Status::Voicemail { 15_000 } else { 0 };
        let waited = if connected || dropped || call.inbound { served_at } else { queued_at };
        Self {
            call_id: format!("{PBX}/{}", call.uniqueid),
            visit_id: format!("{PBX}/{}#1", call.uniqueid),
            campaign: if call.inbound {
                format!("queue-{:02}", call.queue.unwrap_or(0))
            } else {
                format!("campaign-{:03}", call.campaign)
            },
            contact: call.contact.map(|contact| format!("c{contact}")),
            queue: call.queue.map(|queue| format!("queue-{queue:02}")),
            agent: call.agent.map(|agent| format!("agent-{agent:04}")),
            device: call.agent.map(|agent| format!("PJSIP/{}", 1000 + agent)),
            queued_at,
            served_at,
            ended_at: waited + (call.talk_ms + call.hold_ms + voicemail) * 1_000,
            connected,
            served: call.agent.is_some(),
            call,
        }
    }

    fn in_calls(&self, name: &str) -> Cell<'_> {
        let call = self.call;
        let dropped = !call.inbound && call.status == Status::NoAgent;
        let up = self.connected || dropped || call.inbound;
        match name {
            "pbx" => Cell::Text(PBX),
            "call_id" => Cell::Text(&self.call_id),
            "linkedid" => Cell::Text(&call.uniqueid),
            "direction" => Cell::Text(if call.inbound { "inbound" } else { "outbound" }),
            "campaign" => Cell::Text(&self.campaign),
            "contact" => self.contact.as_deref().into(),
            "number_raw" => Cell::Text(&call.number[1..]),
            "number_e164" => Cell::Text(&call.number),
            "status" => Cell::Text(call.status.name()),
            "class" => Cell::Text(call.status.class().name()),
            "status_evidence" => Cell::Text("generated"),
            "handled_by" => Cell::Text(match (self.served, self.connected) {
                (true, _) => "agent",
                (false, true) => "machine",
                (false, false) => "nobody",
            }),
            "dial_status" => Cell::Text(call.status.dial_status()),
            "hangup_cause" => Cell::Int(if call.status == Status::Busy { 17 } else { 16 }),
            "hangup_by" => Cell::Text(if call.talk_ms % 3 == 0 { "agent" } else { "customer" }),
            "dropped" => Cell::Bool(dropped),
            "drop_wait_ms" if dropped => Cell::Int(call.wait_ms),
            "short" => Cell::Bool(self.served && call.talk_ms < SHORT_MS),
            "dialled" | "settled" => Cell::Bool(true),
            "end_estimated" => Cell::Bool(false),
            "left_at" if call.inbound && !self.connected => Cell::Text("queue"),
            "queue" => self.queue.as_deref().into(),
            "agent" => self.agent.as_deref().into(),
            "device" => self.device.as_deref().into(),
            "entry" if call.inbound => Cell::Text("8000"),
            "started_at" => Cell::Time(call.started_at.0),
            "answered_at" if self.connected || dropped => {
                Cell::Time(if call.inbound { self.served_at } else { self.queued_at })
            }
            "ended_at" | "updated_at" => Cell::Time(self.ended_at),
            "ring_ms" if !call.inbound => Cell::Int(call.ring_ms),
            "wait_ms" if call.queue.is_some() => Cell::Int(call.wait_ms),
            "talk_ms" => Cell::Int(call.talk_ms),
            "hold_ms" => Cell::Int(call.hold_ms),
            "up_ms" => Cell::Int(if up { (self.ended_at - self.queued_at) / 1_000 } else { 0 }),
            "transfers" => Cell::Int(i64::from(call.status == Status::Transferred)),
            "sources" => Cell::Text("generated"),
            "version" => Cell::Int(1),
            _ => Cell::Nothing,
        }
    }

    fn in_legs<'b>(&'b self, name: &str, answered: bool, agent: &'b str, id: &'b str) -> Cell<'b> {
        let Micros(started) = self.call.started_at;
        match name {
            "pbx" => Cell::Text(PBX),
            "leg_id" => Cell::Text(id),
            "call_id" => Cell::Text(&self.call_id),
            "agent" => Cell::Text(agent),
            "device" if answered => self.device.as_deref().into(),
            "queue" => self.queue.as_deref().into(),
            "offered_at" => Cell::Time(self.queued_at.max(started)),
            "answered_at" if answered => Cell::Time(self.served_at),
            "ended_at" | "updated_at" => Cell::Time(if answered { self.ended_at } else { self.served_at }),
            "ring_ms" => Cell::Int((self.served_at - self.queued_at) / 1_000),
            "talk_ms" if answered => Cell::Int(self.call.talk_ms),
            "hold_ms" if answered => Cell::Int(self.call.hold_ms),
            "direction" => Cell::Text(if self.call.inbound { "inbound" } else { "outbound" }),
            "transferred" => Cell::Bool(answered && self.call.status == Status::Transferred),
            "hangup_by" if answered && self.call.status != Status::Transferred => {
                Cell::Text(if self.call.talk_ms % 3 == 0 { "agent" } else { "customer" })
            }
            "outcome" => Cell::Text(if answered { "answered" } else { "missed" }),
            "version" => Cell::Int(1),
            _ => Cell::Nothing,
        }
    }

    fn in_visits(&self, name: &str) -> Cell<'_> {
        match name {
            "pbx" => Cell::Text(PBX),
            "visit_id" => Cell::Text(&self.visit_id),
            "call_id" => Cell::Text(&self.call_id),
            "queue" => self.queue.as_deref().into(),
            "entered_at" => Cell::Time(self.queued_at),
            "left_at" => Cell::Time(self.served_at),
            "outcome" => Cell::Text(match (self.served, self.connected) {
                (true, _) => "answered",
                (false, true) => "timeout",
                (false, false) => "abandoned",
            }),
            "wait_ms" => Cell::Int(self.call.wait_ms),
            "agent" => self.agent.as_deref().into(),
            "talk_ms" if self.served => Cell::Int(self.call.talk_ms),
            "hold_ms" if self.served => Cell::Int(self.call.hold_ms),
            "version" => Cell::Int(1),
            "updated_at" => Cell::Time(self.ended_at),
            _ => Cell::Nothing,
        }
    }
}
