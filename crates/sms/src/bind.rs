//! The binds of a route: connect, bind, write whole windows, read answers, fence, reconnect.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use campaign::{CampaignId, ClaimId};
use engine::{Attempt, Batch, Receipt, Report, Reports, Route, RouteState};
use futures::StreamExt;
use rusmpp::{
    Command, CommandStatus, Pdu,
    pdus::{BindTransceiver, DeliverSmResp},
    tokio_codec::CommandCodec,
    types::COctetString,
    values::InterfaceVersion,
};
use store::RouteConfig;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep, timeout},
};
use tokio_util::{
    bytes::BytesMut,
    codec::{Encoder, FramedRead},
};

use crate::{pdu, receipt, status};

/// How long connecting and binding may take.
const BIND_TIMEOUT: Duration = Duration::from_secs(10);
/// A `submit_sm` that has no answer for so long means that the connection is dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle connection is asked whether it lives.
const ENQUIRE_EVERY: Duration = Duration::from_secs(15);
/// How long a fence waits before the connection is reset (architecture.md, Stop).
const FENCE_TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

struct Fence {
    campaign: CampaignId,
    done: oneshot::Sender<()>,
}

struct Shared {
    queue: Mutex<VecDeque<Batch>>,
    more: Notify,
    states: Mutex<Vec<RouteState>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half-done under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An SMPP route with its binds. Dropping it closes them.
pub struct SmppRoute {
    shared: Arc<Shared>,
    reports: Reports,
    fences: Vec<mpsc::UnboundedSender<Fence>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl SmppRoute {
    /// Starts the binds of `config`; they connect by themselves, and again whenever they lose the line.
    pub fn start(id: campaign::RouteId, config: &RouteConfig, reports: Reports) -> Self {
        let binds = usize::from(config.binds.max(1));
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            more: Notify::new(),
            states: Mutex::new(vec![RouteState::Connecting; binds]),
        });
        let (mut fences, mut tasks) = (Vec::new(), Vec::new());
        for at in 0..binds {
            let (tx, rx) = mpsc::unbounded_channel();
            fences.push(tx);
            let bind = Bind {
                at,
                route: id,
                config: config.clone(),
                shared: shared.clone(),
                reports: reports.clone(),
                fences: rx,
            };
            tasks.push(tokio::spawn(bind.live()));
        }
        Self { shared, reports, fences, tasks }
    }
}

impl Drop for SmppRoute {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[async_trait::async_trait]
impl Route for SmppRoute {
    fn state(&self) -> RouteState {
        let states = lock(&self.shared.states);
        let connected = states.contains(&RouteState::Connected);
        if connected {
            RouteState::Connected
        } else {
            states.first().cloned().unwrap_or(RouteState::Connecting)
        }
    }

    fn submit(&self, batch: Batch) {
        lock(&self.shared.queue).push_back(batch);
        self.shared.more.notify_one();
    }

    async fn fence(&self, campaign: CampaignId) {
        lock(&self.shared.queue).retain(|batch| {
            let stays = batch.campaign != campaign;
            if !stays && let Some(first) = batch.messages.first() {
                let _ = self.reports.send(Report::Unwritten { claim: batch.claim, from_seq: first.seq });
            }
            stays
        });
        for bind in &self.fences {
            let (done, answered) = oneshot::channel();
            if bind.send(Fence { campaign, done }).is_ok() {
                let _ = answered.await;
            }
        }
    }
}

/// One message on the wire.
struct Flight {
    claim: ClaimId,
    campaign: CampaignId,
    seq: i64,
    unanswered: usize,
    ids: Vec<Option<String>>,
    refused: Option<u32>,
    since: Instant,
}

struct Bind {
    at: usize,
    route: campaign::RouteId,
    config: RouteConfig,
    shared: Arc<Shared>,
    reports: Reports,
    fences: mpsc::UnboundedReceiver<Fence>,
}

/// What lives as long as one connection.
struct Session {
    sequence: u32,
    reference: u8,
    messages: u64,
    /// Sequence number → (message, part).
    parts: HashMap<u32, (u64, usize)>,
    flights: HashMap<u64, Flight>,
    current: Option<(Batch, usize)>,
    fence: Option<(Fence, u32, bool, Instant)>,
    out: BytesMut,
    codec: CommandCodec,
}

impl Session {
    fn put(&mut self, status: CommandStatus, sequence: u32, pdu: impl Into<Pdu>) {
        // Encoding into memory does not fail.
        let _ = self.codec.encode(Command::new(status, sequence, pdu), &mut self.out);
    }

    fn next(&mut self) -> u32 {
        // 1 to 0x7FFFFFFF (SMPP 3.4 §3.2).
        self.sequence = self.sequence % 0x7FFF_FFFF + 1;
        self.sequence
    }
}

impl Bind {
    fn say(&self, state: RouteState) {
        lock(&self.shared.states)[self.at] = state;
    }

    async fn live(mut self) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            self.say(RouteState::Connecting);
            match timeout(BIND_TIMEOUT, self.connect()).await {
                Ok(Ok((reader, writer))) => {
                    backoff = FIRST_BACKOFF;
                    self.say(RouteState::Connected);
                    let why = self.run(reader, writer).await;
                    tracing::warn!(route = %self.route, bind = self.at, why, "connection ended");
                }
                Ok(Err(RouteState::Refused(words))) => self.say(RouteState::Refused(words)),
                Ok(Err(_)) | Err(_) => {}
            }
            // Fences of a bind without a line hold at once.
            let until = Instant::now() + backoff;
            while let Ok(Some(fence)) = tokio::time::timeout_at(until, self.fences.recv()).await {
                let _ = fence.done.send(());
            }
            sleep(until.saturating_duration_since(Instant::now())).await;
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    async fn connect(
        &self,
    ) -> Result<(FramedRead<tokio::net::tcp::OwnedReadHalf, CommandCodec>, OwnedWriteHalf), RouteState> {
        if self.config.tls {
            return Err(RouteState::Refused("TLS is not supported yet".into()));
        }
        let down = |_| RouteState::Connecting;
        let stream = TcpStream::connect((self.config.host.as_str(), self.config.port)).await.map_err(down)?;
        stream.set_nodelay(true).map_err(down)?;
        let (read, mut write) = stream.into_split();
        let mut read = FramedRead::new(read, CommandCodec::new());
        let text = |s: &str| [s.as_bytes(), &[0]].concat();
        let bind = BindTransceiver::builder()
            .system_id(COctetString::from_vec(text(&self.config.system_id)).unwrap_or_default())
            .password(COctetString::from_vec(text(&self.config.password)).unwrap_or_default())
            .interface_version(InterfaceVersion::Smpp3_4)
            .build();
        let mut out = BytesMut::new();
        let _ = CommandCodec::new().encode(Command::new(CommandStatus::EsmeRok, 1, bind), &mut out);
        write.write_all(&out).await.map_err(down)?;
        match read.next().await {
            Some(Ok(answer)) if answer.status() == CommandStatus::EsmeRok => Ok((read, write)),
            Some(Ok(answer)) => Err(RouteState::Refused(status::of(u32::from(answer.status())).1)),
            _ => Err(RouteState::Connecting),
        }
    }

    /// Runs one connection to its end; says why it ended. Everything it took is reported by then.
    async fn run(
        &mut self,
        mut read: FramedRead<tokio::net::tcp::OwnedReadHalf, CommandCodec>,
        mut write: OwnedWriteHalf,
    ) -> String {
        let mut s = Session {
            sequence: 1,
            reference: 0,
            messages: 0,
            parts: HashMap::new(),
            flights: HashMap::new(),
            current: None,
            fence: None,
            out: BytesMut::new(),
            codec: CommandCodec::new(),
        };
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        let mut heard = Instant::now();
        let shared = self.shared.clone();
        let why = loop {
            self.fill(&mut s);
            if !s.out.is_empty() {
                if let Err(e) = write.write_all(&s.out).await {
                    break e.to_string();
                }
                s.out.clear();
            }
            tokio::select! {
                command = read.next() => match command {
                    Some(Ok(command)) => {
                        heard = Instant::now();
                        if let Err(why) = self.heard(&mut s, &command) {
                            break why;
                        }
                    }
                    Some(Err(e)) => break format!("the far end speaks no SMPP: {e}"),
                    None => break "the far end closed the connection".into(),
                },
                Some(fence) = self.fences.recv(), if s.fence.is_none() => {
                    if let Some((batch, at)) = s.current.take_if(|(b, _)| b.campaign == fence.campaign) {
                        let _ = self.reports.send(Report::Unwritten { claim: batch.claim, from_seq: batch.messages[at].seq });
                    }
                    let number = s.next();
                    s.put(CommandStatus::EsmeRok, number, Pdu::EnquireLink);
                    s.fence = Some((fence, number, false, Instant::now()));
                }
                () = shared.more.notified(), if s.current.is_none() => {}
                _ = tick.tick() => {
                    if s.flights.values().any(|f| f.since.elapsed() > ANSWER_TIMEOUT) {
                        break "a message had no answer".into();
                    }
                    if s.fence.as_ref().is_some_and(|f| f.3.elapsed() > FENCE_TIMEOUT) {
                        break "the far end did not answer the stop barrier".into();
                    }
                    if heard.elapsed() > ENQUIRE_EVERY * 2 {
                        break "the far end is silent".into();
                    }
                    if heard.elapsed() > ENQUIRE_EVERY {
                        let number = s.next();
                        s.put(CommandStatus::EsmeRok, number, Pdu::EnquireLink);
                    }
                }
            }
            Self::pass_fence(&mut s);
        };
        drop((read, write));
        self.say(RouteState::Connecting);
        for flight in std::mem::take(&mut s.flights).into_values() {
            let attempt = Attempt::Lost { words: why.clone() };
            let _ = self.reports.send(Report::Result { claim: flight.claim, seq: flight.seq, attempt });
        }
        if let Some((batch, at)) = s.current.take() {
            let _ =
                self.reports.send(Report::Unwritten { claim: batch.claim, from_seq: batch.messages[at].seq });
        }
        if let Some((fence, ..)) = s.fence.take() {
            let _ = fence.done.send(());
        }
        why
    }

    /// Fills the window from the queue.
    fn fill(&self, s: &mut Session) {
        while s.parts.len() < self.config.window.max(1) as usize {
            if s.current.is_none() {
                s.current = lock(&self.shared.queue).pop_front().map(|batch| (batch, 0));
            }
            let Some((batch, at)) = &mut s.current else { return };
            let message = &batch.messages[*at];
            s.reference = s.reference.wrapping_add(1);
            let pdus = pdu::submit(&batch.sender, message.number, &message.text, s.reference);
            let (claim, campaign, seq) = (batch.claim, batch.campaign, message.seq);
            *at += 1;
            if *at == batch.messages.len() {
                s.current = None;
            }
            let Ok(pdus) = pdus else {
                let attempt = Attempt::Refused {
                    kind: engine::Refusal::Recipient,
                    status: 1,
                    words: "the text is too long".into(),
                };
                let _ = self.reports.send(Report::Result { claim, seq, attempt });
                continue;
            };
            s.messages += 1;
            let message = s.messages;
            let flight = Flight {
                claim,
                campaign,
                seq,
                unanswered: pdus.len(),
                ids: vec![None; pdus.len()],
                refused: None,
                since: Instant::now(),
            };
            s.flights.insert(message, flight);
            for (part, pdu) in pdus.into_iter().enumerate() {
                let number = s.next();
                s.parts.insert(number, (message, part));
                s.put(CommandStatus::EsmeRok, number, pdu);
            }
        }
        // Another bind may have room for what is left.
        if !lock(&self.shared.queue).is_empty() {
            self.shared.more.notify_one();
        }
    }

    fn heard(&self, s: &mut Session, command: &Command) -> Result<(), String> {
        let number = command.sequence_number();
        match command.pdu() {
            Some(Pdu::SubmitSmResp(answer)) => {
                self.answered(s, number, command.status(), Some(answer.message_id().as_str()))?;
            }
            // A refusal may come without a body (SMPP 3.4 §4.4.2).
            None if command.id() == rusmpp::CommandId::SubmitSmResp => {
                self.answered(s, number, command.status(), None)?;
            }
            Some(Pdu::GenericNack) => self.answered(s, number, command.status(), None)?,
            Some(Pdu::DeliverSm(sm)) => {
                if let Some(read) = receipt::read(sm) {
                    let _ = self.reports.send(Report::Receipt(Receipt {
                        route: self.route,
                        provider_ids: read.provider_ids,
                        number: read.number,
                        delivered: read.delivered,
                        code: read.code,
                    }));
                }
                s.put(CommandStatus::EsmeRok, number, DeliverSmResp::default());
            }
            Some(Pdu::EnquireLink) => s.put(CommandStatus::EsmeRok, number, Pdu::EnquireLinkResp),
            Some(Pdu::EnquireLinkResp) => {
                if let Some(fence) = s.fence.as_mut().filter(|f| f.1 == number) {
                    fence.2 = true;
                }
            }
            Some(Pdu::Unbind) => return Err("the far end unbound".into()),
            _ => {}
        }
        Ok(())
    }

    fn answered(
        &self,
        s: &mut Session,
        number: u32,
        status: CommandStatus,
        id: Option<&str>,
    ) -> Result<(), String> {
        let Some((message, part)) = s.parts.remove(&number) else {
            return Err(format!("the far end answered {number}, which was never asked"));
        };
        let Some(flight) = s.flights.get_mut(&message) else { return Ok(()) };
        flight.unanswered -= 1;
        if status == CommandStatus::EsmeRok {
            flight.ids[part] = Some(id.unwrap_or_default().to_owned());
        } else {
            flight.refused = Some(u32::from(status));
        }
        if flight.unanswered > 0 {
            return Ok(());
        }
        let Some(flight) = s.flights.remove(&message) else { return Ok(()) };
        let ids: Vec<String> = flight.ids.into_iter().flatten().collect();
        let attempt = match flight.refused {
            None => Attempt::Accepted { provider_ids: ids },
            Some(status) if ids.is_empty() => {
                let (kind, words) = status::of(status);
                Attempt::Refused { kind, status, words }
            }
            // Never sent again: some of it is on its way.
            Some(status) => Attempt::Refused {
                kind: engine::Refusal::Recipient,
                status,
                words: format!("partial: {}", status::of(status).1),
            },
        };
        let _ = self.reports.send(Report::Result { claim: flight.claim, seq: flight.seq, attempt });
        Ok(())
    }

    /// Answers a fence once its enquiry came back and nothing of the campaign is in flight.
    fn pass_fence(s: &mut Session) {
        if let Some((fence, _, true, _)) = &s.fence
            && !s.flights.values().any(|f| f.campaign == fence.campaign)
            && let Some((fence, ..)) = s.fence.take()
        {
            let _ = fence.done.send(());
        }
    }
}
