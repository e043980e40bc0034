//! An import that is killed at random instants and begun again until it is done gives the rows of one that was left alone.
//!
//! `CALLTIDE_KILL_EVENTS` (default 150,000) and `CALLTIDE_KILLS` (default 20) make it as long as wanted; the seed is printed
//! and can be given as `CALLTIDE_KILL_SEED`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests; the seed and the figures are for whoever runs it"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::started::DERIVED;

#[test]
fn an_import_killed_again_and_again_gives_the_rows_of_one_that_was_not() {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(usual);
    let events = number("CALLTIDE_KILL_EVENTS", 150_000);
    let kills = number("CALLTIDE_KILLS", 20);
    let seed = number("CALLTIDE_KILL_SEED", u64::from(std::process::id()) << 16 | 1);
    eprintln!("seed {seed}, {events} events, at least {kills} kills");
    let dir = tempfile::tempdir().unwrap();
    run(&["bench", "--events", &events.to_string(), "--files", dir.path().to_str().unwrap()]);
    let file = dir.path().join("ami.raw");

    let clean = dir.path().join("clean");
    let begun = Instant::now();
    assert!(import(&file, &clean).status().unwrap().success());
    let whole = begun.elapsed();

    let killed = dir.path().join("killed");
    let mut random = seed;
    let mut done = 0;
    loop {
        let mut child = import(&file, &killed).spawn().unwrap();
        // Short enough that all the kills fall into the import, however far each run comes.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = (random >> 33) % 1000;
        let wait = whole.mul_f64(share as f64 / 1000.0 * 2.0 / kills as f64) + Duration::from_millis(20);
        let until = Instant::now() + wait;
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if done < kills && Instant::now() >= until => break None,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        match ended {
            Some(status) => {
                assert!(status.success(), "run {done} ended with {status}");
                if done >= kills {
                    break;
                }
                // It was done before its time: once more from the beginning would prove nothing new.
                panic!("done after {done} kills; give more events");
            }
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                done += 1;
            }
        }
    }

    // Of `inputs` the rows are counted below: they are many, and each has an offset of its own.
    for (table, key) in DERIVED {
        let query = format!("SELECT * FROM {table} ORDER BY {key}");
        let rows = |data: &Path| sql(&format!("SELECT count(*) AS rows FROM ({query})"), data);
        assert_eq!(rows(&clean), rows(&killed), "seed {seed}: rows of {table}");
        // In pieces, since a result has a limit.
        for piece in 0..16 {
            let query = format!("SELECT * FROM {table} WHERE ascii(right({key}, 1)) % 16 = {piece} ORDER BY {key}");
            assert!(sql(&query, &clean) == sql(&query, &killed), "seed {seed}: {table} differs in piece {piece}");
        }
    }
    let archived =
        "SELECT count(*) AS rows, count(DISTINCT id) AS ids, count(DISTINCT \"offset\") AS offsets FROM inputs";
    assert_eq!(sql(archived, &clean), sql(archived, &killed), "seed {seed}: the archive");
    let calls = sql("SELECT count(*) AS calls FROM calls", &killed);
    eprintln!("{done} kills, the same rows: {calls}");
}

fn calltide() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_calltide"));
    // What steers this test is no configuration of the program.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CALLTIDE_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null());
    command
}

fn run(arguments: &[&str]) {
    assert!(calltide().args(arguments).status().unwrap().success(), "{arguments:?}");
}

fn import(file: &Path, data: &Path) -> Command {
    let mut command = calltide();
    command.args(["import", "--pbx", "site-a", "--ami"]).arg(file).arg("--data").arg(data);
    command
}

fn sql(query: &str, data: &Path) -> String {
    let mut command = calltide();
    command.args(["sql", query, "--format", "json", "--data"]).arg(data).stdout(Stdio::piped());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{query}");
    String::from_utf8(output.stdout).unwrap()
}
