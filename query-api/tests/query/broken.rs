//! What lies below the queries misbehaves: a store that takes no writes, reads that panic or never end. Each is the error of the
//! queries that met it, and the next ones are answered.

use std::fmt::{Display, Formatter};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use calltide_query_api::reports::outcomes::{OutcomesQuery, outcomes};
use calltide_query_api::{EngineOptions, LakePlace, Principal, QueryError};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result as StoreResult,
};
use parking_lot::{Condvar, Mutex};
use serde_json::{Value, json};
use url::Url;

use crate::bench::{Bench, at};

/// What becomes of a read of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    Answered,
    Panic,
    /// They hold their thread.
    Hang,
}

/// Files for reading, which do as they are told.
#[derive(Debug)]
struct Store {
    files: LocalFileSystem,
    reads: Mutex<Reads>,
    told: Condvar,
    hanging: AtomicUsize,
    writes: AtomicUsize,
}

impl Store {
    fn new() -> Arc<Self> {
        let (hanging, writes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (reads, told) = (Mutex::new(Reads::Answered), Condvar::new());
        Arc::new(Self { files: LocalFileSystem::new(), reads, told, hanging, writes })
    }

    fn tell(&self, reads: Reads) {
        *self.reads.lock() = reads;
        self.told.notify_all();
    }

    fn before_read(&self, path: &Path) {
        if !path.as_ref().ends_with(".parquet") {
            return;
        }
        let mut reads = self.reads.lock();
        assert!(*reads != Reads::Panic, "the store is not to be trusted");
        while *reads == Reads::Hang {
            self.hanging.fetch_add(1, Ordering::Relaxed);
            self.told.wait(&mut reads);
            self.hanging.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn refused<T>(&self) -> StoreResult<T> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Err(object_store::Error::NotSupported { source: "the store is for reading only".into() })
    }
}

impl Display for Store {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("files for reading")
    }
}

#[async_trait]
impl ObjectStore for Store {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> StoreResult<PutResult> {
        self.refused()
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
        self.refused()
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.before_read(location);
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.before_read(location);
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, all: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        all.map(|_| Err(object_store::Error::NotSupported { source: "for reading only".into() })).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> StoreResult<()> {
        self.refused()
    }
}

fn call(n: usize) -> Value {
    let started = at("2026-03-01T09:00:00Z") + i64::try_from(n).unwrap();
    json!({
        "call_id": format!("p/{n}"), "version": 1, "started_at": started, "ended_at": started, "agent": format!("{n:x}"),
        "status": "answered", "class": "connected", "direction": "inbound", "queue": "sales",
    })
}

/// A lake of so many calls on such a store.
fn bench(calls: usize, change: impl FnOnce(EngineOptions) -> EngineOptions) -> (Bench, Arc<Store>) {
    let store = Store::new();
    let bench = Bench::in_folder(|folder, options| {
        let url = Url::from_directory_path(folder.join("lake")).unwrap();
        change(EngineOptions { lake: LakePlace::at(url, Arc::clone(&store) as _).unwrap(), ..options })
    });
    for n in 0..calls {
        bench.publish("calls", call(n));
    }
    bench.lake("calls").commit("2026-03-01", &(0..calls).map(call).collect::<Vec<_>>(), calls as u64);
    (bench, store)
}

const CALLS: &str = "SELECT count(agent) AS n FROM calls";

#[tokio::test]
async fn a_store_that_takes_no_writes_is_enough() {
    let (bench, store) = bench(100, |options| options);
    assert_eq!(bench.rows(CALLS).await, json!([{"n": 100}]));
    let sorted = "SELECT call_id FROM calls ORDER BY agent DESC LIMIT 1";
    assert_eq!(bench.query(sorted).await.unwrap().rows(), 1);
    assert_eq!(store.writes.load(Ordering::Relaxed), 0, "and none was tried");
}

#[tokio::test]
async fn a_panic_while_rows_are_read_is_that_querys_error() {
    let (bench, store) = bench(100, |options| options);
    store.tell(Reads::Panic);
    for sql in [CALLS, "SELECT status, count(*) AS n FROM calls GROUP BY status", "SELECT * FROM calls ORDER BY agent"]
    {
        match bench.query(sql).await {
            Err(QueryError::Panicked { message }) => {
                assert!(message.contains("the store is not to be trusted"), "{sql}: {message}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    store.tell(Reads::Answered);
    assert_eq!(bench.rows(CALLS).await, json!([{"n": 100}]));
}

#[tokio::test]
async fn a_read_that_does_not_return_ends_its_query_in_time_and_leaves_others_a_thread() {
    let (bench, store) = bench(100, |mut options| {
        options.threads = 2;
        options.deadline = Duration::from_millis(300);
        options
    });
    store.tell(Reads::Hang);
    let error = bench.query(CALLS).await.unwrap_err();
    assert!(matches!(error, QueryError::Deadline { .. }), "{error:?}");
    assert!(store.hanging.load(Ordering::Relaxed) > 0, "nothing was read");
    // One of two threads is held; the other one answers.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        bench.query("SELECT 1").await.unwrap();
    }
    store.tell(Reads::Answered);
    let began = Instant::now();
    while bench.query(CALLS).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "the threads do not come back");
    }
}

#[tokio::test]
async fn when_reads_that_do_not_return_hold_all_threads_help_is_called() {
    let (call, mut called) = tokio::sync::mpsc::unbounded_channel();
    let (bench, store) = bench(100, |mut options| {
        options.threads = 1;
        options.deadline = Duration::from_millis(300);
        options.stuck_after = Duration::from_millis(300);
        // Whoever is called may have gone.
        options.last_resort = Some(Arc::new(move |reason: &str| drop(call.send(reason.to_owned()))));
        options
    });
    assert_eq!(bench.rows(CALLS).await, json!([{"n": 100}]));
    store.tell(Reads::Hang);
    bench.query(CALLS).await.unwrap_err();
    let reason = tokio::time::timeout(Duration::from_secs(30), called.recv()).await.unwrap().unwrap();
    assert!(reason.contains("take up no work") || reason.contains("do not end"), "{reason}");
    store.tell(Reads::Answered);
}

#[tokio::test]
async fn a_report_that_reads_much_waits_for_no_heavy_query() {
    let (bench, _) = bench(20_000, |mut options| {
        options.memory_bytes = 4 << 20;
        options.queries_max = 2;
        options.waiting_max = 0;
        options
    });
    // About as many columns as the report reads.
    let columns =
        ["agent", "call_id", "started_at", "ended_at", "status", "class", "direction", "queue", "version", "pbx"];
    let counted = format!("SELECT {} FROM calls", columns.map(|column| format!("max({column})")).join(", "));
    bench.query(&counted).await.unwrap();
    let endless = {
        let engine = Arc::clone(&bench.engine);
        let asked = "SELECT count(*) FROM generate_series(1, 1000000000000)";
        // Whose turn it is when both ask at once is not said.
        tokio::spawn(async move {
            while let Err(QueryError::Busy { .. }) = engine.query(&Principal::named("greedy"), asked).await {}
        })
    };
    // The same rows are heavy to an asker, whose turn somebody else has.
    let began = Instant::now();
    loop {
        let other = bench.engine.query(&Principal::named("greedy"), &counted).await;
        if matches!(other, Err(QueryError::Busy { .. })) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it is not heavy: {other:?}");
    }
    let report = outcomes(&bench.engine, &OutcomesQuery::default()).await.unwrap();
    assert_eq!(crate::bench::rows(&report.output)[0]["total"], 20_000);
    endless.abort();
}
