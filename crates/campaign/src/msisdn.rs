//! Phone numbers in E.164, as a number of up to 15 digits. Reading them is left to libphonenumber.

use std::{fmt, str::FromStr};

use rlibphonenumber::{PHONE_NUMBER_UTIL, Region, get_national_significant_number_owned};

/// A number that can be dialled from anywhere: country code and national number (ITU-T E.164).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Msisdn(u64);

/// The longest text that is read as a number, separators included: longer ones are neither parsed nor repeated in full.
const LONGEST: usize = 40;

/// The digits of a number: the fewest in use, and the most allowed (E.164 §6.1).
const SHORTEST_E164: usize = 7;
const LONGEST_E164: usize = 15;

/// Why a text is not a phone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNumber {
    /// The text is empty.
    #[error("the number is missing")]
    Missing,
    /// Not a number of any numbering plan.
    #[error("'{0}' is not a phone number{1}")]
    NotANumber(String, &'static str),
    /// More than a number, or a number that a spreadsheet rewrote: if it were read, it might be somebody else's.
    #[error("'{0}' {1}")]
    Doubtful(String, &'static str),
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
        // Any two letters are read as a region; a country has numbers.
        let known = Region::from_str(&upper)
            .ok()
            .filter(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(*region).is_some());
        known.map(Self).ok_or_else(|| BadNumber::NoSuchCountry(code.to_owned()))
    }
}

impl Msisdn {
    /// Reads a number as people write it. Without a country code it needs `country`.
    ///
    /// A text that is more than one number (an extension, letters), or may have been another number (a decimal
    /// fraction), is refused, so that nobody else is sent to. A trailing `.0` or `,0` comes from a spreadsheet and is
    /// ignored.
    pub fn parse(text: &str, country: Option<Country>) -> Result<Self, BadNumber> {
        let written: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        let text = bare(written.trim());
        if text.is_empty() {
            return Err(BadNumber::Missing);
        }
        let shown = || text.chars().take(LONGEST).collect();
        let refuse = |hint| BadNumber::NotANumber(shown(), hint);
        if text.len() > LONGEST {
            return Err(refuse(""));
        }
        if let Some(why) = doubt(text) {
            return Err(BadNumber::Doubtful(shown(), why));
        }
        let whole = match fraction(text) {
            Some(Fraction { whole, grouped: false, digits: "0", .. }) => whole,
            Some(Fraction { whole, grouped, digits, decides })
                if !grouped && digits.chars().count() == 1
                    || (!grouped || decides) && Self::read(whole, country).is_some() =>
            {
                return Err(BadNumber::Doubtful(shown(), DECIMAL));
            }
            _ => text,
        };
        let hint =
            if country.is_none() && !text.starts_with('+') { "; it may lack its country code" } else { "" };
        Self::read(whole, country).ok_or_else(|| refuse(hint))
    }

    fn read(text: &str, country: Option<Country>) -> Option<Self> {
        let parsed = PHONE_NUMBER_UTIL.parse(text, country.map(|c| c.0)).ok()?;
        if parsed.extension.is_some() || !PHONE_NUMBER_UTIL.is_valid_number(&parsed) {
            return None;
        }
        let digits = format!("{}{}", parsed.country_code, get_national_significant_number_owned(&parsed));
        digits.parse().map(Self).ok()
    }

    /// The digits as stored.
    pub fn digits(self) -> i64 {
        self.0 as i64
    }

    /// Ranges (ends excluded) of the digits of all numbers that begin with `digits`, one for each length that numbers
    /// have; none where these are not digits, or too many.
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

    /// Makes a number from its stored digits.
    pub fn from_digits(digits: i64) -> Self {
        Self(digits.unsigned_abs())
    }

    /// The number without its country code; none where it is not of `country`. Without `country`, any number has one.
    pub fn national(self, country: Option<Country>) -> Option<String> {
        let parsed = PHONE_NUMBER_UTIL.parse(self.to_string(), None).ok()?;
        let code = country.and_then(|c| PHONE_NUMBER_UTIL.get_country_code_for_region(c.0));
        let of_country = code.is_none_or(|code| i64::from(code) == i64::from(parsed.country_code));
        of_country.then(|| get_national_significant_number_owned(&parsed).clone())
    }

    /// Reads an address as an SMSC sends it: digits, with or without a plus.
    pub fn from_address(address: &str) -> Option<Self> {
        let digits = address.trim().trim_start_matches('+').trim_start_matches("00");
        ((SHORTEST_E164..=LONGEST_E164).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse().ok().map(Self))
            .flatten()
    }
}

/// Whether a character is one of the invisible marks that come with text copied from pages and documents.
fn is_invisible(c: char) -> bool {
    matches!(c, '\0'..='\u{1F}' | '\u{7F}' | '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
        && !c.is_whitespace()
}

/// Strips what spreadsheets and links put around a number: `'+1…`, `="+1…"`, `tel:+1…`.
fn bare(text: &str) -> &str {
    let text = text.strip_prefix('=').unwrap_or(text).trim_start_matches('\'').trim_matches('"').trim();
    match text.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => text[4..].trim(),
        _ => text,
    }
}

const DECIMAL: &str = "looks like a decimal number; format the column as text and write the whole number";

/// Decimal signs: of Latin texts, Arabic ones, and in full width.
const DECIMAL_SIGNS: [char; 5] = ['.', ',', '\u{66B}', '\u{FF0E}', '\u{FF0C}'];

/// A text that may be a decimal number: what precedes its last decimal sign, and the digits behind it.
struct Fraction<'a> {
    whole: &'a str,
    digits: &'a str,
    /// Whether there are other signs or spaces before the decimal sign: it may also separate groups of a number.
    grouped: bool,
    /// Whether in a grouped number it still looks like a decimal sign: a single digit or nothing but zeros follow, or
    /// the groups are separated by another sign.
    decides: bool,
}

fn fraction(text: &str) -> Option<Fraction<'_>> {
    let at = text.rfind(DECIMAL_SIGNS)?;
    let sign = text[at..].chars().next()?;
    let (whole, digits) = (text[..at].trim_end(), text[at + sign.len_utf8()..].trim_start());
    let are_digits = |s: &str| !s.is_empty() && s.chars().all(char::is_numeric);
    if !are_digits(digits) {
        return None;
    }
    let is_zero = |c: char| matches!(c, '0' | '\u{660}' | '\u{6F0}' | '\u{FF10}');
    let other_sign = |c: char| c != sign && DECIMAL_SIGNS.contains(&c);
    Some(Fraction {
        whole,
        digits,
        grouped: !are_digits(whole.strip_prefix('+').unwrap_or(whole)),
        decides: digits.chars().count() == 1 || digits.chars().all(is_zero) || whole.contains(other_sign),
    })
}

/// Why a text is not read although it may contain a number.
fn doubt(text: &str) -> Option<&'static str> {
    let has_digits = text.chars().any(char::is_numeric);
    let exponent = text.split_once(['e', 'E']).is_some_and(|(before, after)| {
        let number = |s: &str| {
            s.chars().any(char::is_numeric) && s.chars().all(|c| c.is_numeric() || ".,+- ".contains(c))
        };
        number(before) && number(after)
    });
    if exponent {
        return Some("was shortened by a spreadsheet; format the column as text and write the whole number");
    }
    let letters: String = text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
    // After the number: what is dialled once the call is answered.
    let extension = matches!(letters.as_str(), "x" | "ext" | "extn" | "extension" | "p" | "w")
        || text.contains(['#', ';']);
    if has_digits && extension {
        return Some("has an extension, which no message can reach; write the number alone");
    }
    if has_digits && !letters.is_empty() {
        return Some("has letters in it; write the number in digits alone");
    }
    None
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn a_number_that_went_through_a_spreadsheet_is_itself_or_refused_never_another_one() {
        for (text, country, right) in [
            ("+6281234567890.0", "", "+6281234567890"),
            ("6281234567890.0", "ID", "+6281234567890"),
            ("+436641234567,0", "", "+436641234567"),
            ("401234567.0", "FI", "+358401234567"),
            ("+4930123456.0", "", "+4930123456"),
            ("+4930123456 .0", "", "+4930123456"),
            ("+4930123456. 0", "", "+4930123456"),
            ("202.5550123", "US", "+12025550123"),
            ("202.555.0123", "US", "+12025550123"),
            ("06.12.34.56.00", "FR", "+33612345600"),
            ("+33 6.12.34.56.07", "", "+33612345607"),
            ("+49 30.123456", "", "+4930123456"),
            ("\u{200B}'+12025550123\u{202C}", "", "+12025550123"),
            ("=\"+12025550123\"", "", "+12025550123"),
            ("TEL:+1-202-555-0123", "", "+12025550123"),
            ("+44 (0)20 7946 0958", "", "+442079460958"),
        ] {
            assert_eq!(Msisdn::parse(text, country.parse().ok()).unwrap().to_string(), right, "{text}");
        }
        for (text, country, word) in [
            ("+6281234567890.5", "", "decimal"),
            ("+6281234567890.00", "", "decimal"),
            ("401234567.000", "FI", "decimal"),
            ("+49 30 123456.0", "", "decimal"),
            ("+49-30-123456.00", "", "decimal"),
            ("4930123456\u{66B}5", "DE", "decimal"),
            ("+4930123456\u{FF0E}\u{FF10}", "", "decimal"),
            ("6.28123456789E12", "ID", "shortened"),
            ("4.9e10", "DE", "shortened"),
            ("4,9E+10", "DE", "shortened"),
            ("+1 202 555 0123 ext. 5", "", "extension"),
            ("+1 202 555 0123 x5", "", "extension"),
            ("+12025550123;ext=5", "", "extension"),
            ("+12025550123#5", "", "extension"),
            ("1-800-FLOWERS", "US", "letters"),
            ("2O25550123", "US", "letters"),
            ("mobile +12025550123", "", "letters"),
            ("N/A", "US", "not a phone number"),
            ("nan", "US", "not a phone number"),
        ] {
            let error = Msisdn::parse(text, country.parse().ok()).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        for (text, country) in [
            ("6,281,234,567,890.0", "ID"),
            ("6.281.234.567.890,0", "ID"),
            ("6 281 234 567 890.0", "ID"),
            ("+62 812 3456 7890,50", ""),
            ("4.930.123.456,12", "DE"),
        ] {
            assert!(Msisdn::parse(text, country.parse().ok()).is_err(), "{text}");
        }
    }

    proptest! {
        /// Whatever fraction follows a number, it is read as this number or not at all.
        #[test]
        fn no_fraction_makes_another_number(
            local in 1_000_000_000_u64..1_999_999_999, zeros in 0usize..5, sign in " ?[.,\u{66B}\u{FF0E}] ?", digit in 0u8..10,
        ) {
            let text = format!("+62{local}{sign}{}{digit}", "0".repeat(zeros));
            let whole = Msisdn::parse(&format!("+62{local}"), None);
            let read = Msisdn::parse(&text, None);
            if let (Ok(whole), Ok(read)) = (whole, read) {
                prop_assert_eq!(whole, read);
            }
        }
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
