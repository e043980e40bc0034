//! A result: its rows, as far as the caps go, and what counts them as memory in use until they are handed out.
//!
//! It must not know how results are shown. [`super::watch`] may tell whoever hands it out to stop.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;

use super::QueryError;
use super::lacking::Lacking;
use super::watch::{Stop, Work};

/// A result.
#[derive(Debug, Clone)]
pub struct QueryOutput {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// There were more rows than the cap allows.
    pub truncated: bool,
    /// Facts that were to be read for it and could not be had.
    pub lacking: Arc<[Lacking]>,
    held: Arc<Held>,
}

/// Counts a result's rows as memory in use, under the watch.
#[derive(Debug)]
pub(crate) struct Held {
    reserved: MemoryReservation,
    stop: Stop,
    _work: Work,
}

impl Held {
    /// Counts a batch no more.
    pub(crate) fn let_go(&self, batch: &RecordBatch) {
        let bytes = batch.get_array_memory_size().min(self.reserved.size());
        self.reserved.shrink(bytes);
    }

    /// Whether the rows must be let go now, since memory ends.
    pub(crate) fn must_stop(&self) -> bool {
        self.stop.is_asked_for()
    }
}

impl QueryOutput {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The same with these rows instead, which must be taken from its own.
    pub(crate) fn with_rows(self, batches: Vec<RecordBatch>, truncated: bool) -> Self {
        Self { batches, truncated, ..self }
    }

    /// Its rows, to be taken one batch after the other, and what counts them.
    pub(crate) fn into_batches(self) -> (Vec<RecordBatch>, Arc<Held>) {
        (self.batches, self.held)
    }
}

/// Columns as they are answered: texts are views while a query runs ([`super::scan`]), and in the answer what they are in the
/// tables' definitions. Not a part of the plan, where a step above the sort would be free to lose its order.
pub(super) fn plain_texts(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(in_plain_text);
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// The same of one column, which may be a list of texts.
fn in_plain_text(field: &FieldRef) -> FieldRef {
    let data_type = field.data_type();
    let plain = if data_type == &DataType::Utf8View {
        DataType::Utf8
    } else if let DataType::List(entry) = data_type {
        DataType::List(in_plain_text(entry))
    } else {
        return Arc::clone(field);
    };
    Arc::new(field.as_ref().clone().with_data_type(plain))
}

/// The same rows in those columns.
fn in_plain_texts(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()));
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

/// Takes the rows of a stream, up to the caps.
pub(super) async fn collect(
    mut stream: SendableRecordBatchStream,
    lacking: Arc<[Lacking]>,
    reserved: MemoryReservation,
    (work, stop): (Work, Stop),
    rows_max: usize,
    bytes_max: usize,
) -> Result<QueryOutput, QueryError> {
    let schema = plain_texts(&stream.schema());
    let (mut batches, mut truncated) = (Vec::new(), false);
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|e| QueryError::from_run(&e))?;
        let batch = in_plain_texts(&batch, &schema).map_err(|e| QueryError::from_run(&e.into()))?;
        let room = rows_max - rows;
        if batch.num_rows() > room {
            batches.push(batch.slice(0, room));
            truncated = true;
            break;
        }
        rows += batch.num_rows();
        reserved.try_grow(batch.get_array_memory_size()).map_err(|e| QueryError::from_run(&e))?;
        if reserved.size() > bytes_max {
            let message = format!("the result has more than {bytes_max} bytes");
            return Err(QueryError::Resources { message });
        }
        batches.push(batch);
    }
    Ok(QueryOutput { schema, batches, truncated, lacking, held: Arc::new(Held { reserved, stop, _work: work }) })
}
