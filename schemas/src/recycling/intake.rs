//! How contacts, promises and do-not-call entries come in from people and programs: checked here, whatever way they come.
//!
//! Must not know files and requests; whoever reads them shows the sentence for what was refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CallingNumber, ContactKey, ForContacts, ForNumbers, Loaded};
use crate::Micros;
use crate::agents::ForAgents;
use crate::numbers::e164;

/// Longer ids are no ids.
const ID_MAX: usize = 200;

/// A record on its way to a fold, with whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intake {
    /// One contact.
    Contact(Box<ForContacts>),
    /// All contacts of a campaign, or a list: every partition is told.
    AllContacts(Box<ForContacts>),
    /// One number.
    Number(Box<ForNumbers>),
    /// All numbers that begin so: every partition is told.
    AllNumbers(Box<ForNumbers>),
    /// Agents, or the directory.
    Agents(Box<ForAgents>),
}

/// What keys a record in its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntakeKey {
    /// A contact's.
    Contact(ContactKey),
    /// A number's.
    Number(CallingNumber),
    /// It concerns all of them.
    All,
}

impl Intake {
    /// What is said, to whomever it concerns.
    pub fn of_contacts(said: ForContacts) -> Self {
        match contact_of(&said) {
            Some(_) => Self::Contact(Box::new(said)),
            None => Self::AllContacts(Box::new(said)),
        }
    }

    /// What is said of a number, or of all that begin so.
    pub fn of_numbers(said: ForNumbers) -> Self {
        match number_of(&said) {
            Some(number) if !number.0.ends_with('*') => Self::Number(Box::new(said)),
            Some(_) | None => Self::AllNumbers(Box::new(said)),
        }
    }

    /// What keys it.
    pub fn key(&self) -> IntakeKey {
        match self {
            Self::Contact(said) => contact_of(said).map_or(IntakeKey::All, IntakeKey::Contact),
            Self::Number(said) => number_of(said).cloned().map_or(IntakeKey::All, IntakeKey::Number),
            Self::AllContacts(_) | Self::AllNumbers(_) | Self::Agents(_) => IntakeKey::All,
        }
    }
}

fn contact_of(said: &ForContacts) -> Option<ContactKey> {
    let key = |campaign: &str, contact: &str| Some(ContactKey::new(campaign, contact));
    match said {
        ForContacts::Loaded(said) => key(&said.campaign, &said.contact),
        ForContacts::Standing(said) => key(&said.campaign, said.contact.as_deref()?),
        ForContacts::Callback(said) => key(&said.campaign, &said.contact),
        ForContacts::Dial(said) => key(said.campaign.as_deref()?, said.contact.as_deref()?),
        ForContacts::Attempt(said) => key(&said.campaign, &said.contact),
        ForContacts::Notice(said) => key(&said.campaign, &said.contact),
        ForContacts::Rules(_) | ForContacts::Tick(_) => None,
    }
}

const fn number_of(said: &ForNumbers) -> Option<&CallingNumber> {
    match said {
        ForNumbers::Wish(said) => Some(&said.number),
        ForNumbers::DoNotCall(said) => Some(&said.number),
        ForNumbers::Dial(said) => Some(&said.number),
        ForNumbers::Call(said) => Some(&said.number),
        ForNumbers::Claim(said) => Some(&said.number),
        ForNumbers::Acknowledged(said) => Some(&said.number),
        ForNumbers::Reached(_) | ForNumbers::Tick(_) => None,
    }
}

/// A contact as it is written in a file or a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewContact {
    /// Its id within the campaign; the digits of its first number if there is none.
    pub contact: Option<String>,
    /// Its numbers, as they are dialled or in E.164.
    pub numbers: Vec<String>,
    /// Its time zone (IANA).
    pub tz: Option<String>,
    /// Its list.
    pub list: Option<String>,
    /// Who it is, over all campaigns.
    pub person: Option<String>,
    /// The agent who shall speak with it.
    pub agent: Option<String>,
}

/// What holds for all contacts that are loaded together.
#[derive(Debug, Clone)]
pub struct LoadAs {
    /// When.
    pub at: Micros,
    /// Who does.
    pub who: String,
    /// The campaign.
    pub campaign: String,
    /// The list of contacts that name none.
    pub list: Option<String>,
    /// The country whose national numbers are written.
    pub country: Option<String>,
    /// The zone of contacts that name none.
    pub tz: Option<String>,
    /// A new round begins: earlier attempts count no more.
    pub reset: bool,
    /// Whether there is a time zone of that name.
    pub is_zone: fn(&str) -> bool,
}

impl LoadAs {
    /// The contact as it is told, or why it is not taken.
    ///
    /// # Errors
    /// In words, for whoever wrote it.
    pub fn loaded(&self, new: &NewContact) -> Result<Loaded, String> {
        let written = new.numbers.iter().map(|number| number.trim()).filter(|number| !number.is_empty());
        let numbers =
            written.map(|number| calling_number(number, self.country.as_deref())).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = numbers.first() else { return Err("it has no number".to_owned()) };
        let filled =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let contact = filled(&new.contact).unwrap_or_else(|| first.digits().to_owned());
        let others = [&new.list, &new.person, &new.agent, &self.list];
        let named = [Some(contact.as_str()), Some(self.campaign.as_str())];
        check_names(named.into_iter().chain(others.map(|name| name.as_deref())))?;
        let tz = filled(&new.tz).or_else(|| self.tz.clone());
        if let Some(unknown) = tz.as_deref().filter(|tz| !(self.is_zone)(tz)) {
            return Err(format!("`{unknown}` is no time zone such as Europe/Madrid"));
        }
        Ok(Loaded {
            at: self.at,
            who: self.who.clone(),
            campaign: self.campaign.clone(),
            contact,
            numbers,
            tz,
            list: filled(&new.list).or_else(|| self.list.clone()),
            person: filled(&new.person),
            agent: filled(&new.agent),
            reset: self.reset,
            live: true,
            ..Loaded::default()
        })
    }
}

/// Whether these can be names of campaigns, lists, contacts and agents.
///
/// # Errors
/// In words, for whoever wrote one that cannot.
pub fn check_names<'a>(names: impl IntoIterator<Item = Option<&'a str>>) -> Result<(), String> {
    let is_none = |id: &&str| id.trim().is_empty() || id.len() > ID_MAX || id.chars().any(char::is_control);
    match names.into_iter().flatten().find(is_none) {
        Some(id) if id.trim().is_empty() => Err("the name of a campaign, contact, list or agent is empty".to_owned()),
        Some(id) => {
            let shown: String = id.chars().filter(|c| !c.is_control()).take(40).collect();
            Err(format!("`{shown}…` is longer than {ID_MAX} bytes or has control characters"))
        }
        None => Ok(()),
    }
}

/// A number as it is written, or why it is none. With a country, or with a plus sign before it, it must be one that exists
/// there; else the digits that are dialled do.
///
/// # Errors
/// In words, for whoever wrote it.
pub fn calling_number(written: &str, country: Option<&str>) -> Result<CallingNumber, String> {
    if let Some(number) = e164(written, country) {
        return Ok(CallingNumber(number));
    }
    let is_plain = written.chars().all(|c| c.is_ascii_digit() || " -()./".contains(c));
    let digits: String = written.chars().filter(char::is_ascii_digit).collect();
    match country {
        Some(country) => Err(format!("`{written}` is no telephone number of {country} nor one in E.164")),
        None if !is_plain || !(3..=20).contains(&digits.len()) => {
            Err(format!("`{written}` is no telephone number; write it in E.164, such as +34911234567"))
        }
        None => Ok(CallingNumber(digits)),
    }
}

/// A do-not-call entry's number: as [`calling_number`] takes it, or the beginning of many, such as `+4930*`.
///
/// # Errors
/// In words, for whoever wrote it.
pub fn listed_number(written: &str, country: Option<&str>) -> Result<CallingNumber, String> {
    let Some(prefix) = written.trim().strip_suffix('*') else { return calling_number(written.trim(), country) };
    let digits = prefix.trim_start_matches('+');
    if digits.is_empty() || digits.len() > 15 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("`{written}` is no beginning of numbers such as +4930*"));
    }
    Ok(CallingNumber(format!("{prefix}*")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_understood_as_far_as_it_is_known_where_they_are() {
        let of = |written, country| calling_number(written, country).map(|number| number.0).map_err(drop);
        assert_eq!(of("+34 911 23 45 67", None), Ok("+34911234567".to_owned()));
        assert_eq!(of("030 1234567", Some("DE")), Ok("+49301234567".to_owned()));
        assert_eq!(of("74950002850", None), Ok("+74950002850".to_owned()), "international without its sign");
        assert_eq!(of("749500028503", None), Ok("749500028503".to_owned()), "as it is dialled");
        for (written, country) in [("12", None), ("call me", None), ("+34", None), ("030", Some("DE"))] {
            assert_eq!(of(written, country), Err(()), "{written}");
        }
        let listed = |written| listed_number(written, None).map(|number| number.0).map_err(drop);
        assert_eq!(listed("+4930*"), Ok("+4930*".to_owned()));
        assert_eq!(listed("*"), Err(()), "everybody is no entry");
    }

    #[test]
    fn a_contact_is_taken_or_refused_with_the_reason() {
        let load = LoadAs {
            at: Micros(7),
            who: "me".to_owned(),
            campaign: "autumn".to_owned(),
            list: Some("a".to_owned()),
            country: None,
            tz: None,
            reset: false,
            is_zone: |tz| tz == "UTC",
        };
        let new = |contact: &str, numbers: &[&str]| NewContact {
            contact: Some(contact.to_owned()),
            numbers: numbers.iter().map(|n| (*n).to_owned()).collect(),
            ..NewContact::default()
        };
        let loaded = load.loaded(&new(" c1 ", &["+34911234567", ""])).expect("it is a contact");
        assert_eq!((loaded.contact.as_str(), loaded.numbers.len(), loaded.list.as_deref()), ("c1", 1, Some("a")));
        assert_eq!(load.loaded(&new("", &["+34911234567"])).expect("it is one").contact, "34911234567");
        for (contact, says) in [
            (new("c", &[]), "no number"),
            (new("c\n1", &["+34911234567"]), "control characters"),
            (NewContact { tz: Some("Mars".to_owned()), ..new("c", &["+34911234567"]) }, "`Mars` is no time zone"),
        ] {
            let refused = load.loaded(&contact).expect_err("it is refused");
            assert!(refused.contains(says), "{refused}");
        }
    }
}
