//! One ESME's connection.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use rusmpp::{
    Command, CommandStatus, Pdu,
    pdus::{BindTransceiver, BindTransceiverResp, DeliverSm, SubmitSm, SubmitSmResp},
    tlvs::MessageDeliveryRequestTlvValue,
    tokio_codec::CommandCodec,
    types::OctetString,
    values::{EsmClass, MessageState, Npi, Ton},
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tokio_util::{
    bytes::BytesMut,
    codec::{Encoder, FramedRead},
};

use crate::carrier::{Record, Shared, c_string};

/// How many receipts and replies may be unacknowledged on one connection.
const DELIVER_WINDOW: usize = 200;
/// The most commands to take in one go before their answers are written.
const READ_AT_ONCE: usize = 256;
/// `esm_class` of a receipt (SMPP 3.4 §5.2.12).
const RECEIPT: u8 = 0x04;
/// How long people take to write back.
const THINKING: Duration = Duration::from_millis(500);
/// How long to wait when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

struct Connection {
    shared: Arc<Shared>,
    bound: bool,
    sequence: u32,
    submitted: u64,
    /// Answers by when they are due.
    answers: BTreeMap<(Instant, u64), (u32, CommandStatus, String)>,
    /// What was handed over and not yet acknowledged.
    unacknowledged: HashMap<u32, DeliverSm>,
    codec: CommandCodec,
    out: BytesMut,
}

/// Why a connection ends.
enum End {
    Asked,
    Broken,
}

pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.into_split();
    let mut read = FramedRead::new(read, CommandCodec::new());
    let mut c = Connection {
        shared: shared.clone(),
        bound: false,
        sequence: 0,
        submitted: 0,
        answers: BTreeMap::new(),
        unacknowledged: HashMap::new(),
        codec: CommandCodec::new(),
        out: BytesMut::new(),
    };
    loop {
        let more = shared.more.notified();
        c.hand_over();
        if !c.out.is_empty() {
            if write.write_all(&c.out).await.is_err() {
                break;
            }
            c.out.clear();
        }
        let due = c.next_due();
        let heard = tokio::select! {
            command = read.next() => {
                let mut heard = c.hear(command);
                for _ in 1..READ_AT_ONCE {
                    if heard.is_err() {
                        break;
                    }
                    let Some(command) = read.next().now_or_never() else { break };
                    heard = c.hear(command);
                }
                heard
            }
            () = sleep_until(due) => Ok(()),
            () = more => Ok(()),
        };
        match heard {
            Ok(()) => {}
            Err(End::Asked) => {
                let _ = write.write_all(&c.out).await;
                break;
            }
            Err(End::Broken) => break,
        }
    }
    // Another connection takes what was not acknowledged on this one.
    for (_, sm) in c.unacknowledged {
        shared.post(Instant::now(), sm);
    }
}

impl Connection {
    fn put(&mut self, status: CommandStatus, sequence: u32, pdu: impl Into<Pdu>) {
        // Encoding into memory does not fail.
        let _ = self.codec.encode(Command::new(status, sequence, pdu), &mut self.out);
    }

    fn next_due(&self) -> Instant {
        let answer = self.answers.first_key_value().map(|((at, _), _)| *at);
        let room = self.bound && self.unacknowledged.len() < DELIVER_WINDOW;
        let delivery = if room { self.shared.next_due() } else { None };
        answer.into_iter().chain(delivery).min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// Writes what is due: answers, then receipts and replies.
    fn hand_over(&mut self) {
        let now = Instant::now();
        while let Some(first) = self.answers.first_entry()
            && first.key().0 <= now
        {
            let (number, status, id) = first.remove();
            self.put(status, number, SubmitSmResp::new(c_string(&id), Vec::new()));
        }
        if !self.bound {
            return;
        }
        let room = DELIVER_WINDOW.saturating_sub(self.unacknowledged.len());
        for sm in self.shared.due(now, room) {
            self.sequence = self.sequence % 0x7FFF_FFFF + 1;
            self.put(CommandStatus::EsmeRok, self.sequence, sm.clone());
            self.unacknowledged.insert(self.sequence, sm);
        }
    }

    fn hear<E>(&mut self, command: Option<Result<Command, E>>) -> Result<(), End> {
        let Some(Ok(command)) = command else { return Err(End::Broken) };
        let number = command.sequence_number();
        match command.pdu() {
            Some(Pdu::BindTransceiver(bind)) => self.bind(number, bind),
            Some(Pdu::SubmitSm(sm)) => return self.submit(number, sm),
            Some(Pdu::DeliverSmResp(_)) => {
                self.unacknowledged.remove(&number);
            }
            Some(Pdu::EnquireLink) => self.put(CommandStatus::EsmeRok, number, Pdu::EnquireLinkResp),
            Some(Pdu::Unbind) => {
                self.put(CommandStatus::EsmeRok, number, Pdu::UnbindResp);
                return Err(End::Asked);
            }
            _ => {}
        }
        Ok(())
    }

    fn bind(&mut self, number: u32, bind: &BindTransceiver) {
        let wanted = self.shared.profile.password.as_deref();
        self.bound = wanted.is_none_or(|wanted| bind.password.as_str() == wanted);
        let status = if self.bound { CommandStatus::EsmeRok } else { CommandStatus::EsmeRinvpaswd };
        self.put(status, number, BindTransceiverResp::new(c_string("SMSC"), None));
    }

    fn submit(&mut self, number: u32, sm: &SubmitSm) -> Result<(), End> {
        if !self.bound {
            self.put(CommandStatus::EsmeRinvbndsts, number, SubmitSmResp::default());
            return Ok(());
        }
        let (source, destination) = (sm.source_addr.as_str(), sm.destination_addr.as_str());
        let mut fate = self.shared.profile.fate(source, destination);
        if !self.shared.has_room() {
            fate.status = CommandStatus::EsmeRthrottled;
            (fate.receipt, fate.reply) = (None, None);
        }
        let record = Record {
            at: Timestamp::now(),
            source: source.to_owned(),
            destination: destination.to_owned(),
            esm_class: u8::from(sm.esm_class),
            data_coding: u8::from(sm.data_coding),
            short_message: sm.short_message().as_ref().to_vec(),
            status: u32::from(fate.status),
        };
        // People answer a text, not its parts.
        let answers = record.begins_accepted_message();
        self.shared.record(record);
        let now = Instant::now();
        let id = self.shared.number();
        let name = if fate.status == CommandStatus::EsmeRok { format!("{id:x}") } else { String::new() };
        if let Some(receipt) = fate.receipt.filter(|_| wants_receipt(sm)) {
            for _ in 0..receipt.times {
                self.shared
                    .post(now + receipt.after, receipt_for(source, destination, &name, receipt.delivered));
            }
        }
        let writes = |text: &&str| answers && self.shared.writes(destination, source, text);
        if let Some(text) = fate.reply.filter(writes) {
            self.shared.post(now + fate.answer_after + THINKING, reply(destination, source, text));
        }
        self.answers.insert((now + fate.answer_after, id), (number, fate.status, name));
        self.submitted += 1;
        match self.shared.profile.hang_up_after {
            Some(most) if self.submitted >= most => Err(End::Broken),
            _ => Ok(()),
        }
    }
}

/// Whether the sender asked for a final receipt (SMPP 3.4 §5.2.17).
fn wants_receipt(sm: &SubmitSm) -> bool {
    u8::from(sm.registered_delivery) & 0x03 != 0
}

fn deliver(from: &str, to: &str, esm_class: u8, text: &[u8]) -> DeliverSm {
    DeliverSm::builder()
        .source_addr_ton(Ton::International)
        .source_addr_npi(Npi::Isdn)
        .source_addr(c_string(from))
        .dest_addr_ton(Ton::International)
        .dest_addr_npi(Npi::Isdn)
        .destination_addr(c_string(to))
        .esm_class(EsmClass::from(esm_class))
        .short_message(OctetString::from_vec(text.to_vec()).unwrap_or_default())
        .build()
}

/// A receipt in both forms: text (SMPP 3.4 Appendix B) and TLVs.
fn receipt_for(source: &str, destination: &str, id: &str, delivered: bool) -> DeliverSm {
    let (stat, err) = if delivered { ("DELIVRD", 0) } else { ("UNDELIV", 27) };
    let now = Timestamp::now().strftime("%y%m%d%H%M");
    let text = format!(
        "id:{id} sub:001 dlvrd:{:03} submit date:{now} done date:{now} stat:{stat} err:{err:03} text:",
        u8::from(delivered)
    );
    let mut sm = deliver(destination, source, RECEIPT, text.as_bytes());
    sm.push_tlv(MessageDeliveryRequestTlvValue::ReceiptedMessageId(c_string(id)));
    let state = if delivered { MessageState::Delivered } else { MessageState::Undeliverable };
    sm.push_tlv(MessageDeliveryRequestTlvValue::MessageState(state));
    sm
}

/// A reply `text` from a person at `from` to `to`.
pub(crate) fn reply(from: &str, to: &str, text: &str) -> DeliverSm {
    deliver(from, to, 0, text.as_bytes())
}
