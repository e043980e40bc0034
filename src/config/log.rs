//! `[log]`: where the log is, how long events and facts stay in it beside the tables, and how large it may grow.
//!
//! Without `kafka` it is in the data directory, where only what the tables have goes; brokers remove what is old, whether it
//! was read or not. What the settings mean is decided by the log. How to get into a cluster is in [`super::kafka`].

use std::time::Duration;

use calltide_eventlog::{Cleanup, TopicSpec};
use calltide_schemas::topics::{
    EVENTS, IN_AGENTS, IN_CONTACTS, IN_NUMBERS, LAKE_WRITERS, LAKE_WRITERS_PARTITIONS, RETRY_LATER, TOPICS, TopicDef,
};
use serde::Deserialize;

use super::kafka::{Login, Tls};
use super::units::{Bytes, Span};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The table `inputs` keeps events for ever; a week of them in the log serves whoever reads topics.
const EVENTS_KEPT: Duration = DAY.saturating_mul(7);
/// A quarter of facts, for whoever begins to read topics today.
const FACTS_KEPT: Duration = DAY.saturating_mul(90);
/// So many processors can share the work; more than sites have PBXs is of no use.
const PARTITIONS: u32 = 12;

/// See the module.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `host:port` of some brokers, separated by commas.
    pub(super) kafka: Option<String>,
    /// Put in front of the names of topics and groups there.
    pub(super) prefix: String,
    /// The name of this process among those that share the work.
    pub(super) name: Option<String>,
    pub(super) partitions: Option<u32>,
    pub(super) replication: Option<u16>,
    pub(super) tls: Option<Tls>,
    pub(super) login: Option<Login>,
    events: Option<Span>,
    facts: Option<Span>,
    bytes: Option<Bytes>,
}

impl Log {
    /// The topics of a log in the data directory: one partition each, since one process does all.
    pub(crate) fn topics(&self) -> Vec<TopicSpec> {
        TOPICS.iter().map(|topic| self.spec(topic, 1)).collect()
    }

    /// The topics of the journal beside a PBX: what is at the centre may go at once.
    pub(crate) fn journal_topics(&self) -> Vec<TopicSpec> {
        let at_once = |spec: TopicSpec| match spec.name == EVENTS {
            true => TopicSpec { cleanup: Cleanup::Delete { after: Some(Duration::ZERO) }, ..spec },
            false => spec,
        };
        self.topics().into_iter().map(at_once).collect()
    }

    /// The topics of a cluster.
    pub(crate) fn cluster_topics(&self) -> Vec<TopicSpec> {
        let partitions = self.partitions.unwrap_or(PARTITIONS).max(1);
        let mut specs: Vec<_> = TOPICS.iter().map(|topic| self.spec(topic, partitions)).collect();
        let cleanup = Cleanup::Delete { after: None };
        specs.push(TopicSpec { name: LAKE_WRITERS.to_owned(), partitions: LAKE_WRITERS_PARTITIONS, cleanup });
        specs
    }

    fn spec(&self, topic: &TopicDef, partitions: u32) -> TopicSpec {
        let kept = |span: Option<Span>, usual| Some(span.map_or(usual, Span::duration));
        let cleanup = match topic.name {
            EVENTS | IN_CONTACTS | IN_NUMBERS | IN_AGENTS => Cleanup::Delete { after: kept(self.events, EVENTS_KEPT) },
            // Who may be called again is there until it is taken back.
            RETRY_LATER => Cleanup::Compact { after: None },
            _ if topic.compacted => Cleanup::Compact { after: kept(self.facts, FACTS_KEPT) },
            _ => Cleanup::Delete { after: kept(self.facts, FACTS_KEPT) },
        };
        // Who is who may change at any time, and a person works on several PBXs: all of that is in one order.
        let partitions = if topic.name == IN_AGENTS { 1 } else { partitions };
        TopicSpec { name: topic.name.to_owned(), partitions, cleanup }
    }

    /// Whether it is on a cluster.
    pub(crate) const fn is_shared(&self) -> bool {
        self.kafka.is_some()
    }

    /// The largest size it may have, in bytes.
    pub(crate) fn bytes_max(&self) -> Option<u64> {
        self.bytes.map(|bytes| bytes.count() as u64)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn events_and_facts_have_ages_of_their_own() {
        let log: Log = toml::from_str("events = \"48h\"\nbytes = \"50GB\"").unwrap();
        assert_eq!(log.bytes_max(), Some(50_000_000_000));
        let cleanup = |name| log.topics().into_iter().find(|topic| topic.name == name).unwrap().cleanup;
        assert_eq!(cleanup(EVENTS), Cleanup::Delete { after: Some(DAY * 2) });
        assert_eq!(cleanup("calltide.calls"), Cleanup::Compact { after: Some(DAY * 90) });
    }

    #[test]
    fn a_cluster_has_many_partitions_and_a_journal_keeps_nothing_that_has_arrived() {
        let log: Log = toml::from_str("kafka = \"k:9092\"\npartitions = 3").unwrap();
        assert!(log.is_shared() && !Log::default().is_shared());
        let shared = log.cluster_topics();
        assert_eq!(shared.iter().filter(|topic| topic.partitions == 3).count(), TOPICS.len() - 1);
        assert!(shared.iter().any(|topic| topic.name == LAKE_WRITERS && topic.partitions as usize > TOPICS.len()));
        let events = log.journal_topics().into_iter().find(|topic| topic.name == EVENTS).unwrap();
        assert_eq!(events.cleanup, Cleanup::Delete { after: Some(Duration::ZERO) });
    }
}
