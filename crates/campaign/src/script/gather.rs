//! A step that asks for keys.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Branch, Event, Key, Kind, Move, Phase, Prompt, Span, StepId, Then};
use crate::iso_duration;

/// The most digits of one entry.
const MOST_DIGITS: u32 = 20;
/// The most times that one step asks.
const MOST_TRIES: u32 = 10;
/// How long to wait for a key.
const TIMEOUTS: std::ops::RangeInclusive<SignedDuration> =
    SignedDuration::from_secs(1)..=SignedDuration::from_secs(60);

/// Asks for one or more keys and goes on by what was pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gather {
    /// What it asks.
    pub gather: Asking,
    /// The step that each entry leads to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub on: BTreeMap<String, StepId>,
    /// The step that follows where nothing was pressed, however often it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none: Option<StepId>,
    /// The step that follows any other entry; none: it asks again, as where nothing was pressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<StepId>,
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// How many digits make an entry, 1 to 20. One of several may be ended early with `#`.
    #[serde(default = "one")]
    pub digits: u32,
    /// How long to wait for each key, 1 to 60 s.
    #[serde(default = "five_seconds", with = "iso_duration")]
    pub timeout: SignedDuration,
    /// How often it is asked, 1 to 10 times.
    #[serde(default = "one")]
    pub tries: u32,
    /// What is heard meanwhile; none: silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
}

const fn one() -> u32 {
    1
}

const fn five_seconds() -> SignedDuration {
    SignedDuration::from_secs(5)
}

impl Gather {
    fn ask(&self, phase: &mut Phase) -> Move {
        phase.digits.clear();
        Move::stay(match &self.gather.prompt {
            Some(prompt) => phase.play(prompt.clone()),
            None => phase.wait(self.gather.timeout),
        })
    }

    fn nothing_pressed(&self, phase: &mut Phase) -> Move {
        phase.tries += 1;
        if phase.tries < self.gather.tries { self.ask(phase) } else { Move::go("none", self.none.as_ref()) }
    }

    /// What follows from a whole entry.
    fn entered(&self, phase: &mut Phase) -> Move {
        if phase.digits.is_empty() {
            return self.nothing_pressed(phase);
        }
        match (self.on.get(&phase.digits), &self.other) {
            (Some(to), _) => Move { then: Then::Go(phase.digits.clone(), Some(to.clone())), ..phase.told() },
            (None, Some(to)) => Move { then: Then::Go("other".to_owned(), Some(to.clone())), ..phase.told() },
            (None, None) => {
                let told = phase.told();
                let again = self.nothing_pressed(phase);
                Move { commands: told.commands.into_iter().chain(again.commands).collect(), ..again }
            }
        }
    }

    /// Whether an entry may have several digits, which `#` ends.
    const fn has_several(&self) -> bool {
        self.gather.digits > 1
    }

    fn can_be_entered(&self, entry: &str) -> bool {
        let keys =
            entry.chars().all(|c| Key::new(c).is_some_and(|key| !self.has_several() || key != Key::HASH));
        keys && (1..=self.gather.digits as usize).contains(&entry.len())
    }
}

impl Kind for Gather {
    fn branches(&self) -> Vec<Branch<'_>> {
        let mut branches: Vec<_> = self.on.iter().map(|(entry, to)| Branch::chosen(entry, to)).collect();
        branches.extend(self.other.as_ref().map(|to| Branch::chosen("other", to)));
        if branches.is_empty() {
            branches.push(Branch { name: "on", to: None, by_input: true });
        }
        branches.push(Branch::alone("none", self.none.as_ref()));
        branches
    }

    fn prompts(&self) -> Vec<(&'static str, Prompt)> {
        self.gather.prompt.iter().map(|prompt| ("gather.prompt", prompt.clone())).collect()
    }

    fn texts_mut(&mut self) -> Vec<&mut String> {
        self.gather.prompt.iter_mut().filter_map(Prompt::text_mut).collect()
    }

    fn misshapen(&self) -> Vec<(String, String)> {
        let Asking { digits, timeout, tries, .. } = &self.gather;
        let mut wrong = Vec::new();
        let mut refuse = |field: &str, message: String| wrong.push((field.to_owned(), message));
        if !(1..=MOST_DIGITS).contains(digits) {
            refuse("gather.digits", format!("must be from 1 to {MOST_DIGITS}"));
        }
        if !(1..=MOST_TRIES).contains(tries) {
            refuse("gather.tries", format!("must be from 1 to {MOST_TRIES}"));
        }
        if !TIMEOUTS.contains(timeout) {
            refuse("gather.timeout", "must be from 1 to 60 seconds (PT1S to PT60S)".to_owned());
        }
        for entry in self.on.keys().filter(|entry| !self.can_be_entered(entry)) {
            refuse(
                "on",
                format!(
                    "'{entry}' cannot be entered: give up to {digits} of the keys 0 to 9, * and #, without # where it ends the entry"
                ),
            );
        }
        wrong
    }

    fn takes(&self, key: Key) -> Option<&'static str> {
        let pressed = key.to_string();
        if self.on.contains_key(&pressed) {
            return Some("on");
        }
        self.has_several().then_some("gather.digits")
    }

    fn stays(&self, branch: &str, prompts: SignedDuration) -> Span {
        let Asking { digits, timeout, tries, .. } = &self.gather;
        let times = |time: SignedDuration, n: u32| time.saturating_mul(i32::try_from(n).unwrap_or(i32::MAX));
        let silent = times(prompts.saturating_add(*timeout), *tries);
        // Whoever presses keys may do so at once, or take all the time there is for each of them.
        let slow = times(prompts.saturating_add(times(*timeout, *digits)), *tries);
        if branch == "none" { Span { least: silent, most: slow } } else { Span::up_to(slow) }
    }

    fn enter(&self, phase: &mut Phase) -> Move {
        self.ask(phase)
    }

    fn on(&self, phase: &mut Phase, event: &Event) -> Move {
        match event {
            Event::Key(Key::HASH) if self.has_several() => self.entered(phase),
            Event::Key(key) => {
                phase.digits.push(key.char());
                if phase.digits.len() >= self.gather.digits as usize {
                    return self.entered(phase);
                }
                let hush = phase.hush();
                Move {
                    commands: hush.into_iter().chain([phase.wait(self.gather.timeout)]).collect(),
                    ..Move::none()
                }
            }
            Event::Played(_) => Move::stay(phase.wait(self.gather.timeout)),
            Event::TimeUp(_) => self.entered(phase),
            _ => Move::none(),
        }
    }
}
