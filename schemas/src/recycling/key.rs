//! How contacts, numbers and verdicts are named, in topics, tables and by dialers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A contact of a campaign: `<campaign>/<contact>`, in which a slash of the campaign is written `%2F` and a percent sign `%25`.
/// It keys the topics and tables of recycling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactKey {
    /// The campaign.
    pub campaign: String,
    /// The contact within it, as the site names it.
    pub contact: String,
}

impl ContactKey {
    /// The contact of that campaign.
    pub fn new(campaign: &str, contact: &str) -> Self {
        Self { campaign: campaign.to_owned(), contact: contact.to_owned() }
    }

    /// Reads what [`ContactKey`]'s `Display` writes.
    pub fn read(text: &str) -> Option<Self> {
        let (campaign, contact) = text.split_once('/')?;
        Some(Self { campaign: campaign.replace("%2F", "/").replace("%25", "%"), contact: contact.to_owned() })
    }
}

impl fmt::Display for ContactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.campaign.replace('%', "%25").replace('/', "%2F"), self.contact)
    }
}

/// The id of a contact's nth verdict, which dialers hand back.
pub fn verdict_id(of: &ContactKey, nth: u32) -> String {
    format!("{of}/{nth}")
}

/// A number as everything about it is kept together: in E.164 where it could be understood, else the digits that are dialled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct CallingNumber(pub String);

impl CallingNumber {
    /// From a call's columns: the number in E.164, and as it was dialled. `None` for a withheld one.
    pub fn of(e164: Option<&str>, raw: Option<&str>) -> Option<Self> {
        let digits = |raw: &str| raw.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect::<String>();
        e164.map(str::to_owned).or_else(|| raw.map(digits)).filter(|number| !number.is_empty()).map(Self)
    }

    /// Its digits alone.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }
}

impl fmt::Display for CallingNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_read_as_it_was_written() {
        for (campaign, contact, text) in
            [("autumn", "retry-1", "autumn/retry-1"), ("a/b", "c/d", "a%2Fb/c/d"), ("50%2F", "", "50%252F/")]
        {
            let key = ContactKey::new(campaign, contact);
            assert_eq!(key.to_string(), text);
            assert_eq!(ContactKey::read(text), Some(key));
        }
        assert_eq!(verdict_id(&ContactKey::new("autumn", "retry-1"), 3), "autumn/retry-1/3");
    }

    #[test]
    fn a_number_is_e164_or_what_was_dialled() {
        let of = |e164, raw| CallingNumber::of(e164, raw).map(|number| number.0);
        assert_eq!(of(Some("+4930123"), Some("030123")).as_deref(), Some("+4930123"));
        assert_eq!(of(None, Some("7495 00-1")).as_deref(), Some("7495001"));
        assert_eq!(of(None, Some("anonymous")), None);
        assert_eq!(of(None, None), None);
    }
}
