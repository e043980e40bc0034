//! The command line: what can be asked, with help and examples.
//!
//! Only words and their forms are decided here; each command's own file does the rest.

mod agents;
mod bench;
mod charges;
mod directory;
mod generate;
mod import;
mod queues;
mod recycling;
mod report;

pub(crate) use agents::{AgentsReport, CallersReport, NowFormat, NowReport};
pub(crate) use bench::{Bench, BenchStage};
pub(crate) use charges::ChargesReport;
pub(crate) use directory::{Agents, Directory, DirectoryShow};
pub(crate) use generate::Generate;
pub(crate) use import::Import;
pub(crate) use queues::QueuesReport;
pub(crate) use recycling::{
    Contacts, ContactsLoad, ContactsStand, Dnc, DoNotCallArgs, Promise, Recycling, RecyclingReport, Simulate, Why,
};
pub(crate) use report::{Basis, Outcomes, Report, ReportArgs};

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::data::{self, DataDir};
use crate::errors::Exit;
use crate::telemetry::Voice;

/// Turns what an Asterisk or Issabel contact centre says (AMI, CEL, queue_log) into per-call outcomes and reports.
#[derive(Debug, Parser)]
#[command(name = "calltide", version, max_term_width = 100, after_help = after_help())]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Above the options that every command has.
const PLACES: &str = "Places";

/// Where data and configuration are.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Places {
    /// The data directory [env: CALLTIDE_DATA] [default: calltide-data]
    #[arg(long, global = true, value_name = "DIR", help_heading = PLACES)]
    pub(crate) data: Option<PathBuf>,
    /// The configuration file [default: calltide.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "CALLTIDE_CONFIG", hide_env_values = true, help_heading = PLACES)]
    pub(crate) config: Option<PathBuf>,
}

impl Places {
    /// The data directory: as given, from the environment, or the usual one.
    pub(crate) fn data(&self) -> DataDir {
        let named = std::env::var_os("CALLTIDE_DATA").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        DataDir::at(self.data.as_deref().or(named.as_deref()).unwrap_or(Path::new(data::DEFAULT)))
    }
}

fn after_help() -> String {
    let mut text = "Start with `calltide demo`; every command explains itself with --help.\n\nExit codes:\n".to_owned();
    for (code, meaning) in Exit::ALL {
        text.push_str(&format!("  {code:<4} {meaning}\n"));
    }
    text
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play two recorded Asterisks through real AMI sockets, print the report, serve the HTTP API until Ctrl-C
    Demo(Demo),
    /// Collect from the configured PBXs, derive, write the tables and serve queries, until told to stop
    Up(Up),
    /// Import recorded history: AMI recordings, CEL files, queue logs
    Import(Import),
    /// Print a report
    #[command(subcommand)]
    Report(Report),
    /// Ask the tables in SQL
    #[command(after_help = SQL_EXAMPLES)]
    Sql(Sql),
    /// Tell the story of a call, event by event, and why it got its status
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(Inspect),
    /// Load lists of contacts, hold and release them, promise calls
    #[command(subcommand)]
    Contacts(Contacts),
    /// Say who may not be called
    #[command(subcommand)]
    Dnc(Dnc),
    /// Log agents in and out at terminals
    #[command(subcommand)]
    Agents(Agents),
    /// Show, check and change who works, with what, for whom, and what it costs
    #[command(subcommand)]
    Directory(Directory),
    /// Tell why a contact is (not) called again, and what other rules would do
    #[command(subcommand)]
    Recycling(Recycling),
    /// Collect beside the PBXs and take it to Kafka; needs [log] kafka
    Ingest(Ingest),
    /// Derive calls from the events on Kafka and write the tables; several share the work
    Processor(Processor),
    /// Serve queries over HTTP (what `up` starts beside itself)
    QueryApi(QueryApi),
    /// Look at the configuration, the data directory and the PBXs, and say what is wrong
    Check(Check),
    /// Show what is in the log
    #[command(subcommand)]
    Log(Log),
    /// Show what the tables consist of, and keep them small
    #[command(subcommand, after_help = LAKE_EXAMPLES)]
    Lake(Lake),
    /// Derive every table again from the log or the archive, and swap the new ones in
    Replay(Replay),
    /// Make a data directory of invented calls, for demonstrations and measurements
    Generate(Generate),
    /// Measure decoding, folding and importing on this machine
    Bench(Bench),
}

impl Command {
    /// How much it says of itself.
    pub(crate) const fn voice(&self) -> Voice {
        match self {
            Self::Up(_) | Self::Ingest(_) | Self::Processor(_) | Self::QueryApi(_) => Voice::Talking,
            Self::Demo(_)
            | Self::Import(_)
            | Self::Report(_)
            | Self::Sql(_)
            | Self::Inspect(_)
            | Self::Contacts(_)
            | Self::Dnc(_)
            | Self::Agents(_)
            | Self::Directory(_)
            | Self::Recycling(_)
            | Self::Check(_)
            | Self::Log(_)
            | Self::Lake(_)
            | Self::Replay(_)
            | Self::Generate(_)
            | Self::Bench(_) => Voice::Quiet,
        }
    }
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// An array of objects
    Json,
    /// With a line of names, for spreadsheets
    Csv,
}

/// Arguments of `demo`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The data is kept only if --data names a directory.\n\nExamples:\n  calltide demo\n  calltide demo --once --data demo-data"
)]
pub(crate) struct Demo {
    /// Exit after the report instead of serving
    #[arg(long)]
    pub(crate) once: bool,
    /// How many times as fast as it happened the recordings are played
    #[arg(long, value_name = "N", default_value_t = 24.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// Where to serve HTTP; loopback only [default: 127.0.0.1:8474, or a free port]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Only be the two PBXs, at this address and the next port, for a collector elsewhere: user calltide, secret demo
    ///
    /// The recordings are said again and again, at the pace at which they happened, as if they happened now.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["once", "speed", "listen"])]
    pub(crate) play: Option<SocketAddr>,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // Faster than this nothing is left to be seen, slower than a tenth nobody waits for.
        Ok(times) if (0.1..=10_000.0).contains(&times) => Ok(times),
        Ok(_) | Err(_) => Err("a number from 0.1 to 10000 is expected".to_owned()),
    }
}

/// Arguments of `up`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "PBXs are configured in calltide.toml, see README.md. Without any, `up` serves queries and takes imports.\n\nExamples:\n  calltide up\n  calltide up --data /var/lib/calltide --config /etc/calltide.toml"
)]
pub(crate) struct Up {
    /// Where to serve HTTP; loopback only [default: 127.0.0.1:8474]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
}

/// Arguments of `ingest`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "What was collected is in the data directory until Kafka has it, however long the line is cut.\n\nExamples:\n  calltide ingest --data /var/lib/calltide --config /etc/calltide.toml"
)]
pub(crate) struct Ingest {
    /// Where to serve /metrics, /healthz and /readyz [default: 127.0.0.1:8474]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
}

/// Arguments of `processor`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Processors on one machine need data directories of their own, and one lake: [lake] url.\n\nExamples:\n  calltide processor --data /var/lib/calltide --config /etc/calltide.toml"
)]
pub(crate) struct Processor {
    /// Where to serve /metrics, /healthz and /readyz [default: 127.0.0.1:8474]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
}

/// Arguments of `query-api`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  calltide query-api --listen 127.0.0.1:9000\n  curl 'http://127.0.0.1:9000/api/v1/reports/outcomes?by=campaign'"
)]
pub(crate) struct QueryApi {
    /// Where to serve HTTP; loopback only [default: 127.0.0.1:8474]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// As `up` starts it: stdout is the socket that is listened on already, and the end of stdin is the end
    #[arg(long, hide = true)]
    pub(crate) as_child: bool,
}

const SQL_EXAMPLES: &str = "\
Examples:
  calltide sql \"SELECT status, count(*) FROM calls GROUP BY status ORDER BY 2 DESC\"
  calltide sql \"SELECT agent, sum(talk_ms)/60000.0 AS minutes FROM legs GROUP BY agent\" --format csv
  calltide sql \"SELECT table_name, column_name, data_type FROM information_schema.columns\"";

/// Arguments of `sql`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Sql {
    /// The query: SELECT over calls, attempts, legs, queue_visits, contacts, verdicts, rules, do_not_call, agent_sessions,
    /// agent_intervals, agent_names, directory, charges, stories, rejects, sources, inputs; `-` reads it from stdin
    #[arg(value_name = "QUERY")]
    pub(crate) query: String,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  calltide inspect site-a/1770000000.12
  calltide inspect 1770000000.12 --tz Europe/Moscow
  calltide inspect 74951234567";

/// Arguments of `inspect`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Inspect {
    /// A call's id, with or without its PBX, or a customer's number
    #[arg(value_name = "CALL")]
    pub(crate) call: String,
    /// The zone that times are shown in
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) tz: String,
}

/// Arguments of `check`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Ends with 1 if anything is an error; warnings do not count.\n\nExamples:\n  calltide check\n  calltide check --offline --config /etc/calltide.toml\n  calltide check --running"
)]
pub(crate) struct Check {
    /// Do not connect to the PBXs
    #[arg(long)]
    pub(crate) offline: bool,
    /// Only ask the process that serves at [http] listen whether it is ready
    #[arg(long, conflicts_with = "offline")]
    pub(crate) running: bool,
}

/// What can be seen of the log.
#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// List the topics, and the journals that events came from
    Ls,
    /// Print the records of a topic, one JSON object a line
    #[command(
        after_help = "Examples:\n  calltide log cat events --limit 10\n  calltide log cat calls --from 100\n  calltide log cat events --since 2026-08-01T09:30:00Z"
    )]
    Cat(LogCat),
    /// Read through everything and tell what is damaged
    Verify,
    /// Remove what need not stay: what is older than [log] says or beyond its bytes, and superseded facts
    #[command(
        after_help = "Only what the tables have goes, and nothing of the last ten minutes. `up` does it by itself, as often as it looks after\nthe tables ([lake] upkeep_every); while it runs, this goes through it."
    )]
    Clean,
}

/// Arguments of `log cat`.
#[derive(Debug, ClapArgs)]
pub(crate) struct LogCat {
    /// The topic, with or without `calltide.`
    pub(crate) topic: String,
    /// Only this partition [default: one after the other]
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// The offset to begin at
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    pub(crate) from: u64,
    /// Begin at the first record that happened at this time or later, e.g. 2026-08-01 or 2026-08-01T09:30:00Z (UTC unless it says otherwise)
    #[arg(long, value_name = "TIME", conflicts_with = "from")]
    pub(crate) since: Option<String>,
    /// How many records at most
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use calltide_query_api::reports::Bucket;
    use calltide_query_api::reports::outcomes::Dimension;
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn places_may_stand_anywhere() {
        for line in ["calltide --data d sql q", "calltide sql q --data d", "calltide sql --data d q"] {
            assert_eq!(parse(line).unwrap().places.data(), DataDir::at(Path::new("d")), "{line}");
        }
    }

    #[test]
    fn groupings_are_given_with_commas() {
        let Command::Report(Report::Outcomes(asked)) =
            parse("calltide report outcomes --by day,campaign").unwrap().command
        else {
            panic!("another command")
        };
        assert_eq!(asked.by, [Dimension::Bucket(Bucket::Day), Dimension::Campaign]);
    }

    #[test]
    fn an_unknown_grouping_names_the_known_ones() {
        let error = parse("calltide report outcomes --by campagn").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("known are campaign, direction, queue"), "{error}");
    }

    #[test]
    fn days_begin_at_midnight_or_at_a_time_of_day() {
        for (line, expected) in [
            ("calltide report agents --tz Europe/Madrid", "00:00"),
            ("calltide report agents --day-start 06:00", "06:00"),
            ("calltide report agents --day-start 23:59 --from 2026-08-01", "23:59"),
        ] {
            let Command::Report(Report::Agents(asked)) = parse(line).unwrap().command else {
                panic!("another command")
            };
            assert_eq!(asked.report.range().unwrap().day_start.to_string(), expected, "{line}");
        }
        for wrong in ["25:00", "6:00", "06:00:30", "noon"] {
            let error = parse(&format!("calltide report now --day-start {wrong}")).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(&format!("a day cannot begin at `{wrong}`")), "{error}");
        }
    }

    #[test]
    fn a_speed_of_nothing_is_refused() {
        assert!(parse("calltide demo --speed 0").is_err());
        assert!(parse("calltide demo --speed NaN").is_err());
        assert!(parse("calltide demo --speed 12.5").is_ok());
    }
}

const LAKE_EXAMPLES: &str = "\
`up` does all of it by itself, every hour ([lake] upkeep_every, retain_days). While it runs, these
commands go through it.

Examples:
  calltide lake ls
  calltide lake compact
  calltide lake retain --dry-run";

/// `calltide lake`
#[derive(Debug, Subcommand)]
pub(crate) enum Lake {
    /// List the tables: rows, files, bytes, days, versions
    Ls,
    /// Merge small files
    Compact(Upkeep),
    /// Remove files that no query of the last day needs, tables that a replay replaced, old entries of the tables' logs
    Vacuum(Upkeep),
    /// Write a checkpoint of each table that has changed, so that whoever opens it next reads one file of its log
    Checkpoint(Upkeep),
    /// Drop the days that [lake] retain_days no longer keeps
    Retain(Upkeep),
}

/// How it is done.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct Upkeep {
    /// Only tell what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `calltide replay`
#[derive(Debug, ClapArgs)]
pub(crate) struct Replay {
    /// Where the raw events are read from [default: the log, or the archive where the log no longer has the beginning]
    #[arg(long, value_enum)]
    pub(crate) from: Option<ReplayFrom>,
}

/// Where raw events can be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReplayFrom {
    /// The log's topic of events.
    Log,
    /// The lake's table `inputs`.
    Archive,
}
