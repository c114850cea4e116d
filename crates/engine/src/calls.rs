//! Calls: what a route of calls is asked for and reports, and what becomes of each.

use std::{collections::HashMap, sync::Arc};

use campaign::{
    CampaignId, ClaimId, Msisdn, Outcome, Sender, SkipReason,
    content::Voice,
    outcome::Place,
    retry::{self, Called},
    script::{Key, Said, Script, StepId},
    text::RenderError,
};
use jiff::{SignedDuration, Timestamp};
use store::{CallEnded, CallOptOut, CallRow, Claimed, ExchangedMessage, Fate, Settled, Tries, Work};

use crate::{
    Engine, choose,
    hand_over::send_before,
    trunk::{Failure, Verdict},
};

/// The wait for the end of another call to the same number.
const WHILE_CALLED: SignedDuration = SignedDuration::from_mins(1);
/// The wait after a call that could not be begun here, for want of a port or of time.
const NOT_BEGUN: SignedDuration = SignedDuration::from_secs(5);

/// Calls that are handed to a route: each begins within moments.
#[derive(Debug, Clone)]
pub struct Calls {
    /// The campaign, for the stop barrier.
    pub campaign: CampaignId,
    /// The claim.
    pub claim: ClaimId,
    /// When no INVITE leaves any more: what was not begun goes back.
    pub send_before: Timestamp,
    /// The purpose of the calls, as an opt-out may hold for one purpose alone; empty: not stated.
    pub purpose: Arc<str>,
    /// How long the phone may ring.
    pub ring_time: SignedDuration,
    /// The key that opts the person out wherever it is pressed.
    pub opt_out_key: Option<Key>,
    /// The step that the calls are made for.
    pub goal: Option<StepId>,
    /// The calls.
    pub calls: Vec<OutgoingCall>,
}

/// A call to make.
#[derive(Debug, Clone)]
pub struct OutgoingCall {
    /// The recipient's place in the audience.
    pub seq: i64,
    /// The number to call.
    pub number: Msisdn,
    /// The number that the phone shows.
    pub caller_id: Arc<Sender>,
    /// What is said and asked, its texts rendered.
    pub script: Arc<Script>,
}

/// A call that tests a route or a script: outside all campaigns, and in no total.
#[derive(Debug, Clone)]
pub struct TestCall {
    /// The number to call.
    pub number: Msisdn,
    /// The number that the phone shows.
    pub caller_id: Arc<Sender>,
    /// How long the phone may ring.
    pub ring_time: SignedDuration,
    /// What is said and asked, its texts rendered.
    pub script: Arc<Script>,
}

/// What became of a call.
#[derive(Debug, Clone)]
pub struct CallReport {
    /// How it ended.
    pub end: CallEnd,
    /// What is shown of it; none where nothing was sent.
    pub row: Option<CallRow>,
    /// The steps that it came to, and with a branch the ways that it took on.
    pub steps: Vec<(String, Option<String>)>,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub enum CallEnd {
    /// It came to an end that counts.
    Came(retry::Call),
    /// The trunk is at fault: nothing is said of the recipient.
    Trunk {
        /// What it came to where it must count after all.
        as_if: Called,
        /// Its messages, an example for people.
        exchange: Vec<ExchangedMessage>,
    },
    /// It was withdrawn before an answer.
    Withdrawn,
    /// Nothing was sent: the number has opted out since it was claimed.
    OptedOut,
    /// Nothing was sent: what it says could not be rendered, in words.
    NoSpeech(String),
    /// Nothing was sent, for a reason of ours, in words: it goes back.
    NotBegun(String),
}

/// How far a call that is up has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The phone rings.
    Ringing,
    /// It was answered.
    InProgress,
}

impl From<Phase> for Place {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Ringing => Self::Ringing,
            Phase::InProgress => Self::InProgress,
        }
    }
}

/// The calls of a campaign that ring or were answered, by the number that is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live(pub HashMap<Msisdn, Phase>);

impl Live {
    /// How many are in this phase.
    pub fn count(&self, phase: Phase) -> u32 {
        self.0.values().filter(|at| **at == phase).count() as u32
    }
}

/// What becomes of a person after a call that counts; `calls` are all so far, in order.
fn fate(voice: &Voice, calls: &[retry::Call], row: &CallRow, now: Timestamp) -> Fate {
    let outcome = retry::best(calls).map_or(Outcome::Failed, Called::outcome);
    let stands =
        |reason| Fate::settled(outcome, reason, row.sip_code.map(u32::from), Some(row.words.clone()));
    let Some(wait) = voice.retry.again(calls) else { return stands(None) };
    let due_at = now.saturating_add(wait).unwrap_or(now);
    if row.opted_out {
        stands(Some(SkipReason::OptedOut))
    } else if voice.until.is_some_and(|until| due_at >= until) {
        stands(Some(SkipReason::Expired))
    } else {
        Fate::Again { due_at, detail: row.words.clone(), otherwise: Some(Box::new(stands(None))) }
    }
}

impl Engine {
    /// A campaign's script with its texts read, once for each epoch; none where it cannot be read.
    pub(crate) fn said(&mut self, work: &Work, script: &Script) -> Arc<Option<Said>> {
        self.scripts.entry((work.id, work.epoch)).or_insert_with(|| Arc::new(script.said().ok())).clone()
    }

    /// Renders what was claimed and hands it to the route.
    pub(crate) fn hand_over_calls(&mut self, work: &Work, voice: &Voice, claim: Claimed, now: Timestamp) {
        let (Some(route), Some(script)) = (work.definition.route_id, &voice.script) else {
            return self.return_claim(&claim);
        };
        let send_before = send_before(work, &claim, now);
        let send_before = voice.until.map_or(send_before, |until| until.min(send_before));
        let script = self.said(work, script);
        let mut calls = Vec::with_capacity(claim.recipients.len());
        for r in claim.recipients {
            if self.calling.contains_key(&r.number) {
                let due_at = now.saturating_add(WHILE_CALLED).unwrap_or(now);
                let detail = "another call to this number is up".to_owned();
                let fate = Fate::Again { due_at, detail, otherwise: None };
                self.settle_call(work.id, claim.id, (r.seq, r.number, r.tries), None, fate);
                continue;
            }
            let rendered = match script.as_ref() {
                Some(said) => said.render(&work.fields, &r.values()),
                None => Err(RenderError::Broken("the script cannot be read".to_owned())),
            };
            match rendered {
                Ok(script) => {
                    self.calling.insert(r.number, r.calls);
                    let caller_id = work.senders.of(r.seq).clone();
                    calls.push(OutgoingCall { seq: r.seq, number: r.number, caller_id, script });
                }
                Err(why) => {
                    let best = retry::best(&r.calls).map(Called::outcome);
                    let fate = match why {
                        RenderError::MissingField => Fate::settled(
                            best.unwrap_or(Outcome::Skipped),
                            Some(SkipReason::MissingField),
                            None,
                            None,
                        ),
                        RenderError::Broken(why) => {
                            Fate::settled(best.unwrap_or(Outcome::Failed), None, None, Some(why))
                        }
                    };
                    self.settle_call(work.id, claim.id, (r.seq, r.number, r.tries), None, fate);
                }
            }
        }
        if let Some(port) = self.ports.get(&route)
            && !calls.is_empty()
        {
            port.route.dial(Calls {
                campaign: work.id,
                claim: claim.id,
                send_before,
                purpose: work.definition.purpose().into(),
                ring_time: voice.ring_time,
                opt_out_key: voice.opt_out_key,
                goal: voice.goal.clone(),
                calls,
            });
        }
    }

    /// Settles a call; `sender` is the number that it showed, none where nothing was sent.
    fn settle_call(
        &mut self,
        campaign: CampaignId,
        claim: ClaimId,
        (seq, number, tries): (i64, Msisdn, Tries),
        sender: Option<Arc<Sender>>,
        fate: Fate,
    ) {
        if let Some(open) = self.open.get_mut(&claim) {
            open.unsettled.remove(&seq);
        }
        self.pending.settled.push(Settled {
            claim,
            campaign,
            message_no: 1,
            seq,
            number,
            sender,
            fate,
            tries,
        });
    }

    /// A person pressed the key that opts out.
    pub(crate) fn opted_out(&mut self, campaign: CampaignId, number: Msisdn) {
        self.pending.opt_outs.push(CallOptOut { campaign, number });
    }

    /// Records what became of a call.
    pub(crate) fn called(&mut self, claim: ClaimId, seq: i64, report: CallReport, now: Timestamp) {
        let Some(open) = self.open.get_mut(&claim) else { return };
        let Some((number, mut tries)) = open.unsettled.remove(&seq) else { return };
        let (campaign, route, definition) = (open.campaign, open.route, open.definition.clone());
        let sender = open.senders.of(seq).clone();
        let mut calls = self.calling.remove(&number).unwrap_or_default();
        let Some(voice) = definition.content.calls() else { return };
        let CallReport { end, row, steps } = report;
        let words = row.as_ref().map(|row| row.words.clone()).unwrap_or_default();
        let code = row.as_ref().and_then(|row| row.sip_code);
        if let Some(port) = self.ports.get_mut(&route) {
            port.traffic.note_call(&end, code, &words, now);
            let answered = match &end {
                CallEnd::Came(call) => Some(call.called),
                CallEnd::Trunk { as_if, .. } => Some(*as_if),
                _ => None,
            };
            if answered == Some(Called::Congestion) {
                self.limits.slow_down(&choose::Key::Route(route), now);
            }
            let busy = |called| matches!(called, Called::Busy | Called::Congestion);
            if answered.is_some_and(|called| port.answers.came(busy(called))) {
                self.limits.slow_down(&choose::Key::Route(route), now);
            }
        }
        let best = retry::best(&calls).map(Called::outcome);
        let again = |wait, detail| Fate::Again {
            due_at: now.saturating_add(wait).unwrap_or(now),
            detail,
            otherwise: None,
        };
        // The call, where it counts; otherwise what becomes of the person.
        let counts = match end {
            CallEnd::Came(call) => {
                self.trunks.answered(campaign, now);
                tries.attempts += 1;
                Ok(call)
            }
            CallEnd::Trunk { as_if, exchange } => {
                let failure = Failure { seq, code, words: &words, exchange };
                match self.trunks.failed(campaign, failure, &mut tries, now) {
                    Verdict::Again(due_at) => Err(Fate::Again { due_at, detail: words, otherwise: None }),
                    Verdict::Failed => {
                        tries = Tries { attempts: tries.attempts + 1, ..Tries::default() };
                        Ok(retry::Call { called: as_if, goal: false })
                    }
                }
            }
            CallEnd::Withdrawn => Err(again(SignedDuration::ZERO, words)),
            CallEnd::NotBegun(words) => Err(again(NOT_BEGUN, words)),
            CallEnd::OptedOut => {
                Err(Fate::settled(best.unwrap_or(Outcome::Skipped), Some(SkipReason::OptedOut), None, None))
            }
            CallEnd::NoSpeech(words) => {
                let broken = self.trunks.no_speech(campaign, seq, &words, now);
                Err(if broken {
                    again(SignedDuration::ZERO, words)
                } else {
                    let reason = Some(SkipReason::SpeechFailed);
                    Fate::settled(best.unwrap_or(Outcome::Skipped), reason, None, Some(words))
                })
            }
        };
        let counted = counts.as_ref().ok().copied();
        calls.extend(counted);
        let fate = match (counts, &row) {
            (Ok(_), Some(row)) => fate(voice, &calls, row, now),
            (Ok(call), None) => Fate::settled(call.called.outcome(), None, None, None),
            (Err(fate), _) => fate,
        };
        if let Some(row) = row {
            self.pending.calls.push(CallEnded { campaign, seq, counts: counted, row, steps });
        }
        self.settle_call(campaign, claim, (seq, number, tries), Some(sender), fate);
    }
}
