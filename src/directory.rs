//! `calltide directory`: shows who works, with what, for whom, and changes what does not stand in the configuration.
//!
//! Changes are checked as the configuration is, against what holds: its entries, and what the table has of others.

use std::path::Path;

use calltide_query_api::format::{self, Format};
use calltide_query_api::{Principal, QueryOutput};
use calltide_schemas::agents::ForAgents;
use calltide_schemas::agents::check::{ChangeRefused, Standing, check_change, entry_of, kind_named};
use calltide_schemas::agents::directory::{DirectoryChange, Entry, EntryKind, Origin};
use calltide_schemas::recycling::Intake;
use serde::Deserialize;

use crate::args::{Directory, DirectoryShow, Places};
use crate::clock;
use crate::config::{Config, entries_of, must_fit};
use crate::errors::{Exit, Failure, Result};
use crate::intake;
use crate::output;
use crate::reader::Reader;
use crate::sql::written;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Directory) -> Result<()> {
    match asked {
        Directory::Show(asked) => show(places, asked),
        Directory::Check(asked) => check(places, asked.file.as_deref()),
        Directory::Set(asked) => {
            let config = Config::load(places, None)?;
            let (standing, entries) = read(places, &config, &asked.file)?;
            let count = entries.len();
            change(places, &config, &standing, by_hand(asked.who.who(), entries, Vec::new()))?;
            output::note(&format!("{count} entries of the directory are set"));
            Ok(())
        }
        Directory::Remove(asked) => {
            let config = Config::load(places, None)?;
            let kind = kind_named(&asked.kind).map_err(|error| Failure::new(Exit::Usage, error))?;
            let standing = standing(places, &config)?;
            change(places, &config, &standing, by_hand(asked.who.who(), Vec::new(), vec![(kind, asked.id.clone())]))
        }
    }
}

fn show(places: &Places, asked: &DirectoryShow) -> Result<()> {
    let kind = asked.kind.as_deref().map(kind_named).transpose().map_err(|error| Failure::new(Exit::Usage, error))?;
    let kind = kind.map(|kind| format!(" AND entry = '{}'", kind.name())).unwrap_or_default();
    let answer = rows(&Reader::open(places)?, "entry, id, definition, origin, who, since_at", &kind)?;
    output::data(&written(&answer, asked.format)?)
}

fn check(places: &Places, file: Option<&Path>) -> Result<()> {
    // What is wrong with its own entries is told when it is loaded.
    let config = Config::load(places, None)?;
    config.strangers().iter().for_each(|told| output::note(&format!("warning: {told}")));
    let Some(file) = file else {
        output::note(&format!("{} entries of the directory fit together", config.directory.entries().len()));
        return Ok(());
    };
    let (standing, entries) = read(places, &config, file)?;
    let count = entries.len();
    may(&standing, &by_hand(String::new(), entries, Vec::new()))?;
    output::note(&format!("{count} entries fit together with the directory that holds"));
    Ok(())
}

/// The entries of a file, and what they are put beside.
fn read(places: &Places, config: &Config, file: &Path) -> Result<(Vec<Standing>, Vec<Entry>)> {
    if !file.is_file() {
        return Err(Failure::new(Exit::NotFound, format!("there is no file {}", file.display())));
    }
    let placed = entries_of(file)?;
    let standing = standing(places, config)?;
    let others: Vec<Entry> = standing.iter().map(|one| one.entry.clone()).collect();
    must_fit(&placed, &others)?;
    Ok((standing, placed.into_iter().map(|placed| placed.entry).collect()))
}

fn by_hand(who: String, entries: Vec<Entry>, removed: Vec<(EntryKind, String)>) -> DirectoryChange {
    DirectoryChange { at: clock::now(), who, origin: Origin::Api, entries, removed, whole: false }
}

fn may(standing: &[Standing], change: &DirectoryChange) -> Result<()> {
    check_change(standing, change).map_err(|refused| {
        let exit = match &refused {
            ChangeRefused::Absent(_) => Exit::NotFound,
            ChangeRefused::Configured(_) | ChangeRefused::Faulty(_) => Exit::Usage,
        };
        Failure::new(exit, refused.to_string())
    })
}

fn change(places: &Places, config: &Config, standing: &[Standing], change: DirectoryChange) -> Result<()> {
    may(standing, &change)?;
    let mut said = Some(vec![Intake::Agents(Box::new(ForAgents::Directory(change)))]);
    intake::take_in(places, config, &mut || Ok(said.take().unwrap_or_default()))
}

/// What holds: the configuration's entries, which are given at each start, and others that the table has.
fn standing(places: &Places, config: &Config) -> Result<Vec<Standing>> {
    #[derive(Deserialize)]
    struct Row {
        entry: String,
        id: String,
        definition: String,
    }
    let configured = config.directory.entries().cloned();
    let mut all: Vec<_> = configured.map(|entry| Standing { entry, origin: Origin::Configuration }).collect();
    let reader = match Reader::open(places) {
        Ok(reader) => reader,
        // Nothing was ever taken in.
        Err(failure) if failure.exit == Exit::NotFound => return Ok(all),
        Err(failure) => return Err(failure),
    };
    let answer = rows(&reader, "entry, id, definition", " AND origin = 'api'")?;
    let unreadable = |error: String| Failure::new(Exit::Failed, format!("the directory cannot be read: {error}"));
    let text = format::write(&answer, Format::Json).map_err(|error| unreadable(error.to_string()))?;
    let rows: Vec<Row> = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
    for row in rows {
        let fields = serde_json::from_str(&row.definition).map_err(|error| unreadable(error.to_string()))?;
        let entry =
            kind_named(&row.entry).and_then(|kind| entry_of(kind, Some(&row.id), fields)).map_err(unreadable)?;
        if !all.iter().any(|one| (one.entry.kind(), one.entry.id()) == (entry.kind(), entry.id())) {
            all.push(Standing { entry, origin: Origin::Api });
        }
    }
    Ok(all)
}

fn rows(reader: &Reader, columns: &str, of: &str) -> Result<QueryOutput> {
    let sql = format!("SELECT {columns} FROM directory WHERE until_at IS NULL{of} ORDER BY entry, id, since_at");
    let answer = reader.ask(async |engine| engine.query(&Principal::local(), &sql).await)?;
    reader.tell_of_lacking(&answer);
    Ok(answer)
}
