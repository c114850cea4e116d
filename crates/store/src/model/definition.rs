//! What a person defines: what every campaign has, and its content, which differs by channel.

use std::num::NonZeroU32;

use campaign::{Channel, ListId, RouteId, Window, ZoneGroup, iso_duration, money::Money};
pub use campaign::{
    Content, Problem,
    content::{Message, Sms, Voice, text_warnings},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::flat;

/// Fields that every campaign has; all others belong to its content.
const COMMON: [&str; 11] = [
    "name",
    "owner",
    "route_id",
    "list_ids",
    "opt_in_acknowledged",
    "lateness_limit",
    "purpose",
    "pilot",
    "max_cost",
    "time_zone",
    "window",
];

/// What a person defines. It may be saved incomplete; what is missing is named at schedule. In JSON one flat object,
/// whose `channel` says which further fields it has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Definition {
    /// The name; unique, whatever its case.
    pub name: String,
    /// The person responsible for it.
    pub owner: Option<String>,
    /// The route that carries it.
    pub route_id: Option<RouteId>,
    /// The contact lists that are its audience.
    pub list_ids: Vec<ListId>,
    /// "I understand that I am required to obtain and store opt-in approval for every number texted".
    pub opt_in_acknowledged: bool,
    /// How long due work may stay undispatched before a person must release it.
    #[serde(with = "iso_duration")]
    pub lateness_limit: SignedDuration,
    /// The purpose: marketing, care, security.
    pub purpose: Option<String>,
    /// How many recipients to send to first, before waiting for a person.
    pub pilot: Option<NonZeroU32>,
    /// The most that it may cost; beyond this it cannot be scheduled.
    pub max_cost: Option<Money>,
    /// The zone of recipients whose own zone is unknown.
    pub time_zone: Option<String>,
    /// The sending window; none: any time.
    pub window: Option<Window>,
    /// The content, by channel.
    #[serde(flatten)]
    pub content: Content,
}

/// A [`Definition`] without its content, as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    name: String,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    route_id: Option<RouteId>,
    #[serde(default)]
    list_ids: Vec<ListId>,
    #[serde(default)]
    opt_in_acknowledged: bool,
    #[serde(default = "two_hours", with = "iso_duration")]
    lateness_limit: SignedDuration,
    #[serde(default)]
    purpose: Option<String>,
    #[serde(default)]
    pilot: Option<NonZeroU32>,
    #[serde(default)]
    max_cost: Option<Money>,
    #[serde(default)]
    time_zone: Option<String>,
    /// The sending window. Left out: 08:00–21:00 every day; null: any time.
    #[serde(default = "default_window")]
    window: Option<Window>,
}

impl Definition {
    /// Reads a definition strictly: each part takes its own fields, so that an unknown field is refused by name.
    ///
    /// # Errors
    /// What is wrong, with its field.
    pub fn read(value: Value) -> Result<Self, Problem> {
        let (common, mut own) = flat::parts(value, &COMMON, "campaign")?;
        let content = match own.remove("channel") {
            Some(Value::String(word)) if word == Channel::Sms.word() => Content::Sms(flat::part(own)?),
            Some(Value::String(word)) if word == Channel::Voice.word() => {
                Content::Voice(Box::new(flat::part(own)?))
            }
            Some(other) => {
                let message = format!("{other} is no channel; use \"sms\" or \"voice\"");
                return Err(Problem::new("channel", message));
            }
            None => {
                return Err(Problem::new("channel", "say which channel it is for: \"sms\" or \"voice\""));
            }
        };
        let Common {
            name,
            owner,
            route_id,
            list_ids,
            opt_in_acknowledged,
            lateness_limit,
            purpose,
            pilot,
            max_cost,
            time_zone,
            window,
        } = flat::part(common)?;
        Ok(Self {
            name,
            owner,
            route_id,
            list_ids,
            opt_in_acknowledged,
            lateness_limit,
            purpose,
            pilot,
            max_cost,
            time_zone,
            window,
            content,
        })
    }

    /// The channel that carries it.
    pub const fn channel(&self) -> Channel {
        self.content.channel()
    }

    /// The purpose; empty: not stated, so that every opt-out counts.
    pub fn purpose(&self) -> &str {
        self.purpose.as_deref().unwrap_or_default()
    }

    /// By when the previous delivery to a recipient in `zones` (a [`ZoneGroup`] name) must have been settled for
    /// delivery `n` to go at `now`; none where delivery `n` has a time of its own.
    pub fn settled_before(&self, n: u32, zones: &str, now: Timestamp) -> Option<Timestamp> {
        let send = self.content.send(n)?;
        // Names were checked when the audience was frozen.
        send.is_after().then(|| ZoneGroup::parse(zones).map_or(now, |zones| send.settled_before(&zones, now)))
    }
}

impl<'de> Deserialize<'de> for Definition {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::read(Value::deserialize(d)?).map_err(|problem| flat::error(&problem))
    }
}

const fn two_hours() -> SignedDuration {
    SignedDuration::from_hours(2)
}

#[expect(clippy::unnecessary_wraps, reason = "serde asks for the field's type")]
fn default_window() -> Option<Window> {
    Some(Window::default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A definition as the version before wrote it, with every field stated.
    fn before() -> Value {
        json!({"channel": "sms", "name": "Reminder", "owner": "Ann", "route_id": "rte_2", "sender": "+12025550100",
            "list_ids": ["lst_1"], "opt_in_acknowledged": true, "lateness_limit": "PT2H", "validity": "PT1H",
            "purpose": "care", "pilot": 10, "max_cost": "12.50", "time_zone": "America/New_York",
            "window": {"days": ["mon"], "from": "08:00", "to": "21:00"}, "go_on_after_failure": true,
            "messages": [{"text": "Hello", "send": {"now": true}}]})
    }

    #[test]
    fn what_the_version_before_stored_is_read_and_written_in_the_same_flat_form() {
        let definition = Definition::read(before()).unwrap();
        let Value::Object(now) = serde_json::to_value(&definition).unwrap() else { panic!() };
        for (field, value) in before().as_object().unwrap() {
            assert_eq!(now[field], *value, "{field}");
        }
        assert_eq!(now.len(), before().as_object().unwrap().len());
        assert_eq!(Definition::read(Value::Object(now)).unwrap(), definition);
    }

    #[test]
    fn an_unknown_field_and_a_wrong_value_are_refused_by_their_name() {
        for (field, value) in [
            ("naem", json!("x")),
            ("script", json!({})),
            ("channel", json!("fax")),
            ("channel", json!(1)),
            ("messages", json!("x")),
            ("pilot", json!(0)),
            ("validity", json!("soon")),
            ("lateness_limit", json!("-PT1H")),
            ("window", json!({"from": "21:00", "to": "08:00"})),
        ] {
            let mut definition = before();
            definition[field] = value.clone();
            let refused = Definition::read(definition).unwrap_err();
            assert!(
                refused.field == field || refused.message.contains(field),
                "{field} {value}: {refused:?}"
            );
        }
        for field in ["sender", "messages", "script.steps.hello.sya"] {
            let mut definition = json!({"channel": "voice", "name": "x", "script": {"first": "hello", "steps": {
                "hello": {"say": "Hello", "next": "bye"}, "bye": {"hang_up": true}}}});
            assert_eq!(Definition::read(definition.clone()).map(|d| d.channel()), Ok(Channel::Voice));
            let mut at = &mut definition;
            for part in field.split('.') {
                at = &mut at[part];
            }
            *at = json!("x");
            let refused = Definition::read(definition).unwrap_err();
            let last = field.rsplit('.').next().unwrap();
            assert!(refused.field.contains(last) || refused.message.contains(last), "{refused:?}");
        }
        let nothing = Definition::read(json!({"name": "x"})).unwrap_err();
        assert_eq!(nothing.field, "channel");
    }
}
