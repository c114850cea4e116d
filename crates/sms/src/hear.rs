//! Hears the far end and answers it. Nothing that it says ends the connection but its own unbind and octets that are
//! not SMPP: what cannot be answered is passed over.

use std::io;

use engine::{Ack, Refusal, Report};
use rusmpp::{
    CommandId, CommandStatus, Pdu,
    pdus::{DataSmResp, DeliverSmResp},
};
use tokio::time::{Duration, Instant};

use crate::{
    flight::Again,
    frame::Frame,
    incoming::{Incoming, Sm},
    session::{PARTS_WITHIN, Session},
    status, trim,
    watch::over,
};

/// The bit that marks a response in a `command_id` (SMPP 3.4 §5.1.2.1).
const ANSWER: u32 = 0x8000_0000;
/// The wait before a throttled part is written again.
const PART_BACKOFF: Duration = Duration::from_millis(500);
/// `ESME_RUNKNOWNERR`: stands for a refusal without a status.
const UNKNOWN_ERROR: u32 = 0xFF;

impl Session<'_> {
    /// Handles a frame that was read.
    pub(crate) fn hear(&mut self, frame: Option<io::Result<Frame>>) -> Result<(), String> {
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(e)) => return Err(e.to_string()),
            None => return Err("the far end closed the connection".into()),
        };
        self.heard = Instant::now();
        let Frame { id, status, number, body } = frame;
        let ok = CommandStatus::EsmeRok;
        match CommandId::from(id) {
            CommandId::SubmitSmResp => {
                // A refusal may come without a body, or with a body without an id (SMPP 3.4 §4.4.2).
                let id = body.filter(|_| status == 0).map(|body| trim::message_id(&body));
                self.answered(number, status, id.unwrap_or_default());
            }
            CommandId::GenericNack => self.rejected(number, status),
            CommandId::DeliverSm | CommandId::DataSm => {
                let by_data_sm = CommandId::from(id) == CommandId::DataSm;
                let sm = body.and_then(|body| {
                    if by_data_sm {
                        trim::data_sm(&body).map(Sm::from)
                    } else {
                        trim::deliver_sm(&body).map(Sm::from)
                    }
                });
                match sm {
                    Some(sm) => self.take(number, by_data_sm, sm),
                    None => self.acknowledge_with(CommandStatus::EsmeRinvcmdlen, number, by_data_sm),
                }
            }
            CommandId::EnquireLink => self.put(ok, number, Pdu::EnquireLinkResp),
            CommandId::EnquireLinkResp => self.enquiry_answered(number),
            CommandId::Unbind => self.unbind(number),
            // These need no response (SMPP 3.4 §4.1.7, §4.12.1).
            CommandId::Outbind | CommandId::AlertNotification => {}
            _ if id & ANSWER != 0 => {}
            _ => self.put(CommandStatus::EsmeRinvcmdid, number, Pdu::GenericNack),
        }
        Ok(())
    }

    fn enquiry_answered(&mut self, number: u32) {
        for fenced in self.fences.iter_mut().filter(|f| f.enquiry == number) {
            fenced.read = true;
        }
    }

    /// The far end did not understand a PDU of ours. It has read it all the same, even if it was an `enquire_link`.
    fn rejected(&mut self, number: u32, status: u32) {
        self.enquiry_answered(number);
        self.answered(number, if status == 0 { UNKNOWN_ERROR } else { status }, String::new());
    }

    fn take(&mut self, number: u32, by_data_sm: bool, sm: Sm) {
        match sm.read(self.shared.id, self.shared.config.default_alphabet) {
            Incoming::Receipt(receipt) => {
                let ack = self.ack(number, by_data_sm);
                self.shared.report(Report::Receipt(receipt, ack));
            }
            Incoming::Reply(reply) => {
                let ack = self.ack(number, by_data_sm);
                self.shared.report(Report::Reply(reply, ack));
            }
            Incoming::Other => self.acknowledge_with(CommandStatus::EsmeRok, number, by_data_sm),
        }
    }

    fn ack(&mut self, number: u32, by_data_sm: bool) -> Ack {
        self.unstored += 1;
        if by_data_sm {
            self.by_data_sm.insert(number);
        }
        Ack::new(self.acks.clone(), number, self.room.take())
    }

    /// Tells the far end that what it handed over is stored.
    pub(crate) fn acknowledge(&mut self, number: u32) {
        self.unstored = self.unstored.saturating_sub(1);
        let by_data_sm = self.by_data_sm.remove(&number);
        self.acknowledge_with(CommandStatus::EsmeRok, number, by_data_sm);
    }

    fn acknowledge_with(&mut self, status: CommandStatus, number: u32, by_data_sm: bool) {
        if by_data_sm {
            self.put(status, number, DataSmResp::default());
        } else {
            self.put(status, number, DeliverSmResp::default());
        }
    }

    /// A part has its answer. An answer that matches no open part is passed over.
    fn answered(&mut self, number: u32, code: u32, id: String) {
        let Some((message, part)) = self.parts.remove(&number) else { return };
        self.answered_at = Instant::now();
        let Some(flight) = self.flights.get_mut(&message) else { return };
        if code == 0 {
            self.accepted = true;
            flight.ids[part] = Some(id);
            return self.part_done(message);
        }
        let throttled = status::of(code, &self.shared.config.refusals).0 == Refusal::Throttled;
        let stopped = self.fences.iter().any(|f| f.is_of(flight.job)) || self.is_unbinding();
        let flight = &self.flights[&message];
        if throttled && !flight.pdus.is_empty() && !stopped && !over(flight.began, PARTS_WITHIN) {
            self.again.push(Again { at: Instant::now() + PART_BACKOFF, message, part });
        } else {
            self.part_refused(message, code);
        }
    }
}
