//! What a recipient sees as the origin of a message: a number, a short code or a name.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
};

use crate::PoolId;

/// A sender with the type of number it travels under (SMPP 3.4 §5.2.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Sender {
    /// An international number.
    Number(String),
    /// A number as it is dialled within its country: it begins with 0, as no country code does.
    National(String),
    /// A short code: 3 to 8 digits.
    ShortCode(String),
    /// An alphanumeric sender id: up to 11 characters (3GPP TS 23.040 §9.1.2.5).
    Alphanumeric(String),
}

/// Why a text cannot be a sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' cannot be a sender: use a number such as +12025550100, a short code of 3 to 8 digits, or up to 11 letters \
     and digits"
)]
pub struct BadSender(String);

impl TryFrom<String> for Sender {
    type Error = BadSender;

    fn try_from(text: String) -> Result<Self, BadSender> {
        let trimmed = text.trim();
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if let Some(digits) = trimmed.strip_prefix('+') {
            return if all_digits(digits) && (7..=15).contains(&digits.len()) {
                Ok(Self::long(digits))
            } else {
                Err(BadSender(text))
            };
        }
        if all_digits(trimmed) {
            return match trimmed.len() {
                3..=8 => Ok(Self::ShortCode(trimmed.to_owned())),
                9..=15 => Ok(Self::long(trimmed)),
                _ => Err(BadSender(text)),
            };
        }
        let printable = trimmed.bytes().all(|b| b.is_ascii_alphanumeric() || b" -_.&".contains(&b));
        if printable && (1..=11).contains(&trimmed.len()) {
            Ok(Self::Alphanumeric(trimmed.to_owned()))
        } else {
            Err(BadSender(text))
        }
    }
}

impl Sender {
    /// A number of more digits than a short code has.
    fn long(digits: &str) -> Self {
        let digits = digits.to_owned();
        if digits.starts_with('0') { Self::National(digits) } else { Self::Number(digits) }
    }

    /// The address as it stands in a PDU: digits without plus, or the name.
    pub fn address(&self) -> &str {
        match self {
            Self::Number(text) | Self::National(text) | Self::ShortCode(text) | Self::Alphanumeric(text) => {
                text
            }
        }
    }
}

impl From<Sender> for String {
    fn from(sender: Sender) -> Self {
        sender.to_string()
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(digits) => write!(f, "+{digits}"),
            Self::National(text) | Self::ShortCode(text) | Self::Alphanumeric(text) => f.write_str(text),
        }
    }
}

/// Who a campaign is sent as: one sender, or for each recipient one of a pool's senders.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SendAs {
    /// One sender for everybody.
    One(Sender),
    /// The senders of a pool.
    Pool(PoolId),
}

impl Serialize for SendAs {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(sender) => sender.serialize(s),
            Self::Pool(pool) => [("pool", pool)].into_iter().collect::<BTreeMap<_, _>>().serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for SendAs {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = SendAs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sender, or {\"pool\": \"id\"}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SendAs, E> {
                Sender::try_from(text.to_owned()).map(SendAs::One).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SendAs, A::Error> {
                match map.next_entry::<String, PoolId>()? {
                    Some((key, pool)) if key == "pool" && map.next_key::<String>()?.is_none() => {
                        Ok(SendAs::Pool(pool))
                    }
                    _ => Err(A::Error::custom("use {\"pool\": \"id\"}")),
                }
            }
        }

        d.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_sent_as_one_or_as_a_pool() {
        for text in [r#""+12025550100""#, r#"{"pool":"pol_3"}"#] {
            let read: SendAs = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        for bad in
            [r#"{"pool":"rte_3"}"#, r#"{"pol":"pol_3"}"#, r#"{"pool":"pol_3","rate":1}"#, "{}", "3", "[]"]
        {
            assert!(serde_json::from_str::<SendAs>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sender_is_a_number_a_short_code_or_a_name() {
        let read = |t: &str| Sender::try_from(t.to_owned());
        assert_eq!(read("+12025550100"), Ok(Sender::Number("12025550100".into())));
        // No international number begins with 0: these are numbers dialled within a country.
        assert_eq!(read("0800123456"), Ok(Sender::National("0800123456".into())));
        assert_eq!(read("+0123456789"), Ok(Sender::National("0123456789".into())));
        assert_eq!(read("0800123456").map(String::from), Ok("0800123456".into()));
        assert_eq!(read("12345"), Ok(Sender::ShortCode("12345".into())));
        assert_eq!(read("My Bank"), Ok(Sender::Alphanumeric("My Bank".into())));
        for bad in ["", "+12", "a name that is too long", "Çelik", "1234567890123456"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
