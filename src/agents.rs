//! `calltide agents`: logs agents in and out at terminals, by hand.
//!
//! What is said goes into the log as it does over HTTP, and the fold's answer is waited for.

use std::sync::Arc;

use calltide_query_api::agents::Terminals;
use calltide_schemas::agents::TerminalWhat;
use calltide_schemas::recycling::check_names;

use crate::args::{Agents, Places};
use crate::clock;
use crate::config::Config;
use crate::errors::{Exit, Failure, Result};
use crate::intake::Way;
use crate::output;
use crate::query_api::runtime;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Agents) -> Result<()> {
    let config = Config::load(places, None)?;
    match asked {
        Agents::Login(asked) => {
            let address = asked.address.map(|address| address.to_string());
            // Nobody sends heartbeats for it.
            let what = TerminalWhat::Login { address, device: asked.device.clone(), timeout_ms: None };
            check_names([asked.device.as_deref()]).map_err(|error| Failure::new(Exit::Usage, error))?;
            let device = say(places, &config, &asked.id, &asked.terminal, what)?;
            let device = device.map(|device| format!(", with the device {device}"));
            output::note(&format!("{} is logged in at {}{}", asked.id, asked.terminal, device.unwrap_or_default()));
        }
        Agents::Logout(asked) => {
            say(places, &config, &asked.id, &asked.terminal, TerminalWhat::Logout)?;
            output::note(&format!("{} is logged out at {}", asked.id, asked.terminal));
        }
    }
    Ok(())
}

/// Says something of an agent at a terminal, and returns the agent's device.
fn say(places: &Places, config: &Config, agent: &str, terminal: &str, what: TerminalWhat) -> Result<Option<String>> {
    check_names([Some(agent), Some(terminal)]).map_err(|error| Failure::new(Exit::Usage, error))?;
    let way = Arc::new(Way::open(&places.data(), config)?);
    let terminals = Terminals::start(way.log(config)?, Arc::clone(&way) as _, config.directory.heartbeat());
    let terminals = terminals.map_err(|e| Failure::new(Exit::Failed, "cannot listen for the answer").because(&e))?;
    let answer = runtime()?.block_on(terminals.say(clock::now(), agent, terminal, what));
    drop(terminals);
    let closed = Arc::into_inner(way).map_or(Ok(()), Way::close);
    let answer = answer.map_err(|error| Failure::of(Exit::Failed, &error))?;
    closed?;
    if answer.accepted {
        return Ok(answer.device);
    }
    let reason = answer.reason.unwrap_or_else(|| "nothing was said why".to_owned());
    Err(Failure::new(Exit::Failed, format!("it was refused: {reason}")))
}
