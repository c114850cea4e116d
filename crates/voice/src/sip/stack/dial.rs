//! A call from its INVITE to its answer or its end. The task that dials is the only one that sends the call's
//! INVITEs: told to withdraw, it drops the library's work on them, so that no repeat follows.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use rsipstack::{
    dialog::{
        dialog::{DialogState, DialogStateReceiver},
        invitation::InviteOption,
        invite_dialog::InviteDialog,
    },
    sip::{Header, Response, StatusCodeKind, Uri},
    transport::SipAddr,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Facts, Shared, hear, inspect, talk,
    targets::{hop, sip_addr},
    words,
};
use crate::sip::{
    call::{Event, Invite, Order},
    cause::{Cause, End, Outcome, Verdict, judge},
    session,
};

/// How long a target may stay silent before the next one is tried (RFC 3263 leaves it open; T1 × 8).
const NEXT_TARGET_AFTER: Duration = Duration::from_secs(4);
/// How long the far end's last word on a withdrawn call is waited for.
const SETTLE_WITHIN: Duration = Duration::from_secs(4);
/// As often a 422 is answered by a longer session interval.
const MOST_INTERVALS: usize = 2;

/// The way between a call's task and its owner.
pub(super) struct Line {
    pub events: mpsc::Sender<Event>,
    pub last: mpsc::OwnedPermit<Event>,
    pub orders: mpsc::Receiver<Order>,
    /// Whether the owner knows that the phone rings.
    pub rings: bool,
}

impl Line {
    /// Tells the owner, or drops it where too much waits already.
    pub fn tell(&self, event: Event) {
        let _ = self.events.try_send(event);
    }
}

/// A call to be made.
pub(super) struct Dial {
    pub shared: Arc<Shared>,
    pub invite: Invite,
    /// The Request-URI.
    pub uri: Uri,
    pub id: String,
    pub facts: Arc<Facts>,
}

/// What one INVITE came to.
enum Attempt {
    Answered(Box<Confirmed>),
    Refused(Box<Response>),
    /// The library's or the transport's fault, in words.
    Broken(String),
    /// Nothing was heard, and there is another target.
    NextTarget,
    Withdrawn(Why),
}

/// Why an INVITE was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// By the owner, or the agent that closes.
    Asked,
    RingTimeOver,
}

/// An answered call.
pub(super) struct Confirmed {
    pub dialog: InviteDialog,
    pub states: DialogStateReceiver,
    pub response: Response,
}

impl Dial {
    /// Makes the call, lives through it, and returns its end.
    pub(super) async fn run(&self, line: &mut Line) -> End {
        let started = Instant::now();
        let targets = self.shared.targets.all();
        let mut interval = session::PROPOSED;
        let mut intervals = 0;
        let mut next = 0;
        loop {
            let Some(target) = targets.get(next).copied() else {
                return self.unanswered(&Outcome::NotCarried, started, "the trunk has no address".to_owned());
            };
            let has_next = next + 1 < targets.len();
            match self.attempt(target, has_next, interval, line).await {
                Attempt::Answered(confirmed) => {
                    let response = &confirmed.response;
                    line.tell(Event::Answered { sdp: response.body.clone() });
                    return talk::talk(self, *confirmed, session::shortest(interval), line, started).await;
                }
                Attempt::Refused(response) => {
                    let code = response.status_code.code();
                    let local = inspect::is_local(&response);
                    let longer = words::min_se(&response).filter(|longer| *longer > interval);
                    if let (422, Some(longer), true) = (code, longer, intervals < MOST_INTERVALS) {
                        interval = longer;
                        intervals += 1;
                    } else if code == 503 && has_next && !self.facts.rang() {
                        next += 1;
                    } else if local && code == 503 {
                        let words = format!("the connection to {target} is lost");
                        return self.unanswered(&Outcome::NotCarried, started, words);
                    } else if local {
                        return self.unanswered(&self.silence(), started, silent(target));
                    } else {
                        let q850 = inspect::q850(&*response);
                        let outcome = Outcome::Refused { code, q850 };
                        let retry_after = words::retry_after(&response);
                        return End {
                            retry_after,
                            ..self.unanswered(&outcome, started, words::of(&response))
                        };
                    }
                }
                Attempt::Broken(_) | Attempt::NextTarget if has_next => next += 1,
                Attempt::Broken(words) => {
                    // The library gives no answer where it cannot read a challenge: what came on the wire tells.
                    let outcome = match self.facts.last_final() {
                        Some(code @ (401 | 407)) => Outcome::Refused { code, q850: None },
                        _ => Outcome::NotCarried,
                    };
                    return self.unanswered(&outcome, started, words);
                }
                Attempt::NextTarget => return self.unanswered(&Outcome::Silent, started, silent(target)),
                Attempt::Withdrawn(why) => {
                    return meanwhile(&mut line.orders, true, self.withdrawn(why, target, started)).await;
                }
            }
        }
    }

    /// Sends one INVITE and sees it to an answer, a refusal or its withdrawal.
    async fn attempt(&self, target: SocketAddr, has_next: bool, interval: u32, line: &mut Line) -> Attempt {
        let address = sip_addr(target, self.shared.trunk.transport);
        tokio::select! {
            biased;
            told = asked_to_end(&mut line.orders) => {
                if let Some(told) = told {
                    let _ = told.send(true);
                }
                return Attempt::Withdrawn(Why::Asked);
            }
            () = self.shared.closing.cancelled() => return Attempt::Withdrawn(Why::Asked),
            connected = self.shared.connect(&address) => if let Err(words) = connected {
                return Attempt::Broken(words);
            },
        }
        self.facts.begin_attempt();
        let (sender, mut states) = self.shared.layer.new_dialog_state_channel();
        let option = self.option(address, interval);
        // Nothing of the INVITE leaves after this block, in which it lives, but a CANCEL where something was heard, and ACK and
        // BYE where an answer comes late.
        let (why, told) = {
            let mut inviting = pin!(self.shared.layer.do_invite(option, sender));
            let begun = Instant::now();
            // One of each for all passes: whatever is waited for anew is put into a list of the runtime's and taken out again.
            let mut closing = pin!(self.shared.closing.cancelled());
            let mut rings = pin!(sleep_until(begun + self.invite.ring_time));
            loop {
                let waits_for_next = has_next && !self.facts.any_answer();
                tokio::select! {
                    biased;
                    told = asked_to_end(&mut line.orders) => break (Why::Asked, told),
                    () = &mut closing => break (Why::Asked, None),
                    result = &mut inviting => return ended(result, states),
                    Some(state) = states.recv() => if Self::early(&state, line) {
                        rings.as_mut().reset(Instant::now() + self.invite.ring_time);
                    },
                    () = &mut rings => break (Why::RingTimeOver, None),
                    () = sleep_until(begun + NEXT_TARGET_AFTER), if waits_for_next => {
                        if self.facts.any_answer() {
                            continue;
                        }
                        return Attempt::NextTarget;
                    }
                }
            }
        };
        if let Some(told) = told {
            let _ = told.send(true);
        }
        Attempt::Withdrawn(why)
    }

    /// Tells what comes before the answer. Returns whether the phone begins to ring.
    fn early(state: &DialogState, line: &mut Line) -> bool {
        match state {
            DialogState::Trying(_) => line.tell(Event::Trying),
            DialogState::Early(_, response) if (180..=183).contains(&response.status_code.code()) => {
                let begins = !std::mem::replace(&mut line.rings, true);
                if begins {
                    line.tell(Event::Ringing);
                }
                if !response.body.is_empty() {
                    line.tell(Event::EarlyMedia(response.body.clone()));
                }
                return begins;
            }
            _ => {}
        }
        false
    }

    /// A withdrawn call's end: waits for the far end's last word, because a phone may just have been picked up.
    async fn withdrawn(&self, why: Why, target: SocketAddr, started: Instant) -> End {
        let heard = self.facts.any_answer();
        let within = if self.facts.invited() { SETTLE_WITHIN } else { Duration::ZERO };
        let last = timeout(within, self.facts.settled()).await.ok();
        let answered = last.is_some_and(|code| (200..300).contains(&code));
        let crossed = "answered as it was cancelled";
        if why == Why::RingTimeOver {
            let (outcome, words) = match (answered, heard) {
                (true, _) => (Outcome::RingTimeOver, crossed.to_owned()),
                (false, true) => {
                    (Outcome::RingTimeOver, format!("not answered within {:?}", self.invite.ring_time))
                }
                (false, false) => (Outcome::Silent, silent(target)),
            };
            return self.unanswered(&outcome, started, words);
        }
        let words = if answered { crossed.to_owned() } else { "cancelled before an answer".to_owned() };
        End {
            cause: Cause::Cancelled { answered },
            trunk: false,
            sip_code: last.filter(|code| *code >= 300),
            q850: None,
            words,
            retry_after: None,
            after_18x: self.facts.rang(),
            elapsed: started.elapsed(),
        }
    }

    /// What the library's own time-out means: silence, or a phone that was left ringing.
    fn silence(&self) -> Outcome {
        if self.facts.any_answer() { Outcome::RingTimeOver } else { Outcome::Silent }
    }

    fn unanswered(&self, outcome: &Outcome, started: Instant, words: String) -> End {
        let (after_18x, elapsed) = (self.facts.rang(), started.elapsed());
        let Verdict { cause, trunk } = judge(outcome, after_18x, elapsed);
        let (sip_code, q850) = match outcome {
            Outcome::Refused { code, q850 } => (Some(*code), *q850),
            Outcome::RingTimeOver | Outcome::Silent | Outcome::NotCarried => (None, None),
        };
        End { cause, trunk, sip_code, q850, words, retry_after: None, after_18x, elapsed }
    }

    fn option(&self, address: SipAddr, interval: u32) -> InviteOption {
        let caller = self.shared.uri(Some(&self.invite.caller_id));
        let mut headers = vec![
            hop(&address),
            Header::PAssertedIdentity(format!("<{caller}>").into()),
            Header::Allow(hear::ALLOW.into()),
            Header::Supported("timer".into()),
            Header::SessionExpires(interval.to_string().into()),
            Header::MinSE(session::shortest(interval).to_string().into()),
        ];
        headers.extend(self.invite.headers.iter().map(|(n, v)| Header::Other(n.clone(), v.clone())));
        let mut contact = self.shared.contact();
        // RFC 3261 §8.1.1.8: whoever is called by sips: answers by it.
        contact.scheme.clone_from(&self.uri.scheme);
        InviteOption {
            caller,
            callee: self.uri.clone(),
            destination: Some(address),
            content_type: Some("application/sdp".to_owned()),
            offer: Some(self.invite.offer.clone()),
            contact,
            credential: self.shared.credential(),
            headers: Some(headers),
            call_id: Some(self.id.clone()),
            ..InviteOption::default()
        }
    }
}

/// What an INVITE came to.
fn ended(
    result: rsipstack::Result<(InviteDialog, Option<Response>)>,
    states: DialogStateReceiver,
) -> Attempt {
    match result {
        Ok((dialog, Some(response))) if response.status_code.kind() == StatusCodeKind::Successful => {
            Attempt::Answered(Box::new(Confirmed { dialog, states, response }))
        }
        Ok((_, Some(response))) => Attempt::Refused(Box::new(response)),
        Ok((_, None)) => Attempt::Broken("the INVITE ended without an answer".to_owned()),
        Err(e) => Attempt::Broken(e.to_string()),
    }
}

/// Waits until the owner wants the call to end; an owner that is gone does.
async fn asked_to_end(orders: &mut mpsc::Receiver<Order>) -> Option<oneshot::Sender<bool>> {
    loop {
        match orders.recv().await {
            Some(Order::Abort(told)) => return Some(told),
            Some(Order::HangUp) | None => return None,
            // There is nobody yet who could be transferred.
            Some(Order::Refer(_)) => {}
        }
    }
}

/// Does what remains of a call, and answers at once who aborts it meanwhile: whether it was `withdrawn`.
pub(super) async fn meanwhile<T>(
    orders: &mut mpsc::Receiver<Order>,
    withdrawn: bool,
    rest: impl Future<Output = T>,
) -> T {
    let mut rest = std::pin::pin!(rest);
    let mut owned = true;
    loop {
        tokio::select! {
            done = &mut rest => return done,
            order = orders.recv(), if owned => match order {
                Some(Order::Abort(told)) => { let _ = told.send(withdrawn); }
                Some(_) => {}
                None => owned = false,
            },
        }
    }
}

fn silent(target: SocketAddr) -> String {
    format!("{target} does not answer the INVITE")
}
