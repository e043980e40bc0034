//! From a question to a plan that may run: every door's questions go this way, and none around it.
//!
//! A text is looked at by [`super::guard`] before it is parsed and gets its values by [`super::parameters`]; a plan that was
//! made elsewhere is measured and put over our tables by [`super::ready`]. From there on they are alike: [`super::gateway`]
//! looks at the plan before and after the optimizer.

use std::sync::Arc;

use calltide_schemas::tables::{TableDef, table};
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::Statement;
use tokio::sync::oneshot;

use super::admission::{Author, Lane};
use super::catalog::Tables;
use super::lacking::Lacking;
use super::parameters::Typed;
use super::pieces::{AGENT_INTERVALS, AGENT_PIECES};
use super::question::{Description, Question, Sql};
use super::session::over;
use super::{Inner, QueryError, gateway, guard, output, ready, weight};

/// A query that is ready to run.
pub(super) struct Prepared {
    pub(super) plan: Arc<dyn ExecutionPlan>,
    pub(super) state: SessionState,
    /// Whose turns and memory it takes.
    pub(super) lane: Lane,
    /// Whose threads it runs on, and whether it is stopped first when memory ends.
    pub(super) weight: Lane,
    /// What its tables lack.
    pub(super) lacking: Arc<[Lacking]>,
}

/// The tables of a query as they were at one moment.
#[derive(Clone)]
pub(super) struct Present {
    state: SessionState,
    lacking: Arc<[Lacking]>,
}

impl Inner {
    /// Says when all is there that planning needs.
    pub(super) async fn prepare(
        &self,
        question: Question,
        author: Author,
        present: Option<Present>,
        begin: oneshot::Sender<()>,
    ) -> Result<Prepared, QueryError> {
        let (plan, Present { mut state, lacking }) = match question {
            Question::Sql(sql) => self.plan_sql(sql, author, present, begin).await?,
            Question::Plan(plan) => self.plan_ready(*plan, begin).await?,
        };
        gateway::check(&plan)?;
        let plan = state.optimize(&plan).map_err(|e| QueryError::from_run(&e))?;
        let manner = gateway::rows_at_once(&plan)?;
        let rows = ConfigNonZeroUsize::try_new(manner.rows).map_err(|e| QueryError::from_run(&e))?;
        state.config_mut().options_mut().execution.batch_size = rows;
        let plan =
            state.query_planner().create_physical_plan(&plan, &state).await.map_err(|e| QueryError::from_run(&e))?;
        let weight = if manner.builds { Lane::Heavy } else { weight::lane(&plan, self.memory.light_reads_max()) };
        let lane = if author == Author::Asker { weight } else { Lane::Light };
        Ok(Prepared { plan, state, lane, weight, lacking })
    }

    /// What a statement takes and gives. No rows are read for it.
    pub(super) async fn describe(&self, sql: &Sql, begin: oneshot::Sender<()>) -> Result<Description, QueryError> {
        let statement = guard::parse(&sql.text)?;
        let state = self.planner()?;
        let _ = begin.send(());
        let typed = Typed::plan(&state, statement, &sql.types).await?;
        let parameters = typed.shown();
        let plan = typed.bind_nothing()?;
        gateway::check(&plan)?;
        Ok(Description { parameters, schema: output::plain_texts(plan.schema().inner()) })
    }

    /// A session over the tables without their rows.
    pub(super) fn planner(&self) -> Result<SessionState, QueryError> {
        over(&self.session, Tables::without_rows()).map_err(|e| QueryError::from_run(&e))
    }

    async fn plan_sql(
        &self,
        sql: Sql,
        author: Author,
        present: Option<Present>,
        begin: oneshot::Sender<()>,
    ) -> Result<(LogicalPlan, Present), QueryError> {
        let statement = match author {
            Author::Asker => guard::parse(&sql.text)?,
            Author::Report | Author::Probe => self
                .session
                .sql_to_statement(&sql.text, &datafusion::config::Dialect::Generic)
                .map_err(|e| QueryError::from_plan(&e))?,
        };
        let present = match present {
            Some(present) => present,
            None => self.present(self.tables_of(&statement)?).await?,
        };
        let _ = begin.send(());
        let typed = Typed::plan(&present.state, statement, &sql.types).await?;
        Ok((typed.bind(sql.values)?, present))
    }

    async fn plan_ready(
        &self,
        plan: LogicalPlan,
        begin: oneshot::Sender<()>,
    ) -> Result<(LogicalPlan, Present), QueryError> {
        let named = ready::tables(&plan)?;
        let present = self.present(named.iter().filter_map(|name| table(name)).collect()).await?;
        let _ = begin.send(());
        Ok((ready::put_in_place(plan, &present.state).await?, present))
    }

    /// The tables that a statement names; what is not a table of ours is for the planner to complain of.
    fn tables_of(&self, statement: &Statement) -> Result<Vec<&'static TableDef>, QueryError> {
        let references = self.session.resolve_table_references(statement).map_err(|e| QueryError::from_plan(&e))?;
        let read = |name| if name == AGENT_PIECES { AGENT_INTERVALS } else { name };
        Ok(references.iter().filter_map(|r| table(read(r.table()))).collect())
    }

    /// The present moment of these tables.
    pub(super) async fn present(&self, mut defs: Vec<&'static TableDef>) -> Result<Present, QueryError> {
        defs.sort_by_key(|def| def.name);
        defs.dedup_by_key(|def| def.name);
        let moments = self.source.lock().await.moment(&defs).await?;
        let lacking = moments.iter().flat_map(|moment| moment.overlay.lacking.iter().cloned()).collect();
        let state = Tables::new(&moments).and_then(|tables| over(&self.session, tables));
        Ok(Present { state: state.map_err(|e| QueryError::from_run(&e))?, lacking })
    }
}
