//! Holds, transfers, consultations, parking, pickup, conferences; and what the dialplan says by applications and variables.

use super::pbx::{Channel, Part, Pbx, is};

impl Pbx {
    /// Takes a line about a conversation; `false` if it is about something else.
    pub(super) fn moving(&mut self, words: &[&str]) -> bool {
        match *words {
            [alias, "holds"] => self.ami("Hold", &[Part::Who("", alias)]),
            [alias, "unholds"] => self.ami("Unhold", &[Part::Who("", alias)]),
            [agent, "blind-transfers", caller, "to", exten] => self.blind_transfer(agent, caller, exten),
            [agent, "consults", device, "as", alias] => self.consults(agent, device, alias),
            [agent, "completes", "the", "transfer", "to", target] => self.completes(agent, target),
            [agent, "returns"] => {
                let bridge = self.channel_mut(agent).consults_from.take().unwrap();
                self.enter(agent, &bridge, "simple_bridge");
                self.ami("Unhold", &[Part::Who("", agent)]);
            }
            [agent, "parks", caller] => self.parks(agent, caller),
            [caller, "comes", "back", "from", "parking"] => {
                self.ami("ParkedCallTimeOut", &[Part::Who("Parkee", caller)]);
                self.cel("PARK_END", caller, r#"{"reason":"ParkedCallTimeOut"}"#);
                self.leave(caller);
            }
            [device, "picks", "up", target, "as", alias] => self.picks_up(device, target, alias),
            [alias, "joins", "conference", number] => {
                self.runs(alias, "ConfBridge", number);
                self.enter(alias, &format!("conference-{number}"), "softmix");
            }
            [alias, "logs", "in", "as", "agent", number] => self.runs(alias, "AgentLogin", number),
            [one, "and", other, "are", "bridged"] => self.bridge(one, other),
            [alias, "leaves", "its", "bridge"] => self.leave(alias),
            [alias, "runs", app] => self.runs(alias, app, ""),
            [alias, "runs", app, data] => self.runs(alias, app, data),
            [alias, "sets", name, value] => self.set(alias, name, value),
            ["user", "event", name, "on", alias] => {
                self.ami("UserEvent", &[Part::Who("", alias), is("UserEvent", name)])
            }
            _ => return false,
        }
        true
    }

    fn transfer_told(&mut self, agent: &str, caller: &str, exten: &str) {
        let bridge = self.channel(caller).bridge.clone().unwrap();
        let moved = self.channel(caller).clone();
        let extra = format!(
            r#"{{"extension":"{exten}","context":"xfer","bridge_id":"{bridge}","transferee_channel_name":"{}","transferee_channel_uniqueid":"{}"}}"#,
            moved.name, moved.uid
        );
        self.cel("BLINDTRANSFER", agent, &extra);
        let parts = [
            is("Result", "Success"),
            Part::Who("Transferer", agent),
            Part::Who("Transferee", caller),
            is("BridgeUniqueid", &bridge),
            is("Extension", exten),
        ];
        self.ami("BlindTransfer", &parts);
    }

    fn blind_transfer(&mut self, agent: &str, caller: &str, exten: &str) {
        self.transfer_told(agent, caller, exten);
        if self.channel(caller).visit.is_some() {
            self.complete(caller, "transfer", &[exten, "xfer"]);
        }
        let channel = self.channel_mut(caller);
        channel.exten = exten.to_owned();
        channel.context = "xfer".to_owned();
        channel.app = Default::default();
        self.leave(agent);
        self.leave(caller);
        self.gone(agent, 16, "");
    }

    /// The agent's phone asks another before it transfers, through a Local channel `<alias>1`, `<alias>2`.
    fn consults(&mut self, agent: &str, device: &str, alias: &str) {
        let (first, second) = (format!("{alias}1"), format!("{alias}2"));
        let exten = device.split_once('/').unwrap().1;
        let half = |nth: &str, state| Channel {
            name: format!("Local/{exten}@xfer-{:08x};{nth}", self.now % 0xffff_ffff),
            state,
            context: "xfer".to_owned(),
            exten: exten.to_owned(),
            ..Channel::default()
        };
        let (one, two) = (half("1", "Down"), half("2", "Ring"));
        self.ami("Hold", &[Part::Who("", agent)]);
        self.pair(&first, one, &second, two, Some(agent));
        let main = self.channel(agent).bridge.clone().unwrap();
        let consultation = self.new_bridge();
        self.enter(&first, &consultation, "simple_bridge");
        self.leave(agent);
        self.enter(agent, &consultation, "simple_bridge");
        self.channel_mut(agent).consults_from = Some(main);
        self.dial(&second, alias, device, exten);
    }

    /// The caller and the one who was asked are left together.
    fn completes(&mut self, agent: &str, target: &str) {
        let half = format!("{target}1");
        let main = self.channel_mut(agent).consults_from.take().unwrap();
        let caller = self.channels.iter().find(|(_, c)| c.bridge.as_ref() == Some(&main)).unwrap().0.clone();
        self.leave(agent);
        self.leave(&half);
        self.enter(&half, &main, "simple_bridge");
        let (agent_uid, half_uid, caller_uid) = (self.uid(agent), self.uid(&half), self.uid(&caller));
        let extra = format!(
            r#"{{"bridge1_id":"{main}","channel2_uniqueid":"{agent_uid}","transferee_channel_uniqueid":"{caller_uid}","transfer_target_channel_uniqueid":"{half_uid}"}}"#
        );
        self.cel("ATTENDEDTRANSFER", agent, &extra);
        let parts = [
            is("Result", "Success"),
            Part::Who("OrigTransferer", agent),
            Part::Who("SecondTransferer", agent),
            Part::Who("Transferee", &caller),
            Part::Who("TransferTarget", &half),
        ];
        self.ami("AttendedTransfer", &parts);
        if self.channel(&caller).visit.is_some() {
            self.complete(&caller, "transfer", &["BRIDGE", &main]);
        }
        self.gone(agent, 16, "");
    }

    fn parks(&mut self, agent: &str, caller: &str) {
        self.transfer_told(agent, caller, "700");
        self.leave(agent);
        self.leave(caller);
        self.enter(caller, "parking-lot", "holding_bridge");
        self.cel("PARK_START", caller, r#"{"parker_dial_string":"PJSIP/101","parking_lot":"default"}"#);
        self.ami("ParkedCall", &[Part::Who("Parkee", caller), is("ParkingSpace", "701")]);
        self.gone(agent, 16, "");
    }

    fn picks_up(&mut self, device: &str, target: &str, alias: &str) {
        let caller = self.channel(target).dialled_by.clone().unwrap();
        let picking = Channel {
            name: device.to_owned(),
            state: "Ring",
            context: "from-internal".to_owned(),
            exten: "*8".to_owned(),
            number: device.split_once('/').unwrap().1.to_owned(),
            ..Channel::default()
        };
        self.create(alias, None, picking);
        self.up(alias);
        let uid = self.uid(alias);
        self.cel("PICKUP", target, &format!(r#"{{"pickup_channel_uniqueid":"{uid}"}}"#));
        self.ami("Pickup", &[Part::Who("", alias), Part::Who("Target", target)]);
        self.dial_ended(target, "ANSWER");
        self.gone(target, 26, "");
        self.up(&caller);
        self.bridge(alias, &caller);
    }
}
