//! Recycling as people and dialers use it: rules in a file, lists, verdicts, what is due, leases, and other rules tried.

#![expect(clippy::print_stderr, reason = "the seed is for whoever runs it")]

use calltide_ingest::playback::Speed;
use serde_json::{Value, json};

use super::running::Asterisk;
use super::started::{Site, capture, get, get_as, post, until, url};

/// Rules without hours, so that the clock of the machine does not matter.
const RULES: &str = "
[recycling]
windows = []
attempts = 9
attempts_24h = 9

[[campaign]]
id = \"autumn\"
[campaign.rules]
results = [
  { results = [\"no_answer\"], delays = [\"1h\"], attempts = 5 },
  { results = [\"busy\"], delays = [\"7m\", \"30m\"], attempts = 5 },
]
";

fn import(site: &Site) {
    for (folder, pbx) in [("asterisk-22.10", "site-a"), ("asterisk-16.28", "site-b")] {
        let of = |file| capture(folder, file);
        let (ami, cel, queue_log) = (of("ami.raw"), of("cel.csv"), of("queue_log"));
        site.done(&["import", "--pbx", pbx, "--ami", &ami, "--cel", &cel, "--queue-log", &queue_log]);
    }
}

/// How many records a topic has.
fn records(site: &Site, topic: &str) -> usize {
    site.done(&["log", "cat", topic]).0.lines().count()
}

#[test]
fn a_contact_of_the_recordings_gets_the_verdict_that_its_rules_say() {
    let site = Site::new();
    site.configured(RULES);
    import(&site);
    let contact = &site.rows("SELECT * FROM contacts WHERE campaign = 'autumn' AND contact = 'retry-1'")[0];
    // No answer, then busy, on two numbers of each PBX; the last one decides.
    assert_eq!((contact["verdict"].as_str(), contact["rule"].as_str()), (Some("retry"), Some("busy")), "{contact}");
    assert_eq!(contact["attempts"], 4);
    assert_eq!(contact["published"], false, "what was imported is told to nobody");
    let due = "SELECT contact FROM contacts c WHERE contact = 'retry-1' AND due_at = (SELECT max(ended_at) FROM attempts \
               WHERE contact = 'retry-1') + INTERVAL '30 minutes'";
    assert_eq!(site.rows(due).len(), 1, "the second busy one waits for the second delay: {contact}");
    let verdicts =
        site.rows("SELECT verdict, rule, attempts FROM verdicts WHERE contact = 'retry-1' ORDER BY decided_at");
    assert_eq!(verdicts.len(), 4, "{verdicts:?}");
    for topic in ["calltide.retry-later", "calltide.retry-due", "calltide.retarget"] {
        assert_eq!(records(&site, topic), 0, "{topic}");
    }
    let (told, _) = site.done(&["recycling", "why", "autumn", "retry-1"]);
    assert!(
        told.contains("rule busy, version 1, after contact_attempt") && told.contains("the delay is 30m"),
        "{told}"
    );

    let (report, _) = site.done(&["report", "recycling", "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&report).unwrap();
    let autumn = rows.iter().find(|row| row["campaign"] == "autumn").unwrap();
    let percents = ["connected_pct", "unanswered_pct", "failed_pct", "pending_pct"];
    let sum: f64 = percents.iter().map(|name| autumn[name].as_f64().unwrap()).sum();
    assert!((sum - 100.0).abs() < 1e-9, "{autumn}");
    assert_eq!(autumn["contacts"], site.rows("SELECT count(*) AS n FROM contacts WHERE campaign = 'autumn'")[0]["n"]);
    let (by_attempt, _) = site.done(&["report", "recycling", "--by", "attempt"]);
    assert!(by_attempt.contains("recycle yield"), "{by_attempt}");

    let tables = ["contacts", "verdicts", "rules"].map(|table| site.rows(&format!("SELECT * FROM {table} ORDER BY 1")));
    site.done(&["replay"]);
    let again = ["contacts", "verdicts", "rules"].map(|table| site.rows(&format!("SELECT * FROM {table} ORDER BY 1")));
    assert!(tables == again, "derived again it is the same");
    assert_eq!(records(&site, "calltide.retry-later"), 0);
}

#[test]
fn what_other_rules_would_do_is_shown_beside_what_was() {
    let site = Site::new();
    site.configured(RULES);
    import(&site);
    let tried = site.data().with_extension("new.toml");
    std::fs::write(&tried, RULES.replace("attempts = 9\n", "attempts = 2\n")).unwrap();
    let told = site.done(&["recycling", "simulate", "--rules", tried.to_str().unwrap(), "--format", "json"]).0;
    let rows: Vec<Value> = serde_json::from_str(&told).unwrap();
    let of = |rules: &str| rows.iter().find(|row| row["campaign"] == "autumn" && row["rules"] == rules).unwrap();
    let (was, new) = (of("as they were"), of("new"));
    assert_eq!(was["contacts"], new["contacts"]);
    assert!(new["exhausted"].as_u64() > was["exhausted"].as_u64(), "{was}\n{new}");
    assert!(was["due"].as_u64() > Some(0), "{was}");
    assert_eq!(records(&site, "calltide.retry-due"), 0, "nothing of it is told to dialers");
}

#[test]
fn rules_that_cannot_be_meant_are_told_with_their_line() {
    for (text, line, says) in [
        ("[[campaign]]\nid = \"a\"\n[campaign.rules]\nattempts = 0\n", "line 4", "1 at least"),
        (
            "[recycling]\nwindows = [\n  { days = \"mon\", from = \"9\", to = \"20:00\" },\n]\n",
            "line 3",
            "no time of day",
        ),
        ("[recycling]\n\nholidas = []\n", "line 3", "did you mean `holidays`?"),
        (
            "[[campaign]]\nid = \"a\"\n[[campaign.rules.results]]\nresults = [\"bussy\"]\ndelays = [\"5m\"]\n",
            "line 4",
            "`bussy`",
        ),
    ] {
        let site = Site::new();
        site.configured(text);
        let told = site.refused(2, &["report", "recycling"]);
        assert!(told.contains(line) && told.contains(says), "{told}");
    }
    let site = Site::new();
    site.configured("[[campaign]]\nid = \"a\"\nrecall = \"b\"\n");
    assert!(site.refused(2, &["contacts", "hold", "--campaign", "a"]).contains("goes on in campaign b"));
}

#[test]
fn a_list_is_loaded_and_its_refused_lines_are_told() {
    let site = Site::new();
    site.configured(RULES);
    let list = site.data().with_extension("csv");
    let lines = "contact;number;number_2;tz\nc1;911 23 45 67;;\nc2;12;;\nc3;+34911234568;+34911234569;Mars\nc4;+34911234568;;Europe/Madrid\n";
    std::fs::write(&list, lines).unwrap();
    let rejects = site.data().with_extension("rejects");
    let load = ["contacts", "load", list.to_str().unwrap(), "--campaign", "autumn", "--country", "ES"];
    let (_, told) = site.done(&[&load[..], &["--rejects", rejects.to_str().unwrap(), "--who", "eva"]].concat());
    assert!(told.contains("loaded 2 contacts into campaign autumn, 2 lines refused"), "{told}");
    let refused = std::fs::read_to_string(&rejects).unwrap();
    assert!(
        refused.contains("line 3: `12` is no telephone number of ES") && refused.contains("line 4: `Mars`"),
        "{refused}"
    );
    let contacts = site.rows("SELECT contact, number_e164, verdict FROM contacts ORDER BY contact");
    assert_eq!(contacts[0], json!({ "contact": "c1", "number_e164": "+34911234567", "verdict": "retry" }));
    // Nothing becomes due while nobody's time goes on.
    assert_eq!(records(&site, "calltide.retry-due"), 0);
    let told = site.refused(2, &["contacts", "load", rejects.to_str().unwrap(), "--campaign", "autumn"]);
    assert!(told.contains("has no column `number`"), "{told}");
    site.done(&["dnc", "add", "+34911*", "--reason", "law", "--who", "eva"]);
    let held = site.rows("SELECT contact FROM contacts WHERE verdict = 'suppressed' ORDER BY contact");
    assert_eq!(held.len(), 2, "{held:?}");
    assert_eq!(site.rows("SELECT who FROM do_not_call WHERE listed")[0]["who"], "eva");
}

#[test]
fn dialers_share_what_is_due_over_http() {
    let site = Site::new();
    site.configured(RULES);
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    let at = url(&mut up);
    let contacts: Vec<Value> =
        (0..5).map(|n| json!({ "contact": format!("c{n}"), "numbers": [format!("+3491123456{n}")] })).collect();
    let contacts = [contacts, vec![json!({ "numbers": ["12"] })]].concat();
    let body = json!({ "campaign": "autumn", "contacts": contacts }).to_string();
    let (head, answer) = post(&at, "/api/v1/contacts", &body);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((answer["loaded"].as_u64(), answer["rejected"][0]["place"].as_u64()), (Some(5), Some(5)), "{answer}");
    let due = |query: &str| -> Value {
        let (head, body) = get(&at, &format!("/api/v1/recycling/due{query}"));
        if head.starts_with("HTTP/1.1 503") && body.contains("still being read") {
            return json!({ "due": [] });
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
        serde_json::from_str(&body).unwrap()
    };
    until("all of them are due", || due("")["due"].as_array().unwrap().len() == 5);

    let one = due("?dialer=one&limit=3");
    let two = due("?dialer=two&limit=3");
    let ids = |answer: &Value| -> Vec<String> {
        answer["due"].as_array().unwrap().iter().map(|due| due["verdict_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids(&one).len(), ids(&two).len()), (3, 2), "{one}\n{two}");
    assert!(ids(&one).iter().all(|id| !ids(&two).contains(id)), "nobody is given to both");
    assert_eq!(due("?dialer=three")["due"], json!([]));
    let given = &one["due"][0];
    let back = |lease: &Value| {
        json!({ "lease_id": lease, "done": "returned", "verdict_ids": [given["verdict_id"]] }).to_string()
    };
    let (head, _) = post(&at, "/api/v1/recycling/ack", &back(&two["lease_id"]));
    assert!(head.starts_with("HTTP/1.1 409"), "of another's lease: {head}");
    let (head, answer) = post(&at, "/api/v1/recycling/ack", &back(&one["lease_id"]));
    assert!(head.starts_with("HTTP/1.1 200") && answer.contains("\"refused\":[]"), "{head}\n{answer}");
    until("what was given back is due again", || ids(&due("")) == [given["verdict_id"].as_str().unwrap()]);
    let (head, csv) = get_as(&at, "/api/v1/recycling/due", "text/csv");
    assert!(
        head.contains("text/csv") && csv.starts_with("verdict_id,campaign,contact,number,attempt"),
        "{head}\n{csv}"
    );

    let mut hears = stream(&at);
    hears("text/event-stream");
    let listed = json!({ "number": given["number"], "listing": "add", "reason": "asked for it" });
    post(&at, "/api/v1/do-not-call", &listed.to_string());
    hears("event: withdrawn");
    hears("asked for it");
    until("nobody may call them", || due("")["due"] == json!([]));
    let path = format!("/api/v1/contacts/autumn/{}", given["contact"].as_str().unwrap());
    let (_, story) = get(&at, &path);
    let story: Value = serde_json::from_str(&story).unwrap();
    assert_eq!(story["contact"]["verdict"], "suppressed", "{story}");
    assert_eq!(story["verdicts"].as_array().unwrap().len(), 2, "{story}");
    assert_eq!(story["do_not_call"][0]["reason"], "asked for it", "{story}");
    assert!(get(&at, "/api/v1/contacts/autumn/nobody").0.starts_with("HTTP/1.1 404"));
    for (path, body) in [("/api/v1/contacts", "{"), ("/api/v1/do-not-call", "{\"number\":\"*\",\"listing\":\"add\"}")] {
        assert!(post(&at, path, body).0.starts_with("HTTP/1.1 400"), "{path}");
    }
    assert_eq!(records(&site, "calltide.retry-due"), 6, "five are due, and one was taken back");
    up.stop();
}

#[test]
fn what_a_pbx_says_now_leads_to_retries_that_dialers_hear_of() {
    let mut asterisk = Asterisk::playing_at("asterisk-22.10", Speed::Unlimited);
    let site = Site::new();
    site.configured(&format!("{}{RULES}", asterisk.configuration()));
    let up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    asterisk.all_sent();
    let retry = || site.rows("SELECT verdict, attempts, dialling, published FROM contacts WHERE contact = 'retry-1'");
    let wanted = json!([{ "verdict": "retry", "attempts": 2, "dialling": 0, "published": true }]);
    until("the contact's attempts are settled", || json!(retry()) == wanted);
    until("dialers are told", || {
        let told = site.done(&["log", "cat", "calltide.retry-later"]).0;
        told.lines().any(|line| line.contains("autumn/retry-1"))
    });
    up.stop();
    // Its time is long over by the clock of this machine, so it is due as soon as time goes on.
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    let at = url(&mut up);
    until("it is due", || get(&at, "/api/v1/recycling/due").1.contains("\"autumn/retry-1/"));
    up.stop();
}

#[test]
fn killed_at_random_instants_every_contact_is_due_once() {
    let seed = u64::from(std::process::id()) << 16 | 1;
    eprintln!("seed {seed}");
    let mut random = seed;
    let mut below = |sides: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % sides
    };
    let site = Site::new();
    site.configured(RULES);
    let (parts, of_each) = (12_u64, 60_u64);
    let body = |part: u64| {
        let contact = |n: u64| json!({ "contact": format!("c{n}"), "numbers": [format!("+34911{n:06}")] });
        let contacts: Vec<Value> = (part * of_each..(part + 1) * of_each).map(contact).collect();
        json!({ "campaign": "autumn", "contacts": contacts }).to_string()
    };
    for part in 0..parts {
        let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
        let at = url(&mut up);
        let told = std::thread::spawn({
            let body = body(part);
            move || post_or_nothing(&at, "/api/v1/contacts", &body)
        });
        std::thread::sleep(std::time::Duration::from_millis(below(700)));
        up.kill();
        // Whether it was taken or not is not known: it is said again to the next one.
        drop(told.join());
    }
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    let at = url(&mut up);
    for part in 0..parts {
        assert!(post(&at, "/api/v1/contacts", &body(part)).0.starts_with("HTTP/1.1 200"));
    }
    let due = || -> Vec<String> {
        let text = site.done(&["log", "cat", "calltide.retry-due"]).0;
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = usize::try_from(parts * of_each).unwrap();
    until("all are due", || due().len() >= all);
    let told = due();
    let once: std::collections::BTreeSet<&String> = told.iter().collect();
    assert_eq!((told.len(), once.len()), (all, all), "seed {seed}");
    up.stop();
}

/// Follows the events of campaign autumn: waits until one of their lines has this.
fn stream(url: &str) -> impl FnMut(&str) {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let asked = format!("GET /api/v1/recycling/stream?campaign=autumn HTTP/1.1\r\nHost: {host}\r\n\r\n");
    std::io::Write::write_all(&mut stream, asked.as_bytes()).unwrap();
    let mut listening = std::io::BufReader::new(stream);
    move |what: &str| {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert!(std::io::BufRead::read_line(&mut listening, &mut line).unwrap() > 0, "never: {what}");
        }
    }
}

/// A POST whose answer may never come.
fn post_or_nothing(url: &str, path: &str, body: &str) {
    let address = url.strip_prefix("http://").unwrap();
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return };
    let length = body.len();
    let asked = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let _ = std::io::Write::write_all(&mut stream, asked.as_bytes());
    let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
}
