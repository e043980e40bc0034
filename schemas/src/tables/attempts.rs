//! `attempts`: one row per outbound dial, with the same outcome columns as `calls`.
//!
//! `attempt_no` is computed when the table is read: the row number by (started_at, call_id) within campaign and contact.

use super::{TableDef, calls};

/// One row per outbound dial.
pub(super) const TABLE: TableDef = TableDef {
    name: "attempts",
    topic: "calltide.attempts",
    doc: "One row per outbound dial of one contact or by hand; a later attempt never overwrites it.",
    key: Some("call_id"),
    day_of: "started_at",
    sort: &["campaign", "started_at"],
    columns: calls::COLUMNS,
};
