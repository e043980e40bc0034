//! Queries that ask for everything at once, by HTTP and by command: each is refused or stopped with a clear error in time,
//! within the memory limit, and good queries are answered all the while. With `--nocapture` the times and the memory are printed.
#![expect(clippy::print_stdout, reason = "the figures are for whoever runs it")]

use std::time::{Duration, Instant};

use super::started::{Running, Site, get, peak_mib, post, until};

/// Calls are repeated until there are so many events.
const EVENTS: &str = "60000";
const LIMITS: &str = "[query]\nmemory = \"256MB\"\nmemory_margin = \"512MB\"\ndeadline = \"3s\"\n";
const MEMORY_MIB: u64 = 768_000_000 >> 20;
const DEADLINE: Duration = Duration::from_secs(3);
/// What an answer may take beyond the deadline.
const SLACK: Duration = Duration::from_secs(1);
/// What a command takes beside its query: the process starts, opens log and lake, and ends.
const PROCESS: Duration = Duration::from_secs(1);

const GOOD: &str = "SELECT count(*) AS n FROM calls WHERE status = 'answered'";

fn chain(term: &str, n: usize, with: &str) -> String {
    vec![term; n].join(with)
}

/// Name, query, and the HTTP statuses that it may end with.
type Attack = (&'static str, String, &'static [u16]);

const REFUSED: &[u16] = &[400, 403, 413];
const STOPPED: &[u16] = &[422, 503, 504, 507];

fn attacks() -> Vec<Attack> {
    let mut all = of_structure();
    all.extend(of_values());
    all
}

/// By how much is written or joined.
fn of_structure() -> Vec<Attack> {
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
            REFUSED,
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

/// By what is built for each row.
fn of_values() -> Vec<Attack> {
    let pushed: String = (1..30).map(|n| format!(", t{n} AS (SELECT a + a AS a FROM t{})", n - 1)).collect();
    let each = |one: &dyn Fn(u32) -> String, n| (0..n).map(one).collect::<Vec<_>>().join(", ");
    let constants = each(&|n| format!("length(repeat('x', {})) AS l{n}", 60_000_000 + n), 20);
    let texts = each(&|n| format!("repeat(id, {}) AS l{n}", 250 + n), 200);
    vec![
        ("huge constants", format!("SELECT {constants}"), STOPPED),
        ("many texts a row", format!("SELECT {texts} FROM inputs"), STOPPED),
        ("a constant in each row", "SELECT repeat('x', 250000), id FROM inputs".into(), STOPPED),
        (
            "a gathered text in each row",
            "SELECT id, (SELECT string_agg(payload, '') FROM inputs) FROM inputs".into(),
            STOPPED,
        ),
        ("unnested", "SELECT unnest(string_to_array(repeat(',', 500), ',')), payload FROM inputs".into(), STOPPED),
        (
            "a substituted condition",
            format!("WITH t0 AS (SELECT wait_ms AS a FROM calls){pushed} SELECT * FROM t29 WHERE a > 1"),
            REFUSED,
        ),
        ("null of any size", "SELECT arrow_cast(NULL, 'FixedSizeBinary(1000000000)') FROM calls".into(), REFUSED),
        ("a pattern per row", "SELECT count(*) FROM inputs WHERE regexp_like(payload, id)".into(), REFUSED),
        ("distances", "SELECT sum(levenshtein(payload || payload, payload)) FROM inputs".into(), STOPPED),
    ]
}

/// A running `up`, the address of its queries, and the process that answers them.
pub(super) fn serving(site: &Site) -> (Running, String, String) {
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    let line = up.tells("serving queries");
    let url = format!("http://{}", line.split("http://").nth(1).unwrap().split('"').next().unwrap());
    (up, url, pid_in(&line))
}

pub(super) fn pid_in(line: &str) -> String {
    line.split("pid=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// A site with many events, which has the machine to itself.
pub(super) fn filled() -> Site {
    let site = Site::alone();
    let folder = site.data().with_extension("recording");
    site.done(&["bench", "--events", EVENTS, "--files", folder.to_str().unwrap()]);
    site.done(&["import", "--pbx", "site-a", "--ami", folder.join("ami.raw").to_str().unwrap()]);
    site.configured(LIMITS);
    site
}

pub(super) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn queries_that_ask_too_much_end_in_time_and_good_ones_are_answered() {
    let site = filled();
    let (up, url, pid) = serving(&site);
    for (name, sql, wanted) in attacks() {
        let began = Instant::now();
        let (head, body) = post(&url, "/api/v1/sql", &sql);
        let took = began.elapsed();
        println!("{:6.2} s {:4} MiB {} {name}", took.as_secs_f64(), peak_mib(&pid), status(&head));
        assert!(wanted.contains(&status(&head)), "{name}: {head}\n{body}");
        assert!(body.contains("urn:calltide:problem:"), "{name}: {body}");
        assert!(took < DEADLINE + SLACK, "{name} took {took:?}");
        let (head, body) = post(&url, "/api/v1/sql", GOOD);
        assert_eq!(status(&head), 200, "after {name}: {body}");
    }
    // The same process all along, within its memory.
    let peak = peak_mib(&pid);
    assert!(peak < MEMORY_MIB, "{peak} MiB");
    up.stop();
}

#[test]
fn two_hundred_at_once_keep_nobody_from_a_good_answer() {
    let site = filled();
    let (up, url, pid) = serving(&site);
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
        let (mut good, mut slowest) = (0, Duration::ZERO);
        while under_way.iter().any(|attack| !attack.is_finished()) || good == 0 {
            for ask in [
                |url: &str| post(url, "/api/v1/sql", GOOD),
                |url: &str| get(url, "/api/v1/reports/outcomes?by=campaign"),
                |url: &str| get(url, "/readyz"),
            ] {
                let began = Instant::now();
                let (mut head, mut body) = ask(&url);
                // To the server the attackers are the same asker, whose places may all be taken: then it is asked again.
                while status(&head) == 503 && began.elapsed() < DEADLINE {
                    (head, body) = ask(&url);
                }
                assert_eq!(status(&head), 200, "{body}");
                slowest = slowest.max(began.elapsed());
            }
            good += 1;
        }
        println!("{good} rounds of good ones, the slowest answer after {slowest:?}, {} MiB", peak_mib(&pid));
        assert!(slowest < DEADLINE + SLACK, "{slowest:?}");
    });
    let peak = peak_mib(&pid);
    assert!(peak < MEMORY_MIB, "{peak} MiB");
    up.stop();
}

#[test]
fn the_command_is_held_to_the_same_limits() {
    let site = filled();
    for (name, sql, _) in attacks() {
        let began = Instant::now();
        // Longer texts than a command line may have come by stdin.
        let output = if sql.len() < 100_000 { site.run(&["sql", &sql]) } else { site.fed(&["sql", "-"], &sql) };
        let took = began.elapsed();
        let told = String::from_utf8_lossy(&output.stderr);
        println!("{:6.2} s {name}", took.as_secs_f64());
        assert!(matches!(output.status.code(), Some(1 | 2)), "{name}: {told}");
        assert!(output.stdout.is_empty() && told.starts_with("error: "), "{name}: {told}");
        assert!(took < DEADLINE + SLACK + PROCESS, "{name} took {took:?}");
    }
}

#[test]
fn however_often_the_query_process_ends_the_next_good_answer_comes_within_two_seconds() {
    let site = filled();
    let (mut up, url, mut pid) = serving(&site);
    let wanted = post(&url, "/api/v1/sql", GOOD).1;
    for time in 1..=5 {
        let child = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(child, rustix::process::Signal::ABORT).unwrap();
        let began = Instant::now();
        let (head, body) = post(&url, "/api/v1/sql", GOOD);
        let took = began.elapsed();
        println!("{time}: {took:?}");
        assert_eq!((status(&head), body), (200, wanted.clone()), "time {time}");
        assert!(took < Duration::from_secs(2), "time {time}: {took:?}");
        pid = pid_in(&up.tells("serving queries"));
    }
    up.stop();
}

#[test]
fn whoever_hangs_up_takes_the_query_along() {
    use std::io::Write as _;
    let site = filled();
    site.configured("[query]\ndeadline = \"60s\"\n");
    let (up, url, _) = serving(&site);
    let running = || {
        let (_, metrics) = get(&url, "/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix("calltide_queries_running ")).map(str::to_owned);
        line.and_then(|n| n.parse::<f64>().ok()).unwrap_or_default()
    };
    let mut stream = std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000000)";
    let head = format!("POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", endless.len());
    stream.write_all(format!("{head}{endless}").as_bytes()).unwrap();
    until("it runs", || running() > 0.0);
    drop(stream);
    let began = Instant::now();
    until("it has ended", || running() == 0.0);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    up.stop();
}
