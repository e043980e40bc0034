//! Reports of agents over the lake: an invented day of ten thousand agents, asked by hour, by agent and by both.
//!
//! The tables are made before; the first answers, which read the files' footers, are not counted.

use std::path::Path;
use std::time::Instant;

use calltide_query_api::reports::Bucket;
use calltide_query_api::reports::agents::{AgentsQuery, Dimension, agents};

use crate::args::{Generate, Places};
use crate::errors::{Failure, Result};
use crate::generate;
use crate::reader::Reader;

/// How often each is asked: before it counts, and then.
const WARMED_BY: usize = 2;
const ASKED: usize = 9;

/// What is asked for, and what it is called.
const BY: [(&str, &[Dimension]); 3] = [
    ("by hour", &[Dimension::Bucket(Bucket::Hour)]),
    ("by agent", &[Dimension::Agent]),
    ("by hour and team", &[Dimension::Bucket(Bucket::Hour), Dimension::Team]),
];

/// Measures and tells.
pub(crate) fn measure(calls: u64) -> Result<String> {
    let folder = tempfile::tempdir().map_err(|error| Failure::io("make", Path::new("a temporary folder"), &error))?;
    let places = Places { data: Some(folder.path().join("data")), config: None };
    generate::run(&places, &Generate { calls, ..Generate::day_of_agents() })?;
    let reader = Reader::open(&places)?;
    let mut text = String::new();
    for (name, by) in BY {
        let query = AgentsQuery { by: by.to_vec(), ..AgentsQuery::default() };
        let mut millis = Vec::with_capacity(ASKED);
        let mut rows = 0;
        for nth in 0..WARMED_BY + ASKED {
            let began = Instant::now();
            rows = reader.ask(async |engine| agents(engine, &query).await)?.output.rows();
            if nth >= WARMED_BY {
                millis.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
        millis.sort_by(f64::total_cmp);
        let (best, median) = (millis[0], millis[ASKED / 2]);
        text += &format!(
            "reports: agents {name:<17} {median:>6.0} ms, the fastest of {ASKED} {best:.0} ms ({rows} rows)\n"
        );
    }
    Ok(text)
}
