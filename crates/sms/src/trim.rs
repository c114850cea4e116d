//! Cuts what is odd from a PDU before it is read: strings longer than the standard allows, and optional parameters that
//! are truncated, have the wrong length or are given twice. The rest is read by `rusmpp`, strictly.
//!
//! A PDU that ends before all its mandatory fields are there cannot be mended, and the caller refuses it.

use rusmpp::{
    decode::{Decode, DecodeWithLength},
    pdus::{DataSm, DeliverSm, SubmitSmResp},
};
use tokio_util::bytes::{BufMut, BytesMut};

/// A mandatory field.
enum Field {
    /// A string with its closing zero; at most this many octets are read.
    Text(usize),
    /// A string whose content does not matter.
    Unread,
    /// This many octets.
    Octets(usize),
    /// A length, and as many octets. Where fewer are there, all of them.
    Message,
}

/// SMPP 3.4 §4.6.1.
const DELIVER_SM: &[Field] = &[
    Field::Unread,
    Field::Octets(2),
    Field::Text(21),
    Field::Octets(2),
    Field::Text(21),
    Field::Octets(3),
    Field::Unread,
    Field::Unread,
    Field::Octets(4),
    Field::Message,
];
/// SMPP 3.4 §4.7.1.
const DATA_SM: &[Field] =
    &[Field::Unread, Field::Octets(2), Field::Text(21), Field::Octets(2), Field::Text(21), Field::Octets(3)];
/// SMPP 3.4 §4.4.2.
const SUBMIT_SM_RESP: &[Field] = &[Field::Text(65)];

/// The value of an optional parameter.
enum Value {
    /// A string; a missing closing zero is added.
    Text(usize),
    /// This many octets.
    Octets(usize),
    /// Any octets.
    Any,
}

/// Optional parameters that are read (SMPP 3.4 §5.3.2). All others are passed over, whatever they hold.
const READ: &[(u16, Value)] = &[
    (0x001E, Value::Text(65)),  // receipted_message_id
    (0x020C, Value::Octets(2)), // sar_msg_ref_num
    (0x020E, Value::Octets(1)), // sar_total_segments
    (0x020F, Value::Octets(1)), // sar_segment_seqnum
    (0x0423, Value::Octets(3)), // network_error_code
    (0x0424, Value::Any),       // message_payload
    (0x0427, Value::Octets(1)), // message_state
];

fn put_text(text: &[u8], most: usize, out: &mut BytesMut) {
    let text = &text[..text.len().min(most - 1)];
    out.extend(text.iter().map(|octet| if octet.is_ascii() { *octet } else { b'?' }));
    out.put_u8(0);
}

/// Takes a string off the front, without its closing zero.
fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|octet| *octet == 0)?;
    let text = &rest[..end];
    *rest = &rest[end + 1..];
    Some(text)
}

fn put_fields(rest: &mut &[u8], fields: &[Field], out: &mut BytesMut) -> Option<()> {
    for field in fields {
        match field {
            Field::Text(most) => put_text(take_text(rest)?, *most, out),
            Field::Unread => {
                take_text(rest)?;
                out.put_u8(0);
            }
            Field::Octets(n) => {
                out.extend_from_slice(rest.get(..*n)?);
                *rest = &rest[*n..];
            }
            Field::Message => {
                let length = usize::from(*rest.first()?).min(rest.len() - 1);
                out.put_u8(length as u8);
                out.extend_from_slice(&rest[1..=length]);
                *rest = &rest[length + 1..];
            }
        }
    }
    Some(())
}

fn put_parameters(mut rest: &[u8], out: &mut BytesMut) {
    let mut there = [false; READ.len()];
    while let [tag_1, tag_2, length_1, length_2, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*length_1, *length_2]));
        let Some(value) = behind.get(..length) else { return };
        rest = &behind[length..];
        let tag = u16::from_be_bytes([*tag_1, *tag_2]);
        let Some(at) = READ.iter().position(|(read, _)| *read == tag) else { continue };
        // Of parameters given twice, the first counts.
        if std::mem::replace(&mut there[at], true) {
            continue;
        }
        let mut text = BytesMut::new();
        let value = match READ[at].1 {
            Value::Text(most) => {
                put_text(value.split(|octet| *octet == 0).next().unwrap_or_default(), most, &mut text);
                &text
            }
            Value::Octets(n) if value.len() != n => continue,
            Value::Octets(_) | Value::Any => value,
        };
        out.put_u16(tag);
        out.put_u16(value.len() as u16);
        out.extend_from_slice(value);
    }
}

fn trimmed(body: &[u8], fields: &[Field]) -> Option<BytesMut> {
    let mut out = BytesMut::with_capacity(body.len() + 8);
    let mut rest = body;
    put_fields(&mut rest, fields, &mut out)?;
    put_parameters(rest, &mut out);
    Some(out)
}

/// The `deliver_sm` with this body; none where a mandatory field is missing.
pub(crate) fn deliver_sm(body: &[u8]) -> Option<DeliverSm> {
    let mut octets = trimmed(body, DELIVER_SM)?;
    let length = octets.len();
    DecodeWithLength::decode(&mut octets, length).ok().map(|(sm, _)| sm)
}

/// The `data_sm` with this body; none where a mandatory field is missing.
pub(crate) fn data_sm(body: &[u8]) -> Option<DataSm> {
    let mut octets = trimmed(body, DATA_SM)?;
    let length = octets.len();
    DecodeWithLength::decode(&mut octets, length).ok().map(|(sm, _)| sm)
}

/// The id in the body of a `submit_sm_resp`; empty where there is none.
pub(crate) fn message_id(body: &[u8]) -> String {
    // Some SMSCs omit the closing zero.
    let octets = trimmed(body, SUBMIT_SM_RESP).or_else(|| trimmed(&[body, &[0]].concat(), SUBMIT_SM_RESP));
    let read = octets.and_then(|mut octets| {
        let length = octets.len();
        <SubmitSmResp as DecodeWithLength>::decode(&mut octets, length).ok()
    });
    read.map_or_else(String::new, |(answer, _)| answer.message_id().as_str().to_owned())
}

/// Reads a parameter of a header; kept here with all else that is handed to `rusmpp`.
pub(crate) fn header<T: Decode>(octets: &[u8]) -> Option<T> {
    T::decode(&mut BytesMut::from(octets)).ok().map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusmpp::tlvs::TlvValue;

    fn tlv(tag: u16, value: &[u8]) -> Vec<u8> {
        [&tag.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
    }

    fn body(service: &str, source: &str, text: &[u8], tlvs: &[u8]) -> Vec<u8> {
        [
            service.as_bytes(),
            b"\0\x01\x01",
            source.as_bytes(),
            b"\0\x01\x0112025550100\0\x04\0\0\0\0\0\0\0\0",
            &[text.len() as u8],
            text,
            tlvs,
        ]
        .concat()
    }

    #[test]
    fn what_is_odd_is_passed_over_and_the_rest_is_read() {
        let id = tlv(0x1E, b"abc\0");
        let odd: [(&str, Vec<u8>); 12] = [
            ("id without a closing zero", tlv(0x1E, b"abc")),
            ("id with more behind its zero", tlv(0x1E, b"abc\0def\0")),
            ("the same parameter twice", [id.clone(), tlv(0x1E, b"other\0")].concat()),
            ("network_error_code of 4", [tlv(0x423, b"\x03\0\0\x01"), id.clone()].concat()),
            ("message_state of 2", [tlv(0x427, b"\0\x02"), id.clone()].concat()),
            ("message_state of none", [tlv(0x427, b""), id.clone()].concat()),
            ("a cut parameter", [id.clone(), vec![0, 0x1E, 0, 40, b'a', b'b']].concat()),
            ("a cut head of one", [id.clone(), vec![4, 0x27, 0]].concat()),
            ("a zero behind", [id.clone(), vec![0]].concat()),
            ("parameters of vendors", [tlv(0x1400, &[0xFF; 300]), id.clone()].concat()),
            ("a wrong language_indicator", [tlv(0x020D, &[9; 9]), id.clone()].concat()),
            ("a wrong callback_num", [tlv(0x0381, b"1"), id].concat()),
        ];
        for (name, tlvs) in odd {
            let sm = deliver_sm(&body("", "12025550123", b"id:abc stat:DELIVRD", &tlvs)).unwrap();
            let ids: Vec<_> = sm
                .tlvs()
                .iter()
                .filter_map(|t| match t.value() {
                    Some(TlvValue::ReceiptedMessageId(id)) => Some(id.as_str()),
                    _ => None,
                })
                .collect();
            assert_eq!((ids, sm.source_addr.as_str()), (vec!["abc"], "12025550123"), "{name}");
            assert_eq!(sm.short_message().as_ref(), b"id:abc stat:DELIVRD", "{name}");
        }
    }

    #[test]
    fn long_strings_are_cut() {
        let sm = deliver_sm(&body("SERVICE", &"1".repeat(24), "Stóp".as_bytes(), b"")).unwrap();
        assert_eq!(
            (sm.source_addr.as_str(), sm.short_message().as_ref()),
            (&*"1".repeat(20), "Stóp".as_bytes())
        );
        let sm = deliver_sm(&body("", "Zürich", b"", b"")).unwrap();
        assert_eq!(sm.source_addr.as_str(), "Z??rich");
        assert_eq!(message_id(&[&[b'x'; 80][..], b"\0"].concat()), "x".repeat(64));
        assert_eq!(
            (message_id(b"abc"), message_id(b"abc\0"), message_id(b""), message_id(b"\0")),
            ("abc".into(), "abc".into(), String::new(), String::new())
        );
        assert_eq!(message_id(&[b"abc\0", &tlv(0x1D, b"\xFF")[..]].concat()), "abc");
    }

    #[test]
    fn a_body_that_ends_early_is_refused_and_a_message_that_does_is_what_is_there() {
        let whole = body("", "12025550123", b"id:abc stat:DELIVRD", b"");
        let message = whole.len() - b"id:abc stat:DELIVRD".len();
        for end in 0..message {
            assert!(deliver_sm(&whole[..end]).is_none(), "{end}");
        }
        for end in message..=whole.len() {
            let sm = deliver_sm(&whole[..end]).unwrap();
            assert_eq!(sm.short_message().as_ref(), &b"id:abc stat:DELIVRD"[..end - message]);
        }
        assert!(data_sm(b"\0\x01\x01").is_none());
    }
}
