//! What a person defines, and what can be wrong with it.

use std::num::NonZeroU32;

use campaign::{Channel, ListId, RouteId, Send, SendAs, Window, money::Money};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where: `messages[0].text`.
    pub field: String,
    /// What, and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem with `field`.
    pub fn new(field: impl Into<String>, message: impl std::fmt::Display) -> Self {
        Self { field: field.into(), message: format!("{message}") }
    }

    /// Fails where there are any.
    pub fn none(problems: Vec<Self>) -> crate::Result<()> {
        if problems.is_empty() { Ok(()) } else { Err(crate::StoreError::Invalid(problems)) }
    }
}

/// One message of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The text, with placeholders.
    pub text: String,
    /// When it goes.
    pub send: Send,
}

/// What a person defines. May be saved incomplete; what is missing is named at schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// SMS or voice.
    pub channel: Channel,
    /// Unique.
    pub name: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Which route carries it.
    #[serde(default)]
    pub route_id: Option<RouteId>,
    /// Send-as number, or a pool of them.
    #[serde(default)]
    pub sender: Option<SendAs>,
    /// Whom it reaches.
    #[serde(default)]
    pub list_ids: Vec<ListId>,
    /// "I understand that I am required to obtain and store opt-in approval for every number texted".
    #[serde(default)]
    pub opt_in_acknowledged: bool,
    /// How long due work may lie undispatched before a person must release it.
    #[serde(default = "two_hours", with = "iso_duration")]
    pub lateness_limit: SignedDuration,
    /// How long the SMSC may try to deliver a message (SMPP 3.4 §5.2.16); none: as long as it does by itself.
    #[serde(default, with = "iso_duration::option")]
    pub validity: Option<SignedDuration>,
    /// What it is for: marketing, care, security.
    #[serde(default)]
    pub purpose: Option<String>,
    /// Send to the first so many, then wait.
    #[serde(default)]
    pub pilot: Option<NonZeroU32>,
    /// Not to be scheduled beyond this cost.
    #[serde(default)]
    pub max_cost: Option<Money>,
    /// Zone of recipients whose own cannot be told.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Sending window; left out: 08:00–21:00 every day; null: any time.
    #[serde(default = "default_window")]
    pub window: Option<Window>,
    /// Whether later messages go to a recipient whose earlier one failed.
    #[serde(default)]
    pub go_on_after_failure: bool,
    /// One to twenty.
    #[serde(default)]
    pub messages: Vec<Message>,
}

impl Definition {
    /// What it is for; empty: not said, so that every opt-out counts.
    pub fn purpose(&self) -> &str {
        self.purpose.as_deref().unwrap_or_default()
    }
}

const fn two_hours() -> SignedDuration {
    SignedDuration::from_hours(2)
}

#[expect(clippy::unnecessary_wraps, reason = "serde asks for the field's type")]
fn default_window() -> Option<Window> {
    Some(Window::default())
}

pub(super) mod iso_duration {
    use jiff::{SignedDuration, Span, SpanRelativeTo};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &SignedDuration, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<SignedDuration, D::Error> {
        let text = String::deserialize(d)?;
        let wrong = || D::Error::custom(format!("'{text}' is not a duration; use PT2H or P1D"));
        let span: Span = text.parse().map_err(|_| wrong())?;
        let exact = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
        if exact.is_negative() { Err(wrong()) } else { Ok(exact) }
    }

    /// The same where it may be left out.
    pub mod option {
        use jiff::SignedDuration;
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Deserialize)]
        struct Given(#[serde(with = "super")] SignedDuration);

        #[expect(clippy::ref_option, reason = "serde calls it so")]
        pub fn serialize<S: Serializer>(value: &Option<SignedDuration>, s: S) -> Result<S::Ok, S::Error> {
            value.as_ref().map(ToString::to_string).serialize(s)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SignedDuration>, D::Error> {
            Ok(Option::<Given>::deserialize(d)?.map(|given| given.0))
        }
    }
}
