//! The line to the centre is cut for as long as a PBX says much: the collector goes on, in bounded memory; afterwards the centre
//! catches up, and nothing is missing.
//!
//! `CALLTIDE_CLUSTER_EVENTS` (default 30,000 for each PBX) makes it as long as wanted; from half a million on, the centre must
//! catch up at 50,000 events per second.

#![expect(clippy::print_stderr, reason = "the figures are for whoever runs it")]

use std::time::{Duration, Instant};

use serde_json::Value;

use super::topology::{PBXS, Pbxs, Role, Topology};
use crate::line::Way;
use crate::started::{Site, text, until};

/// What the collector may take, in MiB: its buffers, two batches on their way, and the program itself.
const MEMORY_MIB: u64 = 320;
/// How long a byte is on its way to the centre.
const ONE_WAY: Duration = Duration::from_millis(25);
/// Events per second after the cut, where there are so many that connecting anew does not count.
const RATE: f64 = 50_000.0;
const MANY: f64 = 1e6;

#[test]
fn a_cut_line_costs_time_and_disk_but_no_events_and_no_memory() {
    let events = std::env::var("CALLTIDE_CLUSTER_EVENTS").unwrap_or_else(|_| "30000".to_owned());
    let recorded = Site::new();
    let folder = recorded.data().with_extension("recording");
    recorded.done(&["bench", "--events", &events, "--files", folder.to_str().unwrap()]);
    let mut pbxs = Pbxs::playing(&folder.join("ami.raw"));
    let Some(mut cluster) = Topology::around(&pbxs) else { return };
    let all: f64 = PBXS.len() as f64 * events.parse::<f64>().unwrap();
    cluster.ingest.up();
    pbxs.may_say(1_000);
    until("something has arrived", || cluster.ingest.metric("calltide_forwarded_total") > 1_000.0);

    cluster.line.becomes(Way::Cut);
    pbxs.finish();
    until("all is in the journal", || cluster.ingest.metric("calltide_ami_events_total") >= all);
    until("it knows of the cut", || cluster.ingest.metric("calltide_forward_connected") < 1.0);
    let before = cluster.ingest.metric("calltide_forwarded_total");
    assert!(before < all / 2.0, "{before} of {all} were sent: the line was not cut");

    // Between two countries.
    cluster.line.becomes(Way::Far(ONE_WAY));
    let began = Instant::now();
    // Heartbeats are forwarded, too; they are no events.
    until("all has arrived", || {
        cluster.ingest.metric("calltide_forwarded_total") >= all
            && cluster.ingest.metric("calltide_forward_behind_records") < 10.0
    });
    let took = began.elapsed();
    let peak = cluster.ingest.peak_mib();
    let rate = (all - before) / took.as_secs_f64();
    let what = format!("{:.0} events in {took:.1?} after the cut, back-off included", all - before);
    eprintln!("{what}: {rate:.0} per second; at most {peak} MiB");
    assert!(peak < MEMORY_MIB, "{peak} MiB");
    assert!(all < MANY || rate > RATE, "{rate:.0} events per second");

    cluster.processors.iter_mut().for_each(Role::up);
    let archived = "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM inputs WHERE source = 'ami'";
    let expected = pbxs.said() as u64;
    until("all is in the tables", || {
        let output = cluster.reader.run(&["sql", archived, "--format", "json"]);
        if !output.status.success() {
            // Nobody is given a part of them for the whole.
            let told = text(&output.stderr);
            assert!(told.contains("it is catching up"), "{told}");
            return false;
        }
        let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        (rows[0]["n"].as_u64(), rows[0]["ids"].as_u64()) == (Some(expected), Some(expected))
    });
    cluster.ingest.stop();
    cluster.processors.iter_mut().for_each(Role::stop);
}
