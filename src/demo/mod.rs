//! `calltide demo`: two recorded PBXs, played back through real AMI sockets, collected, derived, reported and served.
//!
//! Nothing is simulated behind the sockets: the collectors log in with MD5, the log, the fold and the lake are those of
//! `up`. [`recorded`] plays and collects, [`play`] only plays; here is what the person sees.

mod play;
mod recorded;

use std::sync::Arc;
use std::time::Instant;

use calltide_query_api::http::MetricsText;
use calltide_query_api::reports::outcomes::{Dimension, Direction, OutcomesQuery, outcomes};
use calltide_query_api::{Engine, Principal, QueryOutput, format};
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::args::{Demo, Places};
use crate::config::Config;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};
use crate::fold::Time;
use crate::outcome_table;
use crate::output;
use crate::query_api;
use crate::site::Site;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Demo) -> Result<()> {
    if let Some(address) = asked.play {
        return play::run(address);
    }
    let metrics = query_api::metrics()?;
    let config = Config::load(places, asked.listen.as_deref())?;
    // Removed when it is dropped. CALLTIDE_DATA is not asked: a demo must not get into real data.
    let temporary = tempfile::Builder::new().prefix("calltide-demo-").tempdir();
    let temporary =
        temporary.map_err(|e| Failure::new(Exit::Failed, "cannot make a temporary directory").because(&e))?;
    let data = DataDir::at(places.data.as_deref().unwrap_or(temporary.path()));
    if data.log().exists() {
        return Err(Failure::new(Exit::Usage, format!("{} has data already", data.path().display()))
            .hint("the demo needs a fresh directory; leave --data out for a temporary one"));
    }
    let runtime = query_api::runtime()?;
    let began = Instant::now();
    let site = Site::open(&data, &config, Time::GoesOn)?;
    let told = runtime.block_on(async {
        tokio::select! {
            told = recorded::collect(&site, asked.speed) => told,
            () = query_api::told_to_stop() => Err(Failure::new(Exit::Interrupted, "interrupted")),
        }
    });
    let told = match told {
        Ok(told) => told,
        Err(failure) => {
            // Nobody may write there while it is removed. What went wrong first is told.
            drop(site.close());
            return Err(failure);
        }
    };
    if let Err(failure) = flushed(&site, &runtime) {
        drop(site.close());
        return Err(failure);
    }
    let engine = Arc::new(Engine::new(config.engine(&data, Some(Arc::clone(&site.log)))?)?);
    runtime.block_on(async {
        let text = reported(&engine).await?;
        output::data(text.as_bytes())?;
        output::note(&format!(
            "{} events from two PBXs, collected and told in {:.1} s",
            told.events,
            began.elapsed().as_secs_f64()
        ));
        if asked.once {
            return Ok(());
        }
        serve(&config, asked, &data, (&engine, &site), query_api::of_this_process(metrics)).await
    })?;
    drop(engine);
    site.close()
}

/// Returns when everything is in the tables, or when told to stop: a full disk may keep it from ever getting there.
fn flushed(site: &Site, runtime: &Runtime) -> Result<()> {
    std::thread::scope(|scope| {
        let (tell, done) = oneshot::channel();
        scope.spawn(move || drop(tell.send(site.flush())));
        runtime.block_on(async {
            tokio::select! {
                done = done => done.unwrap_or_else(|_| Err(Failure::new(Exit::Failed, "the tables were not written"))),
                () = query_api::told_to_stop() => {
                    site.give_up();
                    Err(Failure::new(Exit::Interrupted, "interrupted"))
                }
            }
        })
    })
}

async fn serve(
    config: &Config,
    asked: &Demo,
    data: &DataDir,
    (engine, site): (&Arc<Engine>, &Site),
    metrics: MetricsText,
) -> Result<()> {
    let listener = match query_api::listen(&config.http.listen).await {
        // Only who asked for that very address would miss it.
        Err(_) if asked.listen.is_none() => query_api::listen("127.0.0.1:0").await?,
        listener => listener?,
    };
    let next = next_steps(engine, data, &query_api::url(&listener)).await?;
    output::note(&next);
    let served = query_api::Served::over(Arc::clone(engine), config, Arc::clone(&site.log))?;
    query_api::serve_on(listener, served, metrics, query_api::told_to_stop()).await
}

/// The report: outbound per campaign, inbound per queue.
async fn reported(engine: &Engine) -> Result<String> {
    let mut text = String::new();
    for (title, direction, dimension) in [
        ("Outbound, per campaign", Direction::Outbound, Dimension::Campaign),
        ("Inbound, per queue", Direction::Inbound, Dimension::Queue),
    ] {
        let query = OutcomesQuery { by: vec![dimension], directions: vec![direction], ..OutcomesQuery::default() };
        let report = outcomes(engine, &query).await?;
        text.push_str(&format!("\n{title}\n\n{}", outcome_table::tables(&report, &query)?));
    }
    text.push_str(
        "\nreached: an agent spoke with the customer. dropped: the customer answered, no agent came.\n\
         avg wait: until a person took the call. avg call: how long a connected line was up.\n",
    );
    Ok(text)
}

/// What can be tried with this data.
async fn next_steps(engine: &Engine, data: &DataDir, url: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Call {
        call_id: String,
    }
    let interesting =
        "SELECT call_id FROM calls WHERE direction = 'outbound' ORDER BY dropped DESC, talk_ms DESC LIMIT 1";
    let call = example::<Call>(&engine.query(&Principal::local(), interesting).await?);
    let call = call.map_or_else(|| "CALL".to_owned(), |call| call.call_id);
    let dir = data.path().display();
    Ok(format!(
        "\nserving {url} until Ctrl-C; try in another terminal:\n\n\
         \x20 calltide inspect {call} --data {dir}\n\
         \x20 calltide sql \"SELECT status, count(*) FROM calls GROUP BY status\" --data {dir}\n\
         \x20 calltide report outcomes --by agent --data {dir}\n\
         \x20 curl '{url}/api/v1/reports/outcomes?by=campaign'\n\
         \x20 calltide recycling why autumn retry-1 --data {dir}\n\
         \x20 curl '{url}/api/v1/calls/{call}'\n\
         \x20 curl '{url}/api/v1/contacts/autumn/retry-1'\n"
    ))
}

fn example<T: for<'a> Deserialize<'a>>(answer: &QueryOutput) -> Option<T> {
    let json = format::write(answer, format::Format::Json).ok()?;
    serde_json::from_slice::<Vec<T>>(&json).ok()?.pop()
}
