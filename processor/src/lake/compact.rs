//! Many small files of a day become one: the same rows, sorted anew, in a commit that changes no data.
//!
//! It is done inside the table's one writer, right after a commit of its own and by [`super::upkeep`]. If somebody else
//! commits meanwhile, the merged file is left to the vacuum and it is tried again another time.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use deltalake_core::kernel::Action;
use deltalake_core::protocol::DeltaOperation;
use futures::TryStreamExt;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use super::Result;
use super::file::FileWriter;
use super::replace::as_now;
use super::sorted::by_day;
use super::table::{Committed, LakeFile, LakeTable};

/// A day may have this many small files before they are merged: with a commit every 30 seconds, every eight minutes.
pub(super) const SMALL_FILES_MAX: usize = 16;

/// What is small, and how much is merged at once (compressed bytes).
struct Sizes {
    small: u64,
    merged: u64,
}

/// Sorted tables are sorted in memory, where rows take some ten times of what they take on disk.
const SORTED: Sizes = Sizes { small: 4 << 20, merged: 16 << 20 };

/// The archive is copied as a stream; only the new file itself is in memory.
const UNSORTED: Sizes = Sizes { small: 32 << 20, merged: 64 << 20 };

/// The small files of one day that are to be one.
pub(super) struct Merge {
    day: String,
    pub(super) files: Vec<LakeFile>,
    target: u64,
}

/// Each day's small files, where there are more of them than `files_max` says for that day.
pub(super) fn merges(table: &LakeTable, files_max: impl Fn(&str) -> usize) -> Vec<Merge> {
    let sizes = if table.def.sort.is_empty() { UNSORTED } else { SORTED };
    let mut days: BTreeMap<String, Vec<LakeFile>> = BTreeMap::new();
    for file in table.files().into_iter().filter(|file| file.size < sizes.small) {
        days.entry(file.day.clone()).or_default().push(file);
    }
    days.retain(|day, files| files.len() > files_max(day).max(1));
    let merge = |(day, mut files): (_, Vec<LakeFile>)| {
        files.sort_by_key(|file| file.size);
        let mut left = sizes.merged;
        files.retain(|file| {
            left = left.saturating_sub(file.size);
            left > 0
        });
        Merge { day, files, target: sizes.merged }
    };
    days.into_iter().map(merge).collect()
}

/// Merges them, in one commit that changes no row.
pub(super) async fn compact(table: &mut LakeTable, merge: &Merge) -> Result<Committed> {
    let Merge { day, files, target } = merge;
    let mut writer = FileWriter::new(&table.layout)?;
    if table.def.sort.is_empty() {
        copy(table, files, |batch| writer.write(&batch)).await?;
    } else {
        let mut batches = Vec::new();
        copy(table, files, |batch| {
            batches.push(batch);
            Ok(())
        })
        .await?;
        let rows = concat_batches(table.layout.schema(), &batches)?;
        drop(batches);
        for piece in by_day(table.def, &rows)? {
            writer.write(&piece.rows)?;
        }
    }
    let mut actions: Vec<_> = files.iter().map(|file| Action::Remove(table.remove(file, false))).collect();
    let mut add = table.put(day, writer.finish()?).await?;
    add.data_change = false;
    actions.push(Action::Add(add));
    let target_size = i64::try_from(*target).unwrap_or(i64::MAX);
    let committed = table.commit(actions, &[], DeltaOperation::Optimize { predicate: None, target_size }).await?;
    tracing::debug!(table = table.def.name, day, files = files.len(), ?committed, "merged small files");
    Ok(committed)
}

async fn copy(table: &LakeTable, files: &[LakeFile], mut each: impl FnMut(RecordBatch) -> Result<()>) -> Result<()> {
    for file in files {
        let mut batches = ParquetRecordBatchStreamBuilder::new(table.reader(file)).await?.build()?;
        while let Some(batch) = batches.try_next().await? {
            each(as_now(&batch, table.def, table.layout.schema())?)?;
        }
    }
    Ok(())
}
