//! Queries that ask for everything at once, by HTTP and by command: each is refused or stopped with a clear error in time,
//! within the memory limit, and good queries are answered all the while.

use std::time::{Duration, Instant};

use super::started::{Running, Site, get, post};

/// Calls are repeated until there are so many events.
const EVENTS: &str = "60000";
const LIMITS: &str = "[query]\nmemory = \"256MB\"\nmemory_margin = \"512MB\"\ndeadline = \"3s\"\n";
const MEMORY_MIB: u64 = 768_000_000 >> 20;
const DEADLINE: Duration = Duration::from_secs(3);
/// What an answer may take beyond the deadline: one second, and what a busy machine makes of it.
const SLACK: Duration = Duration::from_secs(4);

const GOOD: &str = "SELECT count(*) AS n FROM calls WHERE status = 'answered'";

fn chain(term: &str, n: usize, with: &str) -> String {
    vec![term; n].join(with)
}

/// Name, query, and the HTTP statuses that it may end with.
fn attacks() -> Vec<(&'static str, String, &'static [u16])> {
    const REFUSED: &[u16] = &[400, 403, 413];
    const STOPPED: &[u16] = &[422, 500, 503, 504, 507];
    let nested = |n| format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n));
    let subqueries = |n| format!("SELECT * FROM {}calls{}", "(SELECT * FROM ".repeat(n), ")".repeat(n));
    let doubling: String = (1..30).map(|n| format!(", t{n} AS (SELECT concat(a, a) AS a FROM t{})", n - 1)).collect();
    vec![
        ("5,000 additions", format!("SELECT {}", chain("1", 5_000, "+")), REFUSED),
        ("100,000 additions", format!("SELECT {}", chain("1", 100_000, "+")), REFUSED),
        ("5,000 ORs", format!("SELECT 1 FROM calls WHERE {}", chain("queue='x'", 5_000, " OR ")), REFUSED),
        ("100,000 ORs", format!("SELECT 1 FROM calls WHERE {}", chain("queue='x'", 100_000, " OR ")), REFUSED),
        ("5,000 UNIONs", chain("SELECT 1", 5_000, " UNION ALL "), REFUSED),
        ("100,000 UNIONs", chain("SELECT 1", 100_000, " UNION ALL "), REFUSED),
        ("10,000 parentheses", nested(10_000), REFUSED),
        ("10,000 subqueries", subqueries(10_000), REFUSED),
        ("a megabyte", format!("SELECT '{}'", "x".repeat(1_000_000)), REFUSED),
        (
            "a recursion",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r".into(),
            REFUSED,
        ),
        ("a huge text", "SELECT length(repeat('x', 1000000000))".into(), STOPPED),
        ("many large texts", "SELECT sum(length(repeat(payload, 100000))) FROM inputs".into(), STOPPED),
        (
            "doubling",
            format!("WITH t0 AS (SELECT payload AS a FROM inputs){doubling} SELECT sum(length(a)) FROM t29"),
            STOPPED,
        ),
        (
            "a product",
            "SELECT count(*) FROM inputs a, inputs b, inputs c WHERE a.payload || b.id < c.payload".into(),
            STOPPED,
        ),
        ("all of everything", "SELECT * FROM calls, legs, queue_visits, attempts, inputs, stories".into(), STOPPED),
        (
            "a skewed join",
            "SELECT a.id, b.id FROM inputs a JOIN inputs b ON a.source = b.source ORDER BY 1, 2".into(),
            STOPPED,
        ),
        (
            "a sort of a product",
            "SELECT a.*, b.status FROM inputs a, calls b ORDER BY a.payload, b.call_id".into(),
            STOPPED,
        ),
        ("no end", "SELECT count(*) FROM generate_series(1, 1000000000000)".into(), STOPPED),
    ]
}

fn serving(site: &Site) -> (Running, String, String) {
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    let line = up.tells("serving queries");
    let url = format!("http://{}", line.split("http://").nth(1).unwrap().split('"').next().unwrap());
    let pid = line.split("pid=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    (up, url, pid)
}

fn filled() -> Site {
    let site = Site::new();
    let folder = site.data().with_extension("recording");
    site.done(&["bench", "--events", EVENTS, "--files", folder.to_str().unwrap()]);
    site.done(&["import", "--pbx", "site-a", "--ami", folder.join("ami.raw").to_str().unwrap()]);
    site.configured(LIMITS);
    site
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The most memory that the process ever held, in MiB.
fn peak(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

#[test]
fn queries_that_ask_too_much_end_in_time_and_good_ones_are_answered() {
    let site = filled();
    let (up, url, pid) = serving(&site);
    for (name, sql, wanted) in attacks() {
        let began = Instant::now();
        let (head, body) = post(&url, "/api/v1/sql", &sql);
        assert!(wanted.contains(&status(&head)), "{name}: {head}\n{body}");
        assert!(body.contains("urn:calltide:problem:"), "{name}: {body}");
        assert!(began.elapsed() < DEADLINE + SLACK, "{name} took {:?}", began.elapsed());
        let (head, body) = post(&url, "/api/v1/sql", GOOD);
        assert_eq!(status(&head), 200, "after {name}: {body}");
    }
    // The same process all along, within its memory.
    let peak = peak(&pid);
    assert!(peak < MEMORY_MIB, "{peak} MiB");
    up.stop();
}

#[test]
fn two_hundred_at_once_keep_nobody_from_a_good_answer() {
    let site = filled();
    let (up, url, _) = serving(&site);
    let heavy: Vec<_> = attacks().into_iter().filter(|(_, _, wanted)| wanted.contains(&504)).collect();
    std::thread::scope(|scope| {
        let attack = |n: usize| {
            let ((name, sql, wanted), url) = (&heavy[n % heavy.len()], &url);
            scope.spawn(move || {
                let began = Instant::now();
                let (head, body) = post(url, "/api/v1/sql", sql);
                assert!(wanted.contains(&status(&head)), "{name}: {head}\n{body}");
                assert!(began.elapsed() < DEADLINE + SLACK, "{name} took {:?}", began.elapsed());
            })
        };
        let under_way: Vec<_> = (0..200).map(attack).collect();
        let mut good = 0;
        while under_way.iter().any(|attack| !attack.is_finished()) || good == 0 {
            for (head, body) in [post(&url, "/api/v1/sql", GOOD), get(&url, "/api/v1/reports/outcomes?by=campaign")] {
                assert_eq!(status(&head), 200, "{body}");
            }
            good += 1;
        }
    });
    up.stop();
}

#[test]
fn the_command_is_held_to_the_same_limits() {
    let site = filled();
    // A command line has its own limit, far above the caps on texts.
    for (name, sql, _) in attacks().into_iter().filter(|(_, sql, _)| sql.len() < 100_000) {
        let began = Instant::now();
        let output = site.run(&["sql", &sql]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{name}: {told}");
        assert!(output.stdout.is_empty() && told.starts_with("error: "), "{name}: {told}");
        assert!(began.elapsed() < DEADLINE + SLACK, "{name} took {:?}", began.elapsed());
    }
}
