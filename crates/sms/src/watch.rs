//! What delays or ends a session: fences, the SMSC's unbind, silence, answers that do not come.

use std::time::Duration;

use engine::Job;
use jiff::SignedDuration;
use rusmpp::{CommandStatus, Pdu};
use tokio::time::Instant;

use crate::{session::Session, shared::Fence, status};

/// How long a fence waits before the connection is reset (architecture.md, Stop).
const FENCE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait, once the SMSC unbinds, for it to answer what it has taken.
const UNBIND_WITHIN: Duration = Duration::from_secs(10);

/// Whether something that began at `since` and may last `most` has lasted longer.
pub(crate) fn over(since: Instant, most: Duration) -> bool {
    since.elapsed() > most
}

fn span(span: SignedDuration) -> Duration {
    Duration::try_from(span).unwrap_or_default()
}

pub(crate) struct Fenced {
    pub(crate) fence: Fence,
    pub(crate) enquiry: u32,
    pub(crate) read: bool,
    since: Instant,
}

impl Fenced {
    pub(crate) fn is_of(&self, job: Job) -> bool {
        job.is_of(self.fence.campaign)
    }
}

/// The SMSC asked to end the session.
pub(crate) struct Unbinding {
    number: u32,
    since: Instant,
    answered: bool,
}

impl Session<'_> {
    /// Writes nothing more of a campaign, and sends an enquiry after what was written.
    pub(crate) fn fence(&mut self, fence: Fence) {
        if !self.role.sends() {
            let _ = fence.done.send(());
            return;
        }
        if let Some(current) = self.current.take_if(|c| c.batch.job.is_of(fence.campaign)) {
            self.shared.hand_back(&current.batch, current.at);
        }
        self.give_up(|job| job.is_of(fence.campaign));
        let enquiry = self.enquire();
        self.fences.push(Fenced { fence, enquiry, read: false, since: Instant::now() });
    }

    /// Stops retrying throttled parts: the `ESME_RTHROTTLED` that they got stands.
    fn give_up(&mut self, of: impl Fn(Job) -> bool) {
        let flights = &self.flights;
        let given_up: Vec<_> =
            self.again.extract_if(.., |a| flights.get(&a.message).is_some_and(|f| of(f.job))).collect();
        for again in given_up {
            self.part_refused(again.message, status::THROTTLED);
        }
    }

    /// Answers the fences whose enquiry came back and whose campaign has nothing in flight.
    pub(crate) fn pass_fences(&mut self) {
        let flights = &self.flights;
        for passed in self.fences.extract_if(.., |f| f.read && !flights.values().any(|l| f.is_of(l.job))) {
            let _ = passed.fence.done.send(());
        }
    }

    /// The SMSC asks to end the session: nothing more is written, and it is answered once all it has taken is answered.
    pub(crate) fn unbind(&mut self, number: u32) {
        if let Some(current) = self.current.take() {
            self.shared.hand_back(&current.batch, current.at);
        }
        self.give_up(|_| true);
        let since = Instant::now();
        self.unbinding.get_or_insert(Unbinding { number, since, answered: false });
    }

    pub(crate) fn is_unbinding(&self) -> bool {
        self.unbinding.is_some()
    }

    /// When the SMSC asked to end the session, if it did.
    pub(crate) fn unbinding_since(&self) -> Option<Instant> {
        self.unbinding.as_ref().map(|unbinding| unbinding.since)
    }

    /// Whether the SMSC may have its answer to the unbind; queues that answer.
    pub(crate) fn has_unbound(&mut self) -> bool {
        let done = self.parts.is_empty() && self.unstored == 0;
        let Some(unbinding) = &mut self.unbinding else { return false };
        if !(done || over(unbinding.since, UNBIND_WITHIN)) {
            return false;
        }
        if !std::mem::replace(&mut unbinding.answered, true) {
            let number = unbinding.number;
            self.put(CommandStatus::EsmeRok, number, Pdu::UnbindResp);
        }
        true
    }

    /// Handles what is overdue.
    pub(crate) fn tick(&mut self) -> Result<(), String> {
        let config = &self.shared.config;
        let (enquire, answer) = (span(config.enquire_interval), span(config.answer_timeout));
        if self.out.stuck_since().is_some_and(|since| over(since, enquire + answer)) {
            return Err("the far end does not read".into());
        }
        if !self.listens() {
            self.deaf_at = Instant::now();
            return Ok(());
        }
        let deaf_at = self.deaf_at;
        let overdue = |since: Instant, most: Duration| over(since.max(deaf_at), most);
        if self.fences.iter().any(|f| overdue(f.since, FENCE_TIMEOUT)) {
            return Err("the far end did not answer the stop barrier".into());
        }
        if overdue(self.heard, enquire + answer) {
            return Err("the far end is silent".into());
        }
        let lost: Vec<u64> =
            self.flights.iter().filter(|(_, f)| overdue(f.written, answer)).map(|(m, _)| *m).collect();
        if !lost.is_empty() && overdue(self.answered_at, answer) {
            return Err("a message had no answer".into());
        }
        // Others are answered: the connection lives, and these messages alone are in doubt.
        for message in lost {
            let Some(flight) = self.flights.remove(&message) else { continue };
            let waiting = self.again.iter().filter(|a| a.message == message).count();
            self.again.retain(|a| a.message != message);
            self.parts.retain(|_, (of, _)| *of != message);
            self.shared.report(flight.lost(waiting, &self.shared.config.refusals, "it had no answer"));
        }
        if over(self.heard, enquire) && over(self.enquired, enquire) {
            self.enquire();
        }
        Ok(())
    }
}
