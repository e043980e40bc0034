//! A store that fails at a chosen step, as a full disk or a cut connection would.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Where it fails, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A data file isn't written.
    BeforeFile,
    /// A data file is written, but that is not said.
    AfterFile,
    /// The files are there, the commit isn't.
    BeforeCommit,
    /// The commit is there, but that is not said.
    AfterCommit,
    /// A file isn't removed.
    Removal,
}

/// The local file system with one fault in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultyStore {
    files: Arc<LocalFileSystem>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl FaultyStore {
    /// The next write of that kind fails.
    pub(crate) fn arm(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    /// Whether the fault has happened.
    pub(crate) fn spent(&self) -> bool {
        self.fault.lock().unwrap().is_none()
    }

    fn strike(&self, fault: Fault) -> Result<()> {
        let mut armed = self.fault.lock().unwrap();
        if *armed == Some(fault) {
            *armed = None;
            return Err(Error::Generic { store: "faulty", source: format!("{fault:?}").into() });
        }
        Ok(())
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty store")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let name = location.as_ref();
        let steps = match (name.contains("_delta_log"), name.ends_with(".json")) {
            (true, true) => Some((Fault::BeforeCommit, Fault::AfterCommit)),
            (true, false) => None,
            (false, _) => Some((Fault::BeforeFile, Fault::AfterFile)),
        };
        if let Some((before, _)) = steps {
            self.strike(before)?;
        }
        // The local store knows no conditions of this kind; there is one process here.
        let mode = if matches!(opts.mode, PutMode::Update(_)) { PutMode::Overwrite } else { opts.mode };
        let put = self.files.put_opts(location, payload, PutOptions { mode, ..opts }).await?;
        if let Some((_, after)) = steps {
            self.strike(after)?;
        }
        Ok(put)
    }

    async fn put_multipart_opts(&self, at: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        if let Err(error) = self.strike(Fault::Removal) {
            return Box::pin(futures::stream::once(async { Err(error) }));
        }
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }
}
