//! A new generation of all tables, filled row by row from a replay and swapped in when it is complete.
//!
//! Until the swap nobody reads it, so it is committed whenever memory is needed, without progress; that comes last.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;
use calltide_eventlog::{Offset, Partition, ReadRecord};
use calltide_schemas::tables::{self, TABLES};

use super::root::Current;
use super::{Lake, LakeError, LakeWriter, Result};

/// After so many bytes of new rows it is looked whether memory is used up: looking costs a little.
const LOOK_BYTES: usize = 1 << 20;

/// Fills a new generation.
pub struct GenerationWriter {
    lake: Lake,
    /// What it is to replace.
    replaced: Current,
    name: String,
    writers: BTreeMap<&'static str, LakeWriter>,
    bytes_max: usize,
    bytes_unseen: usize,
}

impl GenerationWriter {
    pub(super) fn new(lake: &Lake, replaced: Current, name: String, bytes_max: usize) -> Result<Self> {
        let writers = TABLES.iter().map(|def| Ok((def.name, LakeWriter::detached(lake, def, &name)?)));
        let writers = writers.collect::<Result<_>>()?;
        Ok(Self { lake: lake.clone(), replaced, name, writers, bytes_max, bytes_unseen: 0 })
    }

    /// Its name, e.g. `g2`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a record of the table's topic. Within a key the highest version counts, as it does with the live writer.
    pub fn push(&mut self, table: &str, partition: Partition, record: ReadRecord) -> Result<()> {
        self.bytes_unseen += record.record.payload.as_ref().map_or(0, Vec::len);
        self.writer(table)?.push(partition, record)?;
        if self.bytes_unseen < LOOK_BYTES {
            return Ok(());
        }
        self.bytes_unseen = 0;
        while self.writers.values().map(LakeWriter::pending_bytes).sum::<usize>() > self.bytes_max {
            let Some(largest) = self.writers.values_mut().max_by_key(|writer| writer.pending_bytes()) else { break };
            largest.commit(&[])?;
        }
        Ok(())
    }

    /// Adds rows of several tables that no topic has, each key new: a commit per table, all tables at once.
    pub fn add(&mut self, rows: &[(&'static str, RecordBatch)]) -> Result<()> {
        std::thread::scope(|scope| {
            let mut under_way = Vec::new();
            for (table, writer) in &mut self.writers {
                if let Some((_, rows)) = rows.iter().find(|(name, _)| name == table) {
                    under_way.push(scope.spawn(move || writer.add_rows(rows)));
                }
            }
            under_way.into_iter().try_for_each(|writing| writing.join().unwrap_or(Err(LakeError::Ended)))
        })
    }

    /// Takes a table over as it is in the generation that this one is to replace, progress included: e.g. the raw archive, from which the
    /// others are derived again. Its files are not copied where the store can link them. `partitions` is how many its topic
    /// has.
    pub fn carry_over(&mut self, table: &str, partitions: u32) -> Result<()> {
        let generation = self.replaced.generation.clone();
        self.writer(table)?.carry_over(&generation, partitions)
    }

    /// Commits what is left, with the offsets (exclusive) up to which each topic's partitions are in, and makes this the
    /// current generation, unless another one was put in place since this one was begun. Returns its name.
    pub fn finish(mut self, progress: &[(String, Partition, Offset)]) -> Result<String> {
        for writer in self.writers.values_mut() {
            let own = progress.iter().filter(|(topic, ..)| topic == writer.table().topic);
            let own: Vec<_> = own.map(|(_, p, next)| (*p, i64::try_from(*next).unwrap_or(i64::MAX))).collect();
            if !own.is_empty() || writer.pending_bytes() > 0 {
                writer.commit(&own)?;
            }
        }
        self.lake.replace(&self.replaced, &self.name)?;
        Ok(self.name)
    }

    fn writer(&mut self, table: &str) -> Result<&mut LakeWriter> {
        let known = tables::table(table).and_then(|def| self.writers.get_mut(def.name));
        known.ok_or_else(|| LakeError::UnknownTable { name: table.to_owned() })
    }
}
