//! The memory of running queries, in two pools: a quarter for light ones and our own reports, the rest for heavy ones, which
//! may fill theirs and keep nobody else from an answer.
//!
//! Both share the files that are spilled to, the caches and the lake's store. It must not know what is heavy:
//! [`super::weight`] says that.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, TaskContext};

use super::EngineOptions;
use super::admission::Lane;
use super::store::LakeOnly;

/// The light lane has one part in so many.
const LIGHT_PART: usize = 4;
/// Parsed footers of some thousand files; DataFusion's own 50 MB are too few.
const FOOTER_CACHE_BYTES: usize = 256 * 1024 * 1024;
/// What a sort keeps free for the merge of what it has spilled, per partition: DataFusion's own figure, and the least that
/// merges a few batches.
const MERGE_BYTES_MAX: usize = 10 * 1024 * 1024;
const MERGE_BYTES_MIN: usize = 64 * 1024;
/// If each query of a lane sorts this often at a time, they keep half of its pool free for merges.
const SORTS: usize = 4;
/// Parquet whose rows fit into memory several times over, whatever is done with them one by one.
const LIGHT_READS_MAX: usize = 8 << 20;
/// The rows of a file take up to ten times of what they take on disk; they must fit into the pool of the light.
const ROWS_PER_READ: usize = 16;

/// Both pools.
pub(super) struct Memory {
    light: Pool,
    heavy: Pool,
}

struct Pool {
    bytes: usize,
    env: Arc<RuntimeEnv>,
    /// See [`MERGE_BYTES_MAX`].
    merge_bytes: usize,
}

impl Pool {
    /// A pool beside others over the same files, for so many queries at once, each on so many threads.
    fn beside(env: &RuntimeEnv, bytes: usize, turns: usize, threads: usize) -> Self {
        let env = Arc::new(RuntimeEnv { memory_pool: Arc::new(FairSpillPool::new(bytes)), ..env.clone() });
        let sorts = turns.max(1).saturating_mul(threads.max(1)).saturating_mul(SORTS);
        let merge_bytes = (bytes / 2 / sorts).clamp(MERGE_BYTES_MIN, MERGE_BYTES_MAX);
        Self { bytes, env, merge_bytes }
    }
}

impl Memory {
    /// For so many heavy queries at once.
    pub(super) fn new(options: &EngineOptions, heavy_turns: usize) -> Result<Self> {
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![options.spill_dir.clone()]))
            .with_max_temp_directory_size(options.spill_bytes);
        let shared = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(disk)
            .with_metadata_cache_limit(FOOTER_CACHE_BYTES)
            .with_object_store_registry(Arc::new(LakeOnly::new(&options.lake)))
            .build()?;
        let light = options.memory_bytes / LIGHT_PART;
        Ok(Self {
            light: Pool::beside(&shared, light, options.queries_max, options.threads),
            heavy: Pool::beside(&shared, options.memory_bytes - light, heavy_turns, options.threads),
        })
    }

    const fn of(&self, lane: Lane) -> &Pool {
        match lane {
            Lane::Light => &self.light,
            Lane::Heavy => &self.heavy,
        }
    }

    /// What planning needs of it.
    pub(super) const fn env(&self) -> &Arc<RuntimeEnv> {
        &self.light.env
    }

    /// How many bytes of files a light query may read.
    pub(super) fn light_reads_max(&self) -> u64 {
        LIGHT_READS_MAX.min(self.light.bytes / ROWS_PER_READ) as u64
    }

    /// What a plan of this lane runs with.
    pub(super) fn context(&self, lane: Lane, state: &SessionState) -> Arc<TaskContext> {
        let pool = self.of(lane);
        let mut config = state.config().clone();
        config.options_mut().execution.sort_spill_reservation_bytes = pool.merge_bytes;
        Arc::new(TaskContext::from(state).with_session_config(config).with_runtime(Arc::clone(&pool.env)))
    }

    /// Room for the result of a query of this lane.
    pub(super) fn for_result(&self, lane: Lane) -> MemoryReservation {
        MemoryConsumer::new("result").register(&self.of(lane).env.memory_pool)
    }
}
