//! CEL rows to facts, from a `cel_custom` file or from `Event: CEL` over AMI: one `match` on the event type.
//!
//! CEL knows no ringing, no holds, no variables and not who dialled whom; it has the best times (since 13.29/16.6 the time is
//! when it happened), the bridges, the causes, and `dialstatus` of the channel that dialled.

use calltide_schemas::{Micros, envelope::Envelope, status::DialStatus};

use super::{Birth, Decoded, Reading, Teller, TransferKind, What, Who, bridge_kind, dialler, filled};

/// Decodes a row of the CEL file; `headers` are named as `cel_custom`'s fields.
pub fn decode(event: &Envelope<'_>, reading: &Reading) -> Decoded {
    let get = |name: &str| event.header(name).unwrap_or("");
    row(
        Row {
            at: event.at,
            teller: Teller::Cel,
            kind: get("eventtype"),
            name: get("channame"),
            uid: get("uniqueid"),
            linkedid: get("linkedid"),
            context: get("context"),
            exten: get("exten"),
            caller: get("cid_num"),
            app: get("appname"),
            data: get("appdata"),
            extra: get("extra"),
            account: reading.account(get("accountcode")),
        },
        Decoded::default(),
    )
}

/// Decodes `Event: CEL`; its EventTime has whole seconds and no zone, so AMI's own time is used.
pub fn decode_ami(event: &Envelope<'_>) -> Decoded {
    let get = |name: &str| event.header(name).unwrap_or("");
    row(
        Row {
            at: event.at,
            teller: Teller::AmiCel,
            kind: get("EventName"),
            name: get("Channel"),
            uid: get("UniqueID"),
            linkedid: get("LinkedID"),
            context: get("Context"),
            exten: get("Exten"),
            caller: get("CallerIDnum"),
            app: get("Application"),
            data: get("AppData"),
            extra: get("Extra"),
            // The channel's own events tell it.
            account: None,
        },
        Decoded::default(),
    )
}

struct Row<'a> {
    at: Micros,
    teller: Teller,
    kind: &'a str,
    name: &'a str,
    uid: &'a str,
    linkedid: &'a str,
    context: &'a str,
    exten: &'a str,
    caller: &'a str,
    app: &'a str,
    data: &'a str,
    extra: &'a str,
    /// What its account code says.
    account: Option<What>,
}

fn row(r: Row<'_>, mut out: Decoded) -> Decoded {
    if r.uid.is_empty() || r.kind.is_empty() {
        out.problem = Some(("malformed", "a CEL row without event type or unique id".to_owned()));
        return out;
    }
    let mut say = |what| {
        let who = Who { uid: r.uid, name: r.name, linkedid: r.linkedid };
        out.say_named(r.at, r.teller, who, what);
    };
    if let Some(by) = dialler(r.app) {
        say(What::Dialled { by });
    }
    if let Some(campaign) = r.account.clone() {
        say(campaign);
    }
    let extra = Extra::read(r.extra);
    match r.kind {
        "CHAN_START" => say(What::Created {
            name: r.name.into(),
            birth: Birth::Unknown,
            context: filled(r.context),
            exten: filled(r.exten),
            linkedid: filled(r.linkedid).unwrap_or_else(|| r.uid.into()),
            caller: filled(r.caller),
        }),
        "ANSWER" => say(What::Up),
        "APP_START" if dialler(r.app).is_none() => {
            say(What::App { name: r.app.into(), data: filled(r.data), exten: filled(r.exten) });
        }
        "BRIDGE_ENTER" => say(What::Entered {
            bridge: extra.text("bridge_id").unwrap_or_default(),
            kind: bridge_kind(&extra.text("bridge_technology").unwrap_or_default()),
        }),
        "BRIDGE_EXIT" => say(What::Left { bridge: extra.text("bridge_id").unwrap_or_default() }),
        "HANGUP" => say(What::Hungup {
            cause: extra.number("hangupcause"),
            by: extra.text("hangupsource"),
            dial_status: DialStatus::read(&extra.text("dialstatus").unwrap_or_default()),
        }),
        "BLINDTRANSFER" | "ATTENDEDTRANSFER" => transferred(r, &extra, &mut out),
        "PICKUP" => {
            if let Some(by) = extra.text("pickup_channel_uniqueid") {
                say(What::PickedUp { by });
            }
        }
        "PARK_START" => say(What::Parked),
        "PARK_END" => say(What::Unparked { by: None }),
        _ => {}
    }
    out
}

/// Told of the one who was moved; the row itself is the transferer's.
fn transferred(r: Row<'_>, extra: &Extra, out: &mut Decoded) {
    let moved = extra.text("transferee_channel_uniqueid").filter(|id| &**id != "N/A");
    let what = if r.kind == "BLINDTRANSFER" {
        What::Transferred { kind: TransferKind::Blind, by: filled(r.uid), target: None, exten: extra.text("extension") }
    } else {
        What::Transferred {
            kind: TransferKind::Attended,
            by: filled(r.uid),
            target: extra.text("transfer_target_channel_uniqueid").or_else(|| extra.text("channel2_uniqueid")),
            exten: None,
        }
    };
    out.say(r.at, r.teller, moved.as_deref().unwrap_or(r.uid), what);
}

/// The JSON of the `extra` column; anything else reads as empty.
struct Extra(serde_json::Map<String, serde_json::Value>);

impl Extra {
    fn read(text: &str) -> Self {
        Self(if text.starts_with('{') { serde_json::from_str(text).unwrap_or_default() } else { Default::default() })
    }

    fn text(&self, key: &str) -> Option<Box<str>> {
        self.0.get(key).and_then(serde_json::Value::as_str).and_then(filled)
    }

    fn number(&self, key: &str) -> Option<u16> {
        self.0.get(key).and_then(serde_json::Value::as_u64).and_then(|n| u16::try_from(n).ok())
    }
}
