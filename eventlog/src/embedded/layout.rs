//! Which streams a log has, and the number ("slot") of each of their partitions.
//!
//! A stream is a topic or the changes of a worker group. Streams are only ever added, so slots never move. Kept in two
//! checksummed copies, since without it no frame could be given its name. Must not know about segments.

use std::{fs, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use super::{disk, failed};
use crate::{Cleanup, LogError, Partition, Result, TopicSpec, partition_of};

const COPIES: [&str; 2] = ["layout", "layout.copy"];

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Carries {
    /// Records of a topic, deleted some milliseconds after their time, or never.
    Records { delete_after_ms: Option<u64> },
    /// Records of a topic of which the latest per key stays, for [`Stream::compacted_ms`].
    Compacted,
    /// State changes of the group that reads this topic; offsets count its commits.
    ChangesOf { topic: String },
}

/// A topic, or the changes of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) partitions: u32,
    pub(super) carries: Carries,
    /// For [`Carries::Compacted`]: how long even the latest of a key stays, in milliseconds; for ever if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) compacted_ms: Option<u64>,
}

/// All streams, in the order in which they were created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) streams: Vec<Stream>,
}

impl Layout {
    /// Reads the copy that knows more streams. `None` if neither is whole.
    pub(super) fn load(dir: &Path) -> Option<Self> {
        let copies = COPIES.iter().filter_map(|name| Self::parse(&fs::read(dir.join(name)).ok()?));
        copies.max_by_key(|layout| layout.streams.len())
    }

    /// Whether any copy exists, whole or not: then a log is here.
    pub(super) fn exists(dir: &Path) -> bool {
        COPIES.iter().any(|name| dir.join(name).exists())
    }

    /// The copies that are damaged.
    pub(super) fn damaged(dir: &Path) -> Vec<&'static str> {
        let whole = |name: &str| fs::read(dir.join(name)).ok().and_then(|bytes| Self::parse(&bytes)).is_some();
        COPIES.into_iter().filter(|name| !whole(name)).collect()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (crc, json) = bytes.split_at_checked(9)?;
        let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?.strip_suffix('\n')?, 16).ok()?;
        (crc == crc32c::crc32c(json)).then(|| serde_json::from_slice(json).ok()).flatten()
    }

    pub(super) fn store(&self, dir: &Path) -> Result<()> {
        let json = serde_json::to_vec(self).map_err(|e| failed("write the layout", e.into()))?;
        let mut bytes = format!("{:08x}\n", crc32c::crc32c(&json)).into_bytes();
        bytes.extend_from_slice(&json);
        COPIES.iter().try_for_each(|name| disk::replace(dir, name, &bytes))
    }

    /// Adds what is new in `topics` and takes over changed cleanup. Partition counts are fixed at creation.
    pub(super) fn with_topics(mut self, topics: &[TopicSpec]) -> Result<Self> {
        let ms = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        for topic in topics {
            let (carries, compacted_ms) = match topic.cleanup {
                Cleanup::Compact { after } => (Carries::Compacted, after.map(ms)),
                Cleanup::Delete { after } => (Carries::Records { delete_after_ms: after.map(ms) }, None),
            };
            let known = self.streams.iter_mut().find(|stream| stream.is_topic() && stream.name == topic.name);
            match known {
                None => {
                    let (name, partitions) = (topic.name.clone(), topic.partitions);
                    self.streams.push(Stream { name, partitions, carries, compacted_ms });
                }
                Some(stream) if stream.partitions == topic.partitions => {
                    (stream.carries, stream.compacted_ms) = (carries, compacted_ms);
                }
                Some(stream) => {
                    let reason = format!("it has {}, {} were asked for", stream.partitions, topic.partitions);
                    let what = format!("change the partition count of {}", topic.name);
                    return Err(failed(&what, std::io::Error::new(std::io::ErrorKind::InvalidInput, reason)));
                }
            }
        }
        Ok(self)
    }

    pub(super) fn topics(&self) -> Vec<TopicSpec> {
        let spec = |stream: &Stream| {
            let cleanup = match &stream.carries {
                Carries::Compacted => Cleanup::Compact { after: stream.compacted_ms.map(Duration::from_millis) },
                Carries::Records { delete_after_ms } => {
                    Cleanup::Delete { after: delete_after_ms.map(Duration::from_millis) }
                }
                Carries::ChangesOf { .. } => return None,
            };
            Some(TopicSpec { name: stream.name.clone(), partitions: stream.partitions, cleanup })
        };
        self.streams.iter().filter_map(spec).collect()
    }

    /// A topic with the slot of its partition 0.
    fn topic(&self, topic: &str) -> Result<(u32, &Stream)> {
        let found = self.slots().find(|(_, stream)| stream.is_topic() && stream.name == topic);
        found.ok_or_else(|| LogError::UnknownTopic { topic: topic.to_owned() })
    }

    /// The slot of the partition that a key belongs to.
    pub(super) fn slot_of_key(&self, topic: &str, key: &[u8]) -> Result<u32> {
        let (first, stream) = self.topic(topic)?;
        Ok(first + partition_of(key, stream.partitions))
    }

    /// The slot of a topic's partition.
    pub(super) fn topic_slot(&self, topic: &str, partition: Partition) -> Result<u32> {
        let (first, stream) = self.topic(topic)?;
        if partition < stream.partitions {
            Ok(first + partition)
        } else {
            Err(LogError::UnknownTopic { topic: format!("{topic}, partition {partition}") })
        }
    }

    /// The slot of partition 0 of a group's changes, if that group ever was.
    pub(super) fn group_slot(&self, group: &str, topic: &str) -> Option<u32> {
        let is = |stream: &Stream| matches!(&stream.carries, Carries::ChangesOf { topic: t } if t == topic);
        self.slots().find(|(_, stream)| stream.name == group && is(stream)).map(|(first, _)| first)
    }

    /// Each stream with the slot of its partition 0.
    pub(super) fn slots(&self) -> impl Iterator<Item = (u32, &Stream)> {
        self.streams.iter().scan(0, |next, stream| {
            let first = *next;
            *next += stream.partitions;
            Some((first, stream))
        })
    }

    /// Which stream and partition a slot is.
    pub(super) fn stream_of(&self, slot: u32) -> Option<(&Stream, Partition)> {
        let mut slots = self.slots();
        slots.find(|(first, s)| (*first..*first + s.partitions).contains(&slot)).map(|(first, s)| (s, slot - first))
    }

    pub(super) fn slot_count(&self) -> usize {
        self.streams.iter().map(|stream| stream.partitions as usize).sum()
    }
}

impl Stream {
    /// How long the records stay, in milliseconds; `None`: for ever. Changes of a group have no age of their own.
    pub(super) fn kept_ms(&self) -> Option<u64> {
        match self.carries {
            Carries::Records { delete_after_ms } => delete_after_ms,
            Carries::Compacted => self.compacted_ms,
            Carries::ChangesOf { .. } => None,
        }
    }

    pub(super) fn is_topic(&self) -> bool {
        match self.carries {
            Carries::Records { .. } | Carries::Compacted => true,
            Carries::ChangesOf { .. } => false,
        }
    }
}
