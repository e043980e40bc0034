//! How heavy a plan is, before it runs: which lane it waits in.
//!
//! A guess by what it reads, not a promise: what a plan really takes is held by the limits. Read [`super::admission`].

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

use super::admission::Lane;

/// Operators that can make much of little, beside joins.
const MULTIPLYING: [&str; 4] = ["LazyMemoryExec", "UnnestExec", "WindowAggExec", "BoundedWindowAggExec"];

/// The lane of a plan, where light ones read so many bytes of files at most.
pub(super) fn lane(plan: &Arc<dyn ExecutionPlan>, light_reads_max: u64) -> Lane {
    let mut bytes: u64 = 0;
    let mut multiplies = false;
    // It cannot fail, since nothing in it does.
    let _ = plan.apply(|node| {
        let sets = node.downcast_ref::<AggregateExec>().map_or(1, |aggregate| aggregate.group_expr().groups().len());
        multiplies |= sets > 1 || node.name().contains("Join") || MULTIPLYING.contains(&node.name());
        bytes = bytes.saturating_add(scanned(node.as_ref()));
        Ok(TreeNodeRecursion::Continue)
    });
    if multiplies || bytes > light_reads_max { Lane::Heavy } else { Lane::Light }
}

/// The bytes of the columns that a scan reads, taking all columns for equally long.
fn scanned(node: &dyn ExecutionPlan) -> u64 {
    let source = node.downcast_ref::<DataSourceExec>().map(DataSourceExec::data_source);
    let Some(scan) = source.and_then(|source| source.downcast_ref::<FileScanConfig>()) else {
        return 0;
    };
    let files = scan.file_groups.iter().flat_map(|group| group.iter());
    let bytes: u64 =
        files.map(|file| file.range.as_ref().map_or(file.object_meta.size, |r| r.end.abs_diff(r.start))).sum();
    let all = scan.file_schema().fields().len().max(1) as u64;
    bytes.saturating_mul(node.schema().fields().len() as u64) / all
}
