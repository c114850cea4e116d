//! How carriers are reached: what every route has, and a part for each kind of route.

use std::collections::BTreeMap;

use campaign::{Channel, RouteId, money::Money};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Problem, SipConfig, SmppConfig, flat};

/// Fields that every route has; all others belong to its kind.
const COMMON: [&str; 2] = ["name", "disabled"];

/// The settings of a route. In JSON one flat object, whose `kind` says which further fields it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteConfig {
    /// The name; unique.
    pub name: String,
    /// Whether the route is switched off.
    pub disabled: bool,
    /// The kind of carrier, and how it is reached.
    #[serde(flatten)]
    pub kind: RouteKind,
}

/// A kind of carrier, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RouteKind {
    /// SMPP 3.4.
    Smpp(Box<SmppConfig>),
    /// SIP.
    Sip(Box<SipConfig>),
}

impl RouteKind {
    /// The word in the API.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Smpp(_) => "smpp",
            Self::Sip(_) => "sip",
        }
    }

    /// What it carries, in words.
    pub const fn carries(&self) -> &'static str {
        match self {
            Self::Smpp(_) => "messages",
            Self::Sip(_) => "calls",
        }
    }

    /// The channel that it carries.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Smpp(_) => Channel::Sms,
            Self::Sip(_) => Channel::Voice,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    name: String,
    #[serde(default)]
    disabled: bool,
}

impl RouteConfig {
    /// Reads a route strictly: each part takes its own fields, so that an unknown field is refused by name.
    ///
    /// # Errors
    /// What is wrong, with its field.
    pub fn read(value: Value) -> Result<Self, Problem> {
        let (common, mut own) = flat::parts(value, &COMMON, "route")?;
        let kind = match own.remove("kind") {
            Some(Value::String(word)) if word == "smpp" => RouteKind::Smpp(Box::new(flat::part(own)?)),
            Some(Value::String(word)) if word == "sip" => RouteKind::Sip(Box::new(flat::part(own)?)),
            Some(other) => {
                let message = format!("{other} is no kind of route; use \"smpp\" or \"sip\"");
                return Err(Problem::new("kind", message));
            }
            None => {
                return Err(Problem::new("kind", "say which kind of route it is: \"smpp\" or \"sip\""));
            }
        };
        let Common { name, disabled } = flat::part(common)?;
        Ok(Self { name, disabled, kind })
    }

    /// Segments to send, or calls to begin, in a second.
    pub fn per_second(&self) -> u32 {
        match &self.kind {
            RouteKind::Smpp(smpp) => smpp.rate_per_second,
            RouteKind::Sip(sip) => sip.calls_per_second,
        }
    }

    /// Segments claimed and not yet committed, or calls at once: the most that a crash can leave in doubt.
    pub fn at_once(&self) -> u32 {
        match &self.kind {
            RouteKind::Smpp(smpp) => smpp.claim_budget(),
            RouteKind::Sip(sip) => sip.max_calls,
        }
    }

    /// What each unit of a rate costs; a call costs by its length, which nobody knows before.
    pub fn price_per_unit(&self) -> Option<Money> {
        match &self.kind {
            RouteKind::Smpp(smpp) => smpp.price_per_segment,
            RouteKind::Sip(_) => None,
        }
    }

    /// Whether `next` would send this route's password to another host, or in another way: then whoever changes the
    /// route must type the password again.
    pub fn leads_elsewhere(&self, next: &Self) -> bool {
        match (&self.kind, &next.kind) {
            (RouteKind::Smpp(now), RouteKind::Smpp(then)) => {
                !now.password.expose().is_empty() && now.way() != then.way()
            }
            (RouteKind::Sip(now), RouteKind::Sip(then)) => {
                !now.password.expose().is_empty() && now.way() != then.way()
            }
            (RouteKind::Smpp(_), RouteKind::Sip(_)) | (RouteKind::Sip(_), RouteKind::Smpp(_)) => true,
        }
    }
}

impl<'de> Deserialize<'de> for RouteConfig {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::read(Value::deserialize(d)?).map_err(|problem| flat::error(&problem))
    }
}

/// What a refusal is blamed on, and so what follows (architecture.md, "Refusals are of three kinds").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The recipient: never sent again.
    Recipient,
    /// Our speed, or a full queue: sent again later.
    Throttled,
    /// The route or the sender: put back; nothing is counted while nothing from that sender is accepted.
    Route,
    /// In no table: the recipient, until evidence says otherwise.
    Unlisted,
}

/// What an SMSC means by command statuses of its own.
pub type Refusals = BTreeMap<u32, Refusal>;

/// A route.
#[derive(Debug, Clone)]
pub struct Route {
    /// The route's id.
    pub id: RouteId,
    /// The route's settings.
    pub config: RouteConfig,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A route as the version before wrote it.
    const BEFORE: &str = r#"{"name":"Carrier","kind":"smpp","host":"smsc.example","port":2775,"system_id":"us",
        "password":"secret","tls":true,"tls_ca":null,"binds":2,"window":50,"rate_per_second":300,"claim_budget":null,
        "refusals":{"69":"route"},"price_per_segment":"0.0125","disabled":false}"#;

    #[test]
    fn what_the_version_before_stored_is_read_and_written_in_the_same_flat_form() {
        let before: Value = serde_json::from_str(BEFORE).unwrap();
        let config: RouteConfig = serde_json::from_str(BEFORE).unwrap();
        assert_eq!((config.at_once(), config.per_second()), (400, 300));
        let Value::Object(now) = serde_json::to_value(&config).unwrap() else { panic!() };
        for (field, value) in before.as_object().unwrap() {
            assert_eq!(now[field], *value, "{field}");
        }
        assert_eq!(RouteConfig::read(Value::Object(now)).unwrap(), config);
    }

    #[test]
    fn an_unknown_field_and_a_wrong_value_are_refused_by_their_name() {
        for (field, value) in [
            ("hostt", json!("x")),
            ("port", json!("x")),
            ("port", json!(70_000)),
            ("binds", json!(-1)),
            ("window", json!(5_000_000_000_u64)),
            ("rate_per_second", json!(1.5)),
            ("disabled", json!("no")),
            ("kind", json!("fax")),
            ("bind_mode", json!("receiver")),
            ("number_form", json!("0049")),
            ("default_alphabet", json!("utf-8")),
            ("long_text", json!("udh")),
            ("tlvs", json!({"x": "1"})),
            ("enquire_interval", json!("15")),
            ("source_ton", json!(256)),
        ] {
            let mut route: Value = serde_json::from_str(BEFORE).unwrap();
            route[field] = value.clone();
            let refused = RouteConfig::read(route).unwrap_err();
            assert!(
                refused.field == field || refused.message.contains(field),
                "{field} {value}: {refused:?}"
            );
        }
    }

    #[test]
    fn the_password_is_in_no_debug_output() {
        let config: RouteConfig = serde_json::from_str(BEFORE).unwrap();
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn no_number_of_binds_and_no_window_makes_the_budget_overflow() {
        let mut route: Value = serde_json::from_str(BEFORE).unwrap();
        route["window"] = json!(u32::MAX);
        route["binds"] = json!(u16::MAX);
        assert_eq!(RouteConfig::read(route).unwrap().at_once(), u32::MAX);
    }

    #[test]
    fn a_password_goes_to_another_place_only_by_whoever_knows_it() {
        let now: RouteConfig = serde_json::from_str(BEFORE).unwrap();
        for (field, value, elsewhere) in [
            ("host", json!("evil.example"), true),
            ("hosts", json!(["evil.example:2775"]), true),
            ("port", json!(2776), true),
            ("tls", json!(false), true),
            ("tls_ca", json!("PEM"), true),
            ("window", json!(10), false),
            ("name", json!("Other"), false),
            ("system_type", json!("VMA"), false),
        ] {
            let mut route: Value = serde_json::from_str(BEFORE).unwrap();
            route[field] = value;
            assert_eq!(now.leads_elsewhere(&RouteConfig::read(route).unwrap()), elsewhere, "{field}");
        }
    }
}
