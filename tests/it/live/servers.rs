//! Two real Asterisks: the PBX, and the carrier with the agents' phones and the customers' telephones.
//!
//! Each has an address of its own on the loopback, so that no port can be taken. What a customer's telephone does is told by
//! the last two digits of its number, what an agent's phone does by its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::ami::Ami;

/// Who may use the manager of both.
pub(super) const USER: &str = "calltide";
pub(super) const SECRET: &str = "secret";

/// A server that runs, or can be started again.
pub(super) struct Server {
    root: PathBuf,
    /// Its folder within the root.
    place: String,
    /// Where it listens, SIP and AMI.
    pub(super) address: String,
    child: Option<Child>,
}

impl Server {
    /// Begins it and waits until it is fully booted.
    pub(super) fn start(&mut self) -> Ami {
        let log = std::fs::File::create(self.folder().join("console.txt")).unwrap();
        let mut command = Command::new("chroot");
        command.arg(&self.root).args(["asterisk", "-f", "-n", "-C"]).arg(format!("{}/etc/asterisk.conf", self.place));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        Ami::log_in(&format!("{}:5038", self.address))
    }

    /// Ends it at once, as a power cut would.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn folder(&self) -> PathBuf {
        self.root.join(self.place.trim_start_matches('/'))
    }

    /// A file of its logs, as this machine sees it.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.folder().join("log").join(name)
    }

    fn configured(root: &Path, address: String, role: &str, files: &[(&str, String)]) -> Self {
        let place = format!("/calltide-test-{}/{role}", std::process::id());
        let server = Self { root: root.to_owned(), place, address, child: None };
        for folder in ["etc", "run", "db", "keys", "spool", "log/cel-custom", "log/cdr-csv"] {
            std::fs::create_dir_all(server.folder().join(folder)).unwrap();
        }
        for (name, text) in files.iter().cloned().chain(server.common(role)) {
            std::fs::write(server.folder().join("etc").join(name), text).unwrap();
        }
        server
    }

    /// What both need.
    fn common(&self, role: &str) -> Vec<(&'static str, String)> {
        let modules = ["/usr/lib/x86_64-linux-gnu/asterisk/modules", "/usr/lib/aarch64-linux-gnu/asterisk/modules"];
        let present = modules.into_iter().find(|path| self.root.join(&path[1..]).exists());
        let modules = present.unwrap_or("/usr/lib/asterisk/modules");
        let (place, address) = (&self.place, &self.address);
        let folders = format!(
            "[directories](!)\n[directories]\nastetcdir => {place}/etc\nastmoddir => {modules}\n\
             astvarlibdir => /usr/share/asterisk\nastdatadir => /usr/share/asterisk\nastdbdir => {place}/db\n\
             astkeydir => {place}/keys\nastagidir => /usr/share/asterisk/agi-bin\nastspooldir => {place}/spool\n\
             astrundir => {place}/run\nastlogdir => {place}/log\n[options]\nsystemname = {role}\n"
        );
        let none = "[general]\nenabled=no\n";
        // What would open ports, or wants hardware or another server.
        let unwanted = "chan_sip chan_iax2 chan_dahdi chan_mobile chan_unistim chan_skinny chan_mgcp chan_ooh323 chan_console \
                        chan_motif res_config_ldap res_config_pgsql cdr_radius cel_radius cdr_pgsql cel_pgsql cdr_odbc \
                        cel_odbc cdr_tds cel_tds res_snmp res_corosync res_hep res_xmpp pbx_dundi res_prometheus \
                        res_stun_monitor app_alarmreceiver app_voicemail_odbc app_voicemail_imap app_jack";
        let unwanted: String = unwanted.split_whitespace().map(|name| format!("noload => {name}.so\n")).collect();
        vec![
            ("asterisk.conf", folders),
            ("modules.conf", format!("[modules]\nautoload=yes\n{unwanted}")),
            ("logger.conf", "[general]\nqueue_log=yes\nqueue_log_to_file=yes\n[logfiles]\nmessages => notice,warning,error\n".to_owned()),
            ("http.conf", none.to_owned()),
            ("cdr.conf", "[general]\nenable=no\n".to_owned()),
            ("features.conf", "[general]\n".to_owned()),
            ("indications.conf", "[general]\ncountry=us\n[us]\ndescription=US\nringcadence=2000,4000\ndial=350+440\nbusy=480/500,0/500\nring=440/2000,0/4000\ncongestion=480/250,0/250\n".to_owned()),
            ("musiconhold.conf", "[default]\nmode=files\ndirectory=/usr/share/asterisk/moh\n".to_owned()),
            ("rtp.conf", "[general]\n".to_owned()),
            (
                "manager.conf",
                format!(
                    "[general]\nenabled=yes\nport=5038\nbindaddr={address}\ntimestampevents=yes\n\
                     channelvars=CAMPAIGN,CONTACT\n[{USER}]\nsecret={SECRET}\nread=all\nwrite=all\nwritetimeout=5000\n"
                ),
            ),
        ]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        drop(std::fs::remove_dir_all(self.folder()));
        // The other one's may still be in it.
        drop(self.folder().parent().map(std::fs::remove_dir));
    }
}

/// The PBX and the carrier, configured.
pub(super) fn servers(root: &Path) -> (Server, Server) {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let address = |last: u8| format!("127.{}.{b}.{last}", 100 + a % 100);
    // Even and odd, so that two test runs at a time do not meet.
    let last = (c / 2) * 2 % 252 + 1;
    let (pbx, carrier) = (address(last), address(last + 1));
    let transport = |at: &str| format!("[t]\ntype=transport\nprotocol=udp\nbind={at}:5060\n");
    let endpoint = |name: &str, context: &str, at: &str| {
        format!(
            "[{name}]\ntype=endpoint\ncontext={context}\ndisallow=all\nallow=ulaw\naors={name}\ntransport=t\n\
             direct_media=no\n[{name}]\ntype=aor\ncontact=sip:{name}@{at}:5060\n"
        )
    };
    let identify = |name: &str, at: &str| format!("[{name}]\ntype=identify\nendpoint={name}\nmatch={at}\n");
    let phones: String = ["101", "102", "103", "104"].iter().map(|n| endpoint(n, "from-internal", &carrier)).collect();
    let trunk = endpoint("trunk", "from-trunk", &carrier).replace("sip:trunk@", "sip:");
    let line = endpoint("line", "route", &pbx).replace("sip:line@", "sip:");
    let pbx_files = [
        ("pjsip.conf", format!("{}{trunk}{}{phones}", transport(&pbx), identify("trunk", &carrier))),
        ("extensions.conf", PBX_DIALPLAN.to_owned()),
        ("queues.conf", QUEUES.to_owned()),
        ("cel.conf", "[general]\nenable=yes\napps=dial,queue\nevents=ALL\n".to_owned()),
        ("cel_custom.conf", format!("[mappings]\nMaster.csv => {}\n", cel_columns())),
    ];
    let carrier_files = [
        ("pjsip.conf", format!("{}{line}{}", transport(&carrier), identify("line", &pbx))),
        ("extensions.conf", CARRIER_DIALPLAN.to_owned()),
        ("cel.conf", "[general]\nenable=no\n".to_owned()),
    ];
    (Server::configured(root, pbx, "site-a", &pbx_files), Server::configured(root, carrier, "carrier", &carrier_files))
}

/// The mapping that the README asks for.
fn cel_columns() -> String {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let line = readme.lines().find_map(|line| line.strip_prefix("Master.csv => "));
    line.expect("README.md has the mapping of CEL files").to_owned()
}

/// `sales` is served by 101, 102 and 104, who answer; `support` by 103, who never does.
const QUEUES: &str = "[general]
persistentmembers=no
log_membername_as_agent=yes
[usual](!)
strategy=rrmemory
timeout=30
retry=1
ringinuse=no
eventwhencalled=yes
joinempty=yes
[sales](usual)
member => PJSIP/101,0,Agent/101
member => PJSIP/102,0,Agent/102
member => PJSIP/104,0,Agent/104
[support](usual)
member => PJSIP/103,0,Agent/103
";

const PBX_DIALPLAN: &str = "[general]
[globals]
[from-trunk]
exten => sales,1,Answer()
 same => n,Queue(sales,t,,,300)
 same => n,Hangup()
exten => support,1,Answer()
 same => n,Queue(support,t,,,300)
 same => n,Hangup()
exten => soon,1,Answer()
 same => n,Queue(support,t,,,4)
 same => n,Hangup()
exten => anna,1,Dial(PJSIP/101,300)
 same => n,Hangup()
exten => carl,1,Dial(PJSIP/103,300)
 same => n,Hangup()
[campaign]
exten => s,1,Queue(sales,t,,,300)
 same => n,Hangup()
[from-internal]
exten => _9X.,1,Dial(PJSIP/${EXTEN:1}@trunk,300)
 same => n,Hangup()
";

/// Numbers end in: 00 answers; 01 answers and soon hangs up; 02 is busy; 03 rings; 04 no circuit; 05 does not exist; 06 is
/// refused after a ring; 07 is switched off.
const CARRIER_DIALPLAN: &str = "[general]
[globals]
[route]
exten => 103,1,Ringing()
 same => n,Wait(600)
exten => _10X,1,Ringing()
 same => n,Wait(1)
 same => n,Answer()
 same => n,Wait(600)
exten => _X.,1,Goto(customer,${EXTEN:-2},1)
[customer]
exten => 00,1,Ringing()
 same => n,Wait(1)
 same => n,Answer()
 same => n,Wait(600)
exten => 01,1,Ringing()
 same => n,Wait(1)
 same => n,Answer()
 same => n,Wait(5)
 same => n,Hangup(16)
exten => 02,1,Hangup(17)
exten => 03,1,Ringing()
 same => n,Wait(600)
exten => 04,1,Hangup(34)
exten => 05,1,Hangup(1)
exten => 06,1,Ringing()
 same => n,Wait(1)
 same => n,Hangup(21)
exten => 07,1,Hangup(27)
[caller]
exten => s,1,Wait(600)
";
