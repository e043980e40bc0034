//! Telephone numbers in E.164, by the `phonenumber` library's metadata.

use phonenumber::{Mode, country};

/// The number in E.164, or `None` where it can't be understood. National numbers need the country; international ones are
/// understood with and without their plus sign.
pub fn e164(raw: &str, country: Option<&str>) -> Option<String> {
    let digits: String = raw.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    if digits.len() < 6 {
        return None;
    }
    let country: Option<country::Id> = country.and_then(|c| c.parse().ok());
    let national = country.and_then(|id| parse(Some(id), &digits));
    let international = || {
        let with_plus = if digits.starts_with('+') { digits.clone() } else { format!("+{digits}") };
        parse(None, &with_plus)
    };
    national.or_else(international)
}

/// Whether a country is known by this word, such as `DE`.
pub fn is_country(word: &str) -> bool {
    word.parse::<country::Id>().is_ok()
}

fn parse(country: Option<country::Id>, number: &str) -> Option<String> {
    let number = phonenumber::parse(country, number).ok()?;
    number.is_valid().then(|| number.format().mode(Mode::E164).to_string())
}
