//! Amounts of money, in the account's currency. Exact to a millionth, as the price of a message has more than two
//! decimal places.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

const MILLIONTHS: i64 = 1_000_000;
const PLACES: usize = 6;

/// An amount that is not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Money(i64);

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no amount of money; write an amount such as 12.50, with at most six places")]
pub struct BadMoney(String);

impl Money {
    /// The price of `n` pieces; the largest amount where the price exceeds all amounts.
    #[must_use]
    pub const fn times(self, n: i64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// What `seconds` cost at this price a minute, rounded up to a millionth.
    #[must_use]
    pub const fn for_seconds(self, seconds: i64) -> Self {
        let whole = self.0.saturating_mul(seconds);
        Self(whole / 60 + (whole % 60 != 0) as i64)
    }

    /// How many seconds this amount buys at a price a minute; none where they cost nothing.
    pub const fn buys(self, per_minute: Self) -> Option<i64> {
        if per_minute.0 == 0 { None } else { Some(self.0.saturating_mul(60) / per_minute.0) }
    }
}

impl FromStr for Money {
    type Err = BadMoney;

    fn from_str(text: &str) -> Result<Self, BadMoney> {
        let bad = || BadMoney(text.to_owned());
        // An amount may have a currency's sign or code beside it, and the account says which currency it uses.
        let amount = text
            .trim()
            .trim_matches(|c: char| "$€£¥₹".contains(c) || c.is_ascii_uppercase() || c.is_whitespace());
        let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
        let whole = ungrouped(whole).ok_or_else(bad)?;
        let whole = whole.as_str();
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > PLACES {
            return Err(bad());
        }
        let whole: i64 = whole.parse().map_err(|_| bad())?;
        let part: i64 = format!("{part:0<PLACES$}").parse().map_err(|_| bad())?;
        whole.checked_mul(MILLIONTHS).and_then(|n| n.checked_add(part)).map(Self).ok_or_else(bad)
    }
}

/// Digits without the commas between thousands; none where commas are elsewhere.
fn ungrouped(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let rest: Vec<&str> = groups.collect();
    let sound =
        rest.is_empty() || ((1..=3).contains(&first.len()) && rest.iter().all(|group| group.len() == 3));
    sound.then(|| std::iter::once(first).chain(rest).collect())
}

/// Currencies that have a sign of their own, and the sign.
const SIGNS: [(&str, &str); 5] = [("USD", "$"), ("EUR", "€"), ("GBP", "£"), ("JPY", "¥"), ("INR", "₹")];

impl Money {
    /// As people read it: in a currency, with thousands separated and at most four decimal places.
    pub fn shown(self, currency: &str) -> String {
        let text = self.to_string();
        let (whole, part) = text.split_once('.').unwrap_or((&text, "00"));
        let mut grouped = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        // The price of a message has more decimal places than a bill.
        let places = if whole == "0" { part.len().min(4) } else { 2 };
        let amount = format!("{grouped}.{}", &part[..places]);
        match SIGNS.iter().find(|(code, _)| *code == currency) {
            Some((_, sign)) => format!("{sign}{amount}"),
            None => format!("{currency} {amount}").trim_start().to_owned(),
        }
    }
}

impl fmt::Display for Money {
    /// At least two decimal places, and as many as it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:06}", self.0 % MILLIONTHS);
        let kept = part.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / MILLIONTHS, &part[..kept])
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Whole(u32),
            Number(f64),
        }
        let text = match Written::deserialize(d)? {
            Written::Text(text) => text,
            Written::Whole(n) => n.to_string(),
            // The shortest text that reads back as this number: the text that was typed.
            Written::Number(n) => n.to_string(),
        };
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_seconds_cost_and_what_an_amount_buys_agree() {
        let money = |text: &str| text.parse::<super::Money>().unwrap();
        assert_eq!(money("0.014").for_seconds(60), money("0.014"));
        assert_eq!(money("0.01").for_seconds(6), money("0.001"));
        assert_eq!(money("0.000001").for_seconds(1), money("0.000001"), "rounded up");
        assert_eq!(money("1").buys(money("0.01")), Some(6_000));
        assert_eq!(money("1").buys(money("0")), None);
        for (amount, price) in [("3.21", "0.014"), ("0.5", "1.1"), ("100", "0.000007")] {
            let (amount, price) = (money(amount), money(price));
            let seconds = amount.buys(price).unwrap();
            assert!(price.for_seconds(seconds) <= amount && price.for_seconds(seconds + 1) > amount);
        }
    }

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_exact_and_read_as_written() {
        let read = |json: &str| {
            serde_json::from_str::<Money>(json).map(|m| m.to_string()).map_err(|e| e.to_string())
        };
        assert_eq!(read("\"0.0079\""), Ok("0.0079".into()));
        assert_eq!(read("0.0079"), Ok("0.0079".into()));
        assert_eq!(read("12"), Ok("12.00".into()));
        assert_eq!("0.0079".parse::<Money>().unwrap().times(1_000_000).to_string(), "7900.00");
        for (text, amount) in
            [("$50", "50.00"), ("50 USD", "50.00"), ("€ 1,234.50", "1234.50"), ("1,000,000", "1000000.00")]
        {
            assert_eq!(text.parse::<Money>().map(|m| m.to_string()), Ok(amount.into()), "{text}");
        }
        let shown = |text: &str, currency| text.parse::<Money>().unwrap().shown(currency);
        assert_eq!(shown("88.6617", "USD"), "$88.66");
        assert_eq!(shown("0.0158", "EUR"), "€0.0158");
        assert_eq!(shown("1234567", "CHF"), "CHF 1,234,567.00");
        assert_eq!(shown("1", ""), "1.00");
        for bad in [
            "\"$\"",
            "\"1,50\"",
            "\"12,34,567\"",
            "\"5 bucks\"",
            "\"\"",
            "\"-1\"",
            "\"1,5\"",
            "\"1.0000001\"",
            "-3",
            "1e300",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millionths in 0..i64::MAX) {
            let amount = Money(millionths);
            prop_assert_eq!(amount.to_string().parse::<Money>(), Ok(amount));
        }
    }
}
