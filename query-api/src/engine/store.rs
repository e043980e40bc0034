//! The only store that a query can reach: the lake's directory, for reading.
//!
//! DataFusion's own registry knows the whole file system as `file://`; this one knows one address, so that even a plan that
//! slipped past [`super::guard`] has nowhere to read from or write to.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use datafusion::common::exec_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use url::Url;

/// The lake's address within DataFusion.
pub(super) const LAKE_URL: &str = "lake://calltide/";

/// A registry of one store.
#[derive(Debug)]
pub(super) struct LakeOnly {
    root: PathBuf,
    store: OnceLock<Arc<dyn ObjectStore>>,
}

impl LakeOnly {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, store: OnceLock::new() }
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
        if let Some(store) = self.store.get() {
            return Ok(Arc::clone(store));
        }
        // Opened at the first query that has files to read: until the first commit the directory need not be there.
        let opened =
            LocalFileSystem::new_with_prefix(&self.root).map_err(|e| DataFusionError::ObjectStore(Box::new(e)))?;
        Ok(Arc::clone(self.store.get_or_init(|| Arc::new(opened))))
    }
}
