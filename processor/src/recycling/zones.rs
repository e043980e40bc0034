//! The time zones in which a contact may be: the one it names, or those of the country that its number belongs to.
//!
//! Zones are those of jiff's bundled database and countries those of the `phonenumber` library, never what the machine has:
//! every machine says the same. `zones.tab` has the zones of each country, without those whose clocks agreed with another's of
//! that country in every hour from 2025 to 2030. What is open when in these zones is decided in `windows`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use phonenumber::metadata::DATABASE;

/// A line for each country of ISO 3166 in which somebody lives, and for `AC`, `TA` and `XK`, which have telephones but no
/// code of their own there: the country and its zones, parted by spaces.
const TABLE: &str = include_str!("zones.tab");

/// An E.164 number has at most so many digits; with fewer than four there is nobody behind a country's code.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=15;

/// Whether there is a zone of that IANA name, in any case.
pub fn is_zone(name: &str) -> bool {
    Zones::named(name).is_some()
}

/// The time zones in which a contact may be, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Zones {
    zones: Vec<TimeZone>,
    names: String,
}

impl Zones {
    /// The one of that IANA name, in any case; `None` if there is no such zone.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::all_of([name])
    }

    /// Those of these names; `None` if there is none, or not one of them.
    pub(super) fn all_of<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<Self> {
        let database = TimeZoneDatabase::bundled();
        // `Etc/Unknown` is a name as well, and no place.
        let known = |name| database.get(name).ok().filter(|zone| !zone.is_unknown());
        let zones: Vec<TimeZone> = names.into_iter().map(known).collect::<Option<_>>()?;
        let names: Vec<&str> = zones.iter().filter_map(TimeZone::iana_name).collect();
        let names = names.join(", ");
        (!zones.is_empty()).then_some(Self { zones, names })
    }

    /// The country's, or those of all countries that share the code.
    fn of_place(place: Place) -> Option<Self> {
        let names: BTreeSet<&str> = match place {
            Place::Country(country) => zones_of(country).collect(),
            Place::Code(code) => DATABASE.region(&code)?.into_iter().flat_map(zones_of).collect(),
        };
        Self::all_of(names)
    }

    /// Each of them.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, TimeZone> {
        self.zones.iter()
    }

    /// Their IANA names, as people read them.
    pub(super) fn names(&self) -> &str {
        &self.names
    }
}

/// The zones that were looked up before, by name and by country: there are millions of contacts and few of either.
#[derive(Debug, Default)]
pub(super) struct Atlas {
    named: BTreeMap<String, Arc<Zones>>,
    places: BTreeMap<Place, Option<Arc<Zones>>>,
}

impl Atlas {
    /// The zone of that IANA name, in any case; `None` if there is no such zone.
    pub(super) fn named(&mut self, name: &str) -> Option<Arc<Zones>> {
        if let Some(known) = self.named.get(name) {
            return Some(Arc::clone(known));
        }
        let zones = Zones::named(name)?;
        // By the database's spelling: what others write must not fill the memory.
        let spelled = zones.names().to_owned();
        Some(Arc::clone(self.named.entry(spelled).or_insert_with(|| Arc::new(zones))))
    }

    /// The zones in which a number (`+49…`) may be: its country's, or those of all countries that share its code if it isn't
    /// known which. `None` if it is no such number, or its code is no country's, such as +800.
    pub(super) fn of_number(&mut self, number: &str) -> Option<Arc<Zones>> {
        let place = Place::of(number)?;
        self.places.entry(place).or_insert_with(|| Zones::of_place(place).map(Arc::new)).clone()
    }

    /// UTC, for whom nothing is known of.
    pub(super) fn utc(&mut self) -> Arc<Zones> {
        let utc = || Arc::new(Zones { zones: vec![TimeZone::UTC], names: "UTC".to_owned() });
        Arc::clone(self.named.entry("UTC".to_owned()).or_insert_with(utc))
    }
}

/// What a number tells about where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// In this country.
    Country(&'static str),
    /// In one of the countries that share this code.
    Code(u16),
}

impl Place {
    fn of(number: &str) -> Option<Self> {
        let digits = number.strip_prefix('+')?;
        if !DIGITS.contains(&digits.len())
            || digits.starts_with('0')
            || !digits.bytes().all(|digit| digit.is_ascii_digit())
        {
            return None;
        }
        // No country's code is the beginning of another's.
        let (code, countries) = (1..=3).find_map(|length| {
            let code: u16 = digits.get(..length)?.parse().ok()?;
            Some((code, DATABASE.region(&code)?))
        })?;
        // The library takes up to 40 µs for a number; where a code is one country's own it need not be asked.
        if let [country] = countries.as_slice() {
            return Some(Self::Country(country));
        }
        let known = phonenumber::parse(None, number).ok().and_then(|number| number.country().id());
        let country = known.and_then(|id| countries.into_iter().find(|country| *country == id.as_ref()));
        Some(country.map_or(Self::Code(code), Self::Country))
    }
}

/// The names of a country's zones; none if the table doesn't have it.
fn zones_of(country: &str) -> impl Iterator<Item = &'static str> {
    let line = TABLE.lines().find_map(|line| line.strip_prefix(country)?.strip_prefix(' '));
    line.into_iter().flat_map(|names| names.split(' '))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn of_number(number: &str) -> Option<Arc<Zones>> {
        Atlas::default().of_number(number)
    }

    #[test]
    fn every_zone_of_the_table_is_known() {
        let mut countries = BTreeSet::new();
        for line in TABLE.lines() {
            let (country, zones) = line.split_once(' ').unwrap();
            assert!(country.len() == 2 && countries.insert(country), "{line}");
            for name in zones.split(' ') {
                assert_eq!(Zones::named(name).unwrap().names(), name, "{line}");
            }
        }
        assert!(countries.len() > 240, "{} countries", countries.len());
    }

    #[test]
    fn every_country_with_telephones_is_in_the_table() {
        let without = |id: &&str| *id != "001" && zones_of(id).next().is_none();
        let missing: Vec<&str> = DATABASE.iter().map(phonenumber::Metadata::id).filter(without).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }

    #[test]
    fn a_number_is_in_the_zones_of_its_country() {
        let states = "America/Adak, America/Anchorage, America/Chicago, America/Denver, America/Los_Angeles, \
                      America/New_York, America/Phoenix, Pacific/Honolulu";
        let russia = "Asia/Chita, Asia/Irkutsk, Asia/Kamchatka, Asia/Magadan, Asia/Novosibirsk, Asia/Omsk, \
                      Asia/Vladivostok, Asia/Yekaterinburg, Europe/Astrakhan, Europe/Kaliningrad, Europe/Moscow";
        let cases = [
            ("a town's", "+49301234567", "Europe/Berlin"),
            ("a mobile's", "+4915112345678", "Europe/Berlin"),
            ("where one code is several countries': the States", "+12125551234", states),
            ("Jamaica", "+18765551234", "America/Jamaica"),
            ("Russia", "+74951234567", russia),
            ("Kazakhstan", "+77271234567", "Asia/Almaty"),
            ("Britain", "+442071234567", "Europe/London"),
            ("Jersey", "+441534123456", "Europe/Jersey"),
            ("Spain with the Canaries", "+34911234567", "Atlantic/Canary, Europe/Madrid"),
            ("Kosovo, which ISO doesn't have", "+38338123456", "Europe/Belgrade"),
            ("a number that doesn't exist in a country that does", "+49999", "Europe/Berlin"),
        ];
        let mut atlas = Atlas::default();
        for (situation, number, expected) in cases {
            for _ in 0..2 {
                assert_eq!(atlas.of_number(number).unwrap().names(), expected, "{situation}");
            }
        }
    }

    #[test]
    fn a_number_of_no_known_country_is_in_all_that_share_its_code() {
        let shared = of_number("+10001234567").unwrap();
        let all: BTreeSet<&str> = shared.names().split(", ").collect();
        for name in ["America/New_York", "America/St_Johns", "America/Jamaica", "Pacific/Guam"] {
            assert!(all.contains(name), "{name} in {all:?}");
        }
        // Roman numbers begin with a zero, of which the library loses sight.
        assert_eq!(of_number("+390612345678").unwrap().names(), "Europe/Rome, Europe/Vatican");
    }

    #[test]
    fn what_is_no_countrys_number_has_no_zones() {
        for number in [
            "+80012345678",
            "+883510012345",
            "+999123456789",
            "+0301234567",
            "0301234567",
            "49301234567",
            "+49 30 1234567",
            "+",
            "+4",
            "+1234567890123456",
            "+49３01234567",
            "",
            "anonymous",
        ] {
            assert_eq!(of_number(number), None, "{number}");
        }
    }

    #[test]
    fn a_name_is_understood_in_any_case_and_kept_once() {
        let mut atlas = Atlas::default();
        let first = atlas.named("Europe/Berlin").unwrap();
        let again = atlas.named("europe/BERLIN").unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(atlas.named.len(), 1);
        for name in ["Europe/Bielefeld", "Etc/Unknown", "", "+02:00", "CET-1"] {
            assert_eq!(atlas.named(name), None, "{name}");
            assert!(!is_zone(name), "{name}");
        }
        assert!(is_zone("europe/berlin"));
        assert_eq!(atlas.named("UTC"), Some(atlas.utc()));
    }

    #[test]
    fn an_atlas_may_be_sent_to_another_thread() {
        fn sent<T: Send>(_: T) {}
        sent(Atlas::default());
    }
}
