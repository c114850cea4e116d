//! What comes in as `deliver_sm` or `data_sm`: receipts and replies.

use campaign::{Address, RouteId};
use engine::{DefaultAlphabet, Part, Receipt, Reply};
use rusmpp::{
    pdus::{DataSm, DeliverSm},
    tlvs::{Tlv, TlvValue},
    udhs::{Udh, UdhValue},
    values::MessageState,
};

use crate::{letters, receipt, trim};

/// User data header present (SMPP 3.4 §5.2.12).
const UDHI: u8 = 0x40;
/// Bits of the message type (SMPP 3.4 §5.2.12).
const MESSAGE_TYPE: u8 = 0x24;
/// The bit of the message type that marks a delivery receipt.
const RECEIPT: u8 = 0x04;

/// A message from the SMSC, whichever PDU it came in.
#[derive(Debug, Default)]
pub(crate) struct Sm {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) esm_class: u8,
    pub(crate) data_coding: u8,
    pub(crate) octets: Vec<u8>,
    pub(crate) part: Option<Part>,
    pub(crate) receipted_id: Option<String>,
    pub(crate) state: Option<MessageState>,
    pub(crate) network_error: Option<u16>,
}

/// What an incoming message turns out to be.
pub(crate) enum Incoming {
    /// A final receipt.
    Receipt(Receipt),
    /// A reply from a person.
    Reply(Reply),
    /// An intermediate notification, or a message from no number: nothing to keep.
    Other,
}

impl From<DeliverSm> for Sm {
    fn from(sm: DeliverSm) -> Self {
        let of = |ton: rusmpp::values::Ton, text: &str| Address { ton: u8::from(ton), text: text.to_owned() };
        let plain = Self {
            from: of(sm.source_addr_ton, sm.source_addr.as_str()),
            to: of(sm.dest_addr_ton, sm.destination_addr.as_str()),
            esm_class: u8::from(sm.esm_class),
            data_coding: u8::from(sm.data_coding),
            octets: sm.short_message().as_ref().to_vec(),
            ..Self::default()
        };
        plain.with(sm.tlvs())
    }
}

impl From<DataSm> for Sm {
    fn from(sm: DataSm) -> Self {
        let of = |ton: rusmpp::values::Ton, text: &str| Address { ton: u8::from(ton), text: text.to_owned() };
        let plain = Self {
            from: of(sm.source_addr_ton, sm.source_addr.as_str()),
            to: of(sm.dest_addr_ton, sm.destination_addr.as_str()),
            esm_class: u8::from(sm.esm_class),
            data_coding: u8::from(sm.data_coding),
            ..Self::default()
        };
        plain.with(sm.tlvs())
    }
}

impl Sm {
    fn with(mut self, tlvs: &[Tlv]) -> Self {
        let (mut reference, mut total, mut number) = (None, None, None);
        for tlv in tlvs {
            match tlv.value() {
                // An empty payload may stand beside a text.
                Some(TlvValue::MessagePayload(payload)) if !payload.value.as_ref().is_empty() => {
                    self.octets = payload.value.as_ref().to_vec();
                }
                Some(TlvValue::ReceiptedMessageId(id)) => self.receipted_id = Some(id.as_str().to_owned()),
                Some(TlvValue::MessageState(state)) => self.state = Some(*state),
                Some(TlvValue::NetworkErrorCode(error)) => self.network_error = Some(error.error_code),
                Some(TlvValue::SarMsgRefNum(value)) => reference = Some(*value),
                Some(TlvValue::SarTotalSegments(value)) => total = Some(*value),
                Some(TlvValue::SarSegmentSeqnum(value)) => number = Some(*value),
                _ => {}
            }
        }
        if let (Some(reference), Some(total), Some(number)) = (reference, total, number) {
            self.part = Some(Part { reference, total, number });
        }
        self
    }

    /// Interprets the message. `alphabet` is what coding 0 means on this route.
    pub(crate) fn read(self, route: RouteId, alphabet: DefaultAlphabet) -> Incoming {
        // The header's first octet is its length (3GPP TS 23.040 §9.2.3.24).
        let header = if self.esm_class & UDHI != 0 {
            self.octets.first().map_or(0, |length| usize::from(*length) + 1)
        } else {
            0
        };
        let (head, body) = self.octets.split_at_checked(header).unwrap_or((&[], &self.octets));
        let text = || letters::read(self.data_coding, body, alphabet);
        let marked = self.esm_class & RECEIPT != 0;
        if marked || self.esm_class & MESSAGE_TYPE == 0 && self.is_plainly_a_receipt(&text) {
            let text = receipt::text(&self.octets, text);
            let Some(read) = receipt::read(&self, &text) else { return Incoming::Other };
            return Incoming::Receipt(Receipt {
                route,
                ids: read.ids,
                from: self.from,
                to: self.to,
                delivered: read.delivered,
                code: read.code,
                detail: read.words,
            });
        }
        if self.esm_class & MESSAGE_TYPE != 0 {
            return Incoming::Other;
        }
        let part = concatenation(head).or(self.part);
        let part = part.filter(|part| (1..=part.total).contains(&part.number) && part.total > 1);
        let text = text();
        Incoming::Reply(Reply { route, from: self.from, to: self.to, text, part })
    }

    /// Whether this is a receipt although it is not marked as one.
    fn is_plainly_a_receipt(&self, text: &impl Fn() -> String) -> bool {
        let has_id = self.receipted_id.is_some();
        if has_id && self.state.is_some() {
            return true;
        }
        let text = receipt::text(&self.octets, text);
        has_id && receipt::has_state(&text) || self.part.is_none() && receipt::looks_like_one(&text)
    }
}

/// The part of a long text that a user data header names.
fn concatenation(header: &[u8]) -> Option<Part> {
    match trim::header::<Udh>(header)?.value()? {
        UdhValue::ConcatenatedShortMessage8Bit(c) => {
            Some(Part { reference: c.reference().into(), total: c.total_parts(), number: c.part_number() })
        }
        UdhValue::ConcatenatedShortMessage16Bit(c) => {
            Some(Part { reference: c.reference(), total: c.total_parts(), number: c.part_number() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_octets_come_something_is_made_of_them_or_nothing(
            octets in prop::collection::vec(any::<u8>(), 0..300), sound in any::<bool>(), esm_class in any::<u8>(), coding in any::<u8>(),
        ) {
            // Half of them follow sound fields, so that texts and parameters are reached.
            let head = [&b"\0\x01\x0112025550123\0\x01\x0112025550100\0"[..], &[esm_class, 0, 0, 0, 0, 0, 0, coding, 0]].concat();
            let body = if sound { [&head[..], &octets].concat() } else { octets };
            for sm in [trim::deliver_sm(&body).map(Sm::from), trim::data_sm(&body).map(Sm::from)].into_iter().flatten() {
                let _ = sm.read(RouteId(1), DefaultAlphabet::Gsm);
            }
            let _ = trim::message_id(&body);
        }
    }

    #[test]
    fn the_esm_class_tells_receipts_from_replies_whatever_its_other_bits_say() {
        let receipt: &[u8] = b"id:123 sub:001 dlvrd:001 submit date:2611241500 stat:DELIVRD err:000 text:Hi";
        let with_header = |text: &[u8]| [&[5, 0, 3, 7, 2, 1][..], text].concat();
        let kind = |esm_class: u8, octets: &[u8]| {
            let sm = Sm { esm_class, octets: octets.to_vec(), ..Sm::default() };
            match sm.read(RouteId(1), DefaultAlphabet::Gsm) {
                Incoming::Receipt(receipt) => format!("receipt of {}", receipt.ids.join(", ")),
                Incoming::Reply(Reply { text, part, .. }) => {
                    format!("reply {text}{}", if part.is_some() { ", a part" } else { "" })
                }
                Incoming::Other => "other".to_owned(),
            }
        };
        // SMPP 3.4 §5.2.12: bits 0 and 1 are the mode, 2 to 5 the type, 6 tells of a header, 7 of a reply path.
        for (esm_class, octets, expected) in [
            (0x04, receipt.to_vec(), "receipt of 123"),
            (0x05, receipt.to_vec(), "receipt of 123"),
            (0x07, receipt.to_vec(), "receipt of 123"),
            (0x44, with_header(receipt), "receipt of 123"),
            // It speaks of a header and has none.
            (0x44, receipt.to_vec(), "receipt of 123"),
            (0x84, receipt.to_vec(), "receipt of 123"),
            (0xC7, with_header(receipt), "receipt of 123"),
            // Not marked, and plainly one all the same.
            (0x00, receipt.to_vec(), "receipt of 123"),
            (0x80, receipt.to_vec(), "receipt of 123"),
            // An intermediate notification.
            (0x20, receipt.to_vec(), "other"),
            (0x60, with_header(receipt), "other"),
            // Marked as a receipt, and says nothing of a message's end.
            (0x04, b"STOP".to_vec(), "other"),
            (0x00, b"STOP".to_vec(), "reply STOP"),
            (0x03, b"STOP".to_vec(), "reply STOP"),
            (0x40, with_header(b"STOP"), "reply STOP, a part"),
            (0x80, b"STOP".to_vec(), "reply STOP"),
            (0xC3, with_header(b"STOP"), "reply STOP, a part"),
            // An acknowledgement that a person wrote (type 4): their words count.
            (0x10, b"STOP".to_vec(), "reply STOP"),
        ] {
            assert_eq!(kind(esm_class, &octets), expected, "{esm_class:#04x}");
        }
    }
}
