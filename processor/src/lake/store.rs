//! Files on local disk that survive a power loss once they are said to be there; object stores promise that themselves.
//!
//! The plain local store renames without fsync: after a power loss a Delta commit might be an empty or torn file, which
//! would make the table unreadable. Here every object is synced before it gets its name, and its folder after.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use deltalake_core::DeltaResult;
use deltalake_core::logstore::{LogStore, LogStoreFactory, StorageConfig, default_logstore, logstore_factories};
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use url::Url;

/// Lets the table format write its log to stores of this kind as it does to files: by puts that fail where something is.
/// That is what S3, GCS and Azure offer today.
pub fn allow(url: &Url) {
    if let Ok(scheme) = Url::parse(&format!("{}://", url.scheme())) {
        logstore_factories().entry(scheme).or_insert_with(|| Arc::new(ByConditionalPut));
    }
}

/// See [`allow`].
struct ByConditionalPut;

impl LogStoreFactory for ByConditionalPut {
    fn with_options(
        &self,
        prefixed_store: Arc<dyn ObjectStore>,
        root_store: Arc<dyn ObjectStore>,
        location: &Url,
        options: &StorageConfig,
    ) -> DeltaResult<Arc<dyn LogStore>> {
        Ok(default_logstore(prefixed_store, root_store, location, options))
    }
}

/// Whether an error is, at its bottom, a store that did not answer, or said that it cannot now. What it says of the request
/// itself (3xx, 4xx) stays true however often it is asked.
pub(super) fn is_away(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut below = Some(error);
    while let Some(error) = below {
        if let Some(Error::Generic { source, .. }) = error.downcast_ref::<Error>() {
            let text = source.to_string();
            return !["status code: 3", "status code: 4"].iter().any(|refused| text.contains(refused));
        }
        below = error.source();
    }
    false
}

/// The local file system, synced.
#[derive(Debug, Default)]
pub(super) struct SyncedFiles {
    files: LocalFileSystem,
    written: AtomicU64,
}

impl SyncedFiles {
    fn write(&self, path: &FilePath, payload: &PutPayload, mode: &PutMode) -> io::Result<()> {
        let folder = path.parent().unwrap_or_else(|| FilePath::new("/"));
        make_folder(folder)?;
        let staged = self.staged(path);
        let result = stage(&staged, payload).and_then(|()| match mode {
            PutMode::Create => fs::hard_link(&staged, path),
            PutMode::Overwrite | PutMode::Update(_) => fs::rename(&staged, path),
        });
        if result.is_err() || matches!(mode, PutMode::Create) {
            drop(fs::remove_file(&staged));
        }
        result?;
        sync_folder(folder)
    }

    /// `#` and digits: the local store hides names that end so, as it does with its own unfinished files.
    fn staged(&self, path: &FilePath) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{}{:06}", std::process::id(), self.written.fetch_add(1, Ordering::Relaxed)));
        PathBuf::from(name)
    }
}

fn stage(path: &FilePath, payload: &PutPayload) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    for part in payload {
        file.write_all(part)?;
    }
    file.sync_all()
}

/// Creates the folder and every missing one above it, each synced into its parent.
pub(super) fn make_folder(folder: &FilePath) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(parent) = folder.parent() else { return Ok(()) };
    // A name alone is one in the working directory.
    let parent = if parent.as_os_str().is_empty() { FilePath::new(".") } else { parent };
    make_folder(parent)?;
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(parent),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &FilePath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl fmt::Display for SyncedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("synced local files")
    }
}

#[async_trait]
impl ObjectStore for SyncedFiles {
    // Blocks the thread while it syncs: only the lake's own runtime calls it, which has nothing else to do meanwhile.
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let path = self.files.path_to_filesystem(location)?;
        if let PutMode::Update(expected) = &opts.mode {
            let found = self.files.head(location).await?;
            if found.e_tag != expected.e_tag {
                let source = "it was written meanwhile".into();
                return Err(Error::Precondition { path: location.to_string(), source });
            }
        }
        match self.write(&path, &payload, &opts.mode) {
            Ok(()) => Ok(PutResult { e_tag: None, version: None }),
            Err(source) if source.kind() == ErrorKind::AlreadyExists => {
                Err(Error::AlreadyExists { path: location.to_string(), source: source.into() })
            }
            Err(source) => Err(Error::Generic { store: "synced local files", source: source.into() }),
        }
    }

    async fn put_multipart_opts(&self, at: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await?;
        let path = self.files.path_to_filesystem(to)?;
        let folder = path.parent().unwrap_or_else(|| FilePath::new("/"));
        sync_folder(folder).map_err(|source| Error::Generic { store: "synced local files", source: source.into() })
    }
}
