//! A result written piece by piece, so that a large one is never there twice: a piece is made of about a megabyte of rows, and
//! each batch of rows is let go, and counted no more, once it is written.
//!
//! Must not know who takes the pieces. Read [`super`] for the formats.

use std::io::{self, Write};
use std::sync::Arc;
use std::vec;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::csv::{Writer as CsvWriter, WriterBuilder as CsvWriterBuilder};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, Writer as JsonWriter, WriterBuilder as JsonWriterBuilder};
use parking_lot::Mutex;

use super::{Format, TIMES, disarm, table};
use crate::QueryOutput;
use crate::engine::Held;

/// Rows of about so many bytes are written at once; as text they may take some times that.
const PIECE_BYTES: usize = 1 << 20;

/// The bytes of a result in one format, some rows at a time.
pub struct Pieces {
    batches: vec::IntoIter<RecordBatch>,
    /// What of the batch at hand is not written yet.
    rest: Option<Rest>,
    writer: Option<Writer>,
    written: Pipe,
    held: Arc<Held>,
}

/// The rows of a batch from one on.
struct Rest {
    batch: RecordBatch,
    from: usize,
    /// So many rows at once.
    step: usize,
}

impl Rest {
    fn of(batch: RecordBatch) -> Self {
        let bytes = batch.get_array_memory_size().max(1);
        let step = (PIECE_BYTES.saturating_mul(batch.num_rows()) / bytes).max(1);
        Self { batch, from: 0, step }
    }
}

enum Writer {
    /// All of it at once: its columns are as wide as their longest text.
    Table(String),
    Json(Box<JsonWriter<Pipe, JsonArray>>),
    Csv(Box<CsvWriter<Pipe>>),
    Arrow(Box<StreamWriter<Pipe>>),
}

impl Pieces {
    /// Begins to write.
    ///
    /// # Errors
    /// When a column has a type that the format cannot express.
    pub fn new(output: QueryOutput, format: Format) -> Result<Self, ArrowError> {
        let written = Pipe::default();
        let writer = match format {
            Format::Table => Writer::Table(table(&output)?),
            Format::Json => Writer::Json(Box::new(
                JsonWriterBuilder::new()
                    .with_explicit_nulls(true)
                    .with_timestamp_format(TIMES.to_owned())
                    .with_timestamp_tz_format(TIMES.to_owned())
                    .build(written.clone()),
            )),
            Format::Csv => {
                let mut writer = CsvWriterBuilder::new()
                    .with_header(true)
                    .with_timestamp_format(TIMES.to_owned())
                    .with_timestamp_tz_format(TIMES.to_owned())
                    .build(written.clone());
                // The line of names is there without rows too.
                writer.write(&RecordBatch::new_empty(Arc::clone(&output.schema)))?;
                Writer::Csv(Box::new(writer))
            }
            Format::Arrow => Writer::Arrow(Box::new(StreamWriter::try_new(written.clone(), &output.schema)?)),
        };
        let (batches, held) = output.into_batches();
        Ok(Self { batches: batches.into_iter(), rest: None, writer: Some(writer), written, held })
    }

    fn write_next(&mut self) -> Result<(), ArrowError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if self.held.must_stop() {
            return Err(ArrowError::MemoryError("the rows were let go, since memory came near its limit".to_owned()));
        }
        let Some(rest) = self.rest.take().or_else(|| self.batches.next().map(Rest::of)) else {
            return self.writer.take().map_or(Ok(()), |writer| writer.end(&mut self.written));
        };
        let rows = rest.step.min(rest.batch.num_rows() - rest.from);
        writer.write(&rest.batch.slice(rest.from, rows))?;
        let from = rest.from + rows;
        if from < rest.batch.num_rows() {
            self.rest = Some(Rest { from, ..rest });
        } else if Arc::strong_count(&self.held) == 1 {
            // Nobody else has these rows.
            self.held.let_go(&rest.batch);
        }
        Ok(())
    }
}

impl Iterator for Pieces {
    type Item = Result<Vec<u8>, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.writer.is_some() {
            if let Err(error) = self.write_next() {
                self.writer = None;
                return Some(Err(error));
            }
            let piece = self.written.take();
            if !piece.is_empty() {
                return Some(Ok(piece));
            }
        }
        None
    }
}

impl Writer {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        match self {
            Self::Table(_) => Ok(()),
            Self::Json(writer) => writer.write(batch),
            Self::Csv(writer) => {
                let columns = batch.columns().iter().map(|column| match column.as_string_opt::<i32>() {
                    Some(texts) => Arc::new(texts.iter().map(|t| t.map(disarm)).collect::<StringArray>()) as ArrayRef,
                    None => Arc::clone(column),
                });
                writer.write(&RecordBatch::try_new(batch.schema(), columns.collect())?)
            }
            Self::Arrow(writer) => writer.write(batch),
        }
    }

    fn end(self, written: &mut Pipe) -> Result<(), ArrowError> {
        match self {
            Self::Table(text) => Ok(written.write_all(text.as_bytes())?),
            Self::Json(mut writer) => {
                writer.finish()?;
                Ok(written.write_all(b"\n")?)
            }
            Self::Csv(_) => Ok(()),
            Self::Arrow(mut writer) => writer.finish(),
        }
    }
}

/// Both ends of what is written and not yet taken.
#[derive(Debug, Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Pipe {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
