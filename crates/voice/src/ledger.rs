//! What is reported of a call, in the engine's words: what it came to, and its time line for people.

use std::time::Duration;

use campaign::{
    Outcome,
    outcome::Place,
    retry::{Call, Called},
    script::{Note, StepId},
};
use engine::{CallEnd, CallEvent, CallOutcome, CallReport, CallRow, ExchangedMessage};
use jiff::{SignedDuration, Timestamp};

use crate::{
    call::{AgentLeg, Line, Record, What},
    sip::{Cause, End, Exchange, Side},
};

/// The report of a call of which nothing was sent.
pub(crate) const fn nothing_sent(end: CallEnd) -> CallReport {
    CallReport { end, row: None, steps: Vec::new() }
}

/// The report of a call whose task failed: an INVITE may have left.
pub(crate) fn lost(at: Timestamp) -> CallReport {
    let words = "the call was lost in this program".to_owned();
    let row = CallRow { words, ..CallRow::new(at, Outcome::Failed.into(), String::new()) };
    let call = Call { called: Called::Failed, goal: false };
    CallReport { end: CallEnd::Came(call), row: Some(row), steps: Vec::new() }
}

/// What a call came to that was not answered, and is nobody's fault but its own.
const fn unanswered(cause: Cause) -> Called {
    match cause {
        Cause::Busy => Called::Busy,
        Cause::NoAnswer => Called::NoAnswer,
        Cause::Unreachable => Called::Unreachable,
        Cause::Rejected { .. } => Called::Rejected,
        Cause::Congestion => Called::Congestion,
        Cause::Failed | Cause::Completed { .. } | Cause::Cancelled { .. } => Called::Failed,
    }
}

/// The report of a call that began at `began`; `goal` is the step that it was made for.
pub(crate) fn report(
    record: &Record,
    began: Timestamp,
    caller_id: String,
    goal: Option<&StepId>,
) -> CallReport {
    let Record { end, exchange, .. } = record;
    let reached = |step: &StepId| record.lines.iter().any(|line| is_at(line, step));
    let call = |called| Call { called, goal: goal.is_none_or(reached) };
    let (outcome, ended) = match end.cause {
        _ if record.answered.is_some() => {
            let called = if record.pressed { Called::Human } else { Called::Unknown };
            (CallOutcome::from(called), CallEnd::Came(call(called)))
        }
        Cause::Cancelled { .. } => (CallOutcome(Place::Cancelled), CallEnd::Withdrawn),
        cause if end.trunk => {
            let called = unanswered(cause);
            let shown = CallEnd::Trunk { as_if: called, exchange: messages(exchange) };
            (CallOutcome::from(called), shown)
        }
        cause => {
            let called = unanswered(cause);
            (CallOutcome::from(called), CallEnd::Came(call(called)))
        }
    };
    let seconds = |time: Duration| time.as_secs().try_into().unwrap_or(u32::MAX);
    let rang_until = record.answered.unwrap_or(record.whole);
    let row = CallRow {
        sip_code: end.sip_code,
        words: words(record),
        ring_seconds: record.rang.map(|rang| seconds(rang_until.saturating_sub(rang))),
        talk_seconds: record.answered.map(|answered| seconds(record.whole.saturating_sub(answered))),
        last_step: record.last_step.as_ref().map(ToString::to_string),
        digits: record.digits.clone(),
        opted_out: record.opted_out,
        events: record.lines.iter().map(|line| event(line, began)).collect(),
        ..CallRow::new(began, outcome, caller_id)
    };
    let steps = record.lines.iter().filter_map(step).collect();
    CallReport { end: ended, row: Some(row), steps }
}

fn words(record: &Record) -> String {
    let End { cause, words, .. } = &record.end;
    if let Some(failed) = &record.failed {
        return failed.clone();
    }
    if let Some(why) = record.hung_up {
        return why.to_owned();
    }
    match cause {
        Cause::Cancelled { answered: true } => "answered as it was cancelled".to_owned(),
        Cause::Cancelled { answered: false } => "cancelled".to_owned(),
        Cause::Rejected { screened: true } => format!("screened or blocked: {words}"),
        Cause::Completed { by: Side::FarEnd } => "the person hung up".to_owned(),
        Cause::Completed { by: Side::Us } if agent_left(record) => "the agent hung up".to_owned(),
        Cause::Completed { by: Side::Us } => "the script ended".to_owned(),
        _ => words.clone(),
    }
}

fn agent_left(record: &Record) -> bool {
    record.lines.iter().any(|line| line.what == What::Agent(AgentLeg::Left))
}

fn is_at(line: &Line, step: &StepId) -> bool {
    matches!(&line.what, What::Script(Note::Reached(at)) if at == step)
}

fn step(line: &Line) -> Option<(String, Option<String>)> {
    match &line.what {
        What::Script(Note::Reached(step)) => Some((step.to_string(), None)),
        What::Script(Note::Took { step, branch }) => Some((step.to_string(), Some(branch.clone()))),
        _ => None,
    }
}

fn event(line: &Line, began: Timestamp) -> CallEvent {
    let what = match &line.what {
        What::Rang => "ringing".to_owned(),
        What::Answered => "answered".to_owned(),
        What::Script(Note::Reached(step)) => format!("step {step}"),
        What::Script(Note::Took { step, branch }) => format!("from {step} by {branch}"),
        What::Script(Note::Entered(digits)) => format!("entered {digits}"),
        What::OptedOut => "opted out".to_owned(),
        What::Agent(AgentLeg::Called) => "agent called".to_owned(),
        What::Agent(AgentLeg::Rang) => "agent's phone ringing".to_owned(),
        What::Agent(AgentLeg::Answered) => "agent answered".to_owned(),
        What::Agent(AgentLeg::NotTaken(why)) => format!("no agent: {why}"),
        What::Agent(AgentLeg::Left) => "agent hung up".to_owned(),
        What::Agent(AgentLeg::Ended) => "agent's leg ended".to_owned(),
        What::Failed(words) => words.clone(),
        What::Ended => "ended".to_owned(),
    };
    let after = SignedDuration::try_from(line.at).unwrap_or_default();
    CallEvent { at: began.saturating_add(after).unwrap_or(began), what }
}

pub(crate) fn messages(exchange: &Exchange) -> Vec<ExchangedMessage> {
    let shown = exchange.messages.iter();
    shown.map(|m| ExchangedMessage { at: m.at, sent: m.sent, text: m.text.clone() }).collect()
}
