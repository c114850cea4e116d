//! What lives as long as one connection: the window, who is in it, what waits to be written. What is heard is taken
//! in `hear`.
//!
//! Keeps: a message is looked at for opt-outs and for its time when it is encoded, and again whenever the socket did
//! not take it at once, so that nothing lies between the look and the write. Whole windows are still one write.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use engine::{Attempt, Batch, Job, Refusal, Report};
use jiff::{SignedDuration, Timestamp};
use rusmpp::{Command, CommandStatus, Pdu, pdus::SubmitSm, tokio_codec::CommandCodec};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::Instant,
};
use tokio_util::{
    bytes::{Buf, BytesMut},
    codec::Encoder,
};

use crate::{
    connect::Role,
    flight::{Again, Flight},
    pdu::{self, Parameters},
    shared::{Fence, Shared},
    status,
};

/// How long a fence waits before the connection is reset (architecture.md, Stop).
const FENCE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long throttled parts of a long text are tried again (architecture.md, Parts of a long text).
pub(crate) const PARTS_WITHIN: Duration = Duration::from_secs(60);
/// A window's worth of bytes is written ahead of the socket, no more.
const MOST_UNWRITTEN: usize = 256 * 1024;
/// A far end that does not read is not read from either.
const MOST_OWED: usize = 2 * MOST_UNWRITTEN;
/// How long the SMSC that unbinds is waited for to answer what it has taken.
const UNBIND_WITHIN: Duration = Duration::from_secs(10);

/// Whether something that may last `most` and began at `since` has lasted longer.
pub(crate) fn over(since: Instant, most: Duration) -> bool {
    since.elapsed() > most
}

fn span(span: SignedDuration) -> Duration {
    Duration::try_from(span).unwrap_or_default()
}

/// A batch and how far it is written; the next message's PDUs where the window has no room for them yet.
struct Current {
    batch: Batch,
    parameters: Parameters,
    at: usize,
    next: Option<Vec<SubmitSm>>,
}

pub(crate) struct Fenced {
    fence: Fence,
    pub(crate) enquiry: u32,
    pub(crate) read: bool,
    since: Instant,
}

impl Fenced {
    pub(crate) fn is_of(&self, job: Job) -> bool {
        job.is_of(self.fence.campaign)
    }
}

/// One PDU of what waits for the socket.
struct Piece {
    octets: usize,
    /// Whose part it is; none for what is no `submit_sm`.
    message: Option<u64>,
}

/// The SMSC asked for the end.
struct Unbinding {
    number: u32,
    since: Instant,
    answered: bool,
}

pub(crate) struct Session<'a> {
    pub(crate) shared: &'a Shared,
    role: Role,
    pub(crate) acks: mpsc::UnboundedSender<u32>,
    /// Room for the next thing that the far end hands over.
    pub(crate) room: Option<OwnedSemaphorePermit>,
    /// Handed over and not acknowledged, and which of it came as `data_sm`.
    pub(crate) unstored: usize,
    pub(crate) by_data_sm: HashSet<u32>,
    sequence: u32,
    messages: u64,
    /// Sequence number → (message, part).
    pub(crate) parts: HashMap<u32, (u64, usize)>,
    pub(crate) flights: HashMap<u64, Flight>,
    pub(crate) again: Vec<Again>,
    current: Option<Current>,
    pub(crate) fences: Vec<Fenced>,
    unbinding: Option<Unbinding>,
    /// Whether a message was accepted.
    pub(crate) accepted: bool,
    pub(crate) heard: Instant,
    pub(crate) answered_at: Instant,
    enquired: Instant,
    /// When we last did not listen: until then nothing can have been overdue.
    deaf_at: Instant,
    written_at: Instant,
    codec: CommandCodec,
    pub(crate) out: BytesMut,
    /// What lies in `out`, in order, and how much of the first is written.
    pieces: VecDeque<Piece>,
    begun: usize,
    /// Some of `out` was encoded before the last try to write it.
    stale: bool,
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
            written_at: now,
            codec: CommandCodec::new(),
            out: BytesMut::new(),
            pieces: VecDeque::new(),
            begun: 0,
            stale: false,
        }
    }

    pub(crate) fn put(&mut self, status: CommandStatus, number: u32, pdu: impl Into<Pdu>) {
        self.put_piece(status, number, pdu, None);
    }

    fn put_piece(&mut self, status: CommandStatus, number: u32, pdu: impl Into<Pdu>, message: Option<u64>) {
        if self.out.is_empty() {
            self.written_at = Instant::now();
        }
        let before = self.out.len();
        // Encoding into memory does not fail.
        let _ = self.codec.encode(Command::new(status, number, pdu), &mut self.out);
        self.pieces.push_back(Piece { octets: self.out.len() - before, message });
    }

    /// The socket took so many octets.
    pub(crate) fn written(&mut self, octets: usize) {
        self.written_at = Instant::now();
        self.out.advance(octets);
        self.begun += octets;
        while let Some(first) = self.pieces.front()
            && first.octets <= self.begun
        {
            self.begun -= first.octets;
            self.pieces.pop_front();
        }
    }

    fn next(&mut self) -> u32 {
        // 1 to 0x7FFFFFFF (SMPP 3.4 §3.2).
        self.sequence = self.sequence % 0x7FFF_FFFF + 1;
        self.sequence
    }

    fn enquire(&mut self) -> u32 {
        let number = self.next();
        self.put(CommandStatus::EsmeRok, number, Pdu::EnquireLink);
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

    /// Whether the far end took a message.
    pub(crate) fn was_accepted_from(&self) -> bool {
        self.accepted
    }

    fn sends(&self) -> bool {
        self.role.sends() && self.unbinding.is_none()
    }

    /// Whether the queue's news are of use: there is room, and nothing in hand.
    pub(crate) fn wants_more(&self) -> bool {
        self.sends() && self.current.is_none() && self.has_room(1) && self.out.len() < MOST_UNWRITTEN
    }

    /// Whether there is room for what the far end may hand over; looks for some.
    pub(crate) fn finds_room(&mut self) -> bool {
        self.room = self.room.take().or_else(|| self.shared.room_now());
        self.room.is_some()
    }

    /// Whether the far end is read from now.
    pub(crate) fn listens(&self) -> bool {
        self.room.is_some() && self.out.len() < MOST_OWED
    }

    /// Fills the window from the queue.
    pub(crate) fn fill(&mut self) {
        if !self.sends() {
            return;
        }
        if self.out.is_empty() {
            self.stale = false;
        }
        self.write_again();
        let mut now = None;
        while self.has_room(1) && self.out.len() < MOST_UNWRITTEN {
            let Some(mut current) = self.current.take().or_else(|| {
                let batch = self.shared.next()?;
                let parameters = Parameters::of(&self.shared.config, &batch);
                Some(Current { batch, parameters, at: 0, next: None })
            }) else {
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
            match pdu::submit(&self.shared.config, &current.parameters, message, || {
                self.shared.next_reference()
            }) {
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
        for (part, pdu) in pdus.into_iter().enumerate() {
            let number = self.next();
            self.parts.insert(number, (message, part));
            self.put_piece(CommandStatus::EsmeRok, number, pdu, Some(message));
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
            self.put_piece(CommandStatus::EsmeRok, number, pdu, Some(again.message));
        }
    }

    /// Looks again at what the socket did not take when it was encoded: messages of which no octet is written are
    /// called back where their number opted out since, or their time is over.
    pub(crate) fn recall(&mut self) {
        if !std::mem::replace(&mut self.stale, true) {
            return;
        }
        let now = Timestamp::now();
        let mut waiting: HashMap<u64, usize> = HashMap::new();
        for message in self.pieces.iter().skip(usize::from(self.begun > 0)).filter_map(|piece| piece.message)
        {
            *waiting.entry(message).or_default() += 1;
        }
        let mut recalled = HashSet::new();
        let mut late: Vec<(Job, i64)> = Vec::new();
        for (message, parts) in waiting {
            let Some(flight) = self.flights.get(&message) else { continue };
            if parts < flight.ids.len() || flight.began != flight.written {
                continue;
            }
            let (job, seq) = (flight.job, flight.seq);
            if now >= flight.send_before {
                late.push((job, seq));
            } else if job != Job::Answer && self.shared.opt_outs.contains(flight.number, &flight.purpose) {
                self.shared.report(Report::Result { job, seq, attempt: Attempt::OptedOut });
            } else {
                continue;
            }
            recalled.insert(message);
        }
        if recalled.is_empty() {
            return;
        }
        // A batch goes back from its first late message on: those behind it have its time.
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
        let mut kept = BytesMut::with_capacity(self.out.len());
        let mut rest = self.out.split();
        let mut begun = self.begun;
        self.pieces.retain(|piece| {
            let octets = rest.split_to(piece.octets - std::mem::take(&mut begun));
            let stays = piece.message.is_none_or(|message| !recalled.contains(&message));
            if stays {
                kept.extend_from_slice(&octets);
            }
            stays
        });
        self.out = kept;
    }

    /// Writes nothing more of a campaign, and asks behind what was written.
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

    /// Throttled parts are not tried again: the `ESME_RTHROTTLED` that they had stands.
    fn give_up(&mut self, of: impl Fn(Job) -> bool) {
        let flights = &self.flights;
        let given_up: Vec<_> =
            self.again.extract_if(.., |a| flights.get(&a.message).is_some_and(|f| of(f.job))).collect();
        for again in given_up {
            self.part_refused(again.message, status::THROTTLED);
        }
    }

    /// A part was refused for good.
    pub(crate) fn part_refused(&mut self, message: u64, code: u32) {
        if let Some(flight) = self.flights.get_mut(&message) {
            flight.refused = Some(code);
        }
        self.part_done(message);
    }

    /// A part has its answer; the message is reported with its last.
    pub(crate) fn part_done(&mut self, message: u64) {
        let Some(flight) = self.flights.get_mut(&message) else { return };
        flight.unanswered -= 1;
        if flight.unanswered == 0
            && let Some(flight) = self.flights.remove(&message)
        {
            self.shared.report(flight.result(&self.shared.config.refusals));
        }
    }

    /// Answers the fences whose enquiry came back and of whose campaign nothing is in flight.
    pub(crate) fn pass_fences(&mut self) {
        let flights = &self.flights;
        for passed in self.fences.extract_if(.., |f| f.read && !flights.values().any(|l| f.is_of(l.job))) {
            let _ = passed.fence.done.send(());
        }
    }

    /// The SMSC asks for the end: nothing more is written, and it is answered once what it has taken is.
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

    /// Whether the SMSC may have its answer to the unbind; puts it.
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

    /// Looks at what is overdue.
    pub(crate) fn tick(&mut self) -> Result<(), String> {
        let config = &self.shared.config;
        let (enquire, answer) = (span(config.enquire_interval), span(config.answer_timeout));
        if !self.out.is_empty() && over(self.written_at, enquire + answer) {
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
        // Others are answered: the connection lives, and these alone are in doubt.
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

    /// Reports everything that is not: the connection is gone.
    pub(crate) fn end(mut self, why: &str) {
        for (message, flight) in self.flights.drain() {
            let waiting = self.again.iter().filter(|a| a.message == message).count();
            self.shared.report(flight.lost(waiting, &self.shared.config.refusals, why));
        }
        if let Some(current) = self.current.take() {
            self.shared.hand_back(&current.batch, current.at);
        }
        for fenced in self.fences {
            let _ = fenced.fence.done.send(());
        }
    }
}
