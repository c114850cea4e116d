//! What comes in as `deliver_sm`: receipts (the TLVs where they are, else the text of SMPP 3.4 Appendix B)
//! and replies.

use campaign::{Msisdn, RouteId, segment};
use engine::{Part, Reply};
use rusmpp::{
    decode::Decode,
    pdus::DeliverSm,
    tlvs::TlvValue,
    udhs::{Udh, UdhValue},
    values::{DataCoding, MessageState, MessageType},
};
use tokio_util::bytes::BytesMut;

/// User data header present (SMPP 3.4 §5.2.12).
const UDHI: u8 = 0x40;

/// A final receipt, as read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) provider_ids: Vec<String>,
    pub(crate) number: Msisdn,
    pub(crate) delivered: bool,
    pub(crate) code: Option<u32>,
}

/// The value of `key:` in the text form, up to the next blank.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let at = text.to_ascii_lowercase().find(key)? + key.len();
    text.get(at..)?.split_ascii_whitespace().next()
}

/// The id and its other spellings: some SMSCs answer in hex and send receipts in decimal, or the reverse.
pub(crate) fn spellings(id: &str) -> Vec<String> {
    let mut all = vec![id.to_owned()];
    let mut also = |other: String| {
        if !all.contains(&other) {
            all.push(other);
        }
    };
    if let Ok(decimal) = id.parse::<u64>() {
        also(format!("{decimal:x}"));
        also(format!("{decimal:X}"));
        also(decimal.to_string());
    }
    if let Ok(hex) = u64::from_str_radix(id, 16) {
        also(hex.to_string());
    }
    all
}

/// A `deliver_sm`, as understood.
pub(crate) enum Incoming {
    /// A final receipt.
    Receipt(Read),
    /// What a person wrote.
    Reply(Reply),
    /// An intermediate notification, or a number that cannot be read: nothing to keep.
    Other,
}

/// Understands a `deliver_sm`.
pub(crate) fn read(sm: &DeliverSm, route: RouteId) -> Incoming {
    let Some(number) = Msisdn::from_address(sm.source_addr.as_str()) else { return Incoming::Other };
    match sm.esm_class.message_type {
        MessageType::ShortMessageContainsMCDeliveryReceipt => {
            receipt(sm, number).map_or(Incoming::Other, Incoming::Receipt)
        }
        MessageType::Default => {
            let (text, part) = text(sm);
            let sender = sm.destination_addr.as_str().trim_start_matches('+').to_owned();
            Incoming::Reply(Reply { route, number, sender, text, part })
        }
        _ => Incoming::Other,
    }
}

/// The text of a `deliver_sm`, and which part of a long one it is.
fn text(sm: &DeliverSm) -> (String, Option<Part>) {
    let payload = sm.tlvs().iter().find_map(|tlv| match tlv.value() {
        Some(TlvValue::MessagePayload(payload)) => Some(payload.value.as_ref().to_vec()),
        _ => None,
    });
    let octets = payload.unwrap_or_else(|| sm.short_message().as_ref().to_vec());
    // The header's first octet is its length (3GPP TS 23.040 §9.2.3.24).
    let header = if u8::from(sm.esm_class) & UDHI != 0 {
        octets.first().map_or(0, |length| usize::from(*length) + 1)
    } else {
        0
    };
    let (head, body) = octets.split_at_checked(header).unwrap_or_default();
    let text = match sm.data_coding {
        DataCoding::McSpecific => segment::read_gsm7(body),
        DataCoding::Ucs2 => segment::read_ucs2(body),
        DataCoding::Latin1 => body.iter().copied().map(char::from).collect(),
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    let part = concatenation(head).or_else(|| sar(sm));
    (text, part.filter(|part| (1..=part.total).contains(&part.number) && part.total > 1))
}

/// The part that a user data header names.
fn concatenation(header: &[u8]) -> Option<Part> {
    let (udh, _) = Udh::decode(&mut BytesMut::from(header)).ok()?;
    match udh.value()? {
        UdhValue::ConcatenatedShortMessage8Bit(c) => {
            Some(Part { reference: c.reference().into(), total: c.total_parts(), number: c.part_number() })
        }
        UdhValue::ConcatenatedShortMessage16Bit(c) => {
            Some(Part { reference: c.reference(), total: c.total_parts(), number: c.part_number() })
        }
        _ => None,
    }
}

/// The part that the `sar_*` TLVs name (SMPP 3.4 §5.3.2.22 to 24).
fn sar(sm: &DeliverSm) -> Option<Part> {
    let (mut reference, mut total, mut number) = (None, None, None);
    for tlv in sm.tlvs() {
        match tlv.value() {
            Some(TlvValue::SarMsgRefNum(value)) => reference = Some(*value),
            Some(TlvValue::SarTotalSegments(value)) => total = Some(*value),
            Some(TlvValue::SarSegmentSeqnum(value)) => number = Some(*value),
            _ => {}
        }
    }
    Some(Part { reference: reference?, total: total?, number: number? })
}

fn receipt(sm: &DeliverSm, number: Msisdn) -> Option<Read> {
    let text = String::from_utf8_lossy(sm.short_message().as_ref()).into_owned();
    let mut id = field(&text, "id:").map(str::to_owned);
    let mut state = field(&text, "stat:").map(str::to_ascii_uppercase);
    for tlv in sm.tlvs() {
        match tlv.value() {
            Some(TlvValue::ReceiptedMessageId(value)) => id = Some(value.as_str().to_owned()),
            Some(TlvValue::MessageState(MessageState::Delivered)) => state = Some("DELIVRD".into()),
            Some(TlvValue::MessageState(
                MessageState::Expired
                | MessageState::Deleted
                | MessageState::Undeliverable
                | MessageState::Rejected,
            )) => state = Some("UNDELIV".into()),
            _ => {}
        }
    }
    let delivered = match state?.as_str() {
        "DELIVRD" => true,
        "EXPIRED" | "DELETED" | "UNDELIV" | "REJECTD" => false,
        _ => return None,
    };
    let code = field(&text, "err:").and_then(|e| e.parse().ok()).filter(|c| *c != 0);
    Some(Read { provider_ids: spellings(&id?), number, delivered, code })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_known_in_hex_and_decimal() {
        assert!(spellings("255").contains(&"ff".to_owned()));
        assert!(spellings("FF").contains(&"255".to_owned()));
        assert_eq!(spellings("a-b"), ["a-b"]);
    }

    #[test]
    fn the_text_form_is_read_whatever_its_case() {
        let text = "id:123abc sub:001 dlvrd:001 submit date:2611241500 done date:2611241501 stat:DELIVRD err:000 text:Hi";
        assert_eq!(field(text, "id:"), Some("123abc"));
        assert_eq!(field(text, "stat:"), Some("DELIVRD"));
        assert_eq!(field(text, "err:"), Some("000"));
    }
}
