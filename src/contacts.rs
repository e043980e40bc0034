//! `calltide contacts` and `calltide dnc`: lists of contacts, promised calls, and who may not be called.
//!
//! Everything said is an event of the log, with who said it and when. What follows from it is decided by the folds.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use calltide_processor::recycling::is_zone;
use calltide_query_api::reports::instant;
use calltide_schemas::recycling::{
    Callback, DoNotCall, ForContacts, ForNumbers, Intake, Listing, LoadAs, NewContact, Standing, StandingChange,
    calling_number, check_names, listed_number,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Contacts, ContactsLoad, ContactsStand, Dnc, DoNotCallArgs, Places, Promise};
use crate::clock;
use crate::config::Config;
use crate::errors::{Exit, Failure, Result};
use crate::intake::{self, AT_ONCE};
use crate::output;

/// Refused lines that are shown; all of them go into the file that was asked for.
const SHOWN: usize = 10;

/// Runs `contacts`.
pub(crate) fn run(places: &Places, asked: &Contacts) -> Result<()> {
    let config = Config::load(places, None)?;
    match asked {
        Contacts::Load(asked) => load(places, &config, asked),
        Contacts::Hold(asked) => stand(places, &config, asked, StandingChange::Hold),
        Contacts::Release(asked) => stand(places, &config, asked, StandingChange::Release),
        Contacts::Remove(asked) => stand(places, &config, asked, StandingChange::Remove),
        Contacts::Callback(asked) => promise(places, &config, asked),
    }
}

/// Runs `dnc`.
pub(crate) fn run_dnc(places: &Places, asked: &Dnc) -> Result<()> {
    let config = Config::load(places, None)?;
    match asked {
        Dnc::Add(asked) => list(places, &config, asked, Listing::Add),
        Dnc::Remove(asked) => list(places, &config, asked, Listing::Remove),
    }
}

fn load(places: &Places, config: &Config, asked: &ContactsLoad) -> Result<()> {
    if let Some(unknown) = asked.tz.as_deref().filter(|tz| !is_zone(tz)) {
        let failure = Failure::new(Exit::Usage, format!("unknown time zone `{unknown}`"));
        return Err(failure.hint("give an IANA name such as Europe/Madrid or UTC"));
    }
    let named = [Some(asked.campaign.as_str()), asked.list.as_deref()];
    check_names(named).map_err(|error| Failure::new(Exit::Usage, error))?;
    let load = LoadAs {
        at: clock::now(),
        who: asked.who.who(),
        campaign: asked.campaign.clone(),
        list: asked.list.clone(),
        country: asked.country.clone().or_else(|| config.country()),
        tz: asked.tz.clone(),
        reset: asked.reset,
        is_zone,
    };
    let mut file = Lines::open(&asked.file)?;
    let mut refused = Refused::open(asked.rejects.as_deref())?;
    let (mut loaded, mut as_dialled) = (0_u64, 0_u64);
    intake::take_in(places, config, &mut || {
        let mut said = Vec::new();
        while said.len() < AT_ONCE {
            let Some(line) = file.next()? else { break };
            match line.and_then(|new| load.loaded(&new)) {
                Ok(contact) => {
                    as_dialled += u64::from(contact.numbers.iter().any(|number| !number.0.starts_with('+')));
                    said.push(Intake::of_contacts(ForContacts::Loaded(contact)));
                }
                Err(reason) => refused.line(file.line(), &reason)?,
            }
        }
        loaded += said.len() as u64;
        Ok(said)
    })?;
    file.bar.finish_and_clear();
    output::note(&format!(
        "loaded {loaded} contacts into campaign {}, {} lines refused",
        asked.campaign, refused.count
    ));
    refused.tell();
    if as_dialled > 0 {
        output::note(&format!(
            "{as_dialled} contacts have numbers that are kept as they are dialled, since it is not known of which country they are: \
             give it with --country, or as [calls] country"
        ));
    }
    if loaded == 0 && refused.count > 0 {
        return Err(Failure::new(Exit::Usage, "no line of the file is a contact").hint(
            "it needs a line of names: contact, number (number_2, …), and, if there are, tz, list, person, agent",
        ));
    }
    Ok(())
}

fn stand(places: &Places, config: &Config, asked: &ContactsStand, change: StandingChange) -> Result<()> {
    let named = [Some(asked.campaign.as_str()), asked.list.as_deref(), asked.contact.as_deref()];
    check_names(named).map_err(|error| Failure::new(Exit::Usage, error))?;
    let standing = Standing {
        at: clock::now(),
        who: asked.who.who(),
        campaign: asked.campaign.clone(),
        list: asked.list.clone(),
        contact: asked.contact.clone(),
        change,
    };
    say(places, config, vec![Intake::of_contacts(ForContacts::Standing(standing))])
}

fn promise(places: &Places, config: &Config, asked: &Promise) -> Result<()> {
    let wrong = |error: String| Failure::new(Exit::Usage, error);
    check_names([Some(asked.campaign.as_str()), Some(&asked.contact), asked.agent.as_deref()]).map_err(wrong)?;
    let number = asked.number.as_deref().map(|number| calling_number(number, config.country().as_deref()));
    let callback = Callback {
        given_at: clock::now(),
        who: asked.who.who(),
        campaign: asked.campaign.clone(),
        contact: asked.contact.clone(),
        callback_at: asked.at.as_deref().map(|at| instant(at, &asked.tz)).transpose()?,
        agent: asked.agent.clone(),
        number: number.transpose().map_err(wrong)?,
    };
    say(places, config, vec![Intake::of_contacts(ForContacts::Callback(callback))])
}

fn list(places: &Places, config: &Config, asked: &DoNotCallArgs, listing: Listing) -> Result<()> {
    check_names([asked.campaign.as_deref()]).map_err(|error| Failure::new(Exit::Usage, error))?;
    let country = asked.country.clone().or_else(|| config.country());
    let mut numbers = asked.numbers.clone();
    if let Some(file) = &asked.file {
        let text = std::fs::read_to_string(file).map_err(|e| Failure::io("read", file, &e))?;
        numbers.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }
    let mut refused = Refused::open(None)?;
    let mut said = VecDeque::new();
    for (line, number) in (1..).zip(&numbers) {
        match listed_number(number, country.as_deref()) {
            Ok(number) => said.push_back(Intake::of_numbers(ForNumbers::DoNotCall(DoNotCall {
                at: clock::now(),
                who: asked.who.who(),
                number,
                campaign: asked.campaign.clone(),
                listing,
                reason: asked.reason.clone(),
            }))),
            Err(reason) => refused.line(line, &reason)?,
        }
    }
    let taken = said.len();
    intake::take_in(places, config, &mut || Ok(said.drain(..said.len().min(AT_ONCE)).collect()))?;
    output::note(&format!("{taken} entries, {} refused", refused.count));
    refused.tell();
    if taken == 0 && refused.count > 0 {
        return Err(Failure::new(Exit::Usage, "none of them is a telephone number or the beginning of some"));
    }
    Ok(())
}

fn say(places: &Places, config: &Config, said: Vec<Intake>) -> Result<()> {
    let mut said = Some(said);
    intake::take_in(places, config, &mut || Ok(said.take().unwrap_or_default()))
}

/// A file of contacts, line by line, with its progress.
struct Lines {
    records: csv::StringRecordsIntoIter<indicatif::ProgressBarIter<File>>,
    columns: Vec<Column>,
    line: u64,
    bar: ProgressBar,
}

/// What a column of the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Contact,
    Number,
    Tz,
    List,
    Person,
    Agent,
    /// Of no use here.
    Other,
}

impl Column {
    fn named(name: &str) -> Self {
        let name = name.trim().trim_start_matches('\u{feff}').to_ascii_lowercase();
        match name.as_str() {
            "contact" | "id" | "lead" => Self::Contact,
            "tz" | "timezone" | "time_zone" => Self::Tz,
            "list" => Self::List,
            "person" | "customer" => Self::Person,
            "agent" => Self::Agent,
            name if name.starts_with("number") || name.starts_with("phone") || name.starts_with("tel") => Self::Number,
            _ => Self::Other,
        }
    }
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let failed = |e: &std::io::Error| Failure::io("read", path, e);
        let file = File::open(path).map_err(|e| failed(&e))?;
        let bar = ProgressBar::new(file.metadata().map_err(|e| failed(&e))?.len());
        if let Ok(style) = ProgressStyle::with_template("loading {bar:30} {bytes}/{total_bytes} {eta} left") {
            bar.set_style(style);
        }
        let first = first_line(path).map_err(|e| failed(&e))?;
        let delimiter = [b';', b'\t'].into_iter().find(|d| first.as_bytes().contains(d)).unwrap_or(b',');
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bar.wrap_read(file));
        let names = reader.headers().map_err(|e| Failure::new(Exit::Usage, "the file is no CSV").because(&e))?;
        let columns: Vec<Column> = names.iter().map(Column::named).collect();
        if !columns.contains(&Column::Number) {
            let error = format!("{} has no column `number`; its first line says: {}", path.display(), first.trim_end());
            return Err(Failure::new(Exit::Usage, error).hint("name the columns in the first line: contact,number,tz"));
        }
        Ok(Self { records: reader.into_records(), columns, line: 1, bar })
    }

    const fn line(&self) -> u64 {
        self.line
    }

    /// The next line, or why it cannot be read; `None` at the end.
    fn next(&mut self) -> Result<Option<std::result::Result<NewContact, String>>> {
        let Some(record) = self.records.next() else { return Ok(None) };
        self.line += 1;
        let record = match record {
            Ok(record) => record,
            Err(error) if error.is_io_error() => {
                return Err(Failure::new(Exit::Failed, "the file cannot be read").because(&error));
            }
            Err(error) => return Ok(Some(Err(error.to_string()))),
        };
        self.line = record.position().map_or(self.line, csv::Position::line);
        let mut new = NewContact::default();
        for (column, value) in self.columns.iter().zip(&record) {
            let value = value.trim().to_owned();
            match column {
                _ if value.is_empty() => {}
                Column::Contact => new.contact = Some(value),
                Column::Number => new.numbers.push(value),
                Column::Tz => new.tz = Some(value),
                Column::List => new.list = Some(value),
                Column::Person => new.person = Some(value),
                Column::Agent => new.agent = Some(value),
                Column::Other => {}
            }
        }
        Ok(Some(Ok(new)))
    }
}

fn first_line(path: &Path) -> std::io::Result<String> {
    use std::io::BufRead as _;
    let mut line = Vec::new();
    std::io::BufReader::new(File::open(path)?).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Lines that were not taken.
struct Refused {
    count: u64,
    first: Vec<String>,
    file: Option<(File, std::path::PathBuf)>,
}

impl Refused {
    fn open(path: Option<&Path>) -> Result<Self> {
        let create = |path: &Path| File::create(path).map_err(|e| Failure::io("create", path, &e));
        let file = path.map(|path| create(path).map(|file| (file, path.to_owned()))).transpose()?;
        Ok(Self { count: 0, first: Vec::new(), file })
    }

    fn line(&mut self, line: u64, reason: &str) -> Result<()> {
        self.count += 1;
        let told = format!("line {line}: {reason}");
        if let Some((file, path)) = &mut self.file {
            writeln!(file, "{told}").map_err(|e| Failure::io("write", path, &e))?;
        }
        if self.first.len() < SHOWN {
            self.first.push(told);
        }
        Ok(())
    }

    fn tell(&self) {
        self.first.iter().for_each(|told| output::note(told));
        if self.count > SHOWN as u64 {
            let more = self.count - SHOWN as u64;
            let all = self.file.as_ref().map(|(_, path)| format!("; all are in {}", path.display()));
            output::note(&format!("and {more} more{}", all.unwrap_or_default()));
        }
    }
}
