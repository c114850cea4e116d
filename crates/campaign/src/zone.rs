//! Time zones of recipients. A number whose prefix spans several zones belongs to the group of those zones, and what
//! holds for the group must hold in every zone of it; so a window never fails open.

use std::{collections::HashMap, fmt, sync::LazyLock};

use jiff::tz::TimeZone;

use crate::Msisdn;

/// One or more time zones that a recipient may be in. Written `Europe/Berlin` or `A&B`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneGroup {
    name: String,
    zones: Vec<TimeZone>,
}

/// The name is not an IANA time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a time zone; use a name such as America/New_York")]
pub struct BadZone(pub String);

impl ZoneGroup {
    /// Reads a name as written by [`ZoneGroup::name`].
    pub fn parse(name: &str) -> Result<Self, BadZone> {
        let zones: Vec<TimeZone> = name.split('&').map(named).collect::<Result<_, _>>()?;
        // Spelt as in the database of zones, so that one zone is one group.
        let names: Vec<&str> = zones.iter().filter_map(TimeZone::iana_name).collect();
        let name = if names.len() == zones.len() { names.join("&") } else { name.to_owned() };
        Ok(Self { name, zones })
    }

    /// The name, as stored.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The zones; at least one.
    pub fn zones(&self) -> &[TimeZone] {
        &self.zones
    }
}

/// Names in the databases that are nobody's zone: the machine's own, and those that stand for an unknown zone.
const NOBODYS: [&str; 5] = ["localtime", "posixrules", "factory", "etc/unknown", "unknown"];

fn named(zone: &str) -> Result<TimeZone, BadZone> {
    let bad = || BadZone(zone.to_owned());
    let small = zone.to_ascii_lowercase();
    if NOBODYS.contains(&small.as_str()) || small.starts_with("posix/") || small.starts_with("right/") {
        return Err(bad());
    }
    TimeZone::get(zone).map_err(|_| bad())
}

impl fmt::Display for ZoneGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name.replace('&', ", "))
    }
}

/// libphonenumber's table: E.164 prefix → zones.
static PREFIXES: LazyLock<HashMap<u64, &'static str>> = LazyLock::new(|| {
    include_str!("../data/prefix_zones.txt")
        .lines()
        .filter_map(|line| line.split_once('|'))
        .filter_map(|(prefix, zones)| Some((prefix.parse().ok()?, zones)))
        .collect()
});

/// The zones that the number's prefix lies in, as a [`ZoneGroup`] name; the longest prefix wins.
pub fn of_number(number: Msisdn) -> Option<&'static str> {
    let mut prefix = number.digits() as u64;
    while prefix > 0 {
        if let Some(zones) = PREFIXES.get(&prefix) {
            return Some(zones);
        }
        prefix /= 10;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_lies_in_the_zones_of_its_longest_prefix() {
        let zones = |n: &str| of_number(Msisdn::parse(n, None).unwrap());
        assert_eq!(zones("+12025550123"), Some("America/New_York"));
        assert_eq!(zones("+13125550123"), Some("America/Chicago"));
        assert_eq!(zones("+4930123456"), Some("Europe/Berlin"));
        assert_eq!(of_number(Msisdn::from_digits(9_990_000_000)), None);
    }

    /// Numbers of no place: those of a country lie in all of its zones; for those of no country the campaign decides.
    #[test]
    fn numbers_that_belong_to_no_one_zone_are_held_to_all_that_they_may_be_in() {
        let eight_to_nine = crate::Window::default();
        for number in ["+18005550199", "+18885550199", "+78001234567"] {
            let zones = ZoneGroup::parse(of_number(Msisdn::parse(number, None).unwrap()).unwrap()).unwrap();
            assert!(zones.zones().len() > 1, "{number}");
            for hour in 0..48 {
                let at = jiff::Timestamp::from_second(1_795_000_000 + hour * 3600).unwrap();
                if matches!(eight_to_nine.at(&zones, at), crate::window::Opening::Open { .. }) {
                    assert!(
                        zones.zones().iter().all(|z| (8..21).contains(&z.to_datetime(at).hour())),
                        "{number} {at}"
                    );
                }
            }
        }
        for number in ["+80012345678", "+870773111632", "+881631234567", "+882161234567", "+97912345678"] {
            let digits = number.trim_start_matches('+').parse().unwrap();
            assert_eq!(of_number(Msisdn::from_digits(digits)), None, "{number}");
        }
    }

    #[test]
    fn every_zone_of_the_table_exists() {
        for zones in PREFIXES.values() {
            ZoneGroup::parse(zones).unwrap();
        }
        assert!(PREFIXES.len() > 3000);
        for bad in [
            "Mars/Olympus",
            "localtime",
            "Localtime",
            "posixrules",
            "Factory",
            "Etc/Unknown",
            "posix/Europe/Berlin",
            "",
            "+02:00",
            "UTC+2",
            "America/New_York&",
            "../etc/passwd",
        ] {
            assert!(ZoneGroup::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(ZoneGroup::parse("america/new_york").unwrap().name(), "America/New_York");
    }
}
