//! Phone numbers in E.164, as a number of up to 15 digits. Reading them is libphonenumber's business.

use std::{fmt, str::FromStr};

use rlibphonenumber::{PHONE_NUMBER_UTIL, Region, get_national_significant_number_owned};

/// A number that can be dialled from anywhere: country code and national number (ITU-T E.164).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Msisdn(u64);

/// Longer than any number with its separators: not worth parsing, nor repeating in full.
const LONGEST: usize = 40;

/// Digits of numbers: the shortest that are in use, and the most that there are (E.164 §6.1).
const SHORTEST_E164: usize = 7;
const LONGEST_E164: usize = 15;

/// Why a text is no phone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNumber {
    /// Nothing there.
    #[error("the number is missing")]
    Missing,
    /// No number of any numbering plan.
    #[error("'{0}' is not a phone number{1}")]
    NotANumber(String, &'static str),
    /// The country is unknown.
    #[error("'{0}' is not a country; use a code such as US or DE")]
    NoSuchCountry(String),
}

/// The country whose numbering plan reads numbers without a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country(Region);

impl FromStr for Country {
    type Err = BadNumber;
    fn from_str(code: &str) -> Result<Self, BadNumber> {
        let upper = code.trim().to_ascii_uppercase();
        // Any two letters read as a region; a country has numbers.
        let known = Region::from_str(&upper)
            .ok()
            .filter(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(*region).is_some());
        known.map(Self).ok_or_else(|| BadNumber::NoSuchCountry(code.to_owned()))
    }
}

impl Msisdn {
    /// Reads a number as people write it. Without a country code it needs `country`.
    pub fn parse(text: &str, country: Option<Country>) -> Result<Self, BadNumber> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadNumber::Missing);
        }
        let refuse = |hint| BadNumber::NotANumber(text.chars().take(LONGEST).collect(), hint);
        if text.len() > LONGEST {
            return Err(refuse(""));
        }
        let hint =
            if country.is_none() && !text.starts_with('+') { "; it may lack its country code" } else { "" };
        let parsed = PHONE_NUMBER_UTIL.parse(text, country.map(|c| c.0)).map_err(|_| refuse(hint))?;
        if !PHONE_NUMBER_UTIL.is_valid_number(&parsed) {
            return Err(refuse(hint));
        }
        let digits = format!("{}{}", parsed.country_code, get_national_significant_number_owned(&parsed));
        digits.parse().map(Self).map_err(|_| refuse(hint))
    }

    /// The digits as stored.
    pub fn digits(self) -> i64 {
        self.0 as i64
    }

    /// Ranges, without their ends, of the digits of all numbers that begin with `digits`, one for each length that
    /// numbers have; none where these are no digits, or too many.
    pub fn beginning(digits: &str) -> Vec<(i64, i64)> {
        let length = digits.len();
        let Ok(begins) = digits.parse::<i64>() else { return Vec::new() };
        // The first digit of a country code is never 0.
        if !(1..=LONGEST_E164).contains(&length) || begins < 10_i64.pow(length as u32 - 1) {
            return Vec::new();
        }
        (SHORTEST_E164.max(length)..=LONGEST_E164)
            .map(|all| 10_i64.pow((all - length) as u32))
            .map(|more| (begins * more, (begins + 1) * more))
            .collect()
    }

    /// A number that was stored before.
    pub fn from_digits(digits: i64) -> Self {
        Self(digits.unsigned_abs())
    }

    /// An address as an SMSC sends it: digits, with or without a plus.
    pub fn from_address(address: &str) -> Option<Self> {
        let digits = address.trim().trim_start_matches('+').trim_start_matches("00");
        ((SHORTEST_E164..=LONGEST_E164).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse().ok().map(Self))
            .flatten()
    }
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us() -> Option<Country> {
        "us".parse().ok()
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for text in ["+12025550123", "(202) 555-0123", "202.555.0123", " 1 202 555 0123 "] {
            assert_eq!(Msisdn::parse(text, us()).unwrap().to_string(), "+12025550123", "{text}");
        }
        assert_eq!(Msisdn::parse("+49 30 123456", None).unwrap().to_string(), "+4930123456");
    }

    #[test]
    fn what_is_no_number_is_said_so() {
        assert_eq!(Msisdn::parse("", us()), Err(BadNumber::Missing));
        assert_eq!(Msisdn::parse("hello", us()).unwrap_err().to_string(), "'hello' is not a phone number");
        assert_eq!(
            Msisdn::parse("2025550123", None).unwrap_err().to_string(),
            "'2025550123' is not a phone number; it may lack its country code"
        );
        assert!(Msisdn::parse(&"9".repeat(1_000_000), us()).unwrap_err().to_string().len() < 100);
        assert_eq!("XX".parse::<Country>(), Err(BadNumber::NoSuchCountry("XX".into())));
        assert_eq!("Atlantis".parse::<Country>(), Err(BadNumber::NoSuchCountry("Atlantis".into())));
    }

    #[test]
    fn numbers_that_begin_alike_lie_in_a_range_of_each_length() {
        let ranges = Msisdn::beginning("1202555012345");
        assert_eq!(
            ranges,
            [
                (1_202_555_012_345, 1_202_555_012_346),
                (12_025_550_123_450, 12_025_550_123_460),
                (120_255_501_234_500, 120_255_501_234_600)
            ]
        );
        assert_eq!(Msisdn::beginning("44").len(), 9);
        assert!(Msisdn::beginning("44").contains(&(440_000_000_000, 450_000_000_000)));
        for none in ["", "0123", "ana", "1234567890123456"] {
            assert_eq!(Msisdn::beginning(none), [], "{none}");
        }
    }

    #[test]
    fn an_smscs_address_is_digits_with_or_without_plus() {
        assert_eq!(Msisdn::from_address("12025550123"), Msisdn::from_address("+12025550123"));
        assert_eq!(Msisdn::from_address("BANK"), None);
    }
}
