//! The `calltide` command: parses its arguments, does what they say, and tells what went wrong.
//!
//! This crate alone reads the environment, signals and the wall clock; what things mean is in the other crates. Read
//! [`args`] for the commands, [`config`] for the settings, [`site`] for a data directory that is written to.

mod agent_table;
mod agents;
mod args;
mod bench;
mod caller_table;
mod charges_table;
mod check;
mod clock;
mod cluster;
mod collectors;
mod config;
mod contacts;
mod control;
mod data;
mod demo;
mod directory;
mod errors;
mod fold;
mod folds;
mod generate;
mod import;
mod ingest;
mod inspect;
mod intake;
mod lake;
mod log;
mod outcome_table;
mod output;
mod place;
mod processor;
mod queries;
mod query_api;
mod queue_table;
mod reader;
mod recycling;
mod recycling_table;
mod replay;
mod report;
mod report_table;
mod site;
mod sql;
mod telemetry;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use errors::Result;

/// Many small allocations from many threads: events, rows and plans.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    telemetry::start(args.command.voice());
    match run(args) {
        Ok(code) => code,
        Err(failure) => {
            output::complain(&failure.to_string());
            ExitCode::from(failure.exit.code())
        }
    }
}

fn run(args: Args) -> Result<ExitCode> {
    let places = &args.places;
    let done = match args.command {
        Command::Demo(demo) => demo::run(places, &demo),
        Command::Up(up) => up::run(places, &up),
        Command::Ingest(ingest) => ingest::run(places, &ingest),
        Command::Processor(processor) => processor::run(places, &processor),
        Command::QueryApi(api) => query_api::run(places, &api),
        Command::Import(import) => import::run(places, &import),
        Command::Report(report) => report::run(places, &report),
        Command::Sql(sql) => sql::run(places, &sql),
        Command::Inspect(inspect) => inspect::run(places, &inspect),
        Command::Contacts(asked) => contacts::run(places, &asked),
        Command::Dnc(asked) => contacts::run_dnc(places, &asked),
        Command::Agents(asked) => agents::run(places, &asked),
        Command::Directory(asked) => directory::run(places, &asked),
        Command::Recycling(asked) => recycling::run(places, &asked),
        Command::Check(check) => return check::run(places, &check),
        Command::Log(log) => return log::run(places, &log),
        Command::Lake(asked) => lake::run(places, &asked),
        Command::Replay(replay) => replay::run(places, &replay),
        Command::Generate(generate) => generate::run(places, &generate),
        Command::Bench(bench) => bench::run(&bench),
    };
    done.map(|()| ExitCode::SUCCESS)
}
