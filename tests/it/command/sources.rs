//! Where events come from, of many PBXs: what the table `sources` and `/metrics` tell, and that nothing of one PBX meets
//! another's.

use calltide_ingest::playback::Speed;
use serde_json::Value;

use super::running::Asterisk;
use super::started::{Site, capture, get, until, url};

/// Tables with a column that names a row, and what of a row must be the same whichever PBX it is of.
const TABLES: [(&str, &str); 4] = [
    ("calls", "call_id, status, class, direction, agent, campaign, number_raw, started_at, talk_ms, wait_ms, sources"),
    ("legs", "leg_id, call_id, agent, queue, offered_at, talk_ms"),
    ("queue_visits", "visit_id, call_id, queue, entered_at, outcome, wait_ms, agent"),
    ("stories", "call_id, started_at, story"),
];

fn import(site: &Site, pbx: &str) {
    let of = |file| capture("asterisk-16.28", file);
    let (ami, cel, queue_log) = (of("ami.raw"), of("cel.csv"), of("queue_log"));
    site.done(&["import", "--pbx", pbx, "--ami", &ami, "--cel", &cel, "--queue-log", &queue_log, "--tz", "UTC"]);
}

/// The rows of one PBX, its name written as `PBX`.
fn rows_of(site: &Site, pbx: &str, table: &str, columns: &str) -> Vec<String> {
    let rows = site.rows(&format!("SELECT {columns} FROM {table} WHERE pbx = '{pbx}' ORDER BY 1"));
    rows.iter().map(|row| row.to_string().replace(&format!("\"{pbx}/"), "\"PBX/")).collect()
}

#[test]
fn two_pbxs_with_the_same_uniqueids_never_meet() {
    let both = Site::new();
    // The very same channels, at the very same times, on two servers.
    import(&both, "north");
    import(&both, "south");
    let alone = Site::new();
    import(&alone, "north");
    for (table, columns) in TABLES {
        let (north, south) = (rows_of(&both, "north", table, columns), rows_of(&both, "south", table, columns));
        assert!(north.len() > 5, "{table}");
        assert_eq!(north, south, "{table}");
        assert_eq!(north, rows_of(&alone, "north", table, columns), "{table}: as if there were no other");
        let all = both.rows(&format!("SELECT count(*) AS n FROM {table}"));
        assert_eq!(all[0]["n"], north.len() + south.len(), "{table}");
    }
    let duplicates = both.rows("SELECT source_id FROM sources WHERE duplicates > 0 OR gaps > 0");
    assert_eq!(duplicates, Vec::<Value>::new());
    import(&both, "south");
    let columns = "source_id, events, first_event_at, last_event_at";
    let (north, south) = (rows_of(&both, "north", "sources", columns), rows_of(&both, "south", "sources", columns));
    assert_eq!((north.len(), &north), (3, &south), "one row for each file's source, the second import changes nothing");
}

#[test]
fn up_tells_how_its_sources_are() {
    let mut asterisk = Asterisk::playing_at("asterisk-22.10", Speed::Unlimited);
    let site = Site::new();
    site.configured(&format!("{}queue_log = \"queue_log\"\n", asterisk.configuration()));
    std::fs::copy(capture("asterisk-22.10", "queue_log"), site.data().with_file_name("queue_log")).unwrap();
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    up.tells("INFO connected");
    let url = url(&mut up);
    asterisk.all_sent();
    let metric = |series: &str| {
        let (_, text) = get(&url, "/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
        value.unwrap_or(f64::NAN)
    };
    let events = || metric("calltide_source_events_total{pbx=\"site-a\",source=\"ami\"}");
    let collected = || metric("calltide_ami_events_total{pbx=\"site-a\"}");
    until("the fold has taken in what was collected", || events() > 1_000.0 && events() == collected());
    assert_eq!(metric("calltide_source_connected{pbx=\"site-a\",source=\"ami\"}"), 1.0);
    assert_eq!(metric("calltide_source_duplicates_total{pbx=\"site-a\",source=\"ami\"}"), 0.0);
    assert_eq!(metric("calltide_source_missing_offsets{pbx=\"site-a\",source=\"ami\"}"), 0.0);
    assert_eq!(metric("calltide_ami_connections_total{pbx=\"site-a\"}"), 1.0);
    let lines = std::fs::read_to_string(capture("asterisk-22.10", "queue_log")).unwrap().lines().count();
    let read = "calltide_source_events_total{pbx=\"site-a\",source=\"queue_log\"}";
    until("the file is read", || metric(read) == lines as f64);
    until("and nothing of it is left", || {
        metric("calltide_file_behind_bytes{pbx=\"site-a\",source=\"queue_log\"}") == 0.0
    });
    assert!(get(&url, "/api/v1/reports/outcomes").0.contains("200"));
    let (_, text) = get(&url, "/metrics");
    assert!(text.contains("# HELP calltide_source_lag_seconds how long after it happened"), "{text}");
    assert!(text.contains("calltide_queries_running"), "the query process's own are there, too");
    let line = || site.rows("SELECT connected, journals, events FROM sources WHERE source_id = 'site-a/ami'");
    until("the row says that the line is up", || line().first().is_some_and(|row| row["connected"] == true));
    // Whoever asks is told at once when the line is lost.
    drop(asterisk);
    until("the row says that the line is lost", || line()[0]["connected"] == false);
    assert_eq!(line()[0]["events"].as_f64(), Some(events()));
    up.stop();
}
