//! How a SIP trunk is reached and what it carries (RFC 3261), and what is wrong with such settings.

use campaign::{Msisdn, Sender, money::Money, msisdn::Country};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{NumberForm, Problem, Secret};

/// The longest name of a user, a host or a prefix.
const LONGEST_TEXT: usize = 255;
/// The most caller IDs of a trunk.
const MOST_NUMBERS: usize = 10_000;
/// The most calls at once: each takes a socket, and two with sound.
const MOST_CALLS: u32 = 20_000;
/// The most calls to begin in a second.
const MOST_PER_SECOND: u32 = 100_000;
/// How long a registration may last (RFC 3261 §10.2.1.1).
const REGISTRATIONS: std::ops::RangeInclusive<u32> = 60..=86_400;
/// How long a dead trunk is waited for before its campaigns end in error.
const PATIENCE: std::ops::RangeInclusive<SignedDuration> =
    SignedDuration::from_secs(1)..=SignedDuration::from_hours(24);
/// Billing increments.
const INCREMENTS: std::ops::RangeInclusive<u32> = 1..=3_600;
const NOT_YET: &str = "not available yet";

/// How a SIP trunk is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SipConfig {
    /// The host's name or address.
    pub host: String,
    /// The port; none: by SRV records (RFC 3263), else the usual one of the transport.
    #[serde(default)]
    pub port: Option<u16>,
    /// How signalling travels.
    #[serde(default)]
    pub transport: SipTransport,
    /// The next hop as `host` or `host:port`, where it is another than `host`.
    #[serde(default)]
    pub outbound_proxy: Option<String>,
    /// Whether the trunk asks for a registration (RFC 3261 §10).
    #[serde(default)]
    pub register: bool,
    /// For how many seconds to register.
    #[serde(default = "five_minutes")]
    pub register_expires: u32,
    /// The account's name, which challenges are answered with.
    #[serde(default)]
    pub username: String,
    /// The account's password.
    #[serde(default)]
    pub password: Secret,
    /// The domain of From, To and the Request-URI, where it is another than `host`.
    #[serde(default)]
    pub domain: Option<String>,
    /// The caller IDs that it may show, in E.164; without any, no call can be scheduled.
    #[serde(default)]
    pub numbers: Vec<Sender>,
    /// How called numbers are written.
    #[serde(default = "plus")]
    pub number_form: NumberForm,
    /// The country of numbers in national form: a code such as US; none: the account's country.
    #[serde(default)]
    pub country: Option<String>,
    /// What is written before each called number.
    #[serde(default)]
    pub prefix: String,
    /// The most calls at once.
    #[serde(default = "fifty")]
    pub max_calls: u32,
    /// The most calls to begin in a second.
    #[serde(default = "ten")]
    pub calls_per_second: u32,
    /// The codecs to offer, the best first.
    #[serde(default = "g711")]
    pub codecs: Vec<SipCodec>,
    /// Our address as the far end sees it, where that is another than the interface's.
    #[serde(default)]
    pub public_address: Option<std::net::IpAddr>,
    /// The UDP ports of calls' sound: `10000-20000`.
    #[serde(default = "media_ports")]
    pub media_ports: String,
    /// The far end's certificate authority in PEM, if it is one that the system does not trust.
    #[serde(default)]
    pub tls_ca: Option<String>,
    /// Whether sound is encrypted.
    #[serde(default)]
    pub srtp: Srtp,
    /// How long a trunk that takes no call is waited for before its campaigns end in error.
    #[serde(default = "five_minutes_long", with = "campaign::iso_duration")]
    pub error_after: SignedDuration,
    /// What a minute of talk costs, in the account's currency.
    #[serde(default)]
    pub price_per_minute: Option<Money>,
    /// The seconds that talk is billed in.
    #[serde(default = "sixty")]
    pub increment_seconds: u32,
}

/// How signalling travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SipTransport {
    /// Datagrams.
    #[default]
    Udp,
    /// A connection in the clear.
    Tcp,
    /// A connection under TLS.
    Tls,
}

/// A codec of a call's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SipCodec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722,
}

/// Encryption of sound (RFC 4568).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Srtp {
    /// In the clear.
    #[default]
    Off,
    /// Encrypted where the far end can.
    Preferred,
    /// Encrypted, or no call.
    Required,
}

impl SipTransport {
    /// Every transport.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// The word in the API.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

impl SipCodec {
    /// The word in the API.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

const fn five_minutes() -> u32 {
    300
}

const fn five_minutes_long() -> SignedDuration {
    SignedDuration::from_mins(5)
}

const fn plus() -> NumberForm {
    NumberForm::Plus
}

const fn fifty() -> u32 {
    50
}

const fn ten() -> u32 {
    10
}

const fn sixty() -> u32 {
    60
}

fn g711() -> Vec<SipCodec> {
    vec![SipCodec::Pcmu, SipCodec::Pcma]
}

fn media_ports() -> String {
    "10000-20000".to_owned()
}

impl SipConfig {
    /// The seconds that the trunk bills for a call of `seconds`: whole increments, at least one.
    pub fn billed(&self, seconds: i64) -> i64 {
        let increment = i64::from(self.increment_seconds.max(1));
        increment * (seconds.max(1).saturating_add(increment - 1) / increment)
    }

    /// Where the password is sent, and how.
    pub(crate) fn way(&self) -> impl PartialEq {
        (self.host.trim(), self.port, self.transport, self.outbound_proxy.as_deref(), self.tls_ca.as_deref())
    }

    /// The country of numbers in national form.
    pub fn country(&self) -> Option<Country> {
        self.country.as_deref()?.parse().ok()
    }

    /// A called number as the trunk wants it.
    pub fn dialed(&self, number: Msisdn) -> String {
        let digits = number.digits();
        let written = match self.number_form {
            NumberForm::E164 => digits.to_string(),
            NumberForm::Plus => format!("+{digits}"),
            NumberForm::ZeroZero => format!("00{digits}"),
            NumberForm::National => number.national(self.country()).unwrap_or_else(|| digits.to_string()),
        };
        format!("{}{written}", self.prefix)
    }

    /// What is wrong with the settings by themselves.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |field: &str, message: String| problems.push(Problem::new(field, message));
        if self.host.trim().is_empty() {
            wrong("host", "say where the trunk is: a host name or an address".into());
        }
        for (field, value) in [
            ("host", self.host.as_str()),
            ("username", &self.username),
            ("password", self.password.expose()),
            ("domain", self.domain.as_deref().unwrap_or_default()),
            ("outbound_proxy", self.outbound_proxy.as_deref().unwrap_or_default()),
        ] {
            let odd = |c: char| {
                c.is_control() || (field != "password" && (c.is_whitespace() || "<>\"@;".contains(c)))
            };
            let odd = field != "username" && value.trim().contains(odd) || value.contains(char::is_control);
            if odd || value.len() > LONGEST_TEXT {
                wrong(field, format!("must be one word of at most {LONGEST_TEXT} characters"));
            }
        }
        if self.register && self.username.is_empty() {
            wrong("username", "a registration needs the account's name".into());
        }
        if self.port == Some(0) {
            wrong("port", "must be from 1 to 65535, or null".into());
        }
        for (field, value, within) in [
            ("register_expires", self.register_expires, REGISTRATIONS),
            ("max_calls", self.max_calls, 1..=MOST_CALLS),
            ("calls_per_second", self.calls_per_second, 1..=MOST_PER_SECOND),
            ("increment_seconds", self.increment_seconds, INCREMENTS),
        ] {
            if !within.contains(&value) {
                wrong(field, format!("must be from {} to {}", within.start(), within.end()));
            }
        }
        if self.numbers.len() > MOST_NUMBERS {
            wrong("numbers", format!("{} numbers are too many: at most {MOST_NUMBERS}", self.numbers.len()));
        }
        for (at, number) in self.numbers.iter().enumerate() {
            if !matches!(number, Sender::Number(_)) {
                let message =
                    format!("{number} cannot be shown as the caller: use a number such as +12025550100");
                wrong(&format!("numbers[{at}]"), message);
            }
        }
        if !self.prefix.chars().all(|c| c.is_ascii_digit() || "*#+".contains(c)) || self.prefix.len() > 20 {
            wrong("prefix", "must be at most 20 digits, *, # or +".into());
        }
        if self.codecs.is_empty() {
            wrong("codecs", "name at least one of pcmu, pcma and g722".into());
        }
        if ports(&self.media_ports).is_none() {
            let message = "must be two ports with at least two between them, such as 10000-20000";
            wrong("media_ports", message.into());
        }
        if !PATIENCE.contains(&self.error_after) {
            wrong("error_after", "must be from a second (PT1S) to a day (PT24H)".into());
        }
        if self.srtp != Srtp::Off {
            wrong("srtp", NOT_YET.into());
        }
        if let Some(Err(e)) = self.country.as_deref().map(str::parse::<Country>) {
            wrong("country", e.to_string());
        }
        problems
    }
}

/// Two ports that leave room for at least one call.
fn ports(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-')?;
    let (from, to): (u16, u16) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (from >= 1_024 && to >= from.saturating_add(3)).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn trunk() -> Value {
        json!({"host": "trunk.example", "port": 5061, "transport": "tls", "outbound_proxy": null, "register": true,
            "register_expires": 300, "username": "us", "password": "secret", "domain": "example.com",
            "numbers": ["+12025550100"], "number_form": "plus", "country": null, "prefix": "", "max_calls": 50,
            "calls_per_second": 10, "codecs": ["pcmu", "pcma"], "public_address": null, "media_ports": "10000-20000",
            "tls_ca": null, "srtp": "off", "error_after": "PT5M", "price_per_minute": "0.0125", "increment_seconds": 60})
    }

    fn config(field: &str, value: Value) -> SipConfig {
        let mut json = trunk();
        json[field] = value;
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn it_is_written_as_it_is_read_and_only_its_host_must_be_said() {
        let whole = config("port", json!(5061));
        assert_eq!((serde_json::to_value(&whole).unwrap(), whole.problems()), (trunk(), vec![]));
        let least: SipConfig = serde_json::from_value(json!({"host": "10.0.0.1"})).unwrap();
        assert_eq!(least.problems(), vec![]);
        assert_eq!((least.max_calls, least.calls_per_second, least.codecs.len()), (50, 10, 2));
        assert!(!format!("{whole:?}").contains("secret"));
    }

    #[test]
    fn what_is_wrong_is_refused_by_its_field() {
        for (field, wrong) in [
            ("host", json!(" ")),
            ("host", json!("trunk example")),
            ("host", json!("trunk\r\nx: y")),
            ("domain", json!("a@b")),
            ("username", json!("")),
            ("password", json!("a\nb")),
            ("port", json!(0)),
            ("register_expires", json!(59)),
            ("max_calls", json!(0)),
            ("max_calls", json!(20_001)),
            ("calls_per_second", json!(0)),
            ("calls_per_second", json!(100_001)),
            ("increment_seconds", json!(0)),
            ("numbers[0]", json!(["CLINIC"])),
            ("prefix", json!("9,")),
            ("codecs", json!([])),
            ("media_ports", json!("20000-10000")),
            ("media_ports", json!("10000")),
            ("media_ports", json!("10000-70000")),
            ("media_ports", json!("80-90")),
            ("error_after", json!("PT0S")),
            ("srtp", json!("required")),
            ("country", json!("Atlantis")),
        ] {
            let problems = config(field.split('[').next().unwrap(), wrong.clone()).problems();
            assert_eq!(problems.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), [field], "{wrong}");
        }
    }

    #[test]
    fn numbers_are_dialed_as_the_trunk_wants_them() {
        let number = Msisdn::from_digits(12_025_550_123);
        for (form, dialed) in [
            ("plus", "+12025550123"),
            ("e164", "12025550123"),
            ("00", "0012025550123"),
            ("national", "2025550123"),
        ] {
            let mut trunk = config("number_form", json!(form));
            trunk.country = Some("US".into());
            assert_eq!(trunk.dialed(number), dialed);
            trunk.prefix = "9".into();
            assert_eq!(trunk.dialed(number), format!("9{dialed}"));
        }
    }
}
