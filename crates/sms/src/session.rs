//! What lives as long as one connection: the window, who is in it, what waits to be written.

use std::{collections::HashMap, time::Duration};

use engine::{Ack, Attempt, Batch, Job, Receipt, Refusal, Report, RouteConfig};
use jiff::Timestamp;
use rusmpp::{
    Command, CommandId, CommandStatus, Pdu,
    pdus::{DeliverSmResp, SubmitSm},
    tokio_codec::{CommandCodec, DecodeError},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{bytes::BytesMut, codec::Encoder};

use crate::{
    bind::Fence,
    incoming::{self, Incoming},
    pdu,
    route::Shared,
    status,
};

/// A `submit_sm` that has no answer for so long means that the connection is dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle connection is asked whether it lives.
const ENQUIRE_EVERY: Duration = Duration::from_secs(15);
/// How long a fence waits before the connection is reset (architecture.md, Stop).
const FENCE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long throttled parts of a long text are tried again (architecture.md, Parts of a long text).
const PARTS_WITHIN: Duration = Duration::from_secs(60);
/// The wait before a throttled part is written again.
const PART_BACKOFF: Duration = Duration::from_millis(500);
/// A window's worth of bytes is written ahead of the socket, no more.
const MOST_UNWRITTEN: usize = 256 * 1024;

/// Whether something that may last `most` and began at `since` has lasted longer.
fn over(since: Instant, most: Duration) -> bool {
    since.elapsed() > most
}

/// One message on the wire.
struct Flight {
    job: Job,
    seq: i64,
    unanswered: usize,
    ids: Vec<Option<String>>,
    refused: Option<u32>,
    /// The parts of a long text, for those that are throttled.
    pdus: Vec<SubmitSm>,
    began: Instant,
    written: Instant,
}

/// A throttled part that waits to be written again.
struct Again {
    at: Instant,
    message: u64,
    part: usize,
}

/// A batch and how far it is written; the next message's PDUs where the window has no room for them yet.
struct Current {
    batch: Batch,
    at: usize,
    next: Option<Vec<SubmitSm>>,
}

struct Fenced {
    fence: Fence,
    enquiry: u32,
    read: bool,
    since: Instant,
}

pub(crate) struct Session<'a> {
    shared: &'a Shared,
    acks: mpsc::UnboundedSender<u32>,
    sequence: u32,
    reference: u8,
    messages: u64,
    /// Sequence number → (message, part).
    parts: HashMap<u32, (u64, usize)>,
    flights: HashMap<u64, Flight>,
    again: Vec<Again>,
    current: Option<Current>,
    fences: Vec<Fenced>,
    heard: Instant,
    enquired: Instant,
    codec: CommandCodec,
    pub(crate) out: BytesMut,
}

impl<'a> Session<'a> {
    pub(crate) fn new(shared: &'a Shared, acks: mpsc::UnboundedSender<u32>) -> Self {
        Self {
            shared,
            acks,
            sequence: 1,
            reference: 0,
            messages: 0,
            parts: HashMap::new(),
            flights: HashMap::new(),
            again: Vec::new(),
            current: None,
            fences: Vec::new(),
            heard: Instant::now(),
            enquired: Instant::now(),
            codec: CommandCodec::new(),
            out: BytesMut::new(),
        }
    }

    fn put(&mut self, sequence: u32, pdu: impl Into<Pdu>) {
        // Encoding into memory does not fail.
        let _ = self.codec.encode(Command::new(CommandStatus::EsmeRok, sequence, pdu), &mut self.out);
    }

    fn next(&mut self) -> u32 {
        // 1 to 0x7FFFFFFF (SMPP 3.4 §3.2).
        self.sequence = self.sequence % 0x7FFF_FFFF + 1;
        self.sequence
    }

    fn enquire(&mut self) -> u32 {
        let number = self.next();
        self.put(number, Pdu::EnquireLink);
        self.enquired = Instant::now();
        number
    }

    fn has_room(&self, pdus: usize) -> bool {
        // A text with more parts than the window goes alone.
        let used = self.parts.len() + self.again.len();
        used == 0 || used + pdus <= self.shared.config.window.max(1) as usize
    }

    /// How much of the window is used.
    pub(crate) fn unanswered(&self) -> u32 {
        self.parts.len() as u32
    }

    /// Whether the queue's news are of use: there is room, and nothing in hand.
    pub(crate) fn wants_more(&self) -> bool {
        self.current.is_none() && self.has_room(1) && self.out.len() < MOST_UNWRITTEN
    }

    /// Fills the window from the queue.
    pub(crate) fn fill(&mut self) {
        self.write_again();
        let mut now = None;
        while self.has_room(1) && self.out.len() < MOST_UNWRITTEN {
            let Some(mut current) = self
                .current
                .take()
                .or_else(|| self.shared.next().map(|batch| Current { batch, at: 0, next: None }))
            else {
                return;
            };
            // One look at the clock for a window's worth: they are written together.
            if *now.get_or_insert_with(Timestamp::now) >= current.batch.send_before {
                self.shared.hand_back(&current.batch, current.at);
                continue;
            }
            let written = self.write_next(&mut current);
            if current.at < current.batch.messages.len() {
                self.current = Some(current);
            }
            if !written {
                break;
            }
        }
        // Another bind may have room for what is left.
        if self.shared.has_more() {
            self.shared.more.notify_one();
        }
    }

    /// Writes the next message of a batch; `false` where the window has no room for all its parts.
    fn write_next(&mut self, current: &mut Current) -> bool {
        let message = &current.batch.messages[current.at];
        let (job, seq) = (current.batch.job, message.seq);
        // A confirmation of an opt-out goes to whoever opted out.
        if job != Job::Answer && self.shared.opt_outs.contains(message.number, &current.batch.purpose) {
            self.shared.report(Report::Result { job, seq, attempt: Attempt::OptedOut });
            current.at += 1;
            return true;
        }
        let pdus = if let Some(pdus) = current.next.take() {
            pdus
        } else {
            self.reference = self.reference.wrapping_add(1);
            match pdu::submit(&current.batch, message, self.reference) {
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
        if !self.has_room(pdus.len()) {
            current.next = Some(pdus);
            return false;
        }
        current.at += 1;
        self.messages += 1;
        let message = self.messages;
        let now = Instant::now();
        let kept = if pdus.len() > 1 { pdus.clone() } else { Vec::new() };
        let flight = Flight {
            job,
            seq,
            unanswered: pdus.len(),
            ids: vec![None; pdus.len()],
            refused: None,
            pdus: kept,
            began: now,
            written: now,
        };
        self.flights.insert(message, flight);
        for (part, pdu) in pdus.into_iter().enumerate() {
            let number = self.next();
            self.parts.insert(number, (message, part));
            self.put(number, pdu);
        }
        true
    }

    /// Writes throttled parts whose wait is over.
    fn write_again(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self.again.extract_if(.., |again| again.at <= now).collect();
        for again in due {
            let Some(flight) = self.flights.get_mut(&again.message) else { continue };
            let Some(pdu) = flight.pdus.get(again.part).cloned() else { continue };
            flight.written = now;
            let number = self.next();
            self.parts.insert(number, (again.message, again.part));
            self.put(number, pdu);
        }
    }

    /// Takes what was read.
    pub(crate) fn read(&mut self, command: Option<Result<Command, DecodeError>>) -> Result<(), String> {
        let command = match command {
            Some(Ok(command)) => command,
            Some(Err(e)) => return Err(format!("the far end speaks no SMPP: {e}")),
            None => return Err("the far end closed the connection".into()),
        };
        self.heard = Instant::now();
        let number = command.sequence_number();
        match command.pdu() {
            Some(Pdu::SubmitSmResp(answer)) => {
                self.answered(number, command.status(), Some(answer.message_id().as_str()))?;
            }
            // A refusal may come without a body (SMPP 3.4 §4.4.2).
            None if command.id() == CommandId::SubmitSmResp => {
                self.answered(number, command.status(), None)?;
            }
            Some(Pdu::GenericNack) => self.answered(number, command.status(), None)?,
            Some(Pdu::DeliverSm(sm)) => match incoming::read(sm, self.shared.id) {
                Incoming::Receipt(read) => {
                    let receipt = Receipt {
                        route: self.shared.id,
                        provider_ids: read.provider_ids,
                        number: read.number,
                        delivered: read.delivered,
                        code: read.code,
                    };
                    self.shared.report(Report::Receipt(receipt, Ack::new(self.acks.clone(), number)));
                }
                Incoming::Reply(reply) => {
                    self.shared.report(Report::Reply(reply, Ack::new(self.acks.clone(), number)));
                }
                Incoming::Other => self.acknowledge(number),
            },
            Some(Pdu::EnquireLink) => self.put(number, Pdu::EnquireLinkResp),
            Some(Pdu::EnquireLinkResp) => {
                for fenced in self.fences.iter_mut().filter(|f| f.enquiry == number) {
                    fenced.read = true;
                }
            }
            Some(Pdu::Unbind) => return Err("the far end unbound".into()),
            _ => {}
        }
        Ok(())
    }

    /// Tells the far end that its `deliver_sm` is stored.
    pub(crate) fn acknowledge(&mut self, number: u32) {
        self.put(number, DeliverSmResp::default());
    }

    fn answered(&mut self, number: u32, status: CommandStatus, id: Option<&str>) -> Result<(), String> {
        let Some((message, part)) = self.parts.remove(&number) else {
            return Err(format!("the far end answered {number}, which was never asked"));
        };
        let Some(flight) = self.flights.get_mut(&message) else { return Ok(()) };
        if status == CommandStatus::EsmeRok {
            flight.ids[part] = Some(id.unwrap_or_default().to_owned());
        } else {
            let code = u32::from(status);
            let throttled = status::of(code, &self.shared.config.refusals).0 == Refusal::Throttled;
            let stopped = self.fences.iter().any(|f| flight.job.is_of(f.fence.campaign));
            if throttled && !flight.pdus.is_empty() && !stopped && !over(flight.began, PARTS_WITHIN) {
                self.again.push(Again { at: Instant::now() + PART_BACKOFF, message, part });
                return Ok(());
            }
            flight.refused = Some(code);
        }
        flight.unanswered -= 1;
        if flight.unanswered == 0
            && let Some(flight) = self.flights.remove(&message)
        {
            self.shared.report(flight.result(&self.shared.config));
        }
        Ok(())
    }

    /// Writes nothing more of a campaign, and asks behind what was written.
    pub(crate) fn fence(&mut self, fence: Fence) {
        if let Some(current) = self.current.take_if(|c| c.batch.job.is_of(fence.campaign)) {
            self.shared.hand_back(&current.batch, current.at);
        }
        // Throttled parts are given up: the ESME_RTHROTTLED they had stands.
        let given_up: Vec<_> = self
            .again
            .extract_if(.., |a| self.flights.get(&a.message).is_some_and(|f| f.job.is_of(fence.campaign)))
            .collect();
        for again in given_up {
            if let Some(flight) = self.flights.get_mut(&again.message) {
                flight.refused = Some(status::THROTTLED);
                flight.unanswered -= 1;
                if flight.unanswered == 0
                    && let Some(flight) = self.flights.remove(&again.message)
                {
                    self.shared.report(flight.result(&self.shared.config));
                }
            }
        }
        let enquiry = self.enquire();
        self.fences.push(Fenced { fence, enquiry, read: false, since: Instant::now() });
    }

    /// Answers the fences whose enquiry came back and of whose campaign nothing is in flight.
    pub(crate) fn pass_fences(&mut self) {
        let flights = &self.flights;
        for passed in
            self.fences.extract_if(.., |f| f.read && !flights.values().any(|l| l.job.is_of(f.fence.campaign)))
        {
            let _ = passed.fence.done.send(());
        }
    }

    /// Looks at what is overdue.
    pub(crate) fn tick(&mut self) -> Result<(), String> {
        if self.flights.values().any(|f| over(f.written, ANSWER_TIMEOUT)) {
            return Err("a message had no answer".into());
        }
        if self.fences.iter().any(|f| over(f.since, FENCE_TIMEOUT)) {
            return Err("the far end did not answer the stop barrier".into());
        }
        if over(self.heard, ENQUIRE_EVERY * 2) {
            return Err("the far end is silent".into());
        }
        if over(self.heard, ENQUIRE_EVERY) && over(self.enquired, ENQUIRE_EVERY) {
            self.enquire();
        }
        Ok(())
    }

    /// Reports everything that is not: the connection is gone.
    pub(crate) fn end(mut self, why: &str) {
        for (message, flight) in self.flights.drain() {
            // What was refused whole and waited to be written again is known not to have been taken.
            let waiting = self.again.iter().filter(|a| a.message == message).count();
            let refused = waiting == flight.unanswered && flight.ids.iter().all(Option::is_none);
            let attempt = if refused {
                let (kind, words) = status::of(status::THROTTLED, &self.shared.config.refusals);
                Attempt::Refused { kind, status: status::THROTTLED, words }
            } else {
                Attempt::Lost { words: why.to_owned() }
            };
            self.shared.report(Report::Result { job: flight.job, seq: flight.seq, attempt });
        }
        if let Some(current) = self.current.take() {
            self.shared.hand_back(&current.batch, current.at);
        }
        for fenced in self.fences {
            let _ = fenced.fence.done.send(());
        }
    }
}

impl Flight {
    fn result(self, config: &RouteConfig) -> Report {
        let ids: Vec<String> = self.ids.into_iter().flatten().collect();
        let attempt = match self.refused {
            None => Attempt::Accepted { provider_ids: ids },
            Some(status) if ids.is_empty() => {
                let (kind, words) = status::of(status, &config.refusals);
                Attempt::Refused { kind, status, words }
            }
            // Never sent again: some of it is on its way.
            Some(status) => Attempt::Refused {
                kind: Refusal::Recipient,
                status,
                words: format!("partial: {}", status::of(status, &config.refusals).1),
            },
        };
        Report::Result { job: self.job, seq: self.seq, attempt }
    }
}
