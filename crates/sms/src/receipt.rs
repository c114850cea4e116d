//! Delivery receipts: the TLVs where they are, else the text of SMPP 3.4 Appendix B.

use campaign::Msisdn;
use rusmpp::{
    pdus::DeliverSm,
    tlvs::TlvValue,
    values::{MessageState, MessageType},
};

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

/// Reads a receipt; `None` where this is none, or not a final one.
pub(crate) fn read(sm: &DeliverSm) -> Option<Read> {
    if sm.esm_class.message_type != MessageType::ShortMessageContainsMCDeliveryReceipt {
        return None;
    }
    let number = Msisdn::from_address(sm.source_addr.as_str())?;
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
