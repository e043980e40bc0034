//! The operator that cuts intervals: batches of rows in, batches of pieces out.
//!
//! Where is cut, what a piece is, and which of a batch become one, is said by [`super::pieces`]. It keeps no rows.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::exec_datafusion_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::pieces::Cut;

/// Cuts the intervals of its input.
#[derive(Debug)]
pub(super) struct CutExec {
    input: Arc<dyn ExecutionPlan>,
    cut: Cut,
    properties: Arc<PlanProperties>,
}

impl CutExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, cut: Cut, schema: SchemaRef) -> Self {
        let partitions = Partitioning::UnknownPartitioning(input.output_partitioning().partition_count());
        let order = EquivalenceProperties::new(schema);
        let properties = PlanProperties::new(order, partitions, EmissionType::Incremental, Boundedness::Bounded);
        Self { input, cut, properties: Arc::new(properties) }
    }
}

impl DisplayAs for CutExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CutExec")
    }
}

impl ExecutionPlan for CutExec {
    fn name(&self) -> &'static str {
        "CutExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| exec_datafusion_err!("there is nothing to be cut"))?;
        Ok(Arc::new(Self::new(input, self.cut.clone(), self.schema())))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows_max = context.session_config().batch_size();
        let input = self.input.execute(partition, context)?;
        let (cut, schema) = (self.cut.clone(), self.schema());
        let pieces = input.map(move |batch| -> Result<_> { Ok(stream::iter(cut.pieces(batch?, &schema, rows_max)?)) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), pieces.try_flatten())))
    }
}
