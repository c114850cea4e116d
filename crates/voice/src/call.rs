//! One call, carried out: its script decides, its dialog and its sound do what the script says, and what happens in
//! them is told to the script.
//!
//! Keeps: an opt-out is told when the key is pressed, not when the call ends; a call that is to be withdrawn and is not
//! answered sends no INVITE any more; and every call comes to a record, however it ends.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use campaign::{
    Script,
    script::{Command, Event, Key, Mode, Note, Prompt, Run, StepId},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    audio, media,
    sdp::{self, Codec, Local},
    sip::{self, Agent, End, Exchange, Transfer},
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
    /// The longest talk.
    pub longest: Duration,
    /// The codecs to offer, the best first.
    pub codecs: Vec<Codec>,
    /// Where we want the sound, as the far end sees it.
    pub sound: SocketAddr,
    /// The session's number in descriptions of the sound.
    pub session: u64,
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

/// A line of a call's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How long after the INVITE.
    pub at: Duration,
    /// What happened.
    pub what: What,
}

/// What happened in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The phone rang.
    Rang,
    /// The call was answered.
    Answered,
    /// What the script notes.
    Script(Note),
    /// The person opted out.
    OptedOut,
    /// Something failed, in words.
    Failed(String),
    /// The call ended.
    Ended,
}

/// What came of a call.
#[derive(Debug)]
pub struct Record {
    /// How it ended.
    pub end: End,
    /// How long after the INVITE the phone rang, where it did.
    pub rang: Option<Duration>,
    /// How long after the INVITE it was answered, where it was.
    pub answered: Option<Duration>,
    /// How long it took, from the INVITE to the end.
    pub whole: Duration,
    /// The step that it was at last.
    pub last_step: Option<StepId>,
    /// What was entered, in order.
    pub digits: Vec<String>,
    /// Whether any key was pressed, which a person does.
    pub pressed: bool,
    /// Whether the person opted out.
    pub opted_out: bool,
    /// Why we hung up before the script's end, where that was wanted.
    pub hung_up: Option<&'static str>,
    /// Its messages, where it was not answered.
    pub exchange: Exchange,
    /// What failed in it, in words.
    pub failed: Option<String>,
    /// Its time line.
    pub lines: Vec<Line>,
}

/// Makes a call and carries it out to its end. `told` hears at once what cannot wait for the end.
///
/// # Errors
/// Where the call could not begin: nothing was sent.
pub async fn carry_out(
    agent: &Agent,
    session: media::Session,
    order: Order,
    sounds: &dyn Sounds,
    mut wishes: watch::Receiver<Wish>,
    told: impl Fn(Progress) + Send + Sync,
) -> Result<Record, sip::Fault> {
    let local = Local { session: order.session, version: 1, address: order.sound };
    let dialog = agent.invite(sip::Invite {
        to_user: order.to_user.clone(),
        caller_id: order.caller_id.clone(),
        offer: sdp::offer(&local, &order.codecs),
        ring_time: order.ring_time,
        headers: Vec::new(),
        trace: true,
    })?;
    let mut call = Course {
        dialog,
        session,
        run: Run::new(order.script.clone(), order.opt_out_key, order.farewell.clone()),
        local,
        codecs: order.codecs,
        sounds,
        told: &told,
        began: Instant::now(),
        playing: None,
        wait: None,
        keys_as_events: false,
        rang: None,
        answered: None,
        last_step: None,
        digits: Vec::new(),
        pressed: false,
        opted_out: false,
        hung_up: None,
        gives_up_at: None,
        failed: None,
        lines: Vec::new(),
    };
    let end = loop {
        let wait = call.wait;
        let lasts = call.answered.filter(|_| !call.run.is_over());
        let ends_at = lasts.map(|after| call.began + after + order.longest);
        let gives_up_at = call.gives_up_at;
        tokio::select! {
            event = call.dialog.next() => match event {
                Some(sip::Event::Ended(end)) => break end,
                Some(event) => call.signalled(event),
                // The agent ends before its calls only where the process does.
                None => break lost(call.began.elapsed()),
            },
            Some(event) = call.session.event() => call.heard(&event),
            () = at(wait.map(|(at, _)| at)) => {
                if let Some((_, number)) = call.wait.take() {
                    call.tell(&Event::TimeUp(number));
                }
            }
            () = at(ends_at) => call.tell(&Event::TooLong),
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
                            call.dialog.hang_up();
                            call.gives_up_at.get_or_insert(Instant::now() + BYE_WITHIN);
                        }
                    }
                }
            }
        }
    };
    Ok(call.record(end))
}

/// The end of a call whose end nobody told.
fn lost(elapsed: Duration) -> End {
    End {
        cause: sip::Cause::Failed,
        trunk: true,
        sip_code: None,
        q850: None,
        words: "the call was lost".to_owned(),
        retry_after: None,
        after_18x: false,
        elapsed,
    }
}

/// The end of a call that we hung up and whose far end did not answer.
fn hung_up(elapsed: Duration) -> End {
    End { cause: sip::Cause::Completed { by: sip::Side::Us }, trunk: false, ..lost(elapsed) }
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
    dialog: sip::Call,
    session: media::Session,
    run: Run,
    local: Local,
    codecs: Vec<Codec>,
    sounds: &'a dyn Sounds,
    told: &'a (dyn Fn(Progress) + Send + Sync),
    began: Instant,
    /// The mark of what plays, and its number in the script.
    playing: Option<(u64, u32)>,
    /// When a wait is over, and its number in the script.
    wait: Option<(Instant, u32)>,
    /// Whether keys come with the sound: those by INFO are the same once more.
    keys_as_events: bool,
    rang: Option<Duration>,
    answered: Option<Duration>,
    last_step: Option<StepId>,
    digits: Vec<String>,
    pressed: bool,
    opted_out: bool,
    hung_up: Option<&'static str>,
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

    /// Withdraws a call that is not answered. Returns whether it was.
    async fn withdraw(&self) -> bool {
        let withdrawn = self.dialog.abort().await;
        if withdrawn {
            (self.told)(Progress::Withdrawn);
        }
        withdrawn
    }

    /// Something failed that the call cannot go on without.
    fn fail(&mut self, words: String) {
        self.note(What::Failed(words.clone()));
        self.failed.get_or_insert(words);
        self.dialog.hang_up();
    }

    fn signalled(&mut self, event: sip::Event) {
        match event {
            sip::Event::Ringing if self.rang.is_none() => {
                self.rang = Some(self.began.elapsed());
                self.note(What::Rang);
                (self.told)(Progress::Ringing);
            }
            sip::Event::Answered { sdp } => match sdp::read_answer(&sdp, &self.codecs) {
                Ok(sound) => {
                    self.answered = Some(self.began.elapsed());
                    self.session.agree(sound);
                    self.note(What::Answered);
                    (self.told)(Progress::InProgress);
                    self.tell(&Event::Answered);
                }
                Err(fault) => self.fail(fault.to_string()),
            },
            sip::Event::Reoffered { sdp, answer } => {
                self.local.version += 1;
                match sdp::answer(&sdp, &self.local, &self.codecs) {
                    Ok((ours, sound)) => {
                        answer.accept(ours);
                        self.session.agree(sound);
                    }
                    Err(_) => answer.refuse(),
                }
            }
            sip::Event::Described(sdp) => {
                if let Ok(sound) = sdp::read_answer(&sdp, &self.codecs) {
                    self.session.agree(sound);
                }
            }
            sip::Event::Key(c) if !self.keys_as_events => self.key(c),
            sip::Event::Transfer(Transfer::Done(code)) if (200..300).contains(&code) => {
                self.tell(&Event::TakenOver);
                self.tell(&Event::Left);
            }
            sip::Event::Transfer(Transfer::Refused(_) | Transfer::Done(_)) => self.tell(&Event::NotTakenOver),
            // Early sound is the network's, and no answer.
            sip::Event::Trying
            | sip::Event::Ringing
            | sip::Event::EarlyMedia(_)
            | sip::Event::Key(_)
            | sip::Event::Transfer(Transfer::Accepted | Transfer::Progress(_))
            | sip::Event::Ended(_) => {}
        }
    }

    fn heard(&mut self, event: &media::Event) {
        match event {
            media::Event::Key(c) => {
                self.keys_as_events = true;
                self.key(*c);
            }
            media::Event::Played(mark) => {
                if let Some((_, number)) = self.playing.take_if(|(of, _)| of == mark) {
                    self.tell(&Event::Played(number));
                }
            }
            // Before the answer the time to ring bounds the call.
            media::Event::TimedOut { heard } if self.answered.is_some() => {
                let words = if *heard {
                    "the far end's sound stopped"
                } else {
                    "no sound ever came from the far end"
                };
                self.fail(words.to_owned());
            }
            media::Event::TimedOut { .. } => {}
        }
    }

    fn key(&mut self, c: char) {
        self.pressed = true;
        if let Some(key) = Key::new(c) {
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
            Command::Play { number, prompt } => match self.sounds.of(&prompt) {
                Some(sound) => self.playing = Some((self.session.play(vec![sound]), number)),
                None => self.fail("a prompt of the script has no sound".to_owned()),
            },
            Command::StopPlaying => {
                self.playing = None;
                self.session.stop();
            }
            Command::Wait { number, time } => {
                self.wait = Some((Instant::now() + Duration::try_from(time).unwrap_or_default(), number));
            }
            Command::OptOut => {
                self.opted_out = true;
                self.note(What::OptedOut);
                (self.told)(Progress::OptedOut);
            }
            Command::Transfer(to) => {
                // A second leg of ours is for later.
                if to.mode == Mode::Bridge || self.dialog.refer(&to.to).is_err() {
                    return Some(Event::NotTakenOver);
                }
            }
            Command::Stream(_) => return Some(Event::NotTakenOver),
            Command::HangUp => self.dialog.hang_up(),
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

    fn record(mut self, end: End) -> Record {
        self.run.on(&Event::Ended);
        self.note(What::Ended);
        Record {
            end,
            rang: self.rang,
            answered: self.answered,
            whole: self.began.elapsed(),
            last_step: self.last_step,
            digits: self.digits,
            pressed: self.pressed,
            opted_out: self.opted_out,
            hung_up: self.hung_up,
            exchange: self.dialog.exchange(),
            failed: self.failed,
            lines: self.lines,
        }
    }
}
