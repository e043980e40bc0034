//! Several statements that make one answer: they see the same moment of the data, and have one deadline together.
//!
//! For reports of this crate's own. It knows no tables but by name; how each statement is planned and run is the engine's.

use std::sync::Arc;

use calltide_schemas::tables::table;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::admission::Author;
use super::prepare::Present;
use super::{Engine, Principal, QueryError, QueryOutput, Question, counted};

/// See the module.
pub(crate) struct Inquiry<'e> {
    engine: &'e Engine,
    until: Instant,
    present: Present,
}

impl Engine {
    /// Begins one, over the present moment of these tables. Its statements may name no others.
    pub(crate) async fn inquiry(&self, tables: &[&str]) -> Result<Inquiry<'_>, QueryError> {
        let until = self.deadline();
        let defs: Vec<_> = tables.iter().filter_map(|name| table(name)).collect();
        let principal = Principal::local();
        let admitted = self.admit(&principal, &Question::sql(&tables.join(", ")), Author::Report, until)?;
        let begun = async {
            let permit = self.planners.permit(&principal, Author::Report, 0).await?;
            admitted.goes_on();
            let inner = Arc::clone(&self.inner);
            let look = move |handle: &Handle, _: oneshot::Sender<()>| handle.block_on(inner.present(defs));
            self.on_a_planner(&admitted.asked, permit, look).await
        };
        let present = counted(admitted.in_time(self.inner.options.deadline, begun)).await;
        let present = present.map_err(|error| self.for_want_of_the_lake(error))?;
        Ok(Inquiry { engine: self, until, present })
    }
}

impl Inquiry<'_> {
    /// Answers one statement.
    pub(crate) async fn report(&self, sql: &str) -> Result<QueryOutput, QueryError> {
        let (question, present) = (Question::sql(sql), Some(self.present.clone()));
        counted(self.engine.run(&Principal::local(), question, Author::Report, self.until, present)).await
    }
}
