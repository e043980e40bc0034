//! The lake as a reader sees it: which generation is in use, which files a table has, and up to which offsets they go.
//!
//! deltalake is asked for snapshots only; [`super::scan`] reads the files. Snapshots are kept and brought up to date by the
//! commits that came since. It knows nothing of the log's records: [`super::tail`] has those.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;

use calltide_eventlog::Offset;
use calltide_schemas::lake::{CURRENT, txn_app_id};
use calltide_schemas::tables::{DAY, TableDef};
use deltalake_core::table::builder::DeltaTableBuilder;
use deltalake_core::{DeltaTable, DeltaTableError};
use object_store::path::Path as StorePath;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::QueryError;
use super::store::LakePlace;

/// One table of the lake at one version.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Its files, their paths relative to the lake's root.
    pub(super) files: Vec<LakeFile>,
    /// Per partition of the table's topic, the first offset that is not in the files.
    pub(super) next: Vec<Offset>,
}

/// One Parquet file.
#[derive(Debug, Clone)]
pub(super) struct LakeFile {
    /// Where it is, and its size.
    pub(super) meta: ObjectMeta,
    /// The UTC day of its rows, `YYYY-MM-DD`.
    pub(super) day: String,
}

/// The lake's tables, as far as they were asked for.
pub(super) struct Lake {
    place: LakePlace,
    generation: String,
    opened: HashMap<&'static str, Opened>,
}

struct Opened {
    table: DeltaTable,
    version: Option<u64>,
    snapshot: Arc<Snapshot>,
}

impl Lake {
    pub(super) fn new(place: LakePlace) -> Self {
        Self { place, generation: String::new(), opened: HashMap::new() }
    }

    /// Finds out which generation is in use; to be called once per query, before its snapshots. False: there is no lake yet.
    pub(super) async fn find_generation(&mut self) -> Result<bool, QueryError> {
        let unusable = |source| QueryError::Io { what: format!("cannot read the lake's {CURRENT}"), source };
        let (_, path) = self.place.within(CURRENT).ok_or_else(|| unusable(ErrorKind::InvalidInput.into()))?;
        let found = async { self.place.store().get(&path).await?.bytes().await };
        let text = match found.await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(object_store::Error::NotFound { .. }) => {
                if !self.place.is_there().await.map_err(|error| unusable(error.into()))? {
                    let url = self.place.url();
                    return Err(unusable(std::io::Error::other(format!("there is no bucket or container for {url}"))));
                }
                String::new()
            }
            Err(error) => return Err(unusable(error.into())),
        };
        let name = text.trim();
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(unusable(std::io::Error::other(format!("`{name}` is not the name of a generation"))));
        }
        if name != self.generation {
            self.opened.clear();
            name.clone_into(&mut self.generation);
        }
        Ok(!name.is_empty())
    }

    /// The newest snapshot of a table; `None` when nothing was written to it yet.
    pub(super) async fn snapshot(
        &mut self,
        def: &'static TableDef,
        partitions: u32,
    ) -> Result<Option<Arc<Snapshot>>, QueryError> {
        let failed = |e: DeltaTableError| QueryError::Lake { table: def.name, source: Box::new(e) };
        let kept = self.opened.remove(def.name);
        let opened = match kept {
            Some(mut opened) => {
                opened.table.update_incremental(None).await.map_err(failed)?;
                if opened.table.version() == opened.version {
                    let snapshot = Arc::clone(&opened.snapshot);
                    self.opened.insert(def.name, opened);
                    return Ok(Some(snapshot));
                }
                opened.table
            }
            None => match open(&self.place, &format!("{}/{}/", self.generation, def.name)).await {
                Ok(table) => table,
                // The writer has not made its first commit yet.
                Err(DeltaTableError::NotATable(_)) => return Ok(None),
                Err(e) => return Err(failed(e)),
            },
        };
        let prefix = format!("{}/{}", self.generation, def.name);
        let snapshot = Arc::new(read(&opened, def, &prefix, partitions).await?);
        let version = opened.version();
        self.opened.insert(def.name, Opened { table: opened, version, snapshot: Arc::clone(&snapshot) });
        Ok(Some(snapshot))
    }
}

async fn open(place: &LakePlace, name: &str) -> Result<DeltaTable, DeltaTableError> {
    let (url, _) = place.within(name).ok_or_else(|| DeltaTableError::InvalidTableLocation(name.to_owned()))?;
    // By its path alone: which store it is in is not told by the URL here, and deltalake knows files' URLs best.
    let builder = DeltaTableBuilder::from_url(url.clone())?.with_storage_backend(Arc::clone(place.store()), url);
    let mut table = builder.build()?;
    // A folder that is not there at all is told in other words by each store.
    if !table.log_store().is_delta_table_location().await? {
        return Err(DeltaTableError::NotATable(name.to_owned()));
    }
    table.load().await?;
    Ok(table)
}

async fn read(
    table: &DeltaTable,
    def: &'static TableDef,
    prefix: &str,
    partitions: u32,
) -> Result<Snapshot, QueryError> {
    let failed = |e: DeltaTableError| QueryError::Lake { table: def.name, source: Box::new(e) };
    let state = table.snapshot().map_err(failed)?;
    if state.metadata().configuration().get("delta.columnMapping.mode").is_some_and(|mode| mode != "none") {
        return Err(QueryError::LakeFeature { table: def.name, feature: "column mapping" });
    }
    let mut files = Vec::new();
    for view in state.snapshot().try_log_data().map_err(failed)? {
        if view.deletion_vector_descriptor().is_some() {
            return Err(QueryError::LakeFeature { table: def.name, feature: "deletion vectors" });
        }
        let location = StorePath::parse(format!("{prefix}/{}", view.object_store_path()))
            .map_err(|e| failed(DeltaTableError::Generic(e.to_string())))?;
        let day = view.partition_values_map().remove(DAY).flatten().unwrap_or_default();
        let size = u64::try_from(view.size()).unwrap_or_default();
        let last_modified = view.modification_datetime().map_err(failed)?;
        files.push(LakeFile { meta: ObjectMeta { location, last_modified, size, e_tag: None, version: None }, day });
    }
    let store = table.log_store();
    let mut next = Vec::new();
    for partition in 0..partitions {
        let version =
            state.transaction_version(store.as_ref(), txn_app_id(def.topic, partition)).await.map_err(failed)?;
        next.push(version.and_then(|v| Offset::try_from(v).ok()).unwrap_or_default());
    }
    Ok(Snapshot { files, next })
}
