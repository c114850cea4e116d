//! The script of a call: steps with branches between them, and what must hold before people are called with it.
//!
//! [`Run`] is the course of one call through a script, a pure state machine: events in, commands out. Each kind of
//! step is a file below, and answers for itself by [`Kind`]; nothing else tells kinds apart.

mod gather;
mod hang_up;
mod key;
mod length;
mod opt_out;
mod play;
mod prompt;
mod run;
mod said;
mod say;
mod stream;
mod transfer;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

pub use gather::{Asking, Gather};
pub use hang_up::HangUp;
pub use key::{BadKey, Key};
pub use length::Span;
pub use opt_out::OptOut;
pub use play::Play;
pub use prompt::{BadPrompt, Prompt};
pub use run::{Command, Event, Note, Run};
pub use said::{Said, Spoken};
pub use say::Say;
pub use stream::{Stream, Streaming};
pub use transfer::{AGENT_RINGS, Mode, Transfer, Transferring, is_plain_address};

use crate::{AudioId, Problem};
use run::{Move, Phase, Then};

/// The longest call, from answer to end: what goes on longer is hung up.
pub const LONGEST_CALL: SignedDuration = SignedDuration::from_mins(10);

/// The longest talk with an agent over a leg of ours, beyond the script's [`LONGEST_CALL`]. It is for them to say how long
/// they talk, but a phone that nobody hung up must not hold two places on the trunk for ever.
pub const LONGEST_TALK: SignedDuration = SignedDuration::from_hours(4);

/// The most steps of a script.
const MOST_STEPS: usize = 100;
/// The longest name of a step, in characters.
const LONGEST_NAME: usize = 40;

/// The name of a step: up to 40 of a–z, 0–9, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepId(String);

/// Why a text cannot be the name of a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' cannot be the name of a step: use up to 40 small letters, digits, _ and -")]
pub struct BadStepId(String);

impl TryFrom<String> for StepId {
    type Error = BadStepId;

    fn try_from(text: String) -> Result<Self, BadStepId> {
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
        if (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text))
        } else {
            Err(BadStepId(text))
        }
    }
}

impl From<StepId> for String {
    fn from(id: StepId) -> Self {
        id.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A script. Its steps may be unfinished: [`Script::unfinished`] says what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The step that a call begins with.
    pub first: StepId,
    /// All steps.
    pub steps: BTreeMap<StepId, Step>,
}

/// A way on from a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch<'a> {
    /// What it is called in the step: `next`, `none`, or the digits that choose it.
    pub name: &'a str,
    /// The step that it leads to; none: it leads nowhere yet.
    pub to: Option<&'a StepId>,
    /// Whether only the person who was called can choose it.
    pub by_input: bool,
}

impl<'a> Branch<'a> {
    /// A way that is taken without a key pressed.
    const fn alone(name: &'a str, to: Option<&'a StepId>) -> Self {
        Self { name, to, by_input: false }
    }

    /// A way that keys choose.
    const fn chosen(name: &'a str, to: &'a StepId) -> Self {
        Self { name, to: Some(to), by_input: true }
    }
}

/// What every kind of step answers about itself.
trait Kind {
    /// Every way on from the step.
    fn branches(&self) -> Vec<Branch<'_>>;

    /// The prompts that it plays, each with its field.
    fn prompts(&self) -> Vec<(&'static str, Prompt)> {
        Vec::new()
    }

    /// What is wrong with the step's shape, each with its field.
    fn misshapen(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The texts that it says, in the order of its prompts.
    fn texts_mut(&mut self) -> Vec<&mut String> {
        Vec::new()
    }

    /// What makes `key` useless as a key that opts out wherever it is pressed, with the field that stands against it.
    fn takes(&self, _key: Key) -> Option<&'static str> {
        None
    }

    /// How long a call stays in the step before it takes a way on; `prompts` is how long all its prompts sound.
    fn stays(&self, _branch: &str, prompts: SignedDuration) -> Span {
        Span::exactly(prompts)
    }

    /// How long a call stays in the step that ends in it; none where it always goes on.
    fn ends(&self) -> Option<Span> {
        None
    }

    /// What happens when a call comes to the step.
    fn enter(&self, phase: &mut Phase) -> Move;

    /// What follows from an event in the step.
    fn on(&self, phase: &mut Phase, event: &Event) -> Move;
}

macro_rules! steps {
    ($($(#[$doc:meta])* $kind:ident = $field:literal),+ $(,)?) => {
        /// A step, which is one of these kinds. In JSON the kind is told by the field that only it has.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Step {
            $($(#[$doc])* $kind($kind),)+
        }

        impl Step {
            /// The field that tells each kind.
            const FIELDS: &[&str] = &[$($field),+];

            fn kind(&self) -> &dyn Kind {
                match self {
                    $(Self::$kind(step) => step,)+
                }
            }

            fn kind_mut(&mut self) -> &mut dyn Kind {
                match self {
                    $(Self::$kind(step) => step,)+
                }
            }

            fn of_kind(field: &str, step: Map<String, Value>) -> serde_json::Result<Self> {
                match field {
                    $($field => serde_json::from_value(Value::Object(step)).map(Self::$kind),)+
                    other => Err(serde_json::Error::custom(format!("there is no step of kind '{other}'"))),
                }
            }
        }

        impl Serialize for Step {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$kind(step) => step.serialize(s),)+
                }
            }
        }
    };
}

steps! {
    /// Says a text.
    Say = "say",
    /// Plays an upload.
    Play = "play",
    /// Asks for keys.
    Gather = "gather",
    /// Hands the call to somebody else.
    Transfer = "transfer",
    /// Hands the sound to a voice agent.
    Stream = "stream",
    /// Opts the person out.
    OptOut = "opt_out",
    /// Ends the call.
    HangUp = "hang_up",
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let step = Map::deserialize(d)?;
        let told: Vec<&str> =
            Self::FIELDS.iter().copied().filter(|field| step.contains_key(*field)).collect();
        match told[..] {
            [field] => Self::of_kind(field, step).map_err(D::Error::custom),
            _ => Err(D::Error::custom(format!("a step has exactly one of {}", Self::FIELDS.join(", ")))),
        }
    }
}

impl Step {
    /// Every way on from the step.
    pub fn branches(&self) -> Vec<Branch<'_>> {
        self.kind().branches()
    }

    /// The prompts that it plays, each with its field.
    pub fn prompts(&self) -> Vec<(&'static str, Prompt)> {
        self.kind().prompts()
    }

    fn texts_mut(&mut self) -> Vec<&mut String> {
        self.kind_mut().texts_mut()
    }
}

fn field(step: &StepId, field: &str) -> String {
    format!("script.steps.{step}.{field}")
}

impl Script {
    /// What is wrong with its shape, so that it cannot be saved: a branch that leads to no step, too many steps.
    pub fn misshapen(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.steps.len() > MOST_STEPS {
            let message = format!("{} steps are too many: at most {MOST_STEPS}", self.steps.len());
            problems.push(Problem::new("script.steps", message));
        }
        let unknown = |to: &StepId| format!("there is no step '{to}'");
        if !self.steps.contains_key(&self.first) {
            problems.push(Problem::new("script.first", unknown(&self.first)));
        }
        for (id, step) in &self.steps {
            for branch in step.branches() {
                if let Some(to) = branch.to.filter(|to| !self.steps.contains_key(*to)) {
                    problems.push(Problem::new(field(id, branch.name), unknown(to)));
                }
            }
            for (name, message) in step.kind().misshapen() {
                problems.push(Problem::new(field(id, &name), message));
            }
        }
        problems
    }

    /// What is unfinished, so that nobody can be called with it; `fields` are the fields that contacts have, and
    /// `opt_out_key` is the key that opts out wherever it is pressed.
    pub fn unfinished(&self, fields: &[String], opt_out_key: Option<Key>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (id, step) in &self.steps {
            for branch in step.branches().iter().filter(|branch| branch.to.is_none()) {
                problems.push(Problem::new(
                    field(id, branch.name),
                    "choose the step that follows: this way ends nowhere",
                ));
            }
            for (name, prompt) in step.prompts() {
                if let Err(why) = prompt.check(fields) {
                    problems.push(Problem::new(field(id, name), why));
                }
            }
            if let Some((key, name)) = opt_out_key.and_then(|key| Some((key, step.kind().takes(key)?))) {
                let message =
                    format!("key {key} opts out wherever it is pressed, so it cannot be pressed here");
                problems.push(Problem::new(field(id, name), message));
            }
        }
        problems.extend(self.endless().map(|circle| {
            let course: Vec<String> = circle.iter().map(ToString::to_string).collect();
            Problem::new(
                "script.steps",
                format!("without a key pressed this never ends: {}", course.join(" → ")),
            )
        }));
        problems
    }

    /// The uploads that are played, each with its field.
    pub fn uploads(&self) -> Vec<(String, AudioId)> {
        let prompts =
            self.steps.iter().flat_map(|(id, step)| step.prompts().into_iter().map(move |found| (id, found)));
        let played = prompts.filter_map(|(id, (name, prompt))| match prompt {
            Prompt::Play(upload) => Some((field(id, name), upload)),
            Prompt::Say { .. } => None,
        });
        played.collect()
    }

    /// Every prompt of every step.
    pub fn prompts(&self) -> impl Iterator<Item = Prompt> {
        self.steps.values().flat_map(Step::prompts).map(|(_, prompt)| prompt)
    }

    /// Steps that no call comes to.
    pub fn unreached(&self) -> Vec<&StepId> {
        let mut reached = BTreeSet::from([&self.first]);
        let mut to_look_at = vec![&self.first];
        while let Some(step) = to_look_at.pop().and_then(|id| self.steps.get(id)) {
            for to in step.branches().into_iter().filter_map(|branch| branch.to) {
                if reached.insert(to) {
                    to_look_at.push(to);
                }
            }
        }
        self.steps.keys().filter(|id| !reached.contains(id)).collect()
    }

    /// A circle of steps that a call goes round without anybody pressing a key, if there is one.
    fn endless(&self) -> Option<Vec<&StepId>> {
        let mut safe = BTreeSet::new();
        self.steps.keys().find_map(|id| self.circle(id, &mut Vec::new(), &mut safe))
    }

    fn circle<'a>(
        &'a self,
        id: &'a StepId,
        path: &mut Vec<&'a StepId>,
        safe: &mut BTreeSet<&'a StepId>,
    ) -> Option<Vec<&'a StepId>> {
        if safe.contains(id) {
            return None;
        }
        if let Some(begin) = path.iter().position(|seen| *seen == id) {
            return Some(path[begin..].iter().copied().chain([id]).collect());
        }
        path.push(id);
        let ways = self.steps.get(id).map(Step::branches).unwrap_or_default();
        let found = ways
            .into_iter()
            .filter(|branch| !branch.by_input)
            .filter_map(|branch| branch.to)
            .find_map(|to| self.circle(to, path, safe));
        path.pop();
        safe.insert(id);
        found
    }
}

#[cfg(test)]
mod tests;
