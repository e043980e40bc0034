//! The lake's root: which generation of the tables is the current one, and how another takes its place.
//!
//! All calls block; they run the table format's I/O on a runtime of their own, so they must not be made from async code.

use std::fs;
use std::future::Future;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use calltide_schemas::Micros;
use calltide_schemas::lake::{CURRENT, FIRST_GENERATION};
use calltide_schemas::tables::{TABLES, TableDef};
use deltalake_core::operations::vacuum::{self, VacuumMode};
use object_store::ObjectStore;
use tokio::runtime::{self, Runtime};

use super::store::{SyncedFiles, make_folder, sync_folder};
use super::table::LakeTable;
use super::upkeep::Done;
use super::{Clock, GenerationWriter, LakeError, Result};

/// How long readers of an older snapshot or generation may take; then its files go.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// The lake in one folder.
#[derive(Clone)]
pub struct Lake {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    store: Arc<dyn ObjectStore>,
    clock: Clock,
    runtime: Option<Runtime>,
}

/// What a table consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableState {
    /// Its name.
    pub table: &'static str,
    /// Its newest version.
    pub version: u64,
    /// That of its newest checkpoint.
    pub checkpoint: Option<u64>,
    /// Files of the newest version.
    pub files: usize,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The oldest and the newest day, `YYYY-MM-DD`; `None`: it is empty.
    pub days: Option<(String, String)>,
}

impl Lake {
    /// Opens the lake, creating what isn't there of its current generation: tables, and columns that tables lack.
    pub fn open(root: &Path, clock: Clock) -> Result<Self> {
        Self::open_on(Arc::new(SyncedFiles::default()), root, clock)
    }

    /// The same on another store, whose root is the root of the file system.
    pub fn open_on(store: Arc<dyn ObjectStore>, root: &Path, clock: Clock) -> Result<Self> {
        make_folder(root).map_err(LakeError::io(format!("creating {}", root.display())))?;
        let root = root.canonicalize().map_err(LakeError::io(format!("opening {}", root.display())))?;
        // One thread beside the caller's: the table format waits for its own tasks.
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).thread_name("lake").enable_all().build();
        let runtime = runtime.map_err(LakeError::io("starting the lake's runtime".to_owned()))?;
        let lake = Self { inner: Arc::new(Inner { root, store, clock, runtime: Some(runtime) }) };
        if !lake.inner.root.join(CURRENT).exists() {
            lake.create_tables(FIRST_GENERATION)?;
            lake.swap(FIRST_GENERATION)?;
        } else {
            lake.create_tables(&lake.generation()?)?;
        }
        Ok(lake)
    }

    /// The name of the generation in use.
    pub fn generation(&self) -> Result<String> {
        let path = self.inner.root.join(CURRENT);
        let name = fs::read_to_string(&path).map_err(LakeError::io(format!("reading {}", path.display())))?;
        let name = name.trim();
        match number(name) {
            Some(_) => Ok(name.to_owned()),
            None => Err(LakeError::Generation { root: self.inner.root.display().to_string(), name: name.to_owned() }),
        }
    }

    /// The folder of the generation in use.
    pub fn folder(&self) -> Result<PathBuf> {
        Ok(self.inner.root.join(self.generation()?))
    }

    /// Begins a new generation with empty tables. `bytes_max` bounds the memory of rows that wait for a commit.
    /// What an interrupted attempt left behind is removed first.
    pub fn new_generation(&self, bytes_max: usize) -> Result<GenerationWriter> {
        let name = format!("g{}", number(&self.generation()?).unwrap_or_default() + 1);
        let folder = self.inner.root.join(&name);
        remove_folder(&folder)?;
        self.create_tables(&name)?;
        GenerationWriter::new(self, name, bytes_max)
    }

    /// Makes a generation the one in use. The former stays until [`Lake::vacuum`], for those who still read it.
    pub fn swap(&self, generation: &str) -> Result<()> {
        let root = &self.inner.root;
        let staged = root.join(format!("{CURRENT}.new"));
        let written = fs::File::create(&staged).and_then(|mut file| {
            file.write_all(generation.as_bytes())?;
            file.sync_all()?;
            fs::rename(&staged, root.join(CURRENT))?;
            sync_folder(root)
        });
        written.map_err(LakeError::io(format!("writing {}", root.join(CURRENT).display())))
    }

    /// Removes files that left the tables, or never got into them, more than 24 hours ago, and generations that were
    /// replaced that long ago. Returns how many files and folders went.
    pub fn vacuum(&self) -> Result<usize> {
        let mut gone = 0;
        for def in TABLES {
            gone += self.vacuum_table(def, false)?.files;
        }
        Ok(gone + self.remove_generations(false)?.files)
    }

    /// The same of one table, with old entries of its log.
    pub(super) fn vacuum_table(&self, def: &'static TableDef, dry_run: bool) -> Result<Done> {
        let table = self.table(def, &self.generation()?)?;
        let clock = Arc::new(VacuumClock(Arc::clone(&self.inner.clock)));
        self.wait(async {
            // Retention is the table's own property: a day.
            let vacuum = table.delta().await?.vacuum().with_mode(VacuumMode::Full).with_clock(clock);
            let (_, metrics) = vacuum.with_dry_run(dry_run).await.map_err(|e| LakeError::delta(def.name, e))?;
            if !dry_run {
                table.forget_log().await?;
            }
            Ok(Done { table: Some(def.name), what: "removed", files: metrics.files_deleted.len(), ..Done::default() })
        })
    }

    pub(super) fn remove_generations(&self, dry_run: bool) -> Result<Done> {
        let current = self.generation()?;
        let root = &self.inner.root;
        let reading = || LakeError::io(format!("reading {}", root.display()));
        let swapped = fs::metadata(root.join(CURRENT)).and_then(|m| m.modified()).map_err(reading())?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(self.now().0).unwrap_or_default());
        let mut done = Done { what: "old generations removed", ..Done::default() };
        if now.duration_since(swapped).unwrap_or_default() < KEEP {
            return Ok(done);
        }
        for entry in fs::read_dir(root).map_err(reading())? {
            let entry = entry.map_err(reading())?;
            if entry.file_name().to_str().and_then(number).is_some_and(|n| Some(n) < number(&current)) {
                if !dry_run {
                    remove_folder(&entry.path())?;
                }
                done.files += 1;
            }
        }
        Ok(done)
    }

    /// What each table of the generation in use consists of.
    pub fn tables(&self) -> Result<Vec<TableState>> {
        let generation = self.generation()?;
        TABLES.iter().map(|def| self.table_state(self.table(def, &generation)?)).collect()
    }

    fn table_state(&self, table: LakeTable) -> Result<TableState> {
        let files = table.files();
        Ok(TableState {
            table: table.def.name,
            version: table.version(),
            checkpoint: self.wait(table.checkpoint())?,
            files: files.len(),
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.size).sum(),
            days: files.iter().map(|file| file.day.clone()).min().zip(files.iter().map(|file| file.day.clone()).max()),
        })
    }

    fn create_tables(&self, generation: &str) -> Result<()> {
        TABLES.iter().try_for_each(|def| self.table(def, generation).map(drop))
    }

    pub(super) fn table(&self, def: &'static TableDef, generation: &str) -> Result<LakeTable> {
        let folder = self.inner.root.join(generation).join(def.name);
        make_folder(&folder).map_err(LakeError::io(format!("creating {}", folder.display())))?;
        let (store, clock) = (Arc::clone(&self.inner.store), Arc::clone(&self.inner.clock));
        self.wait(LakeTable::open(def, store, &folder, clock))
    }

    pub(super) fn now(&self) -> Micros {
        (self.inner.clock)()
    }

    /// Runs the future to its end.
    pub(super) fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = self.inner.runtime.as_ref().ok_or(LakeError::Ended)?;
        runtime.block_on(future)
    }
}

impl Drop for Inner {
    // A runtime must not be dropped where blocking isn't allowed, e.g. when an async caller lets go of the last handle.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The number of a generation: `g7` is the seventh.
fn number(name: &str) -> Option<u64> {
    name.strip_prefix('g')?.parse().ok()
}

fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(LakeError::io(format!("removing {}", folder.display()))(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The lake's clock as the table format wants it.
struct VacuumClock(Clock);

impl std::fmt::Debug for VacuumClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the lake's clock")
    }
}

impl vacuum::Clock for VacuumClock {
    fn current_timestamp_millis(&self) -> i64 {
        (self.0)().0.div_euclid(1000)
    }
}
