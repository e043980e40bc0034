//! Whether the lake's store answers: every request has a limit, and the last failure is remembered.
//!
//! A query that came to nothing for that reason can then say so, also one that only waited for another. It knows nothing of
//! queries; [`super`] asks it when one fails.

use std::fmt::{self, Display, Formatter};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use calltide_schemas::errors::in_one_line;
use futures::stream::{BoxStream, unfold};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use tokio::time::timeout;

/// What is known of the store.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    patience: Duration,
    /// What its last request came to, if it was a failure of the store's.
    failure: Arc<Mutex<Option<String>>>,
}

/// A store whose answers are watched.
#[derive(Debug)]
pub(super) struct Answering {
    store: Arc<dyn ObjectStore>,
    answers: Answers,
}

impl Answers {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, failure: Arc::default() }
    }

    /// Why the store cannot be reached, if it could not a moment ago.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    async fn within<T>(&self, asked: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let answer = timeout(self.patience, asked).await.unwrap_or_else(|_| {
            let source = format!("no answer within {} s", self.patience.as_secs_f64()).into();
            Err(Error::Generic { store: "object", source })
        });
        let failure = match &answer {
            Err(error @ (Error::Generic { .. } | Error::PermissionDenied { .. } | Error::Unauthenticated { .. })) => {
                Some(in_one_line(error))
            }
            // What is not there, or has changed, is an answer.
            Ok(_) | Err(_) => None,
        };
        *self.failure.lock() = failure;
        answer
    }

    /// A stream, each of whose pieces is waited for so long.
    fn pieces<T: Send + 'static>(&self, stream: BoxStream<'static, Result<T>>) -> BoxStream<'static, Result<T>> {
        let next = |(mut stream, answers): (BoxStream<'static, Result<T>>, Self)| async move {
            let piece = answers.within(stream.try_next()).await.transpose()?;
            Some((piece, (stream, answers)))
        };
        // Whoever reads a list may ask once more after its end.
        unfold((stream, self.clone()), next).fuse().boxed()
    }
}

impl Answering {
    pub(super) fn new(store: Arc<dyn ObjectStore>, answers: Answers) -> Self {
        Self { store, answers }
    }
}

impl Display for Answering {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Answering {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.answers.within(self.store.put_opts(at, payload, options)).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.answers.within(self.store.put_multipart_opts(at, options)).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = self.answers.within(self.store.get_opts(at, options)).await?;
        found.payload = match found.payload {
            GetResultPayload::Stream(stream) => GetResultPayload::Stream(self.answers.pieces(stream)),
            file @ GetResultPayload::File(..) => file,
        };
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.answers.pieces(self.store.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.answers.pieces(self.store.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.answers.within(self.store.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.answers.within(self.store.copy_opts(from, to, options)).await
    }
}
