//! Agents as people and terminals use them: a directory in files, logins over HTTP and by command, changes beside a running `up`.

use serde_json::{Value, json};

use super::started::{Site, delete, get, post, put, until, url};

const CONFIGURATION: &str = "
[directory]
file = \"people/directory.toml\"

[[directory.team]]
id = \"sales\"
";

const PEOPLE: &str = "
[[agent]]
id = \"anna\"
name = \"Anna\"
team = \"sales\"
names = [\"site-a/Agent/101\"]
device_mode = \"dynamic\"

[[rate]]
id = \"es\"
prefix = \"+34\"
per_minute = \"0.0125\"
currency = \"EUR\"
";

fn site(people: &str) -> Site {
    let site = Site::new();
    site.configured(CONFIGURATION);
    let folder = site.data().with_file_name("people");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("directory.toml"), people).unwrap();
    site
}

/// The entries that hold, by kind and id.
fn entries(site: &Site) -> Vec<String> {
    let rows = site.rows("SELECT entry, id, origin FROM directory WHERE until_at IS NULL ORDER BY entry, id");
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter().map(|row| format!("{} {} {}", text(row, "entry"), text(row, "id"), text(row, "origin"))).collect()
}

fn body(answer: &(String, String)) -> Value {
    serde_json::from_str(&answer.1).unwrap_or_else(|e| panic!("{e}: {answer:?}"))
}

#[test]
fn a_terminal_logs_an_agent_of_the_configured_directory_in_and_out() {
    let site = site(PEOPLE);
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    let url = url(&mut up);
    until("the directory is there", || entries(&site).len() == 3);
    assert_eq!(entries(&site), ["agent anna configuration", "rate es configuration", "team sales configuration"]);

    let path = "/api/v1/agents/anna/terminals";
    let login = json!({ "terminal": "desk-1", "action": "login", "device": "site-a/PJSIP/101" }).to_string();
    let told = post(&url, path, &login);
    assert!(told.0.starts_with("HTTP/1.1 200"), "{told:?}");
    assert_eq!(body(&told), json!({ "accepted": true, "device": "site-a/PJSIP/101" }));
    for action in ["heartbeat", "logout"] {
        let told = post(&url, path, &json!({ "terminal": "desk-1", "action": action }).to_string());
        assert!(told.0.starts_with("HTTP/1.1 200"), "{action}: {told:?}");
    }
    // What was said is what the fold was told: with the terminal's address, and the usual time-out.
    let (said, _) = site.done(&["log", "cat", "in.agents"]);
    let logins: Vec<&str> = said.lines().filter(|line| line.contains("\"login\"")).collect();
    assert_eq!(logins.len(), 1, "{said}");
    assert!(logins[0].contains("127.0.0.1") && logins[0].contains("120000"), "{}", logins[0]);

    let (_, told) = site.done(&["agents", "login", "anna", "--terminal", "desk-2", "--device", "site-a/PJSIP/102"]);
    assert!(told.contains("anna is logged in at desk-2, with the device site-a/PJSIP/102"), "{told}");
    let (_, told) = site.done(&["agents", "logout", "anna", "--terminal", "desk-2"]);
    assert!(told.contains("anna is logged out at desk-2"), "{told}");
    up.stop();
    // And where nothing runs beside it.
    let (_, told) = site.done(&["agents", "login", "anna", "--terminal", "desk-3"]);
    assert!(told.contains("anna is logged in at desk-3"), "{told}");
}

#[test]
fn the_directory_is_changed_over_http_and_by_command_beside_a_running_up() {
    let site = site(PEOPLE);
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    let url = url(&mut up);
    until("the directory is there", || entries(&site).len() == 3);
    let told = put(&url, "/api/v1/directory/agent/eva?who=otto", &json!({ "team": "sales" }).to_string());
    assert!(told.0.starts_with("HTTP/1.1 200"), "{told:?}");
    assert_eq!((&body(&told)["who"], &body(&told)["origin"]), (&json!("otto"), &json!("api")));
    let told = put(&url, "/api/v1/directory/agent/anna", "{}");
    assert!(told.0.starts_with("HTTP/1.1 409") && told.1.contains("stands in the configuration"), "{told:?}");

    let file = site.data().with_extension("more.toml");
    std::fs::write(
        &file,
        "[[agent]]\nid = \"bob\"\nteam = \"sales\"\n[[queue]]\nid = \"site-a/sales\"\nmembers = [\"eva\"]\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let (_, told) = site.done(&["directory", "check", file]);
    assert!(told.contains("2 entries fit together with the directory that holds"), "{told}");
    let (_, told) = site.done(&["directory", "set", file, "--who", "otto"]);
    assert!(told.contains("2 entries of the directory are set"), "{told}");
    until("they are there", || entries(&site).len() == 6);
    let told = delete(&url, "/api/v1/directory/agent/eva");
    assert!(told.0.starts_with("HTTP/1.1 409") && told.1.contains("queue `site-a/sales`: agent `eva`"), "{told:?}");
    let told = site.refused(2, &["directory", "remove", "agent", "eva"]);
    assert!(told.contains("queue `site-a/sales`: agent `eva` is not in the directory"), "{told}");
    site.done(&["directory", "remove", "queue", "site-a/sales"]);
    until("it is gone", || entries(&site).len() == 5);
    let told = delete(&url, "/api/v1/directory/agent/eva");
    assert!(told.0.starts_with("HTTP/1.1 204"), "{told:?}");
    let (shown, _) = site.done(&["directory", "show", "--kind", "agent", "--format", "json"]);
    let shown: Vec<Value> = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ["anna", "bob"]);
    let all = body(&get(&url, "/api/v1/directory"));
    assert_eq!(all.as_array().unwrap().len(), 4, "{all}");
    assert!(site.refused(2, &["directory", "remove", "team", "sales"]).contains("stands in the configuration"));
    assert!(site.refused(4, &["directory", "remove", "team", "mail"]).contains("there is no team `mail`"));
    up.stop();
}

#[test]
fn a_directory_that_cannot_be_meant_is_told_with_its_line() {
    let told = site("\n[[agent]]\nid = \"anna\"\nteam = \"mail\"\n").refused(2, &["directory", "check"]);
    assert!(told.contains("directory.toml, line 4: agent `anna`: team `mail` is not in the directory"), "{told}");
    let told = site("[[agent]]\nid = \"anna\"\ndevise = \"x\"\n").refused(2, &["report", "outcomes"]);
    assert!(told.contains("line 3") && told.contains("did you mean `device`?"), "{told}");
    let sound = site(PEOPLE);
    let (_, told) = sound.done(&["directory", "check"]);
    assert!(told.contains("3 entries of the directory fit together"), "{told}");
    let file = sound.data().with_extension("more.toml");
    std::fs::write(&file, "[[agent]]\nid = \"eva\"\nnames = [\"site-a/Agent/101\"]\n").unwrap();
    let told = sound.refused(2, &["directory", "set", file.to_str().unwrap()]);
    assert!(told.contains("line 3: agent `eva`: `site-a/Agent/101` is that of agent `anna` already"), "{told}");
    std::fs::write(&file, "[[team]]\nid = \"sales\"\nname = \"Others\"\n").unwrap();
    let told = sound.refused(2, &["directory", "set", file.to_str().unwrap()]);
    assert!(told.contains("team `sales` stands in the configuration"), "{told}");
}

#[test]
fn names_of_unknown_pbxs_are_warned_of() {
    let site = site(PEOPLE);
    let pbx = "[[pbx]]\nid = \"site-b\"\nqueue_log = \"queue_log\"\ntz = \"UTC\"\n";
    site.configured(&format!("{pbx}{CONFIGURATION}"));
    let (_, told) = site.done(&["directory", "check"]);
    assert!(told.contains("line 6: agent `anna` names the PBX `site-a`, which is no [[pbx]]"), "{told}");
    let found = site.done(&["check", "--offline"]).0;
    assert!(found.contains("3 entries fit together") && found.contains("which is no [[pbx]]"), "{found}");
}
