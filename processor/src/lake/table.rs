//! One Delta table: its folder, its newest snapshot, and the one way to commit to it.
//!
//! Deletion vectors and column mapping stay off: both make scans single-threaded.
//! Whether a commit may still be made is decided by the caller on the very snapshot that it will extend.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use calltide_schemas::lake::{txn_app_id, txn_app_id_of_journal};
use calltide_schemas::tables::{DAY, TableDef};
use deltalake_core::checkpoints::{cleanup_expired_logs_for, create_checkpoint};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake_core::kernel::{Action, Add, LogicalFileView, Remove, StructField, Transaction, Version};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTable, DeltaTableBuilder, DeltaTableError, TableProperty};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use super::file::{FileLayout, FinishedFile, stats_columns};
use super::read::FileReader;
use super::{Clock, LakeError, Result};

/// Commits between checkpoints, each of which spares a reader that many small files.
const CHECKPOINT_COMMITS: u64 = 50;

/// What a commit's name is under in its `commitInfo`.
const COMMIT_NAME: &str = "calltideCommit";

/// How long entries of a table's log outlive the checkpoint after them: as the table's own property says.
const LOG_KEPT_MS: i64 = 2 * 24 * 60 * 60 * 1000;

/// An open table.
pub(super) struct LakeTable {
    pub(super) def: &'static TableDef,
    pub(super) layout: FileLayout,
    log_store: LogStoreRef,
    /// Paths are from the table's folder.
    files: Arc<dyn ObjectStore>,
    /// Paths are from the root of the store; the table's folder there.
    store: Arc<dyn ObjectStore>,
    folder: Path,
    state: DeltaTableState,
    clock: Clock,
    /// Makes names of files and commits of two writers differ, should there ever be two.
    nonce: u64,
    files_made: u64,
    commits_made: u64,
}

/// A file of the snapshot.
pub(super) struct LakeFile {
    view: LogicalFileView,
    /// Its partition.
    pub(super) day: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Its rows.
    pub(super) rows: u64,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Committed {
    /// The table has it.
    Yes,
    /// Somebody else's commit came first: look again, decide again.
    Overtaken,
}

impl LakeTable {
    /// Opens the table at `url`, of whose host the store is the root; creates it if it isn't there, adds columns that it lacks.
    pub(super) async fn open(
        def: &'static TableDef,
        store: Arc<dyn ObjectStore>,
        url: Url,
        clock: Clock,
    ) -> Result<Self> {
        let failed = |source| LakeError::delta(def.name, source);
        let log_store = at(&store, &url).map_err(failed)?.log_store();
        let made = match create(def, Arc::clone(&log_store)).await {
            // Somebody else was faster.
            Err(DeltaTableError::Transaction { .. }) => create(def, log_store).await,
            made => made,
        };
        let table = made.map_err(failed)?;
        let table = add_missing_columns(def, table).await.map_err(failed)?;
        Self::over(def, store, &url, clock, &table)
    }

    /// The table at `url` as it is there; `None`: nothing was ever written to it.
    pub(super) async fn look(
        def: &'static TableDef,
        store: Arc<dyn ObjectStore>,
        url: Url,
        clock: Clock,
    ) -> Result<Option<Self>> {
        let failed = |source| LakeError::delta(def.name, source);
        let mut table = at(&store, &url).map_err(failed)?;
        if !table.log_store().is_delta_table_location().await.map_err(failed)? {
            return Ok(None);
        }
        match table.load().await {
            Ok(()) => Self::over(def, store, &url, clock, &table).map(Some),
            Err(DeltaTableError::NotATable(_)) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn over(
        def: &'static TableDef,
        store: Arc<dyn ObjectStore>,
        url: &Url,
        clock: Clock,
        table: &DeltaTable,
    ) -> Result<Self> {
        let failed = |source| LakeError::delta(def.name, source);
        let folder = Path::from_url_path(url.path()).map_err(|_| LakeError::Root { root: url.to_string() })?;
        let state = table.snapshot().map_err(failed)?.clone();
        let layout = FileLayout::new(def, file_schema(def, &state))?;
        let log_store = table.log_store();
        Ok(Self {
            def,
            layout,
            files: log_store.object_store(None),
            log_store,
            store,
            folder,
            state,
            clock,
            nonce: RandomState::new().hash_one(0_u8),
            files_made: 0,
            commits_made: 0,
        })
    }

    /// Catches up with commits of others.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        self.state.update(self.log_store.as_ref(), None).await.map_err(|e| LakeError::delta(self.def.name, e))
    }

    pub(super) fn version(&self) -> Version {
        self.state.version()
    }

    /// Up to which offset (exclusive) a partition of its topic is in the table, by the snapshot.
    pub(super) async fn progress(&self, partition: u32) -> Result<Option<i64>> {
        self.transaction(txn_app_id(self.def.topic, partition)).await
    }

    /// Up to which of its offsets (inclusive) a journal is in the table, by the snapshot.
    pub(super) async fn journal_end(&self, journal: &str) -> Result<Option<i64>> {
        self.transaction(txn_app_id_of_journal(journal)).await
    }

    async fn transaction(&self, id: String) -> Result<Option<i64>> {
        let found = self.state.transaction_version(self.log_store.as_ref(), id).await;
        found.map_err(|e| LakeError::delta(self.def.name, e))
    }

    /// The snapshot's files, newest first.
    pub(super) fn files(&self) -> Vec<LakeFile> {
        let mut files: Vec<_> = self.state.log_data().iter().map(LakeFile::new).collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.view.modification_time()));
        files
    }

    /// Writes a file into its partition. Nobody sees it before the commit that adds it; if that never comes, it is an
    /// orphan that the vacuum removes.
    pub(super) async fn put(&mut self, day: &str, file: FinishedFile) -> Result<Add> {
        self.files_made += 1;
        let path =
            format!("{DAY}={day}/part-{:08}-{:016x}-{}.parquet", self.version() + 1, self.nonce, self.files_made);
        let size = i64::try_from(file.bytes.len()).unwrap_or(i64::MAX);
        self.files.put(&Path::from(path.as_str()), file.bytes.into()).await?;
        Ok(Add {
            path,
            partition_values: HashMap::from([(DAY.to_owned(), Some(day.to_owned()))]),
            size,
            modification_time: self.now_ms(),
            data_change: true,
            stats: Some(file.stats),
            ..Add::default()
        })
    }

    /// Reads a file of the snapshot.
    pub(super) fn reader(&self, file: &LakeFile) -> FileReader {
        FileReader { store: Arc::clone(&self.files), path: file.view.object_store_path(), size: file.size }
    }

    /// Takes a file out of the table; readers of older snapshots still find it until the vacuum.
    pub(super) fn remove(&self, file: &LakeFile, data_change: bool) -> Remove {
        Remove { deletion_timestamp: Some(self.now_ms()), ..file.view.remove_action(data_change) }
    }

    /// Extends the snapshot by one commit, or reports that it isn't the newest any more.
    /// A store whose answer got lost is asked again by its client, and then refuses what it has already: such a commit is
    /// recognised by its name.
    pub(super) async fn commit(
        &mut self,
        actions: Vec<Action>,
        txns: &[(String, i64)],
        operation: DeltaOperation,
    ) -> Result<Committed> {
        self.commits_made += 1;
        let name = format!("{:016x}-{}", self.nonce, self.commits_made);
        let now_ms = self.now_ms();
        let txns = txns.iter().map(|(id, version)| Transaction::new_with_last_update(id, *version, Some(now_ms)));
        // Old log files are looked for only where a checkpoint may have made some superfluous.
        let cleanup = (self.version() + 2).is_multiple_of(CHECKPOINT_COMMITS);
        let properties = CommitProperties::default()
            .with_metadata([(COMMIT_NAME.to_owned(), name.clone().into())])
            .with_max_retries(0)
            .with_cleanup_expired_logs(Some(cleanup))
            .with_application_transactions(txns.collect());
        let commit = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.state), Arc::clone(&self.log_store), operation)
            .await;
        match commit {
            Ok(commit) => {
                self.state = commit.snapshot;
                Ok(Committed::Yes)
            }
            Err(DeltaTableError::Transaction { source: TransactionError::MaxCommitAttempts(_) }) => {
                if !self.next_commit_is(&name).await? {
                    return Ok(Committed::Overtaken);
                }
                // No further: what others did after it is for the fence.
                let version = Some(self.version() + 1);
                let updated = self.state.update(self.log_store.as_ref(), version).await;
                updated.map_err(|e| LakeError::delta(self.def.name, e))?;
                Ok(Committed::Yes)
            }
            Err(error) => Err(LakeError::delta(self.def.name, error)),
        }
    }

    /// Whether the commit after the snapshot is the one of that name.
    async fn next_commit_is(&self, name: &str) -> Result<bool> {
        let next = self.log_store.read_commit_entry(self.version() + 1).await;
        let next = next.map_err(|e| LakeError::delta(self.def.name, e))?;
        Ok(next.is_some_and(|actions| memchr::memmem::find(&actions, name.as_bytes()).is_some()))
    }

    /// Adds the other table's files as they are, with its progress.
    pub(super) async fn take_over(&mut self, from: &Self, partitions: u32) -> Result<()> {
        let mut actions = Vec::new();
        for file in from.files() {
            let path = file.view.object_store_path();
            let inside = |folder: &Path| Path::from_iter(folder.parts().chain(path.parts()));
            self.store.copy(&inside(&from.folder), &inside(&self.folder)).await?;
            actions.push(Action::Add(file.added_elsewhere(self.now_ms())));
        }
        let mut progress = Vec::new();
        for partition in 0..partitions {
            let next = from.progress(partition).await?;
            progress.extend(next.map(|next| (txn_app_id(self.def.topic, partition), next)));
        }
        let operation =
            DeltaOperation::Write { mode: SaveMode::Append, partition_by: Some(vec![DAY.to_owned()]), predicate: None };
        match self.commit(actions, &progress, operation).await? {
            Committed::Yes => Ok(()),
            Committed::Overtaken => Err(LakeError::Contended { table: self.def.name, attempts: 1 }),
        }
    }

    /// The table as deltalake's own operations want it, at its newest version.
    pub(super) async fn delta(&self) -> Result<DeltaTable> {
        let mut table = DeltaTable::new(Arc::clone(&self.log_store));
        table.load().await.map_err(|e| LakeError::delta(self.def.name, e))?;
        Ok(table)
    }

    /// Removes entries of the table's log that a checkpoint has made superfluous, two days after; returns how many went.
    pub(super) async fn forget_log(&self) -> Result<usize> {
        let before = self.now_ms() - LOG_KEPT_MS;
        cleanup_expired_logs_for(self.version(), self.log_store.as_ref(), before, None)
            .await
            .map_err(|e| LakeError::delta(self.def.name, e))
    }

    /// Writes a checkpoint of the newest version.
    pub(super) async fn write_checkpoint(&self) -> Result<()> {
        create_checkpoint(&self.delta().await?, None).await.map_err(|e| LakeError::delta(self.def.name, e))
    }

    /// The version of the newest checkpoint, if there is one.
    pub(super) async fn checkpoint(&self) -> Result<Option<Version>> {
        #[derive(serde::Deserialize)]
        struct Hint {
            version: Version,
        }
        let hint = match self.files.get(&Path::from("_delta_log/_last_checkpoint")).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(serde_json::from_slice::<Hint>(&hint).ok().map(|hint| hint.version))
    }

    pub(super) fn now_ms(&self) -> i64 {
        (self.clock)().0.div_euclid(1000)
    }
}

impl LakeFile {
    fn new(view: LogicalFileView) -> Self {
        let day = view.partition_values_map().remove(DAY).flatten().unwrap_or_default();
        let rows = view.num_records().and_then(|rows| u64::try_from(rows).ok()).unwrap_or_default();
        Self { day, size: u64::try_from(view.size()).unwrap_or_default(), rows, view }
    }

    /// Whether a key may be in it, by its smallest and largest; unknown bounds exclude nothing.
    pub(super) fn key_bounds(&self, key: &str) -> (Option<String>, Option<String>) {
        let stats = self.view.stats().and_then(|json| serde_json::from_str::<serde_json::Value>(&json).ok());
        let bound = |which: &str| stats.as_ref()?.get(which)?.get(key)?.as_str().map(str::to_owned);
        (bound("minValues"), bound("maxValues"))
    }

    /// The `Add` of the same file in another table.
    pub(super) fn added_elsewhere(&self, now_ms: i64) -> Add {
        Add {
            path: self.view.path().into_owned(),
            partition_values: self.view.partition_values_map(),
            size: self.view.size(),
            modification_time: now_ms,
            data_change: true,
            stats: self.view.stats(),
            ..Add::default()
        }
    }
}

/// The table at a URL, of whose host the store is the root; nothing is read yet.
fn at(store: &Arc<dyn ObjectStore>, url: &Url) -> std::result::Result<DeltaTable, DeltaTableError> {
    DeltaTableBuilder::from_url(url.clone())?.with_storage_backend(Arc::clone(store), url.clone()).build()
}

async fn create(def: &'static TableDef, log_store: LogStoreRef) -> std::result::Result<DeltaTable, DeltaTableError> {
    CreateBuilder::new()
        .with_log_store(log_store)
        .with_table_name(def.name)
        .with_comment(def.doc)
        .with_columns(delta_fields(def)?)
        .with_partition_columns([DAY])
        .with_configuration_property(TableProperty::CheckpointInterval, Some(CHECKPOINT_COMMITS.to_string()))
        .with_configuration_property(TableProperty::DataSkippingStatsColumns, Some(stats_columns(def).join(",")))
        // A reader that has listed the log is done long before; more would make every listing slower.
        .with_configuration_property(TableProperty::LogRetentionDuration, Some("interval 2 days"))
        .with_configuration_property(TableProperty::DeletedFileRetentionDuration, Some("interval 1 days"))
        .with_save_mode(SaveMode::Ignore)
        .await
}

/// The columns of the table and [`DAY`], which is in the path.
fn delta_fields(def: &TableDef) -> std::result::Result<Vec<StructField>, DeltaTableError> {
    let comment = HashMap::from([("comment".to_owned(), format!("the UTC date of {}", def.day_of))]);
    let day = Field::new(DAY, DataType::Utf8, false).with_metadata(comment);
    let schema = def.arrow_schema();
    let fields = schema.fields().iter().map(|field| field.as_ref().try_into_kernel());
    Ok(fields.chain([(&day).try_into_kernel()]).collect::<std::result::Result<Vec<_>, _>>()?)
}

async fn add_missing_columns(
    def: &'static TableDef,
    table: DeltaTable,
) -> std::result::Result<DeltaTable, DeltaTableError> {
    let present = table.snapshot()?.snapshot().arrow_schema();
    let mut missing = delta_fields(def)?;
    missing.retain(|field| present.index_of(field.name()).is_err());
    if missing.is_empty() {
        return Ok(table);
    }
    tracing::info!(table = def.name, columns = ?missing.iter().map(StructField::name).collect::<Vec<_>>(), "adding columns");
    for field in &mut missing {
        // Rows that are already there have no value for it.
        field.nullable = true;
    }
    table.add_columns().with_fields(missing).await
}

/// The schema of the table's files: a column that was added later is nullable there, whatever its definition says.
fn file_schema(def: &TableDef, state: &DeltaTableState) -> SchemaRef {
    let present = state.snapshot().arrow_schema();
    let schema = def.arrow_schema();
    let fields = schema.fields().iter().map(|field| {
        let nullable = present.field_with_name(field.name()).is_ok_and(Field::is_nullable);
        field.as_ref().clone().with_nullable(nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
