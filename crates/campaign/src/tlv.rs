//! Optional parameters that a carrier wants with every message (SMPP 3.4 §5.3): tags and their octets, such as the ids
//! that India's registry of senders requires.
//!
//! Keeps: no tag that a message sets itself, and a size that fits every `submit_sm`.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The most parameters of one set.
const MOST: usize = 20;
/// The most octets of one value.
const LONGEST: usize = 255;
/// `message_payload` and the three `sar_*`: what carries a long text.
const OUR_OWN: [u16; 4] = [0x0424, 0x020C, 0x020E, 0x020F];

/// Optional parameters by tag.
///
/// In JSON an object: `{"0x1400": "1101234567890", "5121": {"hex": "00ff"}}`. A text stands for its ASCII octets,
/// without a closing zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tlvs(BTreeMap<u16, Vec<u8>>);

impl Tlvs {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tags and their octets, in the order of the tags.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.0.iter().map(|(tag, value)| (*tag, value.as_slice()))
    }

    /// These parameters together with those of `over`, which win where a tag is in both.
    #[must_use]
    pub fn with(&self, over: &Self) -> Self {
        Self(self.0.iter().chain(&over.0).map(|(tag, value)| (*tag, value.clone())).collect())
    }
}

/// A value: ASCII, or octets in hexadecimal digits.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Octets { hex: String },
}

fn read_tag(text: &str) -> Option<u16> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u16::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn read_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2))
        .collect()
}

impl Value {
    fn of(octets: &[u8]) -> Self {
        let text = std::str::from_utf8(octets).ok();
        if let Some(text) = text.filter(|text| text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')) {
            return Self::Text(text.to_owned());
        }
        let digit = |value: u8| char::from_digit(value.into(), 16);
        Self::Octets { hex: octets.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).flatten().collect() }
    }

    fn octets(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => text.is_ascii().then(|| text.as_bytes().to_vec()),
            Self::Octets { hex } => read_hex(hex),
        }
    }
}

impl Serialize for Tlvs {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.iter().map(|(tag, octets)| (format!("{tag:#06x}"), Value::of(octets))))
    }
}

impl<'de> Deserialize<'de> for Tlvs {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let typed = BTreeMap::<String, Value>::deserialize(d)?;
        if typed.len() > MOST {
            return Err(D::Error::custom(format!("at most {MOST} parameters")));
        }
        let read = typed.iter().map(|(name, value)| {
            let tag = read_tag(name).ok_or_else(|| format!("'{name}' is no tag: write 0x1400, or 5120"))?;
            if OUR_OWN.contains(&tag) {
                return Err(format!("{name} is set by each message itself"));
            }
            let octets = value.octets().filter(|octets| octets.len() <= LONGEST).ok_or_else(|| {
                format!("the value of {name} must be ASCII text, or {{\"hex\": \"00ff\"}}, of at most {LONGEST} octets")
            })?;
            Ok((tag, octets))
        });
        read.collect::<Result<_, String>>().map(Self).map_err(D::Error::custom)
    }
}

impl fmt::Display for Tlvs {
    /// One per line: `0x1400 1101234567890`, or `0x1400 hex:00ff` for octets that are not text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (tag, octets)) in self.iter().enumerate() {
            let line = if at == 0 { "" } else { "\n" };
            match Value::of(octets) {
                Value::Text(text) => write!(f, "{line}{tag:#06x} {text}")?,
                Value::Octets { hex } => write!(f, "{line}{tag:#06x} hex:{hex}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Tlvs, String> {
        serde_json::from_str(json).map_err(|e: serde_json::Error| e.to_string())
    }

    #[test]
    fn parameters_are_read_and_shown_as_they_were_written() {
        let json = r#"{"0x1400":"1101234567890","0x1401":{"hex":"00ff"}}"#;
        let tlvs = read(json).unwrap();
        assert_eq!(tlvs.iter().collect::<Vec<_>>(), [(0x1400, &b"1101234567890"[..]), (0x1401, &[0, 255])]);
        assert_eq!(serde_json::to_string(&tlvs).unwrap(), json);
        assert_eq!(tlvs.to_string(), "0x1400 1101234567890\n0x1401 hex:00ff");
        assert_eq!(read(r#"{"5120":"a"}"#), read(r#"{"0X1400":"a"}"#));
    }

    #[test]
    fn those_of_a_campaign_stand_before_those_of_its_route() {
        let (route, campaign) =
            (read(r#"{"1":"a","2":"b"}"#).unwrap(), read(r#"{"2":"c","3":"d"}"#).unwrap());
        assert_eq!(route.with(&campaign), read(r#"{"1":"a","2":"c","3":"d"}"#).unwrap());
    }

    #[test]
    fn what_cannot_be_sent_is_refused_in_words() {
        let long = format!(r#"{{"1":"{}"}}"#, "x".repeat(256));
        for (json, words) in [
            (r#"{"template":"1"}"#, "'template' is no tag"),
            (r#"{"70000":"1"}"#, "'70000' is no tag"),
            (r#"{"0x0424":"1"}"#, "is set by each message itself"),
            (r#"{"1":"ü"}"#, "must be ASCII text"),
            (r#"{"1":{"hex":"abc"}}"#, "must be ASCII text"),
            (&long, "at most 255 octets"),
        ] {
            let refused = read(json).unwrap_err();
            assert!(refused.contains(words), "{json}: {refused}");
        }
    }
}
