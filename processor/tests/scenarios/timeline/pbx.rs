//! The words of the three logs: channels with what AMI's snapshots and CEL's rows show of them.

use std::collections::BTreeMap;

use calltide_schemas::envelope::{RESYNC_CHANNEL, RESYNC_SINCE, Source};

use super::records::CUT;

/// One event, row or line, as its log has it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) source: Source,
    /// Microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) fields: Vec<String>,
}

/// A channel.
#[derive(Debug, Clone, Default)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) linkedid: String,
    /// Down, Ring, Ringing or Up.
    pub(super) state: &'static str,
    pub(super) context: String,
    pub(super) exten: String,
    pub(super) number: String,
    pub(super) app: (String, String),
    pub(super) bridge: Option<String>,
    /// Who dials it, while the dial lasts.
    pub(super) dialled_by: Option<String>,
    pub(super) dial_open: bool,
    /// The Originate that made it and was not answered for: its dial string.
    pub(super) originate: Option<String>,
    pub(super) visit: Option<Visit>,
    /// The queue and the member it is offered to.
    pub(super) offered: Option<(String, String)>,
    /// The other half of a Local channel.
    pub(super) pair: Option<String>,
    pub(super) variables: Vec<(String, String)>,
    /// The result of its own dialling.
    pub(super) dialstatus: &'static str,
    /// The bridge it left for a consultation.
    pub(super) consults_from: Option<String>,
}

/// A caller's stay in a queue.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) queue: String,
    pub(super) entered: i64,
    /// The member, the leg and since when.
    pub(super) connected: Option<(String, String, i64)>,
}

/// A part of an AMI event.
pub(super) enum Part<'a> {
    /// The snapshot of a channel, its field names behind a prefix.
    Who(&'a str, &'a str),
    Is(&'a str, String),
}

pub(super) fn is<'a>(name: &'a str, value: &str) -> Part<'a> {
    Part::Is(name, value.to_owned())
}

/// A small Asterisk that writes what it does.
#[derive(Debug, Default)]
pub(super) struct Pbx {
    pub(super) told: Vec<Told>,
    /// Its clock, in microseconds.
    pub(super) now: i64,
    pub(super) channels: BTreeMap<String, Channel>,
    pub(super) originates: u32,
    born: u32,
    bridges: u32,
    /// Nobody listens to AMI.
    ami_cut: bool,
}

impl Pbx {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The next line happens then. Lines of one second happen one after the other.
    pub(super) fn clock(&mut self, at: i64) {
        assert!(at >= self.now / 1_000_000 * 1_000_000, "a line goes back in time");
        self.now = self.now.max(at + 1_000);
    }

    pub(super) fn secs(&self) -> i64 {
        self.now / 1_000_000
    }

    pub(super) fn channel(&self, alias: &str) -> &Channel {
        self.channels.get(alias).unwrap_or_else(|| panic!("there is no channel {alias} at that time"))
    }

    pub(super) fn channel_mut(&mut self, alias: &str) -> &mut Channel {
        self.channels.get_mut(alias).unwrap_or_else(|| panic!("there is no channel {alias} at that time"))
    }

    pub(super) fn uid(&self, alias: &str) -> String {
        self.channel(alias).uid.clone()
    }

    pub(super) fn forget_all(&mut self) {
        self.channels.clear();
    }

    /// A little later: nothing happens at the same microsecond.
    pub(super) fn say(&mut self, source: Source, headers: Vec<(String, String)>, fields: Vec<String>) {
        self.now += 101;
        let precise = matches!(source, Source::Ami | Source::Cel | Source::Gap | Source::Resync);
        let at = if precise { self.now } else { self.secs() * 1_000_000 };
        self.told.push(Told { source, at, headers, fields });
    }

    pub(super) fn cut_ami(&mut self) {
        self.say(Source::Gap, Vec::new(), vec![CUT.to_owned()]);
        self.ami_cut = true;
    }

    /// AMI is connected again, and its channels are asked for.
    pub(super) fn restore_ami(&mut self) {
        self.ami_cut = false;
        self.say(Source::Gap, Vec::new(), vec!["connected".to_owned()]);
        let mut headers = vec![(RESYNC_SINCE.to_owned(), self.now.to_string())];
        let up: Vec<(String, Channel)> = self.channels.iter().map(|(alias, c)| (alias.clone(), c.clone())).collect();
        for (alias, channel) in up {
            let bridge = channel.bridge.as_deref().unwrap_or_default();
            let (app, data) = (&channel.app.0, &channel.app.1);
            let parts = [
                Part::Who("", &alias),
                is("Application", app),
                is("ApplicationData", data),
                is("Duration", "00:00:01"),
                is("BridgeId", bridge),
            ];
            self.ami("CoreShowChannel", &parts);
            headers.push((RESYNC_CHANNEL.to_owned(), channel.uid));
        }
        self.say(Source::Resync, headers, Vec::new());
    }

    pub(super) fn ami(&mut self, event: &str, parts: &[Part<'_>]) {
        if self.ami_cut {
            return;
        }
        let mut headers = vec![("Event".to_owned(), event.to_owned())];
        let stamp = self.now + 101;
        headers.push(("Timestamp".into(), format!("{}.{:06}", stamp / 1_000_000, stamp % 1_000_000)));
        for part in parts {
            match part {
                Part::Who(prefix, alias) => self.snapshot(prefix, alias, &mut headers),
                Part::Is(name, value) => headers.push(((*name).to_owned(), value.clone())),
            }
        }
        self.say(Source::Ami, headers, Vec::new());
    }

    fn snapshot(&self, prefix: &str, alias: &str, out: &mut Vec<(String, String)>) {
        let c = self.channel(alias);
        let number = if c.number.is_empty() { "<unknown>" } else { &c.number };
        let fields = [
            ("Channel", c.name.as_str()),
            ("ChannelStateDesc", c.state),
            ("CallerIDNum", number),
            ("CallerIDName", "<unknown>"),
            ("Context", &c.context),
            ("Exten", &c.exten),
            ("Uniqueid", &c.uid),
            ("Linkedid", &c.linkedid),
        ];
        out.extend(fields.iter().map(|(name, value)| (format!("{prefix}{name}"), (*value).to_owned())));
        for name in ["CAMPAIGN", "CONTACT"] {
            let value = c.variables.iter().find(|v| v.0 == name).map_or("", |v| v.1.as_str());
            out.push((format!("{prefix}ChanVariable"), format!("{name}={value}")));
        }
    }

    pub(super) fn cel(&mut self, event: &str, alias: &str, extra: &str) {
        let c = self.channel(alias).clone();
        let columns = [
            ("eventtype", event),
            ("cid_num", &c.number),
            ("exten", &c.exten),
            ("context", &c.context),
            ("channame", &c.name),
            ("appname", &c.app.0),
            ("appdata", &c.app.1),
            ("uniqueid", &c.uid),
            ("linkedid", &c.linkedid),
            ("extra", extra),
        ];
        let filled = columns.iter().filter(|column| !column.1.is_empty());
        let headers = filled.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.say(Source::Cel, headers, Vec::new());
    }

    pub(super) fn queue_log(&mut self, uid: &str, queue: &str, agent: &str, event: &str, data: &[&str]) {
        let mut fields = vec![(self.now / 1_000_000).to_string()];
        fields.extend([uid, queue, agent, event].iter().chain(data).map(|&field| field.to_owned()));
        self.say(Source::QueueLog, Vec::new(), fields);
    }

    /// A channel appears; `linked` is the channel whose linkedid it takes over.
    pub(super) fn create(&mut self, alias: &str, linked: Option<&str>, mut channel: Channel) {
        assert!(!self.channels.contains_key(alias), "there is a channel {alias} already");
        channel.uid = format!("{}.{}", self.secs(), self.born);
        if !channel.name.contains(';') {
            channel.name = format!("{}-{:08x}", channel.name, self.born);
        }
        self.born += 1;
        channel.linkedid = linked.map_or(channel.uid.clone(), |l| self.channel(l).linkedid.clone());
        let app = std::mem::take(&mut channel.app);
        let variables = std::mem::take(&mut channel.variables);
        self.channels.insert(alias.to_owned(), channel);
        self.cel("CHAN_START", alias, "");
        self.ami("Newchannel", &[Part::Who("", alias)]);
        if app.0.starts_with("App") {
            let parts = [Part::Who("", alias), is("Application", &app.0), is("AppData", &app.1)];
            self.ami("Newexten", &parts);
        }
        self.channel_mut(alias).app = app;
        for (name, value) in variables {
            self.set(alias, &name, &value);
        }
    }

    pub(super) fn set(&mut self, alias: &str, name: &str, value: &str) {
        self.channel_mut(alias).variables.push((name.to_owned(), value.to_owned()));
        let wire = if name == "CAMPAIGN" || name == "CONTACT" { format!("__{name}") } else { name.to_owned() };
        self.ami("VarSet", &[Part::Who("", alias), is("Variable", &wire), is("Value", value)]);
    }

    /// It runs a dialplan application.
    pub(super) fn runs(&mut self, alias: &str, app: &str, data: &str) {
        self.channel_mut(alias).app = (app.to_owned(), data.to_owned());
        self.cel("APP_START", alias, "");
        self.ami("Newexten", &[Part::Who("", alias), is("Application", app), is("AppData", data)]);
    }

    pub(super) fn up(&mut self, alias: &str) {
        if self.channel(alias).state != "Up" {
            self.channel_mut(alias).state = "Up";
            self.cel("ANSWER", alias, "");
            self.ami("Newstate", &[Part::Who("", alias)]);
        }
    }

    pub(super) fn new_bridge(&mut self) -> String {
        self.bridges += 1;
        format!("bridge-{}", self.bridges)
    }

    pub(super) fn enter(&mut self, alias: &str, bridge: &str, technology: &str) {
        self.channel_mut(alias).bridge = Some(bridge.to_owned());
        self.bridge_event("BRIDGE_ENTER", "BridgeEnter", alias, bridge, technology);
    }

    pub(super) fn leave(&mut self, alias: &str) {
        if let Some(bridge) = self.channel_mut(alias).bridge.take() {
            self.bridge_event("BRIDGE_EXIT", "BridgeLeave", alias, &bridge, technology(&bridge));
        }
    }

    fn bridge_event(&mut self, cel: &str, ami: &str, alias: &str, bridge: &str, technology: &str) {
        self.cel(cel, alias, &format!(r#"{{"bridge_id":"{bridge}","bridge_technology":"{technology}"}}"#));
        let parts = [is("BridgeUniqueid", bridge), is("BridgeTechnology", technology), Part::Who("", alias)];
        self.ami(ami, &parts);
    }

    /// Two channels talk.
    pub(super) fn bridge(&mut self, one: &str, other: &str) {
        let bridge = self.new_bridge();
        self.enter(one, &bridge, technology(&bridge));
        self.enter(other, &bridge, technology(&bridge));
    }

    /// The channel is gone; `by` is the name of the one whose far end hung up.
    pub(super) fn gone(&mut self, alias: &str, cause: u16, by: &str) {
        let status = self.channel(alias).dialstatus;
        let extra = format!(r#"{{"hangupcause":{cause},"hangupsource":"{by}","dialstatus":"{status}"}}"#);
        self.cel("HANGUP", alias, &extra);
        self.cel("CHAN_END", alias, "");
        self.ami("Hangup", &[Part::Who("", alias), is("Cause", &cause.to_string())]);
        let gone = self.channels.remove(alias);
        if let Some(gone) = gone.filter(|g| !self.channels.values().any(|c| c.linkedid == g.linkedid)) {
            self.channels.insert(alias.to_owned(), gone);
            self.cel("LINKEDID_END", alias, "");
            self.channels.remove(alias);
        }
    }

    /// Those in the same bridge.
    pub(super) fn partners(&self, alias: &str) -> Vec<String> {
        let Some(bridge) = &self.channel(alias).bridge else { return Vec::new() };
        let same = self.channels.iter().filter(|(other, c)| *other != alias && c.bridge.as_ref() == Some(bridge));
        same.map(|(other, _)| other.clone()).collect()
    }
}

/// Conferences and parking lots show by their names.
pub(super) fn technology(bridge: &str) -> &'static str {
    match bridge.split('-').next() {
        Some("conference") => "softmix",
        Some("parking") => "holding_bridge",
        _ => "simple_bridge",
    }
}
