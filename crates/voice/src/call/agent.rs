//! The second leg of a call, to an agent: called while the person hears a ring, joined with the person's leg when it is
//! answered, and gone when either hangs up.

use campaign::script::Event;
use tokio::time::{Instant, timeout_at};

use super::{
    BYE_WITHIN, Course,
    leg::{Begin, Happened, Leg},
    record::{AgentLeg, What},
};
use crate::{
    audio,
    sdp::Codec,
    sip::{Cause, End, Side},
};

/// The agent's leg.
pub(super) struct Agent {
    pub(super) leg: Leg,
    pub(super) state: AgentState,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum AgentState {
    /// The agent is called; the person hears the ringback, which is played under this mark.
    Called { ringback: u64, rang: bool },
    /// Both talk, since then.
    Talks(Instant),
}

impl Agent {
    pub(super) const fn talks(&self) -> bool {
        matches!(self.state, AgentState::Talks(_))
    }
}

/// What happens next on the agent's leg; for ever nothing where there is none.
pub(super) async fn next_of(agent: &mut Option<Agent>) -> Happened {
    match agent {
        Some(agent) => agent.leg.next().await,
        None => std::future::pending().await,
    }
}

/// Why an agent's leg came to nothing, in words.
fn not_taken(end: &End) -> String {
    let why = match end.cause {
        Cause::Busy => "busy",
        Cause::NoAnswer => "no answer",
        Cause::Unreachable => "unreachable",
        Cause::Rejected { .. } => "declined",
        Cause::Congestion => "no room on the trunk",
        Cause::Failed | Cause::Completed { .. } | Cause::Cancelled { .. } => "failed",
    };
    format!("{why}: {}", end.words)
}

impl Course<'_> {
    /// Calls the agent at `to`. Returns what follows from that at once.
    pub(super) fn call_agent(&mut self, to: &str) -> Option<Event> {
        // What the person's leg speaks comes first: then the sound crosses as it is.
        let mut codecs: Vec<Codec> = self.person.codec().into_iter().collect();
        codecs.extend(self.order.codecs.iter().filter(|codec| Some(**codec) != self.person.codec()));
        let begun = self.legs.begin(Begin {
            callee: self.legs.callee(to),
            // The person's number is not told: what the agent's side may see of it is not ours to say.
            caller_id: self.order.caller_id.clone(),
            ring_time: self.order.agent_rings,
            codecs,
            trace: false,
        });
        match begun {
            Ok(leg) => {
                let ringback = self.person.session.play(vec![audio::ringback()]);
                self.agent = Some(Agent { leg, state: AgentState::Called { ringback, rang: false } });
                self.note(What::Agent(AgentLeg::Called));
                None
            }
            Err(why) => {
                self.note(What::Agent(AgentLeg::NotTaken(why.to_string())));
                Some(Event::NotTakenOver)
            }
        }
    }

    pub(super) fn agent_did(&mut self, happened: Happened) {
        if self.ending {
            if matches!(happened, Happened::Ended(_)) {
                self.leave_agent();
            }
            return;
        }
        let Some(agent) = &mut self.agent else { return };
        match (happened, &mut agent.state) {
            (Happened::Rang, AgentState::Called { rang, .. }) => {
                if !std::mem::replace(rang, true) {
                    self.note(What::Agent(AgentLeg::Rang));
                }
            }
            (Happened::Answered, state @ AgentState::Called { .. }) => {
                *state = AgentState::Talks(Instant::now());
                self.person.session.join(&agent.leg.session);
                self.note(What::Agent(AgentLeg::Answered));
                self.tell(&Event::TakenOver);
            }
            (Happened::Key(c), AgentState::Talks(_)) => {
                self.person.session.keys(c.encode_utf8(&mut [0; 4]));
            }
            (Happened::Broken(words), AgentState::Called { .. }) => self.agent_gone(words),
            (Happened::Ended(end), AgentState::Called { .. }) => self.agent_gone(not_taken(&end)),
            (Happened::Broken(words), AgentState::Talks(_)) => {
                self.fail(format!("on the agent's leg, {words}"));
            }
            (Happened::Ended(end), AgentState::Talks(_)) => {
                self.agent = None;
                if end.cause == (Cause::Completed { by: Side::FarEnd }) {
                    self.note(What::Agent(AgentLeg::Left));
                    self.tell(&Event::Left);
                } else {
                    self.fail(format!("on the agent's leg, {}", end.words));
                }
            }
            (
                Happened::Rang
                | Happened::Answered
                | Happened::Key(_)
                | Happened::Played(_)
                | Happened::Transfer(_),
                _,
            ) => {}
        }
    }

    /// Gives the agent's leg up, if there is one.
    pub(super) fn leave_agent(&mut self) {
        // What is left of it ends as it is dropped.
        if self.agent.take().is_some() {
            self.note(What::Agent(AgentLeg::Ended));
        }
    }

    /// Nobody takes the call: the script goes on.
    fn agent_gone(&mut self, words: String) {
        // What is left of the leg ends as it is dropped.
        self.agent = None;
        self.person.session.stop();
        self.note(What::Agent(AgentLeg::NotTaken(words)));
        self.tell(&Event::NotTakenOver);
    }

    /// Hangs up the agent as well, and waits for a moment until that has an answer, so that a process that ends with its
    /// last call leaves nobody on the line.
    pub(super) async fn end_agent(&mut self) {
        let Some(Agent { mut leg, .. }) = self.agent.take() else { return };
        self.note(What::Agent(AgentLeg::Ended));
        leg.hang_up();
        let until = self.gives_up_at.unwrap_or_else(|| Instant::now() + BYE_WITHIN);
        let ended = async { while !matches!(leg.next().await, Happened::Ended(_)) {} };
        let _ = timeout_at(until, ended).await;
    }
}
