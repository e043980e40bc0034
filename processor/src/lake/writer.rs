//! Facts of one topic into one table, exactly once: rows, files and the offsets that they came from are one Delta commit.
//!
//! The commit's `txn` versions are the only progress there is. Before each commit the snapshot that it extends must show
//! the offsets this writer began at; if not, somebody else writes this table and this one gives up ([`LakeError::Fenced`]).
//! After any error the writer is dropped and opened again, which reads the progress afresh.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;
use calltide_eventlog::{EventLog, Offset, Partition, ReadRecord, Record};
use calltide_schemas::Micros;
use calltide_schemas::lake::{txn_app_id, txn_app_id_of_journal};
use calltide_schemas::tables::{DAY, TableDef};
use deltalake_core::kernel::{Action, Version};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use metrics::{counter, histogram};
use rustc_hash::FxHashSet;

use super::archive::Archive;
use super::compact::{SMALL_FILES_MAX, compact, merges};
use super::day::Day;
use super::facts::{Fact, Facts, Latest};
use super::file::FileWriter;
use super::journals::Journals;
use super::replace::{Replaced, replace};
use super::sorted::{by_day, days};
use super::table::{Committed, LakeFile, LakeTable};
use super::upkeep::Done;
use super::{Lake, LakeError, Result};

/// Read at once from a partition, at least: less is not worth asking for.
const READ_BYTES_MIN: usize = 64 << 10;

/// How often a commit is decided again when others commit at the same moment. They are maintenance at most, so once is
/// already rare.
const ATTEMPTS: u32 = 5;

/// The writer of one table.
pub struct LakeWriter {
    lake: Lake,
    table: LakeTable,
    partitions: BTreeMap<Partition, Progress>,
    /// The version of the table at which the partitions' progress was read or committed by this writer.
    seen: Version,
    pending: Pending,
    /// Of events that the log may have twice.
    journals: Option<Journals>,
    pending_since: Option<Micros>,
    pending_rows: u64,
}

/// Where a partition is.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// In the table, as of the last commit.
    stored: Option<i64>,
    /// Read so far.
    next: Offset,
}

/// What waits for the next commit.
enum Pending {
    Facts { key: &'static str, facts: Facts },
    Archive(Box<Archive>),
}

impl LakeWriter {
    /// Opens the writer of a table of the current generation where its last commit ended.
    pub fn open(lake: &Lake, def: &'static TableDef, log: &dyn EventLog) -> Result<Self> {
        let mut writer = Self::detached(lake, def, &lake.generation()?)?;
        writer.journals = (log.may_repeat() && def.key.is_none()).then(Journals::default);
        let topic = log.topics().into_iter().find(|topic| topic.name == def.topic);
        for partition in 0..topic.map_or(0, |topic| topic.partitions) {
            let stored = lake.wait(writer.table.progress(partition))?;
            let (first, end) = log.bounds(def.topic, partition)?;
            let next = stored.map_or(first, |stored| u64::try_from(stored).unwrap_or_default());
            if next > end {
                return Err(LakeError::AheadOfLog { table: def.name, partition, stored: next, end });
            }
            if next < first {
                tracing::error!(
                    table = def.name,
                    partition,
                    from = next,
                    to = first,
                    "the log no longer keeps these offsets: their rows are missing from the lake until a replay"
                );
            }
            writer.partitions.insert(partition, Progress { stored, next: next.max(first) });
        }
        Ok(writer)
    }

    /// A writer that follows no partition: rows are given to it.
    pub(super) fn detached(lake: &Lake, def: &'static TableDef, generation: &str) -> Result<Self> {
        let table = lake.table(def, generation)?;
        let pending = Pending::new(&table);
        let seen = table.version();
        let (partitions, lake) = (BTreeMap::new(), lake.clone());
        Ok(Self { lake, table, partitions, seen, pending, journals: None, pending_since: None, pending_rows: 0 })
    }

    /// The table that it writes.
    pub fn table(&self) -> &'static TableDef {
        self.table.def
    }

    /// Reads on, at most about `bytes_max` from all partitions together. Returns how many records came.
    pub fn read(&mut self, log: &dyn EventLog, bytes_max: usize) -> Result<usize> {
        let def = self.table.def;
        let mut count = 0;
        let ends = self.ends(log)?;
        let bytes_max = (bytes_max / self.partitions.len().max(1)).max(READ_BYTES_MIN);
        for partition in self.partitions.keys().copied().collect::<Vec<_>>() {
            let Some(progress) = self.partitions.get_mut(&partition) else { continue };
            if ends.get(&partition).is_some_and(|end| progress.next >= *end) {
                continue;
            }
            let batch = log.read(def.topic, partition, progress.next, bytes_max)?;
            progress.next = batch.next;
            for (from, to) in &batch.damaged {
                tracing::error!(topic = def.topic, partition, from, to, "damaged records are missing from the lake");
                counter!("calltide_lake_damaged_records_total", "table" => def.name).increment(to - from);
            }
            count += batch.records.len();
            for record in batch.records {
                self.push(partition, record)?;
            }
        }
        Ok(count)
    }

    pub(super) fn push(&mut self, partition: Partition, read: ReadRecord) -> Result<()> {
        if self.is_repeated(&read.record)? {
            return Ok(());
        }
        self.pending_rows += 1;
        self.pending_since.get_or_insert_with(|| self.lake.now());
        match &mut self.pending {
            Pending::Archive(archive) => archive.push(partition, &read),
            Pending::Facts { facts, .. } => {
                let record = read.record;
                facts.push(Fact { partition, offset: read.offset, key: record.key, payload: record.payload });
                Ok(())
            }
        }
    }

    fn is_repeated(&mut self, record: &Record) -> Result<bool> {
        let (Some(journals), Some((journal, offset))) = (&mut self.journals, &record.journal) else { return Ok(false) };
        if journals.is_unknown(journal) {
            journals.found(journal, self.lake.wait(self.table.journal_end(journal))?);
        }
        Ok(!journals.advance(journal, *offset))
    }

    /// Bytes of memory that the waiting rows take.
    pub fn pending_bytes(&self) -> usize {
        match &self.pending {
            Pending::Facts { facts, .. } => facts.bytes(),
            Pending::Archive(archive) => archive.bytes(),
        }
    }

    /// Since when the oldest waiting row waits.
    pub fn pending_since(&self) -> Option<Micros> {
        self.pending_since
    }

    /// Whether every partition was read up to these ends (exclusive).
    pub fn reached(&self, ends: &BTreeMap<Partition, Offset>) -> bool {
        ends.iter().all(|(partition, end)| self.partitions.get(partition).is_none_or(|p| p.next >= *end))
    }

    /// The first offset of each partition that the table does not have.
    pub fn stored(&self) -> BTreeMap<Partition, Offset> {
        let next = |at: &Progress| at.stored.and_then(|stored| u64::try_from(stored).ok()).unwrap_or(0);
        self.partitions.iter().map(|(partition, at)| (*partition, next(at))).collect()
    }

    /// The ends of the partitions that it reads, as of now.
    pub fn ends(&self, log: &dyn EventLog) -> Result<BTreeMap<Partition, Offset>> {
        if self.partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let ends = log.ends(&[self.table.def.topic])?;
        Ok((0..).zip(ends.into_iter().flatten()).collect())
    }

    /// Commits everything that was read, if anything was: the rows are in the table when this returns.
    pub fn flush(&mut self) -> Result<()> {
        let progress: Vec<_> =
            self.partitions.iter().filter_map(|(p, at)| at.unsaved().map(|next| (*p, next))).collect();
        if !progress.is_empty() {
            self.commit(&progress)?;
        }
        Ok(())
    }

    /// Commits the waiting rows together with this progress.
    pub(super) fn commit(&mut self, progress: &[(Partition, i64)]) -> Result<()> {
        let lake = self.lake.clone();
        let begun = lake.now();
        lake.wait(self.commit_now(progress))?;
        for (partition, next) in progress {
            if let Some(at) = self.partitions.get_mut(partition) {
                at.stored = Some(*next);
            }
        }
        if let Some(journals) = &mut self.journals {
            journals.saved();
        }
        let name = self.table.def.name;
        counter!("calltide_lake_rows_total", "table" => name).increment(self.pending_rows);
        counter!("calltide_lake_commits_total", "table" => name).increment(1);
        #[expect(clippy::cast_precision_loss, reason = "seconds of a commit fit a float's precision")]
        histogram!("calltide_lake_commit_seconds", "table" => name).record((lake.now() - begun) as f64 / 1e6);
        (self.pending_since, self.pending_rows) = (None, 0);
        Ok(())
    }

    /// Merges the small files of the day that has most, if it has too many. Returns whether it did.
    pub fn compact(&mut self) -> Result<bool> {
        Ok(self.merge(SMALL_FILES_MAX, SMALL_FILES_MAX, false)?.files > 0)
    }

    /// Merges the small files of the day that has most, if it has more than this: today, or a day before.
    pub(super) fn merge(&mut self, past: usize, today: usize, dry_run: bool) -> Result<Done> {
        let lake = self.lake.clone();
        // Not on top of others' commits: those have to pass the fence first.
        lake.wait(self.check_fence())?;
        let this_day = Day::of(lake.now()).name();
        let mut merges = merges(&self.table, |day| if day < this_day.as_str() { past } else { today });
        if !dry_run {
            let most = (0..merges.len()).max_by_key(|n| merges[*n].files.len());
            merges = most.map(|n| merges.swap_remove(n)).into_iter().collect();
            if let Some(merge) = merges.first()
                && lake.wait(compact(&mut self.table, merge))? == Committed::Overtaken
            {
                merges.clear();
            }
            self.seen = self.table.version();
        }
        Ok(self.done("merged", merges.iter().flat_map(|merge| &merge.files), false))
    }

    /// Drops all days before this one, in one commit.
    pub(super) fn retire(&mut self, before: Day, dry_run: bool) -> Result<Done> {
        let lake = self.lake.clone();
        let first_kept = before.name();
        for _ in 0..ATTEMPTS {
            lake.wait(self.check_fence())?;
            let mut files = self.table.files();
            files.retain(|file| file.day < first_kept);
            let done = self.done("dropped", files.iter(), true);
            if dry_run || files.is_empty() {
                return Ok(done);
            }
            let actions = files.iter().map(|file| Action::Remove(self.table.remove(file, true))).collect();
            let operation = DeltaOperation::Delete { predicate: Some(format!("{DAY} < '{first_kept}'")) };
            if lake.wait(self.table.commit(actions, &[], operation))? == Committed::Yes {
                self.seen = self.table.version();
                tracing::info!(
                    table = done.table,
                    before = first_kept,
                    rows = done.rows,
                    "dropped days that are too old"
                );
                return Ok(done);
            }
        }
        Err(LakeError::Contended { table: self.table.def.name, attempts: ATTEMPTS })
    }

    /// Writes a checkpoint of the newest version, if that has none.
    pub(super) fn checkpoint(&mut self, dry_run: bool) -> Result<Done> {
        let lake = self.lake.clone();
        lake.wait(self.check_fence())?;
        if lake.wait(self.table.checkpoint())? == Some(self.table.version()) {
            return Ok(self.done("checkpointed", std::iter::empty(), false));
        }
        if !dry_run {
            lake.wait(self.table.write_checkpoint())?;
        }
        Ok(self.done("checkpointed", self.table.files().iter(), false))
    }

    fn done<'a>(&self, what: &'static str, files: impl Iterator<Item = &'a LakeFile>, gone: bool) -> Done {
        let empty = Done { table: Some(self.table.def.name), what, ..Done::default() };
        files.fold(empty, |done, file| Done {
            files: done.files + 1,
            rows: done.rows + if gone { file.rows } else { 0 },
            bytes: done.bytes + file.size,
            ..done
        })
    }

    /// Makes the same table of another generation this one's content, with its progress.
    pub(super) fn carry_over(&mut self, generation: &str, partitions: u32) -> Result<()> {
        let lake = self.lake.clone();
        let from = lake.table(self.table.def, generation)?;
        lake.wait(self.table.take_over(&from, partitions))?;
        self.seen = self.table.version();
        tracing::info!(table = self.table.def.name, generation, "carried over");
        Ok(())
    }

    /// Adds rows that are in no topic, each key new, in one commit: a file per day.
    pub(super) fn add_rows(&mut self, rows: &RecordBatch) -> Result<()> {
        let lake = self.lake.clone();
        let mut actions = Vec::new();
        for piece in by_day(self.table.def, rows)? {
            let mut file = FileWriter::new(&self.table.layout)?;
            file.write(&piece.rows)?;
            actions.push(Action::Add(lake.wait(self.table.put(&piece.day.name(), file.finish()?))?));
        }
        lake.wait(self.commit_appended(&actions, &[]))
    }

    async fn commit_now(&mut self, progress: &[(Partition, i64)]) -> Result<()> {
        match &mut self.pending {
            Pending::Archive(archive) => {
                let mut adds = Vec::new();
                while let Some((day, file)) = archive.finish_next()? {
                    adds.push(Action::Add(self.table.put(&day.name(), file).await?));
                }
                self.commit_appended(&adds, progress).await
            }
            Pending::Facts { key, facts } => {
                let (key, latest) = (*key, facts.latest(self.table.layout.schema())?);
                self.commit_latest(key, latest, progress).await?;
                self.pending = Pending::new(&self.table);
                Ok(())
            }
        }
    }

    /// Events replace nothing, so their files stay good however often the commit has to be tried.
    async fn commit_appended(&mut self, adds: &[Action], progress: &[(Partition, i64)]) -> Result<()> {
        for _ in 0..ATTEMPTS {
            self.check_fence().await?;
            if self.try_commit(adds.to_vec(), progress).await? == Committed::Yes {
                return Ok(());
            }
        }
        Err(LakeError::Contended { table: self.table.def.name, attempts: ATTEMPTS })
    }

    async fn commit_latest(&mut self, key: &'static str, latest: Latest, progress: &[(Partition, i64)]) -> Result<()> {
        for _ in 0..ATTEMPTS {
            self.check_fence().await?;
            let days = days(self.table.def, &latest.rows)?.into_iter().collect::<FxHashSet<_>>();
            let days = days.into_iter().map(Day::name).collect();
            let Replaced { mut actions, stale } = replace(&mut self.table, key, &latest.supersede, &days).await?;
            for piece in by_day(self.table.def, &latest.fresh(key, &stale)?)? {
                let mut file = FileWriter::new(&self.table.layout)?;
                file.write(&piece.rows)?;
                actions.push(Action::Add(self.table.put(&piece.day.name(), file.finish()?).await?));
            }
            if self.try_commit(actions, progress).await? == Committed::Yes {
                return Ok(());
            }
        }
        Err(LakeError::Contended { table: self.table.def.name, attempts: ATTEMPTS })
    }

    async fn try_commit(&mut self, actions: Vec<Action>, progress: &[(Partition, i64)]) -> Result<Committed> {
        let bytes: i64 = actions.iter().map(added_bytes).sum();
        let operation = if actions.iter().any(|action| matches!(action, Action::Remove(_))) {
            DeltaOperation::Update { predicate: None }
        } else {
            DeltaOperation::Write { mode: SaveMode::Append, partition_by: Some(vec![DAY.to_owned()]), predicate: None }
        };
        let topic = self.table.def.topic;
        let partitions = progress.iter().map(|(partition, next)| (txn_app_id(topic, *partition), *next));
        let journals = self.journals.iter().flat_map(Journals::unsaved);
        let journals = journals.map(|(journal, end)| (txn_app_id_of_journal(journal), end));
        let txns: Vec<_> = partitions.chain(journals).collect();
        let committed = self.table.commit(actions, &txns, operation).await?;
        if committed == Committed::Yes {
            self.seen = self.table.version();
            counter!("calltide_lake_bytes_total", "table" => self.table.def.name)
                .increment(u64::try_from(bytes).unwrap_or_default());
        }
        Ok(committed)
    }

    /// Others' commits since the last look may include those of another writer of this table: then its offsets have moved.
    /// deltalake itself only notices a writer that commits at the same moment.
    async fn check_fence(&mut self) -> Result<()> {
        self.table.refresh().await?;
        if self.table.version() == self.seen {
            return Ok(());
        }
        for (partition, at) in &self.partitions {
            let found = self.table.progress(*partition).await?;
            if found != at.stored {
                return Err(LakeError::Fenced {
                    table: self.table.def.name,
                    partition: *partition,
                    found,
                    expected: at.stored,
                });
            }
        }
        self.seen = self.table.version();
        Ok(())
    }
}

impl Progress {
    fn unsaved(&self) -> Option<i64> {
        let next = i64::try_from(self.next).ok()?;
        let stored = self.stored.unwrap_or_default();
        (next > stored).then_some(next)
    }
}

impl Pending {
    fn new(table: &LakeTable) -> Self {
        match table.def.key {
            Some(key) => Self::Facts { key, facts: Facts::new(table.def, key) },
            None => Self::Archive(Box::new(Archive::new(table.def, table.layout.clone()))),
        }
    }
}

fn added_bytes(action: &Action) -> i64 {
    if let Action::Add(add) = action { add.size } else { 0 }
}
