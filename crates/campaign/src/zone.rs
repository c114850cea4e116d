//! Time zones of recipients. A number whose prefix spans several zones belongs to the group of that
//! set, and what holds for the group must hold in every zone of it; so a window never fails open.

use std::{collections::HashMap, fmt, sync::LazyLock};

use jiff::tz::TimeZone;

use crate::Msisdn;

/// One or more time zones that a recipient may be in. Written `Europe/Berlin` or `A&B`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneGroup {
    name: String,
    zones: Vec<TimeZone>,
}

/// The name is no IANA time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a time zone; use a name such as America/New_York")]
pub struct BadZone(pub String);

impl ZoneGroup {
    /// Reads a name as written by [`ZoneGroup::name`].
    pub fn parse(name: &str) -> Result<Self, BadZone> {
        let zones = name
            .split('&')
            .map(|zone| TimeZone::get(zone).map_err(|_| BadZone(zone.to_owned())))
            .collect::<Result<_, _>>()?;
        Ok(Self { name: name.to_owned(), zones })
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

    #[test]
    fn every_zone_of_the_table_exists() {
        for zones in PREFIXES.values() {
            ZoneGroup::parse(zones).unwrap();
        }
        assert!(PREFIXES.len() > 3000);
        assert_eq!(ZoneGroup::parse("Mars/Olympus"), Err(BadZone("Mars/Olympus".into())));
    }
}
