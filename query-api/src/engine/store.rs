//! The only store that a query can reach: the lake's place, a folder or a part of an object store, for reading.
//!
//! DataFusion's own registry knows the whole file system as `file://`; this one knows one address, so that even a plan that
//! slipped past [`super::guard`] has nowhere to read from or write to.

use std::fmt::{Display, Formatter};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreRegistry;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use object_store::prefix::PrefixStore;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result as StoreResult,
};
use url::Url;

use super::QueryError;
use super::answers::{Answering, Answers};

/// The lake's address within DataFusion.
pub(super) const LAKE_URL: &str = "lake://calltide/";

/// Where the lake is; nothing need be there yet.
#[derive(Debug, Clone)]
pub struct LakePlace {
    /// E.g. `s3://bucket/lake/` or `file:///var/lib/calltide/lake/`; ends with a slash.
    url: Url,
    /// The store whose root is that of the URL's host.
    store: Arc<dyn ObjectStore>,
    /// The lake's folder there.
    root: StorePath,
}

impl LakePlace {
    /// At a URL, with the store whose root is that of its host.
    ///
    /// # Errors
    /// When the URL's path is none of a store.
    pub fn at(url: Url, store: Arc<dyn ObjectStore>) -> std::result::Result<Self, QueryError> {
        let root = StorePath::from_url_path(url.path());
        let root =
            root.map_err(|e| QueryError::Io { what: format!("cannot use {url}"), source: std::io::Error::other(e) })?;
        Ok(Self { url, store, root })
    }

    /// In a folder of this machine.
    ///
    /// # Errors
    /// When there is no present folder that a relative path could begin from.
    pub fn folder(folder: &Path) -> std::result::Result<Self, QueryError> {
        let unusable = |source| QueryError::Io { what: format!("cannot use {}", folder.display()), source };
        let absolute = match folder.canonicalize() {
            Ok(found) => found,
            // It may come to be.
            Err(_) => std::path::absolute(folder).map_err(unusable)?,
        };
        let url =
            Url::from_directory_path(&absolute).map_err(|()| unusable(std::io::ErrorKind::InvalidInput.into()))?;
        Self::at(url, Arc::new(LocalFileSystem::new()))
    }

    /// A file or folder of the lake, as a URL and as a path in the store.
    pub(super) fn within(&self, name: &str) -> Option<(Url, StorePath)> {
        let path = StorePath::from_iter(self.root.parts().chain(StorePath::from(name).parts()));
        Some((self.url.join(name).ok()?, path))
    }

    /// The same place, its store watched, if it is in an object store: the local file system always answers.
    pub(super) fn watched(self, answers: &Answers) -> Self {
        if self.url.scheme() == "file" {
            return self;
        }
        let store = Arc::new(Answering::new(self.store, answers.clone()));
        Self { store, ..self }
    }

    /// Where it is.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether the bucket or container is there: in none, nothing is found, too, but it cannot be listed.
    pub(super) async fn is_there(&self) -> StoreResult<bool> {
        if self.url.scheme() == "file" {
            return Ok(true);
        }
        match self.store.list_with_delimiter(Some(&self.root)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            // S3's client has a list's 404 in its text only.
            Err(error) if error.to_string().contains("status code: 404") => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }
}

/// A registry of one store, whose root is the lake's.
#[derive(Debug)]
pub(super) struct LakeOnly(Arc<dyn ObjectStore>);

impl LakeOnly {
    pub(super) fn new(place: &LakePlace) -> Self {
        let lake = PrefixStore::new(Arc::clone(&place.store), place.root.clone());
        Self(Arc::new(ReadOnly(lake)))
    }
}

impl ObjectStoreRegistry for LakeOnly {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        if url.scheme() != "lake" {
            return exec_err!("{url} is out of reach: queries read the lake's tables only");
        }
        Ok(Arc::clone(&self.0))
    }
}

/// A store that only reads.
#[derive(Debug)]
struct ReadOnly(PrefixStore<Arc<dyn ObjectStore>>);

impl ReadOnly {
    fn refused<T>() -> StoreResult<T> {
        Err(object_store::Error::NotSupported { source: "queries do not write to the lake".into() })
    }
}

impl Display for ReadOnly {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} for reading", self.0)
    }
}

#[async_trait]
impl ObjectStore for ReadOnly {
    async fn put_opts(&self, _: &StorePath, _: PutPayload, _: PutOptions) -> StoreResult<PutResult> {
        Self::refused()
    }

    async fn put_multipart_opts(&self, _: &StorePath, _: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
        Self::refused()
    }

    async fn get_opts(&self, location: &StorePath, options: GetOptions) -> StoreResult<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &StorePath, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<StorePath>>,
    ) -> BoxStream<'static, StoreResult<StorePath>> {
        locations.map(|_| Self::refused()).boxed()
    }

    fn list(&self, prefix: Option<&StorePath>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&StorePath>) -> StoreResult<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &StorePath, _: &StorePath, _: CopyOptions) -> StoreResult<()> {
        Self::refused()
    }
}
