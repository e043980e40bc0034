//! What the fold of agents was told, told again: what calls come to now, in the place of what they came to then.
//!
//! What people, terminals and ticks said stands in the log alone, and is taken from there. What the calls fold said is derived
//! anew, and is found in the log by its id: so it comes at the same place again. What the log does not have, e.g. of calls from
//! before there was such a topic, comes by its time: before the first tick that is later. It waits in a file, since it may be
//! the history of years.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Lines, Seek as _, Write as _};

use calltide_eventlog::Record;
use calltide_processor::agents::for_agents;
use calltide_schemas::agents::ForAgents;
use xxhash_rust::xxh3::xxh3_64;

use super::Tells;
use crate::errors::{Exit, Failure, Result};

/// Records told at once at the end.
const AT_ONCE: usize = 10_000;

/// What the calls fold says, as it comes.
pub(super) struct Telling {
    file: BufWriter<File>,
    /// Of each its id's hash and its time.
    said: Vec<(u64, i64)>,
}

/// The same in its order, to be told.
pub(super) struct Told {
    lines: Lines<BufReader<File>>,
    said: Vec<(u64, i64)>,
    /// By the id's hash the place.
    places: Vec<(u64, usize)>,
    /// The ids that the log has.
    logged: HashSet<u64>,
    next: usize,
}

impl Telling {
    pub(super) fn new() -> Result<Self> {
        let file = tempfile::tempfile().map_err(|e| failed(&e))?;
        Ok(Self { file: BufWriter::new(file), said: Vec::new() })
    }

    pub(super) fn push(&mut self, record: &Record) -> Result<()> {
        let Some(payload) = &record.payload else { return Ok(()) };
        self.said.push((hash(record), record.at));
        // JSON has no line breaks of its own.
        self.file.write_all(payload).and_then(|()| self.file.write_all(b"\n")).map_err(|e| failed(&e))
    }

    /// Beside a log that has these ids.
    pub(super) fn told(self, logged: HashSet<u64>) -> Result<Told> {
        let Self { file, said } = self;
        let mut file = file.into_inner().map_err(|e| failed(e.error()))?;
        file.rewind().map_err(|e| failed(&e))?;
        let mut places: Vec<_> = said.iter().enumerate().map(|(place, (hash, _))| (*hash, place)).collect();
        places.sort_unstable();
        Ok(Told { lines: BufReader::new(file).lines(), said, places, logged, next: 0 })
    }
}

impl Tells for Told {
    fn instead_of(&mut self, logged: Record) -> Result<Vec<Record>> {
        if is_of_calls(&logged) {
            let wanted = (hash(&logged), self.next);
            let found = self.places.get(self.places.partition_point(|place| *place < wanted));
            return match found.filter(|(hash, _)| *hash == wanted.0) {
                Some((_, place)) => self.until(place + 1),
                // It was a mistake of then, or was told already.
                None => Ok(Vec::new()),
            };
        }
        let mut end = self.next;
        if ["agents_tick", "terminal"].contains(&logged.kind.as_str()) {
            let is_new = |(hash, at): &(u64, i64)| *at <= logged.at && !self.logged.contains(hash);
            end += self.said.iter().skip(end).take_while(|said| is_new(said)).count();
        }
        let mut records = self.until(end)?;
        records.push(logged);
        Ok(records)
    }

    fn rest(&mut self) -> Result<Vec<Record>> {
        self.until((self.next + AT_ONCE).min(self.said.len()))
    }
}

impl Told {
    fn until(&mut self, end: usize) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        while self.next < end {
            self.next += 1;
            let Some(line) = self.lines.next() else { break };
            let said = serde_json::from_str::<ForAgents>(&line.map_err(|e| failed(&e))?).map_err(|e| failed(&e))?;
            records.push(for_agents(&said));
        }
        Ok(records)
    }
}

/// What a record is known by.
pub(super) fn hash(record: &Record) -> u64 {
    xxh3_64(record.id.as_bytes())
}

/// Whether the calls fold said it.
fn is_of_calls(record: &Record) -> bool {
    ["member", "server", "registered", "agent_leg", "billable"].contains(&record.kind.as_str())
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failed, "what agents did in calls cannot be kept in a temporary file").because(error)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use calltide_schemas::Micros;
    use calltide_schemas::agents::directory::{DirectoryChange, Origin};
    use calltide_schemas::agents::{Server, ServerWhat, Tick};

    use super::*;

    fn call(pbx: &str, at: i64) -> Record {
        let (pbx, what) = (pbx.to_owned(), ServerWhat::Ended);
        for_agents(&ForAgents::Server(Server { at: Micros(at), pbx, what }))
    }

    fn tick(at: i64) -> Record {
        for_agents(&ForAgents::Tick(Tick { at: Micros(at) }))
    }

    /// The ids of what is told when the log has this and the calls come to that.
    fn told(log: &[Record], calls: &[Record]) -> Vec<String> {
        let mut telling = Telling::new().unwrap();
        calls.iter().for_each(|record| telling.push(record).unwrap());
        let mut told = telling.told(log.iter().map(hash).collect()).unwrap();
        let mut all = Vec::new();
        for record in log {
            all.extend(told.instead_of(record.clone()).unwrap());
        }
        while let Some(more) = Some(told.rest().unwrap()).filter(|more| !more.is_empty()) {
            all.extend(more);
        }
        all.into_iter().map(|record| format!("{} {}", record.kind, record.at)).collect()
    }

    #[test]
    fn what_calls_come_to_is_told_where_it_was_told_then() {
        let log = [tick(1), call("a", 2), tick(3), call("a", 2), call("b", 4), tick(5)];
        let as_then = ["agents_tick 1", "server 2", "agents_tick 3", "server 2", "server 4", "agents_tick 5"];
        assert_eq!(told(&log, &[call("a", 2), call("a", 2), call("b", 4)]), as_then);
        // What is no more is left out; what is new comes by its time, but not before what was there before it.
        let now = [call("c", 1), call("a", 2), call("d", 3), call("b", 4), call("e", 6)];
        let expected = [
            "server 1",
            "agents_tick 1",
            "server 2",
            "server 3",
            "agents_tick 3",
            "server 4",
            "agents_tick 5",
            "server 6",
        ];
        assert_eq!(told(&log, &now), expected);
        assert_eq!(told(&log, &[]), ["agents_tick 1", "agents_tick 3", "agents_tick 5"]);
    }

    #[test]
    fn what_was_before_there_was_such_a_topic_comes_before_the_ticks_and_behind_the_directory() {
        let directory = for_agents(&ForAgents::Directory(DirectoryChange {
            at: Micros(10),
            who: "the configuration".to_owned(),
            origin: Origin::Configuration,
            entries: Vec::new(),
            removed: Vec::new(),
            whole: true,
        }));
        let calls = [call("a", 2), call("b", 4), call("c", 12)];
        let expected = ["directory_change 10", "server 2", "server 4", "agents_tick 11", "server 12"];
        assert_eq!(told(&[directory, tick(11)], &calls), expected);
        assert_eq!(told(&[], &calls).len(), 3);
    }
}
