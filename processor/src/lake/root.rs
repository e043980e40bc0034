//! The lake's root: which generation of the tables is the current one, and how another takes its place.
//!
//! It lies in a folder or in an object store; all that is asked of a store is that a put is atomic and can be conditional.
//! All calls block; they run the table format's I/O on a runtime of their own, so they must not be made from async code.

use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use calltide_schemas::Micros;
use calltide_schemas::lake::{CURRENT, FIRST_GENERATION};
use calltide_schemas::tables::{TABLES, TableDef};
use deltalake_core::operations::vacuum::{self, VacuumMode};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use tokio::runtime::{self, Runtime};
use url::Url;

use super::store::{SyncedFiles, allow, make_folder};
use super::table::LakeTable;
use super::upkeep::Done;
use super::{Clock, GenerationWriter, LakeError, Result};

/// How long readers of an older snapshot or generation may take; then its files go.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// The lake in one place.
#[derive(Clone)]
pub struct Lake {
    inner: Arc<Inner>,
}

struct Inner {
    /// Ends with a slash.
    url: Url,
    /// The store whose root is that of the URL's host.
    store: Arc<dyn ObjectStore>,
    /// The lake's folder there.
    root: Path,
    clock: Clock,
    runtime: Option<Runtime>,
    /// Whether its tables are known to be there.
    prepared: AtomicBool,
}

/// What `CURRENT` said, and which of its versions did.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) generation: String,
    version: UpdateVersion,
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
    /// Opens the lake in a folder, creating what isn't there of its current generation: tables, and columns that tables lack.
    pub fn open(root: &FilePath, clock: Clock) -> Result<Self> {
        Self::open_on(Arc::new(SyncedFiles::default()), root, clock)
    }

    /// The same on another store, whose root is the root of the file system.
    pub fn open_on(store: Arc<dyn ObjectStore>, root: &FilePath, clock: Clock) -> Result<Self> {
        make_folder(root).map_err(LakeError::io(format!("creating {}", root.display())))?;
        Self::open_at(store, folder_url(root)?, clock)
    }

    /// The same at a URL, e.g. `s3://bucket/lake/`, of which the store is the root of the host.
    pub fn open_at(store: Arc<dyn ObjectStore>, url: Url, clock: Clock) -> Result<Self> {
        let lake = Self::later(store, url, clock)?;
        lake.prepare()?;
        Ok(lake)
    }

    /// The same without asking the store for anything: [`Lake::prepare`] does that, when it answers.
    pub fn later(store: Arc<dyn ObjectStore>, url: Url, clock: Clock) -> Result<Self> {
        allow(&url);
        let root = Path::from_url_path(url.path()).map_err(|_| LakeError::Root { root: url.to_string() })?;
        // One thread beside the caller's: the table format waits for its own tasks.
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).thread_name("lake").enable_all().build();
        let runtime = Some(runtime.map_err(LakeError::io("starting the lake's runtime".to_owned()))?);
        Ok(Self { inner: Arc::new(Inner { url, store, root, clock, runtime, prepared: AtomicBool::new(false) }) })
    }

    /// Creates what isn't there of the current generation, and sees that the store can be relied on, unless that was done.
    pub fn prepare(&self) -> Result<()> {
        if self.inner.prepared.load(Ordering::Acquire) {
            return Ok(());
        }
        let generation = match self.current()? {
            Some(current) => {
                self.create_tables(&current.generation)?;
                current.generation
            }
            None => {
                self.create_tables(FIRST_GENERATION)?;
                // Who was faster has made the same.
                self.put_current(FIRST_GENERATION, PutMode::Create)?;
                FIRST_GENERATION.to_owned()
            }
        };
        // Where this changes anything, two writers would overwrite each other's commits; and then it changes nothing that counts.
        if self.inner.url.scheme() != "file" && self.put_current(&generation, PutMode::Create)? {
            return Err(LakeError::Unconditional { root: self.inner.url.to_string() });
        }
        self.inner.prepared.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether tables could be written here: a small object is made, must be refused a second time, and is removed.
    pub fn probe(&self) -> Result<()> {
        self.has_bucket()?;
        let at = self.at(&format!("check-{}", RandomState::new().hash_one(self.now().0)));
        let outcome = self.put(&at, "calltide check", PutMode::Create).and_then(|_| {
            if self.put(&at, "calltide check", PutMode::Create)? {
                return Err(LakeError::Unconditional { root: self.inner.url.to_string() });
            }
            Ok(())
        });
        let removed = self.wait(async { Ok(self.inner.store.delete(&at).await?) });
        outcome.and(removed)
    }

    fn put_current(&self, generation: &str, mode: PutMode) -> Result<bool> {
        self.put(&self.at(CURRENT), generation, mode)
    }

    /// Writes a small object; false: what is there does not allow it.
    fn put(&self, at: &Path, text: &str, mode: PutMode) -> Result<bool> {
        let text = text.to_owned();
        self.wait(async {
            match self.inner.store.put_opts(at, text.into(), PutOptions::from(mode)).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// The lake in a folder as it is there, to look at: nothing is made or changed.
    pub fn look(root: &FilePath, clock: Clock) -> Result<Self> {
        Self::later(Arc::new(SyncedFiles::default()), folder_url(root)?, clock)
    }

    fn at(&self, name: &str) -> Path {
        self.inner.root.clone().join(name)
    }

    /// What `CURRENT` says; `None`: it is not there yet.
    pub(super) fn current(&self) -> Result<Option<Current>> {
        let read = self.wait(async {
            match self.inner.store.get(&self.at(CURRENT)).await {
                Ok(found) => {
                    let version =
                        UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
                    Ok(Some((found.bytes().await?, version)))
                }
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        });
        let Some((text, version)) = read? else {
            self.has_bucket()?;
            return Ok(None);
        };
        let name = String::from_utf8_lossy(&text).trim().to_owned();
        match number(&name) {
            Some(_) => Ok(Some(Current { generation: name, version })),
            None => Err(LakeError::Generation { root: self.inner.url.to_string(), name }),
        }
    }

    /// In a bucket that is not there nothing is found, too; but then it cannot even be listed.
    fn has_bucket(&self) -> Result<()> {
        if self.inner.url.scheme() == "file" {
            return Ok(());
        }
        self.wait(async {
            match self.inner.store.list_with_delimiter(Some(&self.inner.root)).await {
                Ok(_) => Ok(()),
                // S3's client has a list's 404 in its text only.
                Err(error) if error.to_string().contains("status code: 404") => {
                    Err(LakeError::NoBucket { root: self.inner.url.to_string() })
                }
                Err(object_store::Error::NotFound { .. }) => {
                    Err(LakeError::NoBucket { root: self.inner.url.to_string() })
                }
                Err(error) => Err(error.into()),
            }
        })
    }

    /// The generation in use.
    pub(super) fn in_use(&self) -> Result<Current> {
        let missing = || LakeError::Generation { root: self.inner.url.to_string(), name: String::new() };
        self.current()?.ok_or_else(missing)
    }

    /// The name of the generation in use.
    pub fn generation(&self) -> Result<String> {
        Ok(self.in_use()?.generation)
    }

    /// The folder of the generation in use, where the lake is in one.
    pub fn folder(&self) -> Result<PathBuf> {
        let root = self.inner.url.to_file_path();
        let root = root.map_err(|()| LakeError::Root { root: self.inner.url.to_string() })?;
        Ok(root.join(self.generation()?))
    }

    /// Begins a new generation with empty tables. `bytes_max` bounds the memory of rows that wait for a commit.
    /// What an interrupted attempt left behind is removed first.
    pub fn new_generation(&self, bytes_max: usize) -> Result<GenerationWriter> {
        let current = self.in_use()?;
        let name = format!("g{}", number(&current.generation).unwrap_or_default() + 1);
        self.remove_folder(&self.at(&name))?;
        self.create_tables(&name)?;
        GenerationWriter::new(self, current, name, bytes_max)
    }

    /// Makes a generation the one in use. The former stays until [`Lake::vacuum`], for those who still read it.
    pub fn swap(&self, generation: &str) -> Result<()> {
        self.replace(&self.in_use()?, generation)
    }

    /// The same, unless another one than this has been put in place meanwhile.
    pub(super) fn replace(&self, current: &Current, by: &str) -> Result<()> {
        if self.put_current(by, PutMode::Update(current.version.clone()))? {
            return Ok(());
        }
        match self.generation()? {
            // The store did it, and its answer was lost.
            found if found == by => Ok(()),
            found => Err(LakeError::Replaced { generation: by.to_owned(), found }),
        }
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
        let current = number(&self.generation()?);
        let mut done = Done { what: "old generations removed", ..Done::default() };
        let (swapped, folders) = self.wait(async {
            let swapped = self.inner.store.head(&self.at(CURRENT)).await?.last_modified;
            let listed = self.inner.store.list_with_delimiter(Some(&self.inner.root)).await?;
            Ok((swapped.timestamp_micros(), listed.common_prefixes))
        })?;
        if self.now().0.saturating_sub(swapped) < i64::try_from(KEEP.as_micros()).unwrap_or(i64::MAX) {
            return Ok(done);
        }
        for folder in folders {
            let generation = folder.filename().and_then(number);
            if generation.is_some() && generation < current {
                if !dry_run {
                    self.remove_folder(&folder)?;
                }
                done.files += 1;
            }
        }
        Ok(done)
    }

    /// Removes everything below a folder.
    fn remove_folder(&self, folder: &Path) -> Result<()> {
        self.wait(async {
            let found = self.inner.store.list(Some(folder)).map_ok(|file| file.location).boxed();
            match self.inner.store.delete_stream(found).try_for_each(|_| async { Ok(()) }).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })?;
        // A file system keeps the folders themselves; an object store has none.
        let Ok(root) = Url::to_file_path(&self.inner.url) else { return Ok(()) };
        let Some(name) = folder.filename() else { return Ok(()) };
        match std::fs::remove_dir_all(root.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(LakeError::io(format!("removing {folder}"))(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// What each table of the generation in use consists of; those that were never written to are left out.
    pub fn tables(&self) -> Result<Vec<TableState>> {
        let generation = self.generation()?;
        let mut states = Vec::new();
        for def in TABLES {
            let (store, url, clock) = self.place_of(def, &generation)?;
            if let Some(table) = self.wait(LakeTable::look(def, store, url, clock))? {
                states.push(self.table_state(table)?);
            }
        }
        Ok(states)
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
        let (store, url, clock) = self.place_of(def, generation)?;
        self.wait(LakeTable::open(def, store, url, clock))
    }

    fn place_of(&self, def: &TableDef, generation: &str) -> Result<(Arc<dyn ObjectStore>, Url, Clock)> {
        let url = self.inner.url.join(&format!("{generation}/{}/", def.name));
        let url = url.map_err(|_| LakeError::Root { root: self.inner.url.to_string() })?;
        Ok((Arc::clone(&self.inner.store), url, Arc::clone(&self.inner.clock)))
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

fn folder_url(root: &FilePath) -> Result<Url> {
    let root = root.canonicalize().map_err(LakeError::io(format!("opening {}", root.display())))?;
    Url::from_directory_path(&root).map_err(|()| LakeError::Root { root: root.display().to_string() })
}

/// The number of a generation: `g7` is the seventh.
fn number(name: &str) -> Option<u64> {
    name.strip_prefix('g')?.parse().ok()
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
