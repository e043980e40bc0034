//! `calltide check`: configuration and surroundings, one line each: ok, warn or error, with what to do about it.
//!
//! Changes nothing but a temporary file. What can only be known by connecting is in [`pbx`] and [`running`].

mod files;
mod pbx;
mod running;

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use calltide_eventlog::LogError;
use calltide_eventlog::embedded::{self, Lost};
use calltide_query_api::Principal;
use comfy_table::{Cell, ContentArrangement, Table, presets};

use crate::args::{Check, Places};
use crate::config::Config;
use crate::data::DataDir;
use crate::errors::{Exit, Result};
use crate::output;
use crate::reader;

/// Below this the log may stop within days at a busy site.
const FREE_BYTES_LOW: u64 = 5 << 30;
/// Below this it may stop within hours.
const FREE_BYTES_NONE: u64 = 256 << 20;
/// When this program was written; a clock before that is wrong.
const CLOCK_FLOOR_SECS: u64 = 1_767_225_600;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    Warn,
    Error,
}

/// One line.
#[derive(Debug)]
struct Finding {
    level: Level,
    what: String,
    found: String,
    hint: String,
}

impl Finding {
    fn new(level: Level, what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { level, what: what.into(), found: found.into(), hint: String::new() }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Check) -> Result<ExitCode> {
    if asked.running {
        return running::ask(&Config::load(places, None)?.http.listen).map(|()| ExitCode::SUCCESS);
    }
    let data = places.data();
    let mut findings = Vec::new();
    match Config::load(places, None) {
        Ok(config) => {
            findings.push(Finding::new(Level::Ok, "configuration", format!("{} PBXs", config.pbx.len())));
            findings.push(door(&config));
            findings.extend(people(&config));
            findings.extend(directory(&data));
            findings.push(log(&data, &config));
            findings.extend(lake(places, &config, &data));
            findings.push(clock());
            findings.extend(files::look(&config));
            match (config.pbx.is_empty(), asked.offline) {
                (true, _) => findings.push(
                    Finding::new(Level::Warn, "PBXs", "none configured")
                        .hint("add a [[pbx]] to calltide.toml, or import files"),
                ),
                (false, true) => findings.push(Finding::new(Level::Ok, "PBXs", "not asked (--offline)")),
                (false, false) => findings.extend(pbx::ask_all(&config)?),
            }
        }
        Err(failure) => findings.push(Finding::new(Level::Error, "configuration", failure.to_string().trim_end())),
    }
    output::data(table(&findings).as_bytes())?;
    let failed = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if failed { ExitCode::from(Exit::Failed.code()) } else { ExitCode::SUCCESS })
}

fn door(config: &Config) -> Finding {
    let listen = &config.http.listen;
    if config.http.is_loopback() {
        return Finding::new(Level::Ok, "[http] listen", listen);
    }
    Finding::new(
        Level::Warn,
        "[http] listen",
        format!("{listen} is no loopback address: `up` and `query-api` refuse it"),
    )
    .hint("`ingest` and `processor` show their metrics there; queries have no login yet, so they stay on 127.0.0.1")
}

/// The directory of users, agents and devices, where there is one.
fn people(config: &Config) -> Vec<Finding> {
    let strangers = config.strangers();
    let fits = match config.directory.entries().len() {
        0 => None,
        count => Some(Finding::new(Level::Ok, "[directory]", format!("{count} entries fit together"))),
    };
    let warn = |told: String| {
        Finding::new(Level::Warn, "[directory]", told).hint("PBXs are named as the id of their [[pbx]] says")
    };
    fits.into_iter().chain(strangers.into_iter().map(warn)).collect()
}

fn directory(data: &DataDir) -> Vec<Finding> {
    let path = data.path();
    let nearest = path.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("."));
    // `calltide-data` alone has the empty path as its parent.
    let nearest = if nearest.as_os_str().is_empty() { Path::new(".") } else { nearest };
    let what = "data directory";
    let writable = match tempfile::Builder::new().prefix(".calltide-check-").tempfile_in(nearest) {
        Ok(_) if path.is_dir() => Finding::new(Level::Ok, what, format!("{} can be written", path.display())),
        Ok(_) => Finding::new(Level::Ok, what, format!("{} is not there yet and can be made", path.display())),
        Err(e) => Finding::new(Level::Error, what, format!("{} cannot be written: {e}", nearest.display()))
            .hint("give the directory to the user that calltide runs as, or another one with --data"),
    };
    let space = match rustix::fs::statvfs(nearest) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let level = match free {
                0..FREE_BYTES_NONE => Level::Error,
                FREE_BYTES_NONE..FREE_BYTES_LOW => Level::Warn,
                _ => Level::Ok,
            };
            let finding =
                Finding::new(level, "disk space", format!("{:.1} GiB free", free as f64 / f64::from(1 << 30)));
            if level == Level::Ok {
                finding
            } else {
                finding.hint("a full disk stops the collecting until there is space")
            }
        }
        Err(e) => Finding::new(Level::Warn, "disk space", e.to_string()),
    };
    vec![writable, space]
}

fn log(data: &DataDir, config: &Config) -> Finding {
    if config.log.is_shared() {
        return match reader::log(data, config, reader::Patience::None) {
            Ok(_) => Finding::new(Level::Ok, "log", "Kafka answers, and its topics are as they must be"),
            Err(failure) => Finding::new(Level::Error, "log", failure.to_string().trim_end()),
        };
    }
    match embedded::verify(&data.log()) {
        Ok(damage) if damage.is_empty() => Finding::new(Level::Ok, "log", "every record can be read"),
        Ok(damage) => {
            let lost = damage.iter().filter(|damage| damage.lost != Lost::Nothing).count();
            let level = if lost > 0 { Level::Error } else { Level::Warn };
            Finding::new(level, "log", format!("{} damaged places, {lost} with losses", damage.len()))
                .hint("`calltide log verify` names them")
        }
        Err(LogError::Missing { .. }) => Finding::new(Level::Ok, "log", "none yet"),
        Err(e) => Finding::new(Level::Error, "log", e.to_string()).hint("`calltide log verify` says more"),
    }
}

fn lake(places: &Places, config: &Config, data: &DataDir) -> Vec<Finding> {
    let place = config.lake.place(data);
    let probed = match &place {
        Ok(place) => place.probe(),
        Err(failure) => return vec![Finding::new(Level::Error, "lake", failure.to_string().trim_end())],
    };
    let store = match probed {
        None => None,
        Some(Ok(url)) => {
            Some(Finding::new(Level::Ok, "lake", format!("{url} can be written, and honours conditional puts")))
        }
        // Its tables would only say the same.
        Some(Err(failure)) => return vec![Finding::new(Level::Error, "lake", failure.to_string().trim_end())],
    };
    store.into_iter().chain([tables(places, place.is_ok_and(|place| place.may_have_tables()))]).collect()
}

fn tables(places: &Places, may_be_there: bool) -> Finding {
    if !may_be_there {
        return Finding::new(Level::Ok, "tables", "none yet");
    }
    let asked = reader::Reader::open(places).and_then(|reader| {
        let answer =
            reader.ask(async |engine| engine.query(&Principal::local(), "SELECT count(*) FROM calls").await)?;
        crate::sql::written(&answer, crate::args::Format::Csv)
    });
    match asked {
        Ok(csv) => {
            let calls = String::from_utf8_lossy(&csv).lines().nth(1).unwrap_or("0").to_owned();
            Finding::new(Level::Ok, "tables", format!("{calls} calls"))
        }
        Err(failure) => Finding::new(Level::Error, "tables", failure.to_string().trim_end())
            .hint("`calltide replay` writes them again from the log"),
    }
}

fn clock() -> Finding {
    let secs = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let zones = jiff::tz::TimeZone::get("Europe/Berlin").is_ok();
    match (secs < CLOCK_FLOOR_SECS, zones) {
        (true, _) => Finding::new(Level::Error, "clock", "this machine's clock is years behind")
            .hint("start a time service (chrony)"),
        (false, false) => {
            Finding::new(Level::Warn, "clock", "no time zones are installed").hint("install the package tzdata")
        }
        (false, true) => Finding::new(Level::Ok, "clock", "plausible; each PBX's own is compared when collecting"),
    }
}

fn table(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    for finding in findings {
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        table.add_row([level, &finding.what, &finding.found, &finding.hint].map(Cell::new));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_says_how_it_is() {
        let findings = [
            Finding::new(Level::Warn, "PBXs", "none configured").hint("add one"),
            Finding::new(Level::Ok, "log", "none yet"),
        ];
        let text = table(&findings);
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert!(lines[0].starts_with("warn") && lines[0].ends_with("add one"), "{text}");
        assert!(lines[1].starts_with("ok") && lines[1].ends_with("none yet"), "{text}");
    }
}
