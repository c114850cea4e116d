//! What a person defines, and what can be wrong with it.

use std::{num::NonZeroU32, sync::Arc};

use campaign::{
    Channel, ListId, RouteId, Send, SendAs, Tlvs, Window, ZoneGroup,
    money::Money,
    placeholder, segment,
    text::{BadText, Text},
};
use jiff::{SignedDuration, Timestamp};
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
    /// Whether the text has placeholders; if not, it is sent word for word.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub template: bool,
}

impl Message {
    /// Its text, to be checked and rendered.
    pub fn parse(&self) -> Result<Text, BadText> {
        if self.template { Text::parse(&self.text) } else { Text::literal(&self.text) }
    }
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_yes(template: &bool) -> bool {
    *template
}

/// What a person defines. May be saved incomplete; what is missing is named at schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// SMS or voice.
    pub channel: Channel,
    /// The name; unique, whatever its case.
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
    /// The contact lists that are its audience.
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
    /// Optional parameters of each message, beside those of the route: ids that a registry of senders asks for.
    #[serde(default, skip_serializing_if = "no_tlvs", with = "tlvs")]
    pub tlvs: Arc<Tlvs>,
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
    /// The messages, at most 20.
    #[serde(default)]
    pub messages: Vec<Message>,
}

impl Definition {
    /// What may be meant otherwise than it is written, each with its field: never an error.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        for (i, message) in self.messages.iter().enumerate() {
            let field = format!("messages[{i}].text");
            let told = text_warnings(&message.text, message.template);
            warnings.extend(told.into_iter().map(|message| Problem { field: field.clone(), message }));
        }
        warnings
    }

    /// What it is for; empty: not said, so that every opt-out counts.
    pub fn purpose(&self) -> &str {
        self.purpose.as_deref().unwrap_or_default()
    }

    /// By when the message before must have been settled for a recipient of `zones` (a [`ZoneGroup`] name) to get
    /// message `n` at `now`; none where message `n` has a time of its own.
    pub fn settled_before(&self, n: u32, zones: &str, now: Timestamp) -> Option<Timestamp> {
        let send = &self.messages.get((n as usize).checked_sub(1)?)?.send;
        // Names were checked when the audience was frozen.
        send.is_after().then(|| ZoneGroup::parse(zones).map_or(now, |zones| send.settled_before(&zones, now)))
    }
}

/// Segments of a text from which on it is said that each of them is paid for.
const MANY_SEGMENTS: usize = 5;

/// What may be meant otherwise in one text: placeholders of other products, letters that make it dear, its length.
pub fn text_warnings(text: &str, template: bool) -> Vec<String> {
    let mut told = placeholder::warnings(text, template);
    if let Some(plain) = segment::plainer(text) {
        let shown =
            |(fancy, letter): &(char, &str)| match (fancy.is_whitespace() || fancy.is_control(), *letter) {
                (true, letter) => format!("U+{:04X} as '{letter}'", u32::from(*fancy)),
                (false, "") => format!("without U+{:04X}", u32::from(*fancy)),
                (false, letter) => format!("{letter} for {fancy}"),
            };
        let swaps: Vec<String> = plain.swaps.iter().map(shown).collect();
        told.push(format!(
            "in plain letters ({}) the text takes {} segments instead of {}, or has room for more",
            swaps.join(", "),
            plain.segments.1,
            plain.segments.0
        ));
    }
    let segments = segment::measure(text).map_or(0, |size| size.segments);
    if segments >= MANY_SEGMENTS {
        told.push(format!("the text takes {segments} segments, and each of them is paid for"));
    }
    told
}

fn no_tlvs(tlvs: &Tlvs) -> bool {
    tlvs.is_empty()
}

/// Shared with each claim.
mod tlvs {
    use std::sync::Arc;

    use campaign::Tlvs;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Arc<Tlvs>, s: S) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Arc<Tlvs>, D::Error> {
        Tlvs::deserialize(d).map(Arc::new)
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
