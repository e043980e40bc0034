//! The writing process is killed at random instants: what it had acknowledged is there, and nothing is there by half.
//!
//! The child is this test binary, started again with one of the tests that are named `…child`, and a directory.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use calltide_eventlog::{
    Change, Commit, EventLog, Output, Polled,
    embedded::{self, EmbeddedLog, EmbeddedOptions},
};

use super::{FREELY, Figures, runs};
use crate::{ALL, CALLS, Dice, EVENTS, assigned, call, event, ids, open, topics};

const DIR: &str = "CALLTIDE_CRASH_DIR";
const KILLS: u64 = 1_000;
const KILLS_WHILE_CLEANING: u64 = 300;
/// Of the calls that are appended while cleaning.
const KEYS: u64 = 20;
/// Then a new log is begun.
const KILLS_OF_ONE_LOG: u64 = 50;

/// One thread appends events and another counts them as calls; both tell what was acknowledged, a word and a number a line.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let options = EmbeddedOptions { segment_bytes: 20_000, snapshot_bytes: 5_000 };
    let log = EmbeddedLog::open(Path::new(&dir), &topics(), options).unwrap();
    let say = |word: &str, number: u64| writeln!(std::io::stdout(), "{word} {number}").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = log.bounds(EVENTS, 0).unwrap().1;
            loop {
                log.append(EVENTS, 0, (n..n + 1 + n % 5).map(event).collect()).unwrap();
                n += 1 + n % 5;
                say("appended", n);
            }
        });
        let mut worker = log.worker("calls", EVENTS).unwrap();
        loop {
            let Polled::Batch { partition: 0, batch } = worker.poll(500, Duration::from_secs(1)).unwrap() else {
                continue;
            };
            let outputs = batch.records.iter().map(|r| Output { topic: CALLS.into(), record: call(r.offset) });
            let change = |key: &str| Change { key: key.into(), value: Some(batch.next.to_string().into_bytes()) };
            let commit =
                Commit { outputs: outputs.collect(), changes: vec![change("a"), change("b")], next: batch.next };
            worker.commit(0, commit).unwrap();
            say("committed", batch.next);
        }
    });
}

/// One thread appends calls of a few keys, another cleans all the time.
#[test]
fn cleaning_child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let options = EmbeddedOptions { segment_bytes: 5_000, snapshot_bytes: 5_000 };
    let log = EmbeddedLog::open(Path::new(&dir), &topics(), options).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = log.bounds(CALLS, 0).unwrap().1;
            loop {
                log.append(CALLS, 0, (n..n + 1 + n % 9).map(|n| call(n % KEYS)).collect()).unwrap();
                n += 1 + n % 9;
                writeln!(std::io::stdout(), "appended {n}").unwrap();
            }
        });
        loop {
            let done = log.clean(&FREELY).unwrap();
            if done.rewritten > 0 {
                writeln!(std::io::stdout(), "cleaned {}", done.rewritten).unwrap();
            }
        }
    });
}

/// Starts a child and kills it, early or after some acknowledgements. Gives each to `told`.
fn kill_one(child: &str, dir: &Path, dice: &mut Dice, told: &mut dyn FnMut(&str, u64)) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&format!("faults::kills::{child}"), "--exact", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let early = dice.below(5) == 0;
    if early {
        // While it starts and opens the log, whenever that is.
        let instant = Instant::now() + Duration::from_micros(dice.below(30_000));
        while Instant::now() < instant {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
    }
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut heard = 0;
    // So many acknowledgements after the first it is killed, while it goes on writing.
    let mut left = 1 + dice.below(60);
    for line in lines {
        let line = line.unwrap();
        let Some((word, number)) = line.split_once(' ').and_then(|(word, n)| Some((word, n.parse().ok()?))) else {
            continue;
        };
        told(word, number);
        heard += 1;
        left = left.saturating_sub(1);
        if left == 0 {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "the child ended by itself: {status}");
    assert!(early || heard > 0, "nothing was acknowledged");
}

#[test]
fn a_log_that_is_killed_while_it_is_cleaned_keeps_the_latest_of_each_key() {
    let mut dice = Dice::seeded("kill -9 while cleaning");
    let mut figures = Figures::default();
    let mut dir = tempfile::tempdir().unwrap();
    let (mut appended, mut cleaned) = (0, 0);
    for kill in 0..runs(KILLS_WHILE_CLEANING) {
        if kill % KILLS_OF_ONE_LOG == KILLS_OF_ONE_LOG - 1 {
            (dir, appended) = (tempfile::tempdir().unwrap(), 0);
        }
        kill_one("cleaning_child", dir.path(), &mut dice, &mut |word, number| match word {
            "appended" => appended = number,
            "cleaned" => cleaned += number,
            _ => {}
        });
        check_calls(dir.path(), appended);
        figures.add(0);
    }
    assert!(cleaned > figures.runs, "{cleaned} segments were cleaned");
    figures.show("kill -9 while cleaning");
}

fn check_calls(dir: &Path, appended: u64) {
    let log = open(dir);
    let read = log.read(CALLS, 0, 0, ALL).unwrap();
    assert_eq!(read.damaged, []);
    assert!(read.next >= appended, "{} of {appended} acknowledged calls", read.next);
    let offsets: Vec<_> = read.records.iter().map(|record| record.offset).collect();
    for record in read.records {
        assert_eq!(record.record, call(record.offset % KEYS), "{}", record.offset);
    }
    let latest = (read.next.saturating_sub(KEYS)..read.next).filter(|offset| !offsets.contains(offset));
    assert_eq!(latest.collect::<Vec<_>>(), Vec::<u64>::new(), "the latest of each key");
    drop(log);
    assert_eq!(embedded::verify(dir).unwrap(), []);
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let mut dice = Dice::seeded("kill -9");
    let mut figures = Figures::default();
    let mut dir = tempfile::tempdir().unwrap();
    let (mut appended, mut committed) = (0, 0);
    for kill in 0..runs(KILLS) {
        if kill % KILLS_OF_ONE_LOG == KILLS_OF_ONE_LOG - 1 {
            dir = tempfile::tempdir().unwrap();
            (appended, committed) = (0, 0);
        }
        kill_one("child", dir.path(), &mut dice, &mut |word, number| match word {
            "appended" => appended = number,
            "committed" => committed = number,
            _ => {}
        });
        check(dir.path(), appended, committed);
        figures.add(0);
    }
    figures.show("kill -9");
}

fn check(dir: &Path, appended: u64, committed: u64) {
    let log = open(dir);
    let events = ids(&log, EVENTS, 0);
    assert!(events.len() as u64 >= appended, "{} of {appended} acknowledged events", events.len());
    for (n, (offset, id)) in (0..).zip(&events) {
        assert_eq!((*offset, id), (n, &format!("event-{n}")));
    }
    let mut worker = log.worker("calls", EVENTS).unwrap();
    let (next, state) = assigned(&mut *worker, 2).swap_remove(0);
    assert!(next >= committed);
    let calls = ids(&log, CALLS, 0);
    assert_eq!(calls.len() as u64, next, "as many calls as progress says");
    if next > 0 {
        let value = next.to_string().into_bytes();
        assert_eq!(state, [(b"a".to_vec(), value.clone()), (b"b".to_vec(), value)]);
    }
    let whole = log.read(EVENTS, 0, 0, ALL).unwrap();
    assert_eq!(whole.damaged, []);
    drop((worker, log));
    assert_eq!(embedded::verify(dir).unwrap(), []);
}
