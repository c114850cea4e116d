//! What a campaign says to each person, and what that requires: the part of a definition that differs by channel.
//!
//! All other code asks [`Content`] instead of looking at the channel: how many deliveries a person gets and when, which
//! contact fields it needs, what it counts as on a route, what is wrong with it and what is missing.

mod marketing;
mod voice;

use std::{num::NonZeroU32, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    AudioId, Channel, Problem, Script, Send, SendAs, Sender, Tlvs, iso_duration, placeholder,
    script::Spoken,
    segment,
    text::{BadText, RenderError, Text},
    wave::PlanError,
};

pub use marketing::{Account, Rule};
pub use voice::{Amd, OnMachine, Voice};

/// The most messages of a campaign (product document §3).
const MOST_MESSAGES: usize = 20;
const SHORTEST_VALIDITY: SignedDuration = SignedDuration::from_mins(1);
/// The longest validity: days have two digits, and months are not written before them (SMPP 3.4 §7.1.1).
const LONGEST_VALIDITY: SignedDuration = SignedDuration::from_hours(31 * 24);
/// A text of this many segments or more gets a warning that each of them is paid for.
const MANY_SEGMENTS: usize = 5;

/// What a campaign says, by its channel.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "channel", rename_all = "snake_case")]
pub enum Content {
    /// Text messages.
    Sms(Sms),
    /// Calls.
    Voice(Box<Voice>),
}

/// One to twenty text messages to each person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sms {
    /// The sender, or a pool of senders.
    #[serde(default)]
    pub sender: Option<SendAs>,
    /// How long the SMSC may try to deliver a message (SMPP 3.4 §5.2.16); none: the SMSC decides.
    #[serde(default, with = "iso_duration::option")]
    pub validity: Option<SignedDuration>,
    /// Optional parameters of each message, beside those of the route: ids that a registry of senders requires.
    #[serde(default, skip_serializing_if = "no_tlvs", with = "tlvs")]
    pub tlvs: Arc<Tlvs>,
    /// Whether later messages go to a recipient whose earlier one failed.
    #[serde(default)]
    pub go_on_after_failure: bool,
    /// The messages, at most 20.
    #[serde(default)]
    pub messages: Vec<Message>,
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

/// How far a stop has come. From the first stage on nothing new leaves, which is what Stop promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stopped {
    /// Every route writes nothing more of the campaign, and the far ends have read what was written.
    Fenced,
    /// Everything that was on its way is accounted for, too.
    Drained,
}

impl Content {
    /// The stage at which Stop is answered. Answers to messages come within seconds, and then its figures are final; a
    /// talk goes on for as long as it takes.
    pub const fn answers_stop(&self) -> Stopped {
        match self {
            Self::Sms(_) => Stopped::Drained,
            Self::Voice(_) => Stopped::Fenced,
        }
    }

    /// The channel that carries the content.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Sms(_) => Channel::Sms,
            Self::Voice(_) => Channel::Voice,
        }
    }

    /// The text of each delivery to a person, as written, in order; empty for a call, whose script says what is said.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Sms(sms) => sms.messages.iter().map(|m| m.text.as_str()).collect(),
            Self::Voice(_) => vec![""],
        }
    }

    /// The messages, to be rendered for a recipient; none where a script is said, or where one cannot be read.
    pub fn readable(&self) -> Option<Vec<Text>> {
        match self {
            Self::Sms(sms) => sms.messages.iter().map(Message::parse).collect::<Result<_, _>>().ok(),
            Self::Voice(_) => None,
        }
    }

    /// When each delivery to a person goes, in order.
    pub fn sends(&self) -> Vec<Send> {
        match self {
            Self::Sms(sms) => sms.messages.iter().map(|m| m.send.clone()).collect(),
            Self::Voice(voice) => voice.start.iter().cloned().collect(),
        }
    }

    /// How many deliveries each person gets.
    pub fn deliveries(&self) -> usize {
        match self {
            Self::Sms(sms) => sms.messages.len(),
            Self::Voice(_) => 1,
        }
    }

    /// When delivery `n` goes, counted from 1; none where there is no such delivery.
    pub fn send(&self, n: u32) -> Option<&Send> {
        let at = (n as usize).checked_sub(1)?;
        match self {
            Self::Sms(sms) => sms.messages.get(at).map(|m| &m.send),
            Self::Voice(voice) => voice.start.as_ref().filter(|_| at == 0),
        }
    }

    /// As [`Content::send`], to be changed.
    pub fn send_mut(&mut self, n: u32) -> Option<&mut Send> {
        let at = (n as usize).checked_sub(1)?;
        match self {
            Self::Sms(sms) => sms.messages.get_mut(at).map(|m| &mut m.send),
            Self::Voice(voice) => voice.start.as_mut().filter(|_| at == 0),
        }
    }

    /// Who the recipients see as the sender.
    pub const fn send_as(&self) -> Option<&SendAs> {
        match self {
            Self::Sms(sms) => sms.sender.as_ref(),
            Self::Voice(voice) => voice.caller_id.as_ref(),
        }
    }

    /// Has calls show another number; messages have no such.
    pub fn show(&mut self, number: Sender) {
        if let Self::Voice(voice) = self {
            voice.caller_id = Some(SendAs::One(number));
        }
    }

    /// Whether a person whose earlier delivery failed gets the later ones.
    pub const fn goes_on_after_failure(&self) -> bool {
        match self {
            Self::Sms(sms) => sms.go_on_after_failure,
            Self::Voice(_) => false,
        }
    }

    /// What each delivery to a person counts as in a route's rate until rendered: the segments of its bare text; a call
    /// is one.
    pub fn units(&self) -> Vec<u32> {
        match self {
            Self::Sms(sms) => {
                let segments = |m: &Message| segment::measure(&m.text).map_or(1, |size| size.segments as u32);
                sms.messages.iter().map(segments).collect()
            }
            Self::Voice(_) => vec![1],
        }
    }

    /// What a speech engine renders for it.
    pub fn spoken(&self) -> Spoken {
        match self {
            Self::Sms(_) => Spoken::default(),
            Self::Voice(voice) => voice.script.as_ref().map(Script::spoken).unwrap_or_default(),
        }
    }

    /// The most deliveries to begin in a second, where the content limits that itself.
    pub const fn per_second(&self) -> Option<NonZeroU32> {
        match self {
            Self::Sms(_) => None,
            Self::Voice(voice) => voice.calls_per_second,
        }
    }

    /// The most deliveries under way at once, where the content limits that itself.
    pub const fn at_once(&self) -> Option<NonZeroU32> {
        match self {
            Self::Sms(_) => None,
            Self::Voice(voice) => voice.max_calls,
        }
    }

    /// The calls, where it makes any.
    pub fn calls(&self) -> Option<&Voice> {
        match self {
            Self::Sms(_) => None,
            Self::Voice(voice) => Some(voice),
        }
    }

    /// What a person acknowledges before it is scheduled, in words.
    pub const fn acknowledgement(&self) -> &'static str {
        match self {
            Self::Sms(_) => {
                "acknowledge that you are required to obtain and store opt-in approval for every number texted"
            }
            Self::Voice(_) => {
                "acknowledge that you are required to obtain and store opt-in approval for every number called"
            }
        }
    }

    /// What a route's price is for, in words.
    pub const fn priced_by(&self) -> &'static str {
        match self {
            Self::Sms(_) => "segment",
            Self::Voice(_) => "minute",
        }
    }

    /// From when on no delivery begins any more; what is left then has expired.
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Sms(_) => None,
            Self::Voice(voice) => voice.until,
        }
    }

    /// The uploads that it plays, each with its field.
    pub fn uploads(&self) -> Vec<(String, AudioId)> {
        match self {
            Self::Sms(_) => Vec::new(),
            Self::Voice(voice) => voice.script.as_ref().map(Script::uploads).unwrap_or_default(),
        }
    }

    /// What is wrong with the content by itself; `fields` are the fields that contacts have.
    pub fn problems(&self, fields: &[String]) -> Vec<Problem> {
        match self {
            Self::Sms(sms) => sms.problems(fields),
            Self::Voice(voice) => voice.problems(),
        }
    }

    /// What may not be meant as it is written, each with its field: never an error.
    pub fn warnings(&self) -> Vec<Problem> {
        match self {
            Self::Sms(sms) => sms.warnings(),
            Self::Voice(voice) => voice.warnings(),
        }
    }

    /// Reads the content, to be rendered for recipients, where nothing is missing; `fields` are the fields that contacts
    /// have, and the rules of some purposes ask for more.
    ///
    /// # Errors
    /// What is missing or cannot be read, each with its field.
    pub fn complete(
        &self,
        fields: &[String],
        purpose: &str,
        account: &Account,
    ) -> Result<Complete, Vec<Problem>> {
        match self {
            Self::Sms(sms) => sms.complete().map(Complete::Sms),
            Self::Voice(voice) => voice.complete(fields, purpose, account).map(Complete::Voice),
        }
    }
}

impl Sms {
    fn problems(&self, fields: &[String]) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.messages.len() > MOST_MESSAGES {
            problems.push(Problem::new(
                "messages",
                format!("{} messages are too many: at most {MOST_MESSAGES}", self.messages.len()),
            ));
        }
        for (i, message) in self.messages.iter().enumerate() {
            let checked = message.parse().and_then(|text| text.check(fields));
            if let Err(e) = checked {
                problems.push(Problem::new(text_field(i), e));
            }
        }
        if let Some(validity) = self.validity
            && !(SHORTEST_VALIDITY..=LONGEST_VALIDITY).contains(&validity)
        {
            problems.push(Problem::new("validity", "must be from one minute (PT1M) to 31 days (P31D)"));
        }
        if self.messages.first().is_some_and(|m| m.send.is_after()) {
            problems.push(Problem::new("messages[0].send", PlanError::FirstFollows));
        }
        problems
    }

    fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        for (i, message) in self.messages.iter().enumerate() {
            let told = text_warnings(&message.text, message.template);
            warnings.extend(told.into_iter().map(|told| Problem::new(text_field(i), told)));
        }
        warnings
    }

    fn complete(&self) -> Result<Vec<Text>, Vec<Problem>> {
        let mut problems = Vec::new();
        if self.sender.is_none() {
            problems.push(Problem::new("sender", "choose the number or name it is sent as"));
        }
        if self.messages.is_empty() {
            problems.push(Problem::new("messages", "write at least one message"));
        }
        let mut texts = Vec::new();
        for (i, message) in self.messages.iter().enumerate() {
            match message.parse() {
                Ok(text) => texts.push(text),
                Err(e) => problems.push(Problem::new(text_field(i), e)),
            }
        }
        Problem::none(problems).map(|()| texts)
    }
}

fn text_field(at: usize) -> String {
    format!("messages[{at}].text")
}

impl Message {
    /// Reads the text, to be checked and rendered.
    ///
    /// # Errors
    /// As for [`Text::parse`].
    pub fn parse(&self) -> Result<Text, BadText> {
        if self.template { Text::parse(&self.text) } else { Text::literal(&self.text) }
    }
}

/// Content with nothing missing, read once and rendered for many.
#[derive(Debug)]
pub enum Complete {
    /// The text of each message.
    Sms(Vec<Text>),
    /// The texts of a call, each of which may be said to everybody.
    Voice(Vec<Text>),
}

impl Complete {
    /// How many deliveries each person gets.
    pub fn deliveries(&self) -> usize {
        match self {
            Self::Sms(texts) => texts.len(),
            Self::Voice(_) => 1,
        }
    }

    /// The contact fields that the content uses, each once, in order.
    pub fn fields(&self) -> Vec<String> {
        match self {
            Self::Sms(texts) | Self::Voice(texts) => fields(texts),
        }
    }

    /// What delivery `at`, counted from 0, to one person counts as: segments, each of which costs, or one call.
    /// `values` are those of `fields`.
    ///
    /// # Errors
    /// As for [`Text::render`].
    pub fn units(
        &self,
        at: usize,
        fields: &Arc<[String]>,
        values: Vec<Option<String>>,
    ) -> Result<i64, RenderError> {
        match self {
            Self::Sms(texts) => {
                let Some(text) = texts.get(at) else { return Ok(0) };
                let text = text.render(fields, values)?;
                Ok(segment::measure(&text).map_or(0, |size| size.segments as i64))
            }
            Self::Voice(texts) => {
                for text in texts {
                    text.render(fields, values.clone())?;
                }
                Ok(1)
            }
        }
    }
}

/// The fields that texts use, each once, in order.
pub fn fields(texts: &[Text]) -> Vec<String> {
    let mut fields: Vec<String> = texts.iter().flat_map(|t| t.fields().iter().cloned()).collect();
    fields.sort();
    fields.dedup();
    fields
}

/// What may not be meant in a text: placeholders of other products, letters that make it expensive, its length.
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

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_yes(template: &bool) -> bool {
    *template
}

fn no_tlvs(tlvs: &Tlvs) -> bool {
    tlvs.is_empty()
}

/// Shares the parameters with each claim.
mod tlvs {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::Tlvs;

    pub(super) fn serialize<S: Serializer>(value: &Arc<Tlvs>, s: S) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Arc<Tlvs>, D::Error> {
        Tlvs::deserialize(d).map(Arc::new)
    }
}
