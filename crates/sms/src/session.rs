//! The state of one connection: the window, the messages in it, what waits to be written. What is heard is handled in
//! `hear`.
//!
//! Keeps: a message is checked for opt-outs and for its time when it is encoded, and again whenever the socket did not
//! take it at once, so that nothing comes between the check and the write. Whole windows are still one write. However
//! a session ends, by a panic too, every message that it took is reported.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use engine::{Attempt, Batch, Job, Refusal, Report};
use jiff::Timestamp;
use rusmpp::{CommandStatus, Pdu, pdus::SubmitSm};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::Instant,
};

use campaign::Channel;

use crate::{
    connect::Role,
    flight::{Again, Flight},
    out::Out,
    pdu::{self, Parameters},
    shared::Shared,
    watch::{Fenced, Unbinding},
};

/// How long throttled parts of a long text are retried (architecture.md, Parts of a long text).
pub(crate) const PARTS_WITHIN: Duration = Duration::from_secs(60);
/// The most octets to write ahead of the socket: a window's worth.
const MOST_UNWRITTEN: usize = 256 * 1024;
/// The most octets to owe a far end: one that does not read is not read from either.
const MOST_OWED: usize = 2 * MOST_UNWRITTEN;
/// A batch and how far it is written; and the next message's PDUs while the window has no room for them yet.
pub(crate) struct Current {
    pub(crate) batch: Batch,
    /// Made with the first message.
    parameters: Option<Parameters>,
    pub(crate) at: usize,
    next: Option<Vec<SubmitSm>>,
}

pub(crate) struct Session<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) role: Role,
    pub(crate) acks: mpsc::UnboundedSender<u32>,
    /// Room for the next thing that the far end hands over.
    pub(crate) room: Option<OwnedSemaphorePermit>,
    /// How many things were handed over and not acknowledged; `by_data_sm` holds those that came as `data_sm`.
    pub(crate) unstored: usize,
    pub(crate) by_data_sm: HashSet<u32>,
    sequence: u32,
    messages: u64,
    /// Sequence number → (message, part).
    pub(crate) parts: HashMap<u32, (u64, usize)>,
    pub(crate) flights: HashMap<u64, Flight>,
    pub(crate) again: Vec<Again>,
    pub(crate) current: Option<Current>,
    pub(crate) fences: Vec<Fenced>,
    pub(crate) unbinding: Option<Unbinding>,
    /// Whether any message was accepted.
    pub(crate) accepted: bool,
    pub(crate) heard: Instant,
    pub(crate) answered_at: Instant,
    pub(crate) enquired: Instant,
    /// The last time we were not listening: waits for answers count from then at the earliest.
    pub(crate) deaf_at: Instant,
    pub(crate) out: Out,
}

impl<'a> Session<'a> {
    pub(crate) fn new(shared: &'a Shared, role: Role, acks: mpsc::UnboundedSender<u32>) -> Self {
        let now = Instant::now();
        Self {
            shared,
            role,
            acks,
            room: None,
            unstored: 0,
            by_data_sm: HashSet::new(),
            sequence: 1,
            messages: 0,
            parts: HashMap::new(),
            flights: HashMap::new(),
            again: Vec::new(),
            current: None,
            fences: Vec::new(),
            unbinding: None,
            accepted: false,
            heard: now,
            answered_at: now,
            enquired: now,
            deaf_at: now,
            out: Out::new(),
        }
    }

    pub(crate) fn put(&mut self, status: CommandStatus, number: u32, pdu: impl Into<Pdu>) {
        self.out.put(status, number, pdu, None);
    }

    fn next(&mut self) -> u32 {
        // 1 to 0x7FFFFFFF (SMPP 3.4 §3.2).
        self.sequence = self.sequence % 0x7FFF_FFFF + 1;
        self.sequence
    }

    pub(crate) fn enquire(&mut self) -> u32 {
        let number = self.next();
        self.put(CommandStatus::EsmeRok, number, Pdu::EnquireLink);
        self.enquired = Instant::now();
        number
    }

    /// How many PDUs the window has room for.
    fn room(&self) -> usize {
        // A text with more parts than the window is sent alone.
        let used = self.parts.len() + self.again.len();
        let window = self.shared.config.window.max(1) as usize;
        if used == 0 { usize::MAX } else { window.saturating_sub(used) }
    }

    fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// How much of the window is in use.
    pub(crate) fn unanswered(&self) -> u32 {
        self.parts.len() as u32
    }

    /// Whether the far end has accepted a message.
    pub(crate) fn was_accepted_from(&self) -> bool {
        self.accepted
    }

    fn sends(&self) -> bool {
        self.role.sends() && self.unbinding.is_none()
    }

    /// Whether to hear of news from the queue: there is room, and nothing in hand.
    pub(crate) fn wants_more(&self) -> bool {
        self.sends() && self.current.is_none() && self.has_room() && self.out.octets().len() < MOST_UNWRITTEN
    }

    /// Whether there is room for what the far end may hand over; takes some if it can.
    pub(crate) fn finds_room(&mut self) -> bool {
        self.room = self.room.take().or_else(|| self.shared.room_now());
        self.room.is_some()
    }

    /// Whether the far end is read from at this moment.
    pub(crate) fn listens(&self) -> bool {
        self.room.is_some() && self.out.octets().len() < MOST_OWED
    }

    /// Fills the window from the queue.
    pub(crate) fn fill(&mut self) {
        if !self.sends() {
            return;
        }
        self.write_again();
        let mut now = None;
        while self.has_room() && self.out.octets().len() < MOST_UNWRITTEN {
            if self.current.is_none() {
                let Some(batch) = self.shared.next() else { return };
                self.current = Some(Current { batch, parameters: None, at: 0, next: None });
            }
            // One look at the clock for a window's worth, which is written together.
            let now = *now.get_or_insert_with(Timestamp::now);
            if let Some(late) = self.current.take_if(|c| now >= c.batch.send_before) {
                self.shared.hand_back(&late.batch, late.at);
                continue;
            }
            if !self.write_next() {
                break;
            }
            self.current.take_if(|c| c.at >= c.batch.messages.len());
        }
        // Another bind may have room for what is left.
        if self.shared.has_more() {
            self.shared.more.notify_one();
        }
    }

    /// Writes the next message of the batch; `false` where the window has no room for all its parts.
    fn write_next(&mut self) -> bool {
        let room = self.room();
        // The batch stays where it is, and the message in it until it is in flight: a panic loses neither.
        let Some(current) = &mut self.current else { return false };
        let message = &current.batch.messages[current.at];
        let (job, seq) = (current.batch.job, message.seq);
        // A confirmation of an opt-out goes to the number that opted out.
        if job != Job::Answer
            && self.shared.opt_outs.contains(message.number, Channel::Sms, &current.batch.purpose)
        {
            self.shared.report(Report::Result { job, seq, attempt: Attempt::OptedOut });
            current.at += 1;
            return true;
        }
        let pdus = if let Some(pdus) = current.next.take() {
            pdus
        } else {
            let config = &self.shared.config;
            let common = current.parameters.get_or_insert_with(|| Parameters::of(config, &current.batch));
            match pdu::submit(config, common, message, || self.shared.next_reference()) {
                Ok(pdus) => pdus,
                Err(e) => {
                    // ESME_RINVMSGLEN (SMPP 3.4 §5.1.3).
                    let attempt =
                        Attempt::Refused { kind: Refusal::Recipient, status: 1, words: e.to_string() };
                    self.shared.report(Report::Result { job, seq, attempt });
                    current.at += 1;
                    return true;
                }
            }
        };
        if pdus.len() > room {
            current.next = Some(pdus);
            return false;
        }
        self.messages += 1;
        let number = message.number;
        let message = self.messages;
        let now = Instant::now();
        let kept = if pdus.len() > 1 { pdus.clone() } else { Vec::new() };
        let flight = Flight {
            job,
            seq,
            number,
            purpose: current.batch.purpose.clone(),
            send_before: current.batch.send_before,
            unanswered: pdus.len(),
            ids: vec![None; pdus.len()],
            refused: None,
            pdus: kept,
            began: now,
            written: now,
        };
        self.flights.insert(message, flight);
        current.at += 1;
        for (part, pdu) in pdus.into_iter().enumerate() {
            let number = self.next();
            self.parts.insert(number, (message, part));
            self.out.put(CommandStatus::EsmeRok, number, pdu, Some(message));
        }
        true
    }

    /// Writes the throttled parts whose wait is over.
    fn write_again(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self.again.extract_if(.., |again| again.at <= now).collect();
        for again in due {
            let Some(flight) = self.flights.get_mut(&again.message) else { continue };
            let Some(pdu) = flight.pdus.get(again.part).cloned() else { continue };
            flight.written = now;
            let number = self.next();
            self.parts.insert(number, (again.message, again.part));
            self.out.put(CommandStatus::EsmeRok, number, pdu, Some(again.message));
        }
    }

    /// Checks again what the socket did not take when it was encoded: a message of which no octet is written is called
    /// back if its number has opted out since, or its time is over.
    pub(crate) fn recall(&mut self, now: Timestamp) {
        let mut recalled = HashSet::new();
        let mut late: Vec<(Job, i64)> = Vec::new();
        for (message, parts) in self.out.unwritten() {
            let Some(flight) = self.flights.get(&message) else { continue };
            if parts < flight.ids.len() || flight.began != flight.written {
                continue;
            }
            let (job, seq) = (flight.job, flight.seq);
            if now >= flight.send_before {
                late.push((job, seq));
            } else if job != Job::Answer
                && self.shared.opt_outs.contains(flight.number, Channel::Sms, &flight.purpose)
            {
                self.shared.report(Report::Result { job, seq, attempt: Attempt::OptedOut });
            } else {
                continue;
            }
            recalled.insert(message);
        }
        if recalled.is_empty() {
            return;
        }
        // A batch goes back from its first late message on: the messages behind it have the same time.
        late.sort_unstable_by_key(|(_, seq)| *seq);
        let mut told: Vec<Job> = Vec::new();
        for (job, from_seq) in late {
            if job == Job::Answer || !told.contains(&job) {
                told.push(job);
                self.shared.report(Report::Unwritten { job, from_seq });
            }
        }
        self.current.take_if(|c| c.batch.job != Job::Answer && told.contains(&c.batch.job));
        self.flights.retain(|message, _| !recalled.contains(message));
        self.parts.retain(|_, (message, _)| !recalled.contains(message));
        self.out.call_back(&recalled);
    }

    /// A part was refused for good.
    pub(crate) fn part_refused(&mut self, message: u64, code: u32) {
        if let Some(flight) = self.flights.get_mut(&message) {
            flight.refused = Some(code);
        }
        self.part_done(message);
    }

    /// A part is answered; the message is reported with its last part.
    pub(crate) fn part_done(&mut self, message: u64) {
        let Some(flight) = self.flights.get_mut(&message) else { return };
        flight.unanswered -= 1;
        if flight.unanswered == 0
            && let Some(flight) = self.flights.remove(&message)
        {
            self.shared.report(flight.result(&self.shared.config.refusals));
        }
    }

    /// Reports every message not yet reported: the connection is gone.
    pub(crate) fn end(mut self, why: &str) {
        self.report_rest(why);
    }

    fn report_rest(&mut self, why: &str) {
        for (message, flight) in self.flights.drain() {
            let waiting = self.again.iter().filter(|a| a.message == message).count();
            self.shared.report(flight.lost(waiting, &self.shared.config.refusals, why));
        }
        if let Some(current) = self.current.take() {
            self.shared.hand_back(&current.batch, current.at);
        }
        for fenced in self.fences.drain(..) {
            let _ = fenced.fence.done.send(());
        }
    }
}

impl Drop for Session<'_> {
    /// Finds something to report only where the session did not come to its own end.
    fn drop(&mut self) {
        self.report_rest("the connection ended before the answer");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use campaign::{CampaignId, ClaimId, Msisdn, RouteId, Sender};
    use engine::{Outgoing, RouteKind};
    use serde_json::json;

    use super::*;
    use crate::shared::Fence;

    fn number(seq: i64) -> Msisdn {
        Msisdn::from_digits(12_025_550_000 + seq)
    }

    fn claim(claim: i64, seqs: std::ops::Range<i64>, send_before: &str) -> Batch {
        let messages = seqs.map(|seq| Outgoing {
            seq,
            sender: Arc::new(Sender::Number("12025550100".into())),
            number: number(seq),
            text: "Hello".into(),
        });
        Batch {
            job: Job::Claim { campaign: CampaignId(1), claim: ClaimId(claim) },
            send_before: send_before.parse().unwrap(),
            purpose: "".into(),
            validity: None,
            tlvs: Arc::default(),
            messages: messages.collect(),
        }
    }

    #[tokio::test]
    async fn a_session_that_a_panic_ends_has_reported_all_that_it_took() {
        let route =
            json!({"name": "R", "kind": "smpp", "host": "h", "port": 1, "system_id": "us", "window": 3});
        let RouteKind::Smpp(config) = engine::RouteConfig::read(route).unwrap().kind else { panic!() };
        let (reports, mut reported) = mpsc::unbounded_channel();
        let shared = Shared::new(RouteId(1), *config, reports, engine::OptOuts::default(), (1, 0));
        shared.came_up(0);
        shared.queue(claim(1, 0..5, "2999-01-01T00:00:00Z"));
        let (done, mut stopped) = tokio::sync::oneshot::channel();
        let ended = crate::fault::contained(async {
            let mut s = Session::new(&shared, Role::Transceiver, mpsc::unbounded_channel().0);
            s.fill();
            s.fence(Fence { campaign: CampaignId(2), done });
            panic!("in the middle of something");
        });
        assert_eq!(ended.await.map(|()| 0), Err("in the middle of something".to_owned()));
        let mut heard = Vec::new();
        while let Ok(report) = reported.try_recv() {
            match report {
                Report::Result { seq, attempt: Attempt::Lost { .. }, .. } => {
                    heard.push(format!("lost {seq}"));
                }
                Report::Unwritten { from_seq, .. } => heard.push(format!("back from {from_seq}")),
                Report::State => {}
                other => panic!("{other:?}"),
            }
        }
        heard.sort();
        assert_eq!(heard, ["back from 3", "lost 0", "lost 1", "lost 2"]);
        assert_eq!(stopped.try_recv(), Ok(()));
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_is_looked_at_again_before_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = store::Store::open(folder.path()).unwrap();
        let route =
            json!({"name": "R", "kind": "smpp", "host": "h", "port": 1, "system_id": "us", "window": 8});
        let RouteKind::Smpp(config) = engine::RouteConfig::read(route).unwrap().kind else { panic!() };
        let (reports, mut reported) = mpsc::unbounded_channel();
        let shared = Shared::new(RouteId(1), *config, reports, store.opt_outs(), (1, 0));
        shared.say(0, engine::RouteState::Connected);
        shared.queue(claim(1, 0..4, "2999-01-01T00:00:00Z"));
        shared.queue(claim(2, 10..20, "2998-01-01T00:00:00Z"));
        let mut s = Session::new(&shared, Role::Transceiver, mpsc::unbounded_channel().0);
        s.fill();
        let whole = s.out.octets().len();
        // Some octets of the first message are written, and then the socket is full.
        s.recall("2997-01-01T00:00:00Z".parse().unwrap());
        assert_eq!((s.unanswered(), s.out.octets().len()), (8, whole));
        s.out.written(10);
        for seq in [0, 2] {
            store
                .suppress(number(seq), store::Barred::Sms, "opted_out", fixture::by(Timestamp::now()))
                .await
                .unwrap();
        }
        s.recall("2998-01-01T00:00:01Z".parse().unwrap());
        let mut heard = Vec::new();
        while let Ok(report) = reported.try_recv() {
            match report {
                Report::Result { seq, attempt: Attempt::OptedOut, .. } => {
                    heard.push(format!("opted out {seq}"));
                }
                Report::Unwritten { from_seq, .. } => heard.push(format!("back from {from_seq}")),
                Report::State => {}
                other => panic!("{other:?}"),
            }
        }
        heard.sort();
        // The first is under way and continues; the second claim goes back whole, including what was not encoded.
        assert_eq!(heard, ["back from 10", "opted out 2"]);
        assert_eq!(s.unanswered(), 3);
        s.fill();
        assert_eq!(s.unanswered(), 3);
    }
}
