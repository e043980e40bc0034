//! The directory of a site: users, teams, groups, agents, devices, queues and rates, in `[directory]`, in a file of their own
//! that it names, or in both.
//!
//! Whether entries can be meant is decided in `calltide_schemas::agents::check`; here they are found in their files, so that
//! what is wrong is told with its line. Must not know what is made of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use calltide_schemas::Micros;
use calltide_schemas::agents::check::{Fault, faults, pbxs};
use calltide_schemas::agents::directory::{
    Agent, Device, DirectoryChange, Entry, EntryKind, Group, Origin, Queue, Rate, Team, User,
};
use figment::Figment;
use figment::providers::{Format as _, Toml};
use serde::Deserialize;

use super::complaint::{self, line_of};
use super::units::Span;
use crate::errors::{Exit, Failure, Result};

/// Without a heartbeat for so long an agent is logged out, if nothing else is said.
const HEARTBEAT: Duration = Duration::from_secs(120);
/// Faults that are shown at once.
const SHOWN: usize = 20;

/// `[directory]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Directory {
    file: Option<PathBuf>,
    heartbeat: Option<Heartbeat>,
    user: Vec<User>,
    team: Vec<Team>,
    group: Vec<Group>,
    agent: Vec<Agent>,
    device: Vec<Device>,
    queue: Vec<Queue>,
    rate: Vec<Rate>,
    /// All of it, when the file has been read.
    #[serde(skip)]
    all: Vec<Placed>,
}

/// A file of entries.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Lists {
    user: Vec<User>,
    team: Vec<Team>,
    group: Vec<Group>,
    agent: Vec<Agent>,
    device: Vec<Device>,
    queue: Vec<Queue>,
    rate: Vec<Rate>,
}

/// An entry, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) entry: Entry,
    file: PathBuf,
    /// E.g. `directory.agent.0`.
    key: Vec<String>,
}

/// `2m`; `0` and `never` for none.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "NumberOrText")]
struct Heartbeat(Option<Duration>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "this is no time span such as 2m, nor \"never\"")]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl TryFrom<NumberOrText> for Heartbeat {
    type Error = String;

    fn try_from(value: NumberOrText) -> std::result::Result<Self, String> {
        let text = match value {
            NumberOrText::Number(0) => return Ok(Self(None)),
            NumberOrText::Number(count) => count.to_string(),
            NumberOrText::Text(text) if ["never", "0"].contains(&text.as_str()) => return Ok(Self(None)),
            NumberOrText::Text(text) => text,
        };
        let span = Span::try_from(text).map_err(|error| format!("{error}, nor \"never\""))?.duration();
        Ok(Self((!span.is_zero()).then_some(span)))
    }
}

impl Directory {
    /// Reads the file that it names, beside that of the configuration.
    ///
    /// # Errors
    /// What is wrong with entries, each with its place.
    pub(super) fn read(&mut self, config: &Path) -> Result<()> {
        let lists = Lists {
            user: self.user.clone(),
            team: self.team.clone(),
            group: self.group.clone(),
            agent: self.agent.clone(),
            device: self.device.clone(),
            queue: self.queue.clone(),
            rate: self.rate.clone(),
        };
        self.all = lists.placed(config, &["directory"]);
        if let Some(file) = &self.file {
            let file = config.parent().unwrap_or(Path::new("")).join(file);
            if !file.is_file() {
                let error = format!("there is no file {}, which [directory] file names", file.display());
                return Err(Failure::new(Exit::Usage, error).hint("it is looked for beside the configuration"));
            }
            self.all.extend(entries_of(&file)?);
        }
        must_fit(&self.all, &[])
    }

    /// Without a heartbeat for so long a terminal's agent is logged out; never if there is none.
    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        self.heartbeat.map_or(Some(HEARTBEAT), |heartbeat| heartbeat.0)
    }

    /// All entries.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.all.iter().map(|placed| &placed.entry)
    }

    /// As the fold takes it: all that the configuration has.
    pub(crate) fn change(&self, at: Micros, who: &str) -> DirectoryChange {
        DirectoryChange {
            at,
            who: who.to_owned(),
            origin: Origin::Configuration,
            entries: self.entries().cloned().collect(),
            removed: Vec::new(),
            whole: true,
        }
    }

    /// What names PBXs that are not among these: it may be meant for later, or be a slip.
    pub(super) fn strangers(&self, known: &[&str]) -> Vec<String> {
        let of = |placed: &Placed| {
            let unknown = pbxs(&placed.entry).into_iter().filter(|(_, pbx)| !known.contains(pbx));
            let told = |(field, pbx)| {
                placed.told(field, &format!("{} names the PBX `{pbx}`, which is no [[pbx]]", placed.called()))
            };
            unknown.map(told).collect::<Vec<_>>()
        };
        self.all.iter().flat_map(of).collect()
    }
}

impl Lists {
    fn placed(self, file: &Path, table: &[&str]) -> Vec<Placed> {
        let place = |kind: EntryKind, nth: usize, entry: Entry| {
            let key = table.iter().copied().chain([kind.name()]).map(str::to_owned).chain([nth.to_string()]);
            Placed { entry, file: file.to_owned(), key: key.collect() }
        };
        let mut all = Vec::new();
        let mut add = |entries: Vec<Entry>| {
            all.extend(entries.into_iter().enumerate().map(|(nth, entry)| place(entry.kind(), nth, entry)));
        };
        add(self.user.into_iter().map(Entry::User).collect());
        add(self.team.into_iter().map(Entry::Team).collect());
        add(self.group.into_iter().map(Entry::Group).collect());
        add(self.agent.into_iter().map(Entry::Agent).collect());
        add(self.device.into_iter().map(Entry::Device).collect());
        add(self.queue.into_iter().map(Entry::Queue).collect());
        add(self.rate.into_iter().map(Entry::Rate).collect());
        all
    }
}

impl Placed {
    fn called(&self) -> String {
        format!("{} `{}`", self.entry.kind().name(), self.entry.id())
    }

    /// A sentence about one of its fields, with the line that it stands in.
    fn told(&self, field: &str, what: &str) -> String {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let deeper: Vec<String> = self.key.iter().cloned().chain([field.to_owned()]).collect();
        let line = line_of(&text, &deeper).or_else(|| line_of(&text, &self.key));
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        format!("{}{line}: {what}", self.file.display())
    }
}

/// The entries of a file.
pub(crate) fn entries_of(file: &Path) -> Result<Vec<Placed>> {
    let lists = Figment::from(Toml::file_exact(file)).extract::<Lists>();
    Ok(lists.map_err(|error| complaint::of(&error, file))?.placed(file, &[]))
}

/// Whether these can be meant, among others that hold and that they do not replace.
pub(crate) fn must_fit(placed: &[Placed], others: &[Entry]) -> Result<()> {
    let given: BTreeSet<_> = placed.iter().map(|placed| (placed.entry.kind(), placed.entry.id())).collect();
    let stays = |entry: &&Entry| !given.contains(&(entry.kind(), entry.id()));
    let mut entries: Vec<Entry> = others.iter().filter(stays).cloned().collect();
    let first = entries.len();
    entries.extend(placed.iter().map(|placed| placed.entry.clone()));
    let of = |fault: &Fault| Some(placed.get(fault.place.checked_sub(first)?)?.told(fault.field, &fault.what));
    let found: Vec<String> = faults(&entries).iter().filter_map(of).collect();
    if found.is_empty() {
        return Ok(());
    }
    let mut told = found[..found.len().min(SHOWN)].join("\n");
    if found.len() > SHOWN {
        told.push_str(&format!("\nand {} more", found.len() - SHOWN));
    }
    Err(Failure::new(Exit::Usage, told))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// The configuration's `[directory]` with this text, and beside it `directory.toml` with that one.
    fn read_in(dir: &Path, inline: &str, file: &str) -> Result<Directory> {
        let config = dir.join("calltide.toml");
        std::fs::write(&config, inline).unwrap();
        std::fs::write(dir.join("directory.toml"), file).unwrap();
        let read = Figment::from(Toml::file_exact(&config)).extract_inner("directory");
        let mut directory: Directory = read.map_err(|e| complaint::of(&e, &config))?;
        directory.read(&config)?;
        Ok(directory)
    }

    fn read(inline: &str, file: &str) -> Result<Directory> {
        read_in(tempfile::tempdir().unwrap().path(), inline, file)
    }

    #[test]
    fn entries_stand_in_the_configuration_in_a_file_beside_it_or_in_both() {
        let inline = "[directory]\nfile = \"directory.toml\"\n[[directory.team]]\nid = \"sales\"\n";
        let file =
            "[[agent]]\nid = \"anna\"\nteam = \"sales\"\nnames = [\"site-a/Agent/101\"]\ndevice_mode = \"dynamic\"\n";
        let dir = tempfile::tempdir().unwrap();
        let directory = read_in(dir.path(), inline, file).unwrap();
        assert_eq!(directory.entries().map(Entry::id).collect::<Vec<_>>(), ["sales", "anna"]);
        let change = directory.change(Micros(7), "me");
        assert!(change.whole && change.origin == Origin::Configuration && change.entries.len() == 2);
        let told = directory.strangers(&["site-b"]);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("directory.toml, line 4: agent `anna` names the PBX `site-a`"), "{told:?}");
        assert_eq!(directory.strangers(&["site-a"]), [""; 0]);
        assert_eq!(read("[directory]\n", "").unwrap().entries().len(), 0);
    }

    #[test]
    fn what_is_wrong_is_told_with_file_and_line() {
        let inline = "[directory]\nfile = \"directory.toml\"\n";
        for (inline, file, says) in [
            (
                inline,
                "\n[[agent]]\nid = \"anna\"\nteam = \"mail\"\n",
                "directory.toml, line 4: agent `anna`: team `mail` is not",
            ),
            (
                inline,
                "[[device]]\nid = \"a/9\"\n[[device]]\nid = \"a/8\"\nkind = \"external\"\n",
                "line 3: device `a/8`: an external",
            ),
            (inline, "[[agent]]\nid = \"anna\"\ntaem = \"x\"\n", "unknown key `taem` in [agent.0], from "),
            (inline, "[[agent]]\nid = \"anna\"\ntaem = \"x\"\n", "directory.toml, line 3"),
            (inline, "[[agent]]\nid = \"anna\"\ntaem = \"x\"\n", "did you mean `team`?"),
            (inline, "[[agents]]\nid = \"anna\"\n", "did you mean `agent`?"),
            (inline, "[[agent]]\nname = \"Anna\"\n", "the key `id` is missing in agent.0"),
            (inline, "[[agent]]\nid = \"a\"\ndevice_mode = \"any\"\n", "known are fixed, self_adapting, dynamic"),
            (inline, "[[rate]]\nid = \"a\"\nper_minute = 0.5\ncurrency = \"EUR\"\n", "line 3"),
            (
                "[directory]\n[[directory.queue]]\nid = \"sales\"\n",
                "",
                "calltide.toml, line 3: queue `sales`: the id is no",
            ),
            ("[directory]\nfile = \"other.toml\"\n", "", "there is no file "),
            (
                "[directory]\nheartbeat = \"soon\"\n",
                "",
                "`soon` is no time span such as 500ms, 5s, 30m or 24h, nor \"never\"",
            ),
        ] {
            let told = read(inline, file).map(|directory| directory.entries().len()).unwrap_err().to_string();
            assert!(told.contains(says), "{says}: {told}");
        }
        let both = "[[user]]\nid = \"a\"\nrates = \"x\"\n[[user]]\nid = \"a\"\n";
        let told = read(inline, both).unwrap_err().to_string();
        assert!(
            told.contains("line 3: user `a`: no rate") && told.contains("line 5: user `a`: it is there twice"),
            "{told}"
        );
    }

    #[test]
    fn a_terminal_is_waited_for_two_minutes_unless_something_else_is_said() {
        for (text, seconds) in [
            ("", Some(120)),
            ("heartbeat = \"90s\"", Some(90)),
            ("heartbeat = \"never\"", None),
            ("heartbeat = 0", None),
            ("heartbeat = \"0s\"", None),
        ] {
            let directory = read(&format!("[directory]\n{text}\n"), "").unwrap();
            assert_eq!(directory.heartbeat(), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
