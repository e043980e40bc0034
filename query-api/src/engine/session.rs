//! The DataFusion session that every query starts from: its settings, its functions, and the tables of one moment.
//!
//! Nothing is kept in it between queries. Read [`super::catalog`] for the tables, [`super::functions`] for what may be called.

use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList};
use datafusion::error::Result;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;

use super::catalog::Tables;
use super::pieces::{AGENT_PIECES, AgentPieces};
use super::{buckets, functions};

/// The names that a table may be written with.
pub(super) const CATALOG: &str = "calltide";
pub(super) const SCHEMA: &str = "public";
/// Functions that build a list by a number; there are table functions of the last two names.
const REMOVED_FUNCTIONS: [&str; 4] = ["array_repeat", "array_resize", "range", "generate_series"];

/// A session without tables, for queries that run on so many threads.
pub(super) fn session(threads: usize, env: &Arc<RuntimeEnv>) -> Result<SessionState> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_target_partitions(threads);
    let settings = config.options_mut();
    // Without end, and of no use to a report.
    settings.execution.enable_recursive_ctes = false;
    settings.sql_parser.map_string_types_to_utf8view = false;
    // DataFusion 55 takes `x IS FALSE` (IS UNKNOWN, IS NOT TRUE, …) for never null in its logical plan and for nullable in its
    // physical one, and then refuses an aggregate over a common part of it. Only that check is about it; found by random
    // queries (`tests/query/random.rs`).
    settings.execution.skip_physical_aggregate_schema_check = true;
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::clone(env))
        .with_default_features()
        .with_analyzer_rule(Arc::new(functions::LimitValues::new(threads)))
        .build();
    for function in buckets::functions() {
        state.register_udf(Arc::new(function))?;
    }
    for name in REMOVED_FUNCTIONS {
        state.deregister_udf(name)?;
    }
    Ok(state)
}

/// The session with these tables; it begins now.
pub(super) fn over(session: &SessionState, tables: Tables) -> Result<SessionState> {
    let pieces = AgentPieces(tables.intervals()?);
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(tables))?;
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    let mut state =
        SessionStateBuilder::new_from_existing(session.clone()).with_catalog_list(Arc::new(catalogs)).build();
    state.register_udtf(AGENT_PIECES, Arc::new(pieces));
    // `now()` is the moment at which the query begins.
    state.mark_start_execution();
    Ok(state)
}
