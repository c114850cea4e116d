//! How an SMSC is reached and what it wants (SMPP 3.4), and what is wrong with such settings.

use campaign::{Tlvs, money::Money, msisdn::Country};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Problem, Refusals, Secret};

/// The longest system id (SMPP 3.4 §5.2.1), without the closing zero.
const LONGEST_SYSTEM_ID: usize = 15;
/// The longest password. The standard has 8 (SMPP 3.4 §5.2.2); some carriers that want more take this many.
const LONGEST_PASSWORD: usize = 64;
/// The longest system type (SMPP 3.4 §5.2.3), without the closing zero.
const LONGEST_SYSTEM_TYPE: usize = 12;
/// The longest address range (SMPP 3.4 §5.2.7), without the closing zero.
const LONGEST_ADDRESS_RANGE: usize = 40;
/// The longest service type (SMPP 3.4 §5.2.11), without the closing zero.
const LONGEST_SERVICE_TYPE: usize = 5;
/// The most binds of a route: each is a task and a connection.
const MOST_BINDS: u16 = 100;
/// The largest window: its messages are kept in memory until they are answered.
const MOST_WINDOW: u32 = 10_000;
/// The most hosts of a route.
const MOST_HOSTS: usize = 8;
/// The last type of number and plan: SMPP 3.4 §5.2.5 and §5.2.6 name types up to 6 and plans up to 18.
const LAST_TON: u8 = 6;
const LAST_NPI: u8 = 18;
/// The shortest and longest timeouts.
const SHORTEST_WAIT: SignedDuration = SignedDuration::from_secs(1);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(10);

/// The highest rate: far beyond what a carrier takes or a machine sends.
const MOST_PER_SECOND: u32 = 10_000_000;
/// The most messages of a route to keep in memory at once.
const MOST_CLAIMED: u32 = 1_000_000;

/// How an SMSC is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmppConfig {
    /// Messages per second over all binds; segments count.
    #[serde(default = "five_hundred")]
    pub rate_per_second: u32,
    /// Messages claimed and not yet committed; default 4 × binds × window.
    #[serde(default)]
    pub claim_budget: Option<u32>,
    /// What a segment costs, in the account's currency.
    #[serde(default)]
    pub price_per_segment: Option<Money>,
    /// The host's name or address; may be left out where `hosts` has all of them.
    #[serde(default)]
    pub host: String,
    /// The TCP port; SMPP's own is 2775.
    #[serde(default = "smpp_port")]
    pub port: u16,
    /// Further hosts of the same account, `name` or `name:port`: tried in this order when the ones before do not
    /// answer.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The account's name, at most 15 characters (SMPP 3.4 §5.2.1).
    pub system_id: String,
    /// The password: 8 characters in the standard (SMPP 3.4 §5.2.2), up to 64 for SMSCs that want more.
    #[serde(default)]
    pub password: Secret,
    /// The kind of system that we are, if the SMSC asks (SMPP 3.4 §5.2.3).
    #[serde(default)]
    pub system_type: String,
    /// One connection for both directions, or one for each.
    #[serde(default)]
    pub bind_mode: BindMode,
    /// The addresses whose messages are handed to us, or a pattern of them (SMPP 3.4 §5.2.7).
    #[serde(default)]
    pub address_range: String,
    /// Whether the connection is TLS.
    #[serde(default)]
    pub tls: bool,
    /// The far end's certificate authority in PEM, if it is one that the system does not trust.
    #[serde(default)]
    pub tls_ca: Option<String>,
    /// How many connections; with [`BindMode::TransmitterReceiver`] this many of each kind.
    #[serde(default = "one")]
    pub binds: u16,
    /// Unanswered `submit_sm` per bind.
    #[serde(default = "hundred")]
    pub window: u32,
    /// The type of number of senders (SMPP 3.4 §5.2.5); none: by the kind of sender.
    #[serde(default)]
    pub source_ton: Option<u8>,
    /// The numbering plan of senders (SMPP 3.4 §5.2.6); none: by the kind of sender.
    #[serde(default)]
    pub source_npi: Option<u8>,
    /// The type of number of recipients; none: by [`SmppConfig::number_form`].
    #[serde(default)]
    pub dest_ton: Option<u8>,
    /// The numbering plan of recipients; none: ISDN.
    #[serde(default)]
    pub dest_npi: Option<u8>,
    /// How recipients' numbers are written.
    #[serde(default)]
    pub number_form: NumberForm,
    /// The country of numbers in national form: a code such as US; none: the account's country.
    #[serde(default)]
    pub country: Option<String>,
    /// What `data_coding` 0 means at this SMSC.
    #[serde(default)]
    pub default_alphabet: DefaultAlphabet,
    /// How a text that needs more than one segment travels.
    #[serde(default)]
    pub long_text: LongText,
    /// The SMSC's service that the messages are for (SMPP 3.4 §5.2.11).
    #[serde(default)]
    pub service_type: String,
    /// Optional parameters of every message.
    #[serde(default, skip_serializing_if = "Tlvs::is_empty")]
    pub tlvs: Tlvs,
    /// How long the far end may be silent before it is asked whether it lives.
    #[serde(default = "quarter_minute", with = "campaign::iso_duration")]
    pub enquire_interval: SignedDuration,
    /// How long a message may be unanswered before it is In doubt.
    #[serde(default = "half_minute", with = "campaign::iso_duration")]
    pub answer_timeout: SignedDuration,
    /// How long connecting and binding may take.
    #[serde(default = "ten_seconds", with = "campaign::iso_duration")]
    pub bind_timeout: SignedDuration,
    /// What command statuses are blamed on, where this SMSC means them differently.
    #[serde(default)]
    pub refusals: Refusals,
}

/// The connections of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindMode {
    /// Each connection for both directions (SMPP 3.4 §4.1.5).
    #[default]
    Transceiver,
    /// One connection to send and one to receive (SMPP 3.4 §4.1.1, §4.1.3).
    TransmitterReceiver,
}

/// How a recipient's number is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberForm {
    /// Country code and number, digits only: type of number international.
    #[default]
    E164,
    /// With a plus before it.
    Plus,
    /// With 00 before it: type of number unknown.
    #[serde(rename = "00")]
    ZeroZero,
    /// Numbers of the route's country without its code: type of number national. Others as in [`NumberForm::E164`].
    National,
}

/// What `data_coding` 0 means at an SMSC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultAlphabet {
    /// GSM 03.38.
    #[default]
    Gsm,
    /// ISO 8859-1.
    Latin1,
}

/// How a text of several segments travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LongText {
    /// In parts with a header whose reference has 8 bits (3GPP TS 23.040 §9.2.3.24.1).
    #[default]
    Udh8,
    /// In parts with a header whose reference has 16 bits (3GPP TS 23.040 §9.2.3.24.8).
    Udh16,
    /// In parts that `sar_*` parameters number (SMPP 3.4 §5.3.2.22 to 24).
    Sar,
    /// Whole, in `message_payload` (SMPP 3.4 §5.3.2.32).
    Payload,
}

impl LongText {
    /// Every value, with its word in JSON and forms.
    pub const ALL: [(&str, Self); 4] =
        [("udh8", Self::Udh8), ("udh16", Self::Udh16), ("sar", Self::Sar), ("payload", Self::Payload)];
}

const fn smpp_port() -> u16 {
    2775
}

const fn one() -> u16 {
    1
}

const fn five_hundred() -> u32 {
    500
}

const fn hundred() -> u32 {
    100
}

const fn quarter_minute() -> SignedDuration {
    SignedDuration::from_secs(15)
}

const fn half_minute() -> SignedDuration {
    SignedDuration::from_secs(30)
}

const fn ten_seconds() -> SignedDuration {
    SignedDuration::from_secs(10)
}

impl SmppConfig {
    /// The hosts of the account with their ports, in the order in which they are tried. Settings that cannot be read
    /// are refused when they are saved.
    pub fn hosts(&self) -> Vec<(String, u16)> {
        let further = self.hosts.iter().filter_map(|text| place(text, self.port));
        let first = Some((self.host.trim().to_owned(), self.port)).filter(|(host, _)| !host.is_empty());
        first.into_iter().chain(further).collect()
    }

    /// Where the password is sent, and how.
    pub(crate) fn way(&self) -> (Vec<(String, u16)>, bool, Option<&str>) {
        (self.hosts(), self.tls, self.tls_ca.as_deref())
    }

    /// The most messages to claim and not commit yet.
    pub fn claim_budget(&self) -> u32 {
        let usual = u32::from(self.binds).saturating_mul(self.window).saturating_mul(4);
        self.claim_budget.unwrap_or(usual).max(1)
    }

    /// The route's own country.
    pub fn country(&self) -> Option<Country> {
        self.country.as_deref()?.parse().ok()
    }

    /// What is wrong with the settings by themselves.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |field: &str, message: String| problems.push(Problem::new(field, message));
        for (field, value, most) in [
            ("system_id", self.system_id.as_str(), LONGEST_SYSTEM_ID),
            ("password", self.password.expose(), LONGEST_PASSWORD),
            ("system_type", &self.system_type, LONGEST_SYSTEM_TYPE),
            ("address_range", &self.address_range, LONGEST_ADDRESS_RANGE),
            ("service_type", &self.service_type, LONGEST_SERVICE_TYPE),
        ] {
            if value.len() > most || !value.is_ascii() || value.contains('\0') {
                wrong(field, format!("SMPP carries at most {most} ASCII characters here"));
            }
        }
        if self.hosts().is_empty() {
            wrong("host", "say where the SMSC is: a host name or an address".into());
        }
        if self.hosts.len() > MOST_HOSTS {
            wrong("hosts", format!("{} places are too many: at most {MOST_HOSTS}", self.hosts.len()));
        }
        for (at, text) in self.hosts.iter().enumerate() {
            if place(text, self.port).is_none() {
                wrong(
                    &format!("hosts[{at}]"),
                    format!("'{text}' is no place: write smsc.example or smsc.example:2775"),
                );
            }
        }
        for (field, value, most) in [
            ("rate_per_second", self.rate_per_second, MOST_PER_SECOND),
            ("claim_budget", self.claim_budget.unwrap_or(1), MOST_CLAIMED),
            ("port", u32::from(self.port), u32::from(u16::MAX)),
            ("binds", u32::from(self.binds), u32::from(MOST_BINDS)),
            ("window", self.window, MOST_WINDOW),
        ] {
            if !(1..=most).contains(&value) {
                wrong(field, format!("must be from 1 to {most}"));
            }
        }
        for (field, value, last) in [
            ("source_ton", self.source_ton, LAST_TON),
            ("source_npi", self.source_npi, LAST_NPI),
            ("dest_ton", self.dest_ton, LAST_TON),
            ("dest_npi", self.dest_npi, LAST_NPI),
        ] {
            if value.is_some_and(|value| value > last) {
                wrong(field, format!("must be from 0 to {last} (SMPP 3.4 §5.2.5, §5.2.6), or null"));
            }
        }
        for (field, value) in [
            ("enquire_interval", self.enquire_interval),
            ("answer_timeout", self.answer_timeout),
            ("bind_timeout", self.bind_timeout),
        ] {
            if !(SHORTEST_WAIT..=LONGEST_WAIT).contains(&value) {
                wrong(field, "must be from a second (PT1S) to ten minutes (PT10M)".into());
            }
        }
        if let Some(Err(e)) = self.country.as_deref().map(str::parse::<Country>) {
            wrong("country", e.to_string());
        }
        problems
    }
}

/// `name`, `name:port`, `[address]` or `[address]:port`.
fn place(text: &str, usual: u16) -> Option<(String, u16)> {
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, usual),
        Some((address, port)) => (address, port.strip_prefix(':')?.parse().ok()?),
        // More than one colon: an IPv6 address without brackets.
        None => match text.split_once(':').filter(|(_, port)| !port.contains(':')) {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, usual),
        },
    };
    (!host.is_empty() && !host.contains(char::is_whitespace) && port > 0).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_with_and_without_ports() {
        for (text, read) in [
            ("smsc.example", Some(("smsc.example", 2775))),
            (" smsc.example:2776 ", Some(("smsc.example", 2776))),
            ("10.0.0.1:1", Some(("10.0.0.1", 1))),
            ("::1", Some(("::1", 2775))),
            ("[::1]:9", Some(("::1", 9))),
            ("[::1]", Some(("::1", 2775))),
            ("", None),
            (":2775", None),
            ("smsc:0", None),
            ("smsc:70000", None),
            ("two words", None),
        ] {
            assert_eq!(place(text, 2775), read.map(|(host, port)| (host.to_owned(), port)), "{text}");
        }
    }
}
