//! Which rows of the lake a commit replaces, and the files without them.
//!
//! A key has at most one row in the lake, in whichever day it once belonged to, so it is looked for by key: files are passed
//! over by their key bounds, row groups by their bloom filters, and the search ends when every key was found.
//! Most often that is the newest file: a call's second version comes seconds after its first. First versions are looked
//! for in their own days only: hardly any is there, and no other day may be opened for them.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use calltide_schemas::tables::TableDef;
use deltalake_core::kernel::Action;
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use rustc_hash::{FxHashMap, FxHashSet};

use super::facts::{Supersede, int, text};
use super::file::FileWriter;
use super::table::{LakeFile, LakeTable};
use super::{LakeError, Result};

/// What has to happen to the lake's present rows.
#[derive(Default)]
pub(super) struct Replaced {
    /// Files to remove, and the same files without the replaced rows to add.
    pub(super) actions: Vec<Action>,
    /// Keys of which the lake already holds the same or a later version.
    pub(super) stale: FxHashSet<String>,
}

/// Finds the rows that are superseded and writes their files anew. `days` are those of the new rows, looked into first.
pub(super) async fn replace(
    table: &mut LakeTable,
    key: &'static str,
    supersede: &FxHashMap<String, Supersede>,
    days: &FxHashSet<String>,
) -> Result<Replaced> {
    let mut replaced = Replaced::default();
    let mut missing: FxHashMap<&str, Supersede> = supersede.iter().map(|(k, s)| (k.as_str(), *s)).collect();
    let mut files = if missing.is_empty() { Vec::new() } else { table.files() };
    files.sort_by_key(|file| !days.contains(&file.day));
    for file in &files {
        if missing.is_empty() {
            break;
        }
        let own_day = days.contains(&file.day);
        if !own_day && missing.values().all(|supersede| matches!(supersede, Supersede::Again(_))) {
            break;
        }
        let found = find(table, file, key, &missing, own_day).await?;
        let mut gone = FxHashSet::default();
        for (found, version) in found {
            let keys = match missing.remove(found.as_str()) {
                Some(Supersede::UpTo(new) | Supersede::Again(new)) if version > new => &mut replaced.stale,
                Some(Supersede::UpTo(_) | Supersede::Again(_) | Supersede::Any) => &mut gone,
                None => continue,
            };
            keys.insert(found);
        }
        if !gone.is_empty() {
            replaced.actions.extend(without(table, file, key, &gone).await?);
        }
    }
    Ok(replaced)
}

/// The keys that a file holds, of those wanted, with their versions. First versions are not looked for outside of their days.
async fn find(
    table: &LakeTable,
    file: &LakeFile,
    key: &'static str,
    wanted: &FxHashMap<&str, Supersede>,
    own_day: bool,
) -> Result<Vec<(String, i64)>> {
    let (min, max) = file.key_bounds(key);
    let inside = |k: &str| min.as_deref().is_none_or(|min| k >= min) && max.as_deref().is_none_or(|max| k <= max);
    let here = |supersede: &Supersede| own_day || !matches!(supersede, Supersede::Again(_));
    let candidates: Vec<&str> =
        wanted.iter().filter(|(k, supersede)| here(supersede) && inside(k)).map(|(k, _)| *k).collect();
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let mut builder = ParquetRecordBatchStreamBuilder::new(table.reader(file)).await?;
    let column = builder.parquet_schema().columns().iter().position(|c| c.name() == key);
    let column = column.ok_or_else(|| LakeError::Column { column: key.to_owned() })?;
    let mut groups = Vec::new();
    for group in 0..builder.metadata().num_row_groups() {
        let bloom = builder.get_row_group_column_bloom_filter(group, column).await?;
        if bloom.is_none_or(|bloom| candidates.iter().any(|k| bloom.check(*k))) {
            groups.push(group);
        }
    }
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let projection = ProjectionMask::columns(builder.parquet_schema(), [key, "version"]);
    let mut batches = builder.with_row_groups(groups).with_projection(projection).build()?;
    let mut found = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        let (keys, versions) = (text(&batch, key)?, int(&batch, "version")?);
        let hits = keys.iter().zip(versions.values()).filter_map(|(k, version)| Some((k?, *version)));
        found.extend(hits.filter(|(k, _)| wanted.contains_key(k)).map(|(k, version)| (k.to_owned(), version)));
    }
    Ok(found)
}

/// The file without some keys' rows. The others keep their order; a few thousand are in memory at a time.
async fn without(
    table: &mut LakeTable,
    file: &LakeFile,
    key: &'static str,
    gone: &FxHashSet<String>,
) -> Result<Vec<Action>> {
    let mut batches = ParquetRecordBatchStreamBuilder::new(table.reader(file)).await?.build()?;
    let mut writer = FileWriter::new(&table.layout)?;
    let mut rows_left = 0;
    while let Some(batch) = batches.try_next().await? {
        let stays = text(&batch, key)?.iter().map(|k| Some(!k.is_some_and(|k| gone.contains(k))));
        let rest = filter_record_batch(&batch, &stays.collect::<BooleanArray>())?;
        rows_left += rest.num_rows();
        writer.write(&as_now(&rest, table.def, table.layout.schema())?)?;
    }
    let mut actions = vec![Action::Remove(table.remove(file, true))];
    if rows_left > 0 {
        actions.push(Action::Add(table.put(&file.day, writer.finish()?).await?));
    }
    Ok(actions)
}

/// A batch of an older file in the columns that the table has now: those that were added later are null.
pub(super) fn as_now(batch: &RecordBatch, def: &TableDef, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = def.columns.iter().zip(schema.fields()).map(|(column, field)| {
        batch
            .column_by_name(column.name)
            .map_or_else(|| new_null_array(field.data_type(), batch.num_rows()), Arc::clone)
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect())?)
}
