//! What is kept of a call.

use std::time::Duration;

use campaign::script::{Note, StepId};

use crate::sip::{End, Exchange};

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
    /// What happened on the agent's leg.
    Agent(AgentLeg),
    /// Something failed, in words.
    Failed(String),
    /// The call ended.
    Ended,
}

/// What happened on the leg to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentLeg {
    /// An INVITE left.
    Called,
    /// The agent's phone rang.
    Rang,
    /// The agent answered: both are joined.
    Answered,
    /// Nobody took the call, and why.
    NotTaken(String),
    /// The agent hung up.
    Left,
    /// We ended it, as the call ended.
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
