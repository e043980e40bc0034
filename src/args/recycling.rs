//! The words of recycling: `contacts`, `dnc`, `recycling`, and its report.
//!
//! What they do is in `src/contacts.rs`, `src/recycling.rs` and `src/report.rs`.

use std::path::PathBuf;

use calltide_query_api::reports::recycling::Dimension;
use clap::{Args as ClapArgs, Subcommand};

use super::{Format, ReportArgs};

const CONTACTS_EXAMPLES: &str = "\
Examples:
  calltide contacts load leads.csv --campaign autumn --country ES
  calltide contacts callback autumn c-17 --at 2026-12-01T10:30 --tz Europe/Madrid --agent anna
  calltide contacts hold --campaign autumn --list october";

/// Lists of contacts.
#[derive(Debug, Subcommand)]
#[command(after_help = CONTACTS_EXAMPLES)]
pub(crate) enum Contacts {
    /// Load a list: CSV with a line of names: contact, number (number_2, …), tz, list, person, agent
    Load(ContactsLoad),
    /// Do not call a campaign's contacts for now, or those of a list, or one
    Hold(ContactsStand),
    /// Call them again
    Release(ContactsStand),
    /// Take them off the list
    Remove(ContactsStand),
    /// Promise a call, or take the promise back (without --at)
    Callback(Promise),
}

/// Who says it.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Who {
    /// Who says so, for the record [default: the name of the user]
    #[arg(long = "who", value_name = "NAME")]
    name: Option<String>,
}

impl Who {
    pub(crate) fn who(&self) -> String {
        let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
        self.name.clone().or_else(user).unwrap_or_else(|| "somebody at the command line".to_owned())
    }
}

/// Arguments of `contacts load`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Loading a list again keeps what is known of its contacts. Separators may be , ; or tabs.")]
pub(crate) struct ContactsLoad {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The campaign
    #[arg(long, value_name = "ID")]
    pub(crate) campaign: String,
    /// The list of contacts that name none
    #[arg(long, value_name = "NAME")]
    pub(crate) list: Option<String>,
    /// The country of national numbers, such as ES [default: [calls] country]
    #[arg(long, value_name = "CC")]
    pub(crate) country: Option<String>,
    /// The time zone of contacts that name none [default: the campaign's, else where the number is]
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
    /// Begin a new round: earlier attempts count no more
    #[arg(long)]
    pub(crate) reset: bool,
    /// Write all refused lines to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) who: Who,
}

/// Arguments of `contacts hold`, `release` and `remove`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ContactsStand {
    /// The campaign
    #[arg(long, value_name = "ID")]
    pub(crate) campaign: String,
    /// Only those of this list
    #[arg(long, value_name = "NAME", conflicts_with = "contact")]
    pub(crate) list: Option<String>,
    /// Only this one
    #[arg(long, value_name = "ID")]
    pub(crate) contact: Option<String>,
    #[command(flatten)]
    pub(crate) who: Who,
}

/// Arguments of `contacts callback`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Promise {
    /// The campaign
    #[arg(value_name = "CAMPAIGN")]
    pub(crate) campaign: String,
    /// The contact
    #[arg(value_name = "CONTACT")]
    pub(crate) contact: String,
    /// For when: 2026-12-01T10:30, or RFC 3339; without it nothing is promised any more
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// The zone of that time
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) tz: String,
    /// With whom
    #[arg(long, value_name = "AGENT", requires = "at")]
    pub(crate) agent: Option<String>,
    /// On which number
    #[arg(long, value_name = "NUMBER", requires = "at")]
    pub(crate) number: Option<String>,
    #[command(flatten)]
    pub(crate) who: Who,
}

const DNC_EXAMPLES: &str = "\
Examples:
  calltide dnc add +34911234567 --reason \"asked for it\"
  calltide dnc add '+4930*' --campaign autumn
  calltide dnc add --file robinson-list.txt
  calltide sql \"SELECT number, campaign, who, since_at FROM do_not_call WHERE listed\"";

/// Who may not be called.
#[derive(Debug, Subcommand)]
#[command(after_help = DNC_EXAMPLES)]
pub(crate) enum Dnc {
    /// Nobody calls these numbers any more; one with a * at its end stands for all that begin so
    Add(DoNotCallArgs),
    /// They may be called again
    Remove(DoNotCallArgs),
}

/// Arguments of `dnc add` and `dnc remove`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DoNotCallArgs {
    /// The numbers
    #[arg(value_name = "NUMBER", required_unless_present = "file")]
    pub(crate) numbers: Vec<String>,
    /// A file of numbers, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Only for this campaign
    #[arg(long, value_name = "ID")]
    pub(crate) campaign: Option<String>,
    /// The country of national numbers, such as ES [default: [calls] country]
    #[arg(long, value_name = "CC")]
    pub(crate) country: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) who: Who,
}

const RECYCLING_EXAMPLES: &str = "\
Examples:
  calltide recycling simulate --rules new.toml
  calltide recycling why autumn c-17";

/// Who is called again, when, and why.
#[derive(Debug, Subcommand)]
#[command(after_help = RECYCLING_EXAMPLES)]
pub(crate) enum Recycling {
    /// Why a contact is called again, or is not: its verdicts, one after the other
    Why(Why),
    /// What would have been due, capped and suppressed under other rules
    Simulate(Simulate),
}

/// Arguments of `recycling why`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Why {
    /// The campaign
    #[arg(value_name = "CAMPAIGN")]
    pub(crate) campaign: String,
    /// The contact
    #[arg(value_name = "CONTACT")]
    pub(crate) contact: String,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Arguments of `recycling simulate`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Simulate {
    /// A configuration file with the rules to try, as [recycling] and [[campaign]]
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: PathBuf,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

const REPORT_EXAMPLES: &str = "\
Attempts count by when they began; contacts are those heard of before --to, with their best class at that time.

Examples:
  calltide report recycling
  calltide report recycling --by attempt --from 2026-08-01
  calltide report recycling --by campaign,hour --tz Europe/Madrid --format csv";

/// Arguments of `report recycling`.
#[derive(Debug, ClapArgs)]
#[command(after_help = REPORT_EXAMPLES)]
pub(crate) struct RecyclingReport {
    /// Group by campaign, attempt, hour, day; several with commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "campaign")]
    pub(crate) by: Vec<Dimension>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
