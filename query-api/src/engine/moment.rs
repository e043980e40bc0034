//! One instant of the data: the lake's snapshots, the log's ends, and the facts between, for all tables of a query at once.
//!
//! The order matters: first the lake's snapshots, then the log's ends. The log holds whatever the lake has, so that each
//! table is exactly its topic up to the end, a fact in both is seen once, and none is missing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::{EventLog, Offset};
use calltide_schemas::tables::TableDef;

use super::QueryError;
use super::lacking::{Lacking, Lost};
use super::lake::{Lake, Snapshot};
use super::store::LakePlace;
use super::tail::{Overlay, Room, Tail};

/// How often the ends are taken again when something was committed meanwhile. A commit may touch several topics; under
/// steady load the last try counts as it is, and a row may appear in one table a moment before its kin in another.
const TRIES: usize = 5;

/// What a query reads of one table.
#[derive(Debug)]
pub(super) struct TableMoment {
    /// The table.
    pub(super) def: &'static TableDef,
    /// Its rows in the lake, if there are any.
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// What the log has beyond it.
    pub(super) overlay: Arc<Overlay>,
}

/// The lake and the log, with what is kept of both between queries.
pub(super) struct Source {
    lake: Lake,
    log: Option<Arc<dyn EventLog>>,
    tails: HashMap<&'static str, Tail>,
    /// Most bytes of all tails together.
    tail_bytes_max: usize,
    /// What was found to be lacking and was told.
    lacking: Vec<Lacking>,
}

impl Source {
    pub(super) fn new(lake: LakePlace, log: Option<Arc<dyn EventLog>>, tail_bytes_max: usize) -> Self {
        Self { lake: Lake::new(lake), log, tails: HashMap::new(), tail_bytes_max, lacking: Vec::new() }
    }

    /// The present moment of these tables.
    pub(super) async fn moment(&mut self, defs: &[&'static TableDef]) -> Result<Vec<TableMoment>, QueryError> {
        let mut moments = self.look(defs).await?;
        let news = |of: &Self, moments: &[TableMoment]| {
            let lacking = moments.iter().flat_map(|moment| &moment.overlay.lacking);
            lacking.filter(|lacking| !of.lacking.contains(lacking)).cloned().collect::<Vec<_>>()
        };
        // What the lake took over after the look at it, the log may have been cleaned of before the look at that.
        if news(self, &moments).iter().any(|lacking| lacking.why == Lost::Gone) {
            moments = self.look(defs).await?;
        }
        for lacking in news(self, &moments) {
            tracing::warn!(%lacking, "facts are missing from answers");
            self.lacking.push(lacking);
        }
        Ok(moments)
    }

    async fn look(&mut self, defs: &[&'static TableDef]) -> Result<Vec<TableMoment>, QueryError> {
        let log = self.log.clone();
        let topics = log.as_ref().map(|log| log.topics()).unwrap_or_default();
        let partitions = |def: &TableDef| topics.iter().find(|t| t.name == def.topic).map_or(0, |t| t.partitions);
        let has_lake = self.lake.find_generation().await?;
        let mut moments = Vec::with_capacity(defs.len());
        for def in defs.iter().copied() {
            let snapshot = if has_lake { self.lake.snapshot(def, partitions(def)).await? } else { None };
            moments.push(TableMoment { def, snapshot, overlay: Arc::default() });
        }
        let Some(log) = log else { return Ok(moments) };
        // Reading the log blocks; the engine's own runtime has other threads for other queries.
        tokio::task::block_in_place(|| {
            let ends = ends(log.as_ref(), defs)?;
            for (moment, ends) in moments.iter_mut().zip(ends) {
                let lake_next = moment.snapshot.as_ref().map_or_else(|| vec![0; ends.len()], |s| s.next.clone());
                // What is read stays until it is.
                let pin = |(partition, from): (_, &Offset)| log.pin(moment.def.topic, partition, *from);
                let _pins = (0..).zip(&lake_next).map(pin).collect::<Result<Vec<_>, _>>()?;
                let mut tail = self.tails.remove(moment.def.name).unwrap_or_else(|| Tail::new(moment.def));
                let bytes_max = self.tail_bytes_max;
                let mut has = |bytes| make_room(&mut self.tails, defs, bytes, bytes_max);
                let overlay = tail.refresh(log.as_ref(), &lake_next, &ends, &mut Room { bytes_max, has: &mut has });
                self.tails.insert(moment.def.name, tail);
                moment.overlay = overlay?;
            }
            Ok(moments)
        })
    }
}

/// Whether a tail of so many bytes fits beside those of the tables in question; the others are let go where they take its
/// room, the largest first, and read again when they are asked for.
fn make_room(
    tails: &mut HashMap<&'static str, Tail>,
    defs: &[&'static TableDef],
    bytes: usize,
    bytes_max: usize,
) -> bool {
    loop {
        let held: usize = tails.values().map(Tail::bytes).sum();
        if held.saturating_add(bytes) <= bytes_max {
            return true;
        }
        let asked = |name: &str| defs.iter().any(|def| def.name == name);
        let others = tails.iter().filter(|(name, tail)| !asked(name) && tail.bytes() > 0);
        let Some(largest) = others.max_by_key(|(_, tail)| tail.bytes()).map(|(name, _)| *name) else { return false };
        tails.remove(largest);
    }
}

/// The log's ends per table and partition, taken while nothing was written if that can be had.
fn ends(log: &dyn EventLog, defs: &[&'static TableDef]) -> Result<Vec<Vec<Offset>>, QueryError> {
    let topics: Vec<_> = defs.iter().map(|def| def.topic).collect();
    let mut before = log.wait(0, Duration::ZERO);
    for attempt in 1.. {
        let ends = log.ends(&topics)?;
        let after = log.wait(before, Duration::ZERO);
        if after == before || attempt >= TRIES {
            return Ok(ends);
        }
        before = after;
    }
    Ok(Vec::new())
}
