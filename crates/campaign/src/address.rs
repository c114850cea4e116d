//! An address as an SMSC gives it: a number in one of the forms that carriers use, or a name.
//!
//! The type of number says how it is meant (SMPP 3.4 §5.2.5), and carriers set it as they please: an address has
//! several readings, the likeliest first, and code that knows whom we wrote to chooses among them.

use crate::{Msisdn, msisdn::Country};

/// Type of number: international.
const INTERNATIONAL: u8 = 1;
/// This many last digits do not agree by chance.
const TELLING: usize = 6;

/// An address of a `deliver_sm`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Type of number (SMPP 3.4 §5.2.5).
    pub ton: u8,
    /// Digits, with whatever stands before or between them, or a name.
    pub text: String,
}

impl Address {
    /// An address in international form.
    pub fn international(digits: impl Into<String>) -> Self {
        Self { ton: INTERNATIONAL, text: digits.into() }
    }

    /// The numbers that it may mean, the likeliest first; `country` is the country whose numbers may come without its
    /// code. Empty where it is not a number.
    pub fn readings(&self, country: Option<Country>) -> Vec<Msisdn> {
        let text = self.text.trim();
        let digits = digits(text);
        let coded = text.starts_with('+') || digits.starts_with("00");
        let worldwide = worldwide(if coded { digits.trim_start_matches('0') } else { &digits });
        let national = country.and_then(|country| Msisdn::parse(&digits, Some(country)).ok());
        let mut readings: Vec<Msisdn> = match self.ton {
            _ if coded => worldwide.into_iter().collect(),
            // No country code begins with 0: it is the digit dialled before numbers within a country.
            _ if digits.starts_with('0') => national.into_iter().collect(),
            INTERNATIONAL => worldwide.into_iter().chain(national).collect(),
            // National, or not stated: then a valid number of the country is likelier than one of another country.
            _ => national.into_iter().chain(worldwide).collect(),
        };
        readings.dedup();
        readings
    }

    /// Whether it may be another spelling of `address`: the same name, or the same last digits.
    pub fn is_like(&self, address: &str) -> bool {
        let (one, other) = (digits(&self.text), digits(address));
        let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
        let shorter = one.len().min(other.len());
        self.text.trim().eq_ignore_ascii_case(address.trim())
            || (shorter > 0 && one == other)
            || (shorter >= TELLING && (one.ends_with(other) || other.ends_with(one)))
    }

    /// Whether it has enough digits to say whom it means.
    pub fn tells(&self) -> bool {
        digits(&self.text).trim_start_matches('0').len() >= TELLING
    }
}

/// The number with these digits, which begin with a country code. Behind it some keep the digit that is dialled within
/// the country: such a number is valid only without it.
fn worldwide(digits: &str) -> Option<Msisdn> {
    Msisdn::parse(&format!("+{digits}"), None).ok().or_else(|| Msisdn::from_address(digits))
}

/// The digits of a number without the marks between them; empty for a name.
fn digits(text: &str) -> String {
    let is_mark = |c: char| c.is_whitespace() || "+-.()/".contains(c);
    let digits: String = text.chars().filter(|c| !is_mark(*c)).collect();
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ton: u8, text: &str, country: &str) -> Vec<String> {
        let address = Address { ton, text: text.to_owned() };
        address.readings(country.parse().ok()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn numbers_are_read_by_their_type_and_the_country() {
        for (ton, text, country, likeliest) in [
            (1, "12025550123", "", Some("+12025550123")),
            (1, "+12025550123", "US", Some("+12025550123")),
            (1, "0012025550123", "US", Some("+12025550123")),
            (1, "447700900123", "GB", Some("+447700900123")),
            (2, "2025550123", "US", Some("+12025550123")),
            (2, "02079460123", "GB", Some("+442079460123")),
            (2, "2079460123", "GB", Some("+442079460123")),
            (0, "2025550123", "US", Some("+12025550123")),
            (0, "12025550123", "US", Some("+12025550123")),
            (0, "(202) 555-0123", "US", Some("+12025550123")),
            (0, "020 7946 0123", "GB", Some("+442079460123")),
            (0, "+44 20 7946 0123", "US", Some("+442079460123")),
            (0, "00442079460123", "US", Some("+442079460123")),
            (0, "442079460123", "GB", Some("+442079460123")),
            (0, "442079460123", "", Some("+442079460123")),
            (1, "+44(0)2079460123", "", Some("+442079460123")),
            (1, "4402079460123", "", Some("+442079460123")),
            (0, "00 44 02079460123", "US", Some("+442079460123")),
            (1, "3906698123456", "IT", Some("+3906698123456")),
            (1, "999123456789", "US", Some("+999123456789")),
            (2, "89121234567", "RU", Some("+79121234567")),
            // Without a country there is no guess.
            (2, "02079460123", "", None),
            (0, "020 7946 0123", "", None),
            (5, "BANK", "US", None),
            (0, "", "US", None),
            (3, "72404", "US", None),
        ] {
            let readings = read(ton, text, country);
            assert_eq!(readings.first().map(String::as_str), likeliest, "{ton} {text} {country}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_has_both() {
        assert_eq!(read(1, "2025550123", "US"), ["+2025550123", "+12025550123"]);
        assert_eq!(read(2, "2025550123", "US"), ["+12025550123", "+2025550123"]);
    }

    #[test]
    fn spellings_of_one_address_are_alike() {
        for (text, other) in [
            ("+12025550100", "12025550100"),
            ("2025550100", "12025550100"),
            ("0012025550100", "12025550100"),
            ("0800123456", "0800123456"),
            ("clinic", "CLINIC"),
            ("72404", "72404"),
        ] {
            assert!(Address { ton: 0, text: text.into() }.is_like(other), "{text} {other}");
        }
        for (text, other) in
            [("", ""), ("", "12025550100"), ("0100", "12025550100"), ("CLINIC", "12025550100")]
        {
            let alike = Address { ton: 0, text: text.into() }.is_like(other);
            assert!(!alike || text == other, "{text} {other}");
        }
    }
}
