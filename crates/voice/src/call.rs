//! One call, carried out: its script decides, its legs do what the script says, and what happens on them is told to the
//! script. The first leg is the person's; a script that bridges to an agent has a second, for as long as that takes.
//!
//! Keeps: an opt-out is told when the key is pressed, not when the call ends; a call that is to be withdrawn and is not
//! answered sends no INVITE any more; no leg outlives the person's; and every call comes to a record, however it ends.

mod agent;
mod leg;
mod record;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use campaign::{
    Script,
    script::{Command, Event, Key, Mode, Note, Prompt, Run, StepId},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use self::{
    agent::{Agent, AgentState, next_of},
    leg::{Begin, Happened, Leg},
};
use crate::{
    audio,
    sdp::Codec,
    sip::{Callee, Cause, End, Side, Transfer},
};

pub use self::{
    leg::{Legs, NotBegun},
    record::{AgentLeg, Line, Record, What},
};

/// The most lines that are kept of a call: ample for an hour, nothing for a loop of keys.
const MOST_LINES: usize = 1_000;
/// How long the answer to our BYE is waited for where somebody asked us to hang up.
const BYE_WITHIN: Duration = Duration::from_millis(700);
/// The most characters that are kept of what a person entered.
const MOST_DIGITS: usize = 200;

/// A call to make.
#[derive(Debug, Clone)]
pub struct Order {
    /// The called number in the trunk's form.
    pub to_user: String,
    /// The caller ID in E.164.
    pub caller_id: String,
    /// How long the phone may ring.
    pub ring_time: Duration,
    /// How long an agent's phone may ring.
    pub agent_rings: Duration,
    /// The longest that the script may take, from the answer on.
    pub longest: Duration,
    /// The longest talk with an agent over a leg of ours, which counts from the agent's answer.
    pub longest_talk: Duration,
    /// The codecs to offer, the best first.
    pub codecs: Vec<Codec>,
    /// What is said and asked.
    pub script: Arc<Script>,
    /// The key that opts the person out wherever it is pressed.
    pub opt_out_key: Option<Key>,
    /// What whoever presses that key hears.
    pub farewell: Prompt,
}

/// The sounds of a call's prompts, rendered before it is made.
pub trait Sounds: Send + Sync {
    /// The sound of a prompt; none where there is none, which ends the call.
    fn of(&self, prompt: &Prompt) -> Option<Arc<audio::Prompt>>;
}

/// What is told while a call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The phone rings.
    Ringing,
    /// The call was answered.
    InProgress,
    /// No INVITE of it leaves any more.
    Withdrawn,
    /// The person opted out: to be stored now.
    OptedOut,
}

/// What is wanted of a call that is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wish {
    /// It goes on.
    #[default]
    GoOn,
    /// It ends if it is not answered.
    Withdraw,
    /// It ends, for this reason.
    HangUp(&'static str),
}

/// Makes a call and carries it out to its end. `told` hears at once what cannot wait for the end.
///
/// # Errors
/// Where the call could not begin: nothing was sent.
pub async fn carry_out(
    legs: &Legs<'_>,
    order: Order,
    sounds: &dyn Sounds,
    mut wishes: watch::Receiver<Wish>,
    told: impl Fn(Progress) + Send + Sync,
) -> Result<Record, NotBegun> {
    let person = legs.begin(Begin {
        callee: Callee::User(order.to_user.clone()),
        caller_id: order.caller_id.clone(),
        ring_time: order.ring_time,
        codecs: order.codecs.clone(),
        trace: true,
    })?;
    let mut call = Course {
        person,
        agent: None,
        legs,
        run: Run::new(order.script.clone(), order.opt_out_key, order.farewell.clone()),
        order,
        sounds,
        told: &told,
        began: Instant::now(),
        playing: None,
        wait: None,
        rang: None,
        answered: None,
        last_step: None,
        digits: Vec::new(),
        pressed: false,
        opted_out: false,
        hung_up: None,
        ending: false,
        gives_up_at: None,
        failed: None,
        lines: Vec::new(),
    };
    let end = loop {
        let wait = call.wait;
        let ends_at = call.ends_at();
        let gives_up_at = call.gives_up_at;
        tokio::select! {
            happened = call.person.next() => match happened {
                Happened::Ended(end) => break end,
                happened => call.person_did(happened),
            },
            happened = next_of(&mut call.agent) => call.agent_did(happened),
            () = at(wait.map(|(at, _)| at)) => {
                if let Some((_, number)) = call.wait.take() {
                    call.tell(&Event::TimeUp(number));
                }
            }
            () = at(ends_at) => {
                if call.agent.as_ref().is_some_and(Agent::talks) {
                    call.hung_up.get_or_insert("the talk with the agent had lasted as long as it may");
                }
                call.tell(&Event::TooLong);
            }
            // The BYE has left; a far end that does not answer it keeps nobody waiting.
            () = at(gives_up_at) => break hung_up(call.began.elapsed()),
            Ok(()) = wishes.changed() => {
                let wish = *wishes.borrow_and_update();
                match wish {
                    Wish::GoOn => {}
                    Wish::Withdraw => {
                        call.withdraw().await;
                    }
                    Wish::HangUp(why) => {
                        call.hung_up.get_or_insert(why);
                        if !call.withdraw().await {
                            call.hang_up();
                            call.gives_up_at.get_or_insert(Instant::now() + BYE_WITHIN);
                        }
                    }
                }
            }
        }
    };
    let whole = call.began.elapsed();
    call.end_agent().await;
    Ok(call.record(end, whole))
}

/// The end of a call that we hung up and whose far end did not answer.
fn hung_up(elapsed: Duration) -> End {
    End {
        cause: Cause::Completed { by: Side::Us },
        trunk: false,
        sip_code: None,
        q850: None,
        words: "hung up by us".to_owned(),
        retry_after: None,
        after_18x: false,
        elapsed,
    }
}

/// Waits until `at`; for ever where there is none.
async fn at(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A call under way.
struct Course<'a> {
    person: Leg,
    agent: Option<Agent>,
    legs: &'a Legs<'a>,
    order: Order,
    run: Run,
    sounds: &'a dyn Sounds,
    told: &'a (dyn Fn(Progress) + Send + Sync),
    began: Instant,
    /// The mark of what plays, and its number in the script.
    playing: Option<(u64, u32)>,
    /// When a wait is over, and its number in the script.
    wait: Option<(Instant, u32)>,
    rang: Option<Duration>,
    answered: Option<Duration>,
    last_step: Option<StepId>,
    digits: Vec<String>,
    pressed: bool,
    opted_out: bool,
    hung_up: Option<&'static str>,
    /// Whether we are hanging up.
    ending: bool,
    /// When the answer to our BYE is waited for no longer.
    gives_up_at: Option<Instant>,
    failed: Option<String>,
    lines: Vec<Line>,
}

impl Course<'_> {
    fn note(&mut self, what: What) {
        if self.lines.len() < MOST_LINES {
            self.lines.push(Line { at: self.began.elapsed(), what });
        }
    }

    /// When the call has lasted as long as it may; none before the answer and once it is ending.
    fn ends_at(&self) -> Option<Instant> {
        let answered = self.answered.filter(|_| !self.run.is_over())?;
        Some(match self.agent.as_ref().map(|agent| agent.state) {
            Some(AgentState::Talks(since)) => since + self.order.longest_talk,
            Some(AgentState::Called { .. }) | None => self.began + answered + self.order.longest,
        })
    }

    /// Withdraws a call that is not answered. Returns whether it was.
    async fn withdraw(&self) -> bool {
        let withdrawn = self.person.dialog.abort().await;
        if withdrawn {
            (self.told)(Progress::Withdrawn);
        }
        withdrawn
    }

    /// Something failed that the call cannot go on without.
    fn fail(&mut self, words: String) {
        self.note(What::Failed(words.clone()));
        self.failed.get_or_insert(words);
        self.hang_up();
    }

    /// Hangs up both legs.
    fn hang_up(&mut self) {
        self.ending = true;
        self.person.hang_up();
        if let Some(agent) = &mut self.agent {
            agent.leg.hang_up();
        }
    }

    fn person_did(&mut self, happened: Happened) {
        match happened {
            Happened::Rang if self.rang.is_none() => {
                self.rang = Some(self.began.elapsed());
                self.note(What::Rang);
                (self.told)(Progress::Ringing);
            }
            Happened::Answered => {
                self.answered = Some(self.began.elapsed());
                self.note(What::Answered);
                (self.told)(Progress::InProgress);
                self.tell(&Event::Answered);
            }
            Happened::Key(c) => self.key(c),
            Happened::Played(mark) => self.played(mark),
            Happened::Transfer(Transfer::Done(code)) if (200..300).contains(&code) => {
                self.tell(&Event::TakenOver);
                self.tell(&Event::Left);
            }
            Happened::Transfer(Transfer::Refused(_) | Transfer::Done(_)) => self.tell(&Event::NotTakenOver),
            Happened::Broken(words) => self.fail(words),
            Happened::Rang
            | Happened::Transfer(Transfer::Accepted | Transfer::Progress(_))
            | Happened::Ended(_) => {}
        }
    }

    fn played(&mut self, mark: u64) {
        if let Some((_, number)) = self.playing.take_if(|(of, _)| *of == mark) {
            self.tell(&Event::Played(number));
        } else if let Some(Agent { state: AgentState::Called { ringback, .. }, .. }) = &mut self.agent
            && *ringback == mark
        {
            *ringback = self.person.session.play(vec![audio::ringback()]);
        }
    }

    fn key(&mut self, c: char) {
        self.pressed = true;
        if let Some(agent) = self.agent.as_ref().filter(|agent| agent.talks()) {
            agent.leg.session.keys(c.encode_utf8(&mut [0; 4]));
        } else if let Some(key) = Key::new(c) {
            self.tell(&Event::Key(key));
        }
    }

    /// Tells the script of an event, and does what it says.
    fn tell(&mut self, event: &Event) {
        let mut to_do = VecDeque::from(self.run.on(event));
        while let Some(command) = to_do.pop_front() {
            if let Some(event) = self.act(command) {
                to_do.extend(self.run.on(&event));
            }
        }
    }

    /// Does what the script says. Returns what follows from that at once.
    fn act(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::Play { number, prompt } => {
                // What plays now is the script's: whoever opted out meanwhile waits for no agent.
                self.leave_agent();
                match self.sounds.of(&prompt) {
                    Some(sound) => self.playing = Some((self.person.session.play(vec![sound]), number)),
                    None => self.fail("a prompt of the script has no sound".to_owned()),
                }
            }
            Command::StopPlaying => {
                self.playing = None;
                self.person.session.stop();
            }
            Command::Wait { number, time } => {
                self.wait = Some((Instant::now() + Duration::try_from(time).unwrap_or_default(), number));
            }
            Command::OptOut => {
                self.opted_out = true;
                self.note(What::OptedOut);
                (self.told)(Progress::OptedOut);
            }
            // Nobody else is called any more, whatever the script comes to before the BYE is answered.
            Command::Transfer(_) if self.ending => {}
            Command::Transfer(to) => match to.mode {
                Mode::Refer if self.person.dialog.refer(&to.to).is_ok() => {}
                Mode::Refer => return Some(Event::NotTakenOver),
                Mode::Bridge => return self.call_agent(&to.to),
            },
            Command::Stream(_) => return Some(Event::NotTakenOver),
            Command::HangUp => self.hang_up(),
            Command::Note(note) => {
                match &note {
                    Note::Reached(step) => self.last_step = Some(step.clone()),
                    Note::Entered(digits) => {
                        if self.digits.iter().map(String::len).sum::<usize>() + digits.len() <= MOST_DIGITS {
                            self.digits.push(digits.clone());
                        }
                    }
                    Note::Took { .. } => {}
                }
                self.note(What::Script(note));
            }
        }
        None
    }

    fn record(mut self, end: End, whole: Duration) -> Record {
        self.run.on(&Event::Ended);
        self.note(What::Ended);
        Record {
            end,
            rang: self.rang,
            answered: self.answered,
            whole,
            last_step: self.last_step,
            digits: self.digits,
            pressed: self.pressed,
            opted_out: self.opted_out,
            hung_up: self.hung_up,
            exchange: self.person.dialog.exchange(),
            failed: self.failed,
            lines: self.lines,
        }
    }
}
