//! The course of one call through a script: events in, commands out.
//!
//! Keeps: whatever happens, in any order, a call ends; once it has ended nothing more is commanded; and the key that
//! opts out is heard wherever the person is alone with the script.

use std::sync::Arc;

use jiff::SignedDuration;

use super::{Key, Prompt, Script, StepId, Streaming, Transferring};

/// What happens in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The call was answered.
    Answered,
    /// A prompt was heard to its end; the number is that of its command.
    Played(u32),
    /// A key was pressed.
    Key(Key),
    /// A wait is over; the number is that of its command.
    TimeUp(u32),
    /// Somebody else has taken the call over.
    TakenOver,
    /// Nobody takes the call over.
    NotTakenOver,
    /// Whoever had taken the call over has left.
    Left,
    /// The call has lasted as long as it may.
    TooLong,
    /// The call has ended.
    Ended,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Play a prompt, in the place of any other, and tell with [`Event::Played`] when it was heard.
    Play {
        /// Told with the event.
        number: u32,
        /// What is to be heard.
        prompt: Prompt,
    },
    /// Stop what is playing.
    StopPlaying,
    /// Wait this long, and tell with [`Event::TimeUp`]; it takes the place of any other wait.
    Wait {
        /// Told with the event.
        number: u32,
        /// How long.
        time: SignedDuration,
    },
    /// Store that the person opted out, now.
    OptOut,
    /// Hand the call over.
    Transfer(Transferring),
    /// Stream the sound.
    Stream(Streaming),
    /// End the call.
    HangUp,
    /// Add a line to the record of the call.
    Note(Note),
}

/// A line in the record of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The call came to a step.
    Reached(StepId),
    /// The call took a way on.
    Took {
        /// From where.
        step: StepId,
        /// Which way.
        branch: String,
    },
    /// The person entered digits.
    Entered(String),
}

/// What a step keeps while a call is at it, and what is going on.
#[derive(Debug, Clone, Default)]
pub(super) struct Phase {
    /// The number that was given last.
    numbered: u32,
    /// The prompt that plays.
    sound: Option<u32>,
    /// The wait that goes on.
    wait: Option<u32>,
    opted_out: bool,
    /// Whether the person talks to somebody else.
    away: bool,
    /// What was entered so far.
    pub(super) digits: String,
    /// How often nothing came of asking.
    pub(super) tries: u32,
}

impl Phase {
    pub(super) fn play(&mut self, prompt: Prompt) -> Command {
        let number = self.number();
        (self.sound, self.wait) = (Some(number), None);
        Command::Play { number, prompt }
    }

    pub(super) fn hush(&mut self) -> Option<Command> {
        self.sound.take().map(|_| Command::StopPlaying)
    }

    pub(super) fn wait(&mut self, time: SignedDuration) -> Command {
        let number = self.number();
        self.wait = Some(number);
        Command::Wait { number, time }
    }

    const fn number(&mut self) -> u32 {
        self.numbered = self.numbered.wrapping_add(1);
        self.numbered
    }

    /// Opts out, once.
    pub(super) fn opt_out(&mut self) -> Option<Command> {
        (!std::mem::replace(&mut self.opted_out, true)).then_some(Command::OptOut)
    }

    pub(super) const fn taken_over(&mut self) {
        self.away = true;
    }

    /// Notes what was entered.
    pub(super) fn told(&self) -> Move {
        Move::stay(Command::Note(Note::Entered(self.digits.clone())))
    }

    /// Whether an event concerns what is going on now.
    fn is_current(&mut self, event: &Event) -> bool {
        match event {
            Event::Played(number) => self.sound.take_if(|sound| sound == number).is_some(),
            Event::TimeUp(number) => self.wait.take_if(|wait| wait == number).is_some(),
            _ => true,
        }
    }
}

/// What follows in a step.
#[derive(Debug)]
pub(super) struct Move {
    pub(super) commands: Vec<Command>,
    pub(super) then: Then,
}

/// Where a call goes from a step.
#[derive(Debug)]
pub(super) enum Then {
    /// It stays.
    Stay,
    /// It takes this way, which may lead nowhere in a script that was not checked.
    Go(String, Option<StepId>),
    /// It ends.
    HangUp,
}

impl Move {
    pub(super) const fn none() -> Self {
        Self { commands: Vec::new(), then: Then::Stay }
    }

    pub(super) fn stay(command: Command) -> Self {
        Self { commands: vec![command], then: Then::Stay }
    }

    pub(super) fn go(branch: &str, to: Option<&StepId>) -> Self {
        Self { commands: Vec::new(), then: Then::Go(branch.to_owned(), to.cloned()) }
    }

    pub(super) const fn hang_up() -> Self {
        Self { commands: Vec::new(), then: Then::HangUp }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Not answered.
    Before,
    /// At a step.
    At(StepId),
    /// The person opted out and hears so.
    Leaving,
    /// Over.
    Over,
}

/// The course of one call.
#[derive(Debug, Clone)]
pub struct Run {
    script: Arc<Script>,
    opt_out_key: Option<Key>,
    /// What whoever presses that key hears.
    farewell: Prompt,
    stage: Stage,
    phase: Phase,
}

impl Run {
    /// A call that has not been answered. Whoever presses `opt_out_key` hears `farewell`.
    pub fn new(script: Arc<Script>, opt_out_key: Option<Key>, farewell: Prompt) -> Self {
        Self { script, opt_out_key, farewell, stage: Stage::Before, phase: Phase::default() }
    }

    /// Whether the call is over.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Takes an event, and says what is to be done, in order.
    pub fn on(&mut self, event: &Event) -> Vec<Command> {
        let mut commands = Vec::new();
        match (event, self.stage.clone()) {
            (_, Stage::Over) => {}
            (Event::Ended, _) => self.stage = Stage::Over,
            (Event::TooLong, _) => self.end(&mut commands),
            (Event::Answered, Stage::Before) => {
                let first = self.script.first.clone();
                self.enter(first, &mut commands);
            }
            (_, Stage::Before) | (Event::Answered, _) => {}
            (Event::Key(key), Stage::At(_)) if Some(*key) == self.opt_out_key && !self.phase.away => {
                commands.extend(self.phase.opt_out());
                commands.push(self.phase.play(self.farewell.clone()));
                self.stage = Stage::Leaving;
            }
            (event, Stage::Leaving) => {
                if matches!(event, Event::Played(_)) && self.phase.is_current(event) {
                    self.end(&mut commands);
                }
            }
            (event, Stage::At(id)) => {
                if self.phase.is_current(event) {
                    let script = self.script.clone();
                    let moved = script
                        .steps
                        .get(&id)
                        .map_or_else(Move::hang_up, |s| s.kind().on(&mut self.phase, event));
                    self.follow(id, moved, &mut commands);
                }
            }
        }
        commands
    }

    fn end(&mut self, commands: &mut Vec<Command>) {
        commands.extend(self.phase.hush());
        commands.push(Command::HangUp);
        self.stage = Stage::Over;
    }

    fn enter(&mut self, id: StepId, commands: &mut Vec<Command>) {
        let moved = self.arrive(&id, commands);
        self.follow(id, moved, commands);
    }

    fn arrive(&mut self, id: &StepId, commands: &mut Vec<Command>) -> Move {
        self.phase.digits.clear();
        (self.phase.tries, self.phase.wait, self.phase.away) = (0, None, false);
        commands.extend(self.phase.hush());
        commands.push(Command::Note(Note::Reached(id.clone())));
        let script = self.script.clone();
        script.steps.get(id).map_or_else(Move::hang_up, |step| step.kind().enter(&mut self.phase))
    }

    /// Follows a move to where the call stays. Steps that lead on at once are passed, no more of them than there are.
    fn follow(&mut self, mut at: StepId, mut moved: Move, commands: &mut Vec<Command>) {
        for _ in 0..=self.script.steps.len() {
            commands.append(&mut moved.commands);
            match moved.then {
                Then::Stay => {
                    self.stage = Stage::At(at);
                    return;
                }
                Then::HangUp | Then::Go(_, None) => break,
                Then::Go(branch, Some(to)) => {
                    commands.push(Command::Note(Note::Took { step: at, branch }));
                    moved = self.arrive(&to, commands);
                    at = to;
                }
            }
        }
        self.end(commands);
    }
}
