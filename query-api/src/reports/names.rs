//! How reports name agents: by the directory, else as the PBX calls them, and with the PBX where several have that name.
//!
//! Who was called how, and when, is in the table `agent_names`. What is counted of agents the reports say themselves.

/// The rows of a table by the name `rows`, each with who its agent was at a time of it, as `names`; nulls where nobody is known
/// by that name.
pub(super) fn joined(rows: &str, at: &str) -> String {
    format!(
        "agent_names AS names RIGHT JOIN {rows} ON names.pbx = {rows}.pbx AND names.name = {rows}.agent \
         AND names.since_at <= {at} AND (names.until_at IS NULL OR {at} < names.until_at)"
    )
}

/// What is shown of a column of agents where rows have `person` and `is_total`: the name, or the person with the PBX where
/// several persons have that name.
pub(super) fn label(agent: &str) -> String {
    let named_so = format!("OVER (PARTITION BY is_total, {agent})");
    format!("CASE WHEN min(person) {named_so} <> max(person) {named_so} THEN person ELSE {agent} END")
}
