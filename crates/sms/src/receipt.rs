//! Delivery receipts as vendors write them: read from the parameters where there are any, otherwise from the text of
//! SMPP 3.4 Appendix B in its many spellings.

use std::borrow::Cow;

use rusmpp::values::MessageState;

use crate::incoming::Sm;

/// How many characters of a carrier's own words are kept.
const LONGEST_ERROR: usize = 60;

/// A final receipt, as read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// The ids that it names: that of the parameter, then that of the text where it differs.
    pub(crate) ids: Vec<String>,
    pub(crate) delivered: bool,
    pub(crate) code: Option<u32>,
    /// Why the message was not delivered.
    pub(crate) words: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Delivered,
    Expired,
    Deleted,
    Undeliverable,
    Rejected,
    Failed,
}

impl End {
    fn words(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Expired => "it could not be delivered before it expired",
            Self::Deleted => "the carrier deleted it",
            Self::Undeliverable => "the network could not deliver it",
            Self::Rejected => "the carrier rejected it",
            Self::Failed => "delivery failed",
        }
    }
}

/// The errors of a mobile network in words (3GPP TS 29.002 §17.6).
const NETWORK_ERRORS: [(u32, &str); 14] = [
    (1, "the number is not in service"),
    (5, "the network does not know this phone"),
    (6, "the phone is not in the network"),
    (9, "the network does not let this phone in"),
    (11, "this number may not receive messages"),
    (12, "the network does not let this phone in"),
    (13, "messages to this number are barred"),
    (21, "the network cannot deliver messages to this number"),
    (27, "the phone was switched off or out of reach"),
    (28, "the phone was switched off or out of reach"),
    (31, "the phone was busy"),
    (32, "the phone could not take the message"),
    (33, "the phone's memory was full"),
    (34, "the network failed"),
];

/// Why a message that ended so was not delivered. Only where it was the network that failed is the code one of its
/// errors: a carrier that rejects or deletes a message has codes of its own.
fn why(end: End, code: Option<u32>) -> Cow<'static, str> {
    let error = NETWORK_ERRORS.iter().find(|error| Some(error.0) == code).map(|error| error.1);
    match (end, error) {
        (End::Undeliverable, Some(error)) => error.into(),
        (End::Expired, Some(error)) => format!("{}: {error}", end.words()).into(),
        _ => end.words().into(),
    }
}

/// How the words of `stat:` begin, letters alone, and the end that they tell; the first that fits counts. Any other
/// word means on its way, or unknown.
const ENDS: &[(&str, Option<End>)] = &[
    ("DELIVERING", None),
    // The word after the noun tells: "delivery failed", "delivery pending".
    ("DELIVERYSUCC", Some(End::Delivered)),
    ("DELIVERYOK", Some(End::Delivered)),
    ("DELIVERYCONF", Some(End::Delivered)),
    ("DELIVERYFAIL", Some(End::Failed)),
    ("DELIVERYERR", Some(End::Failed)),
    ("DELIVERYREJ", Some(End::Rejected)),
    ("DELIVERYEXP", Some(End::Expired)),
    ("DELIVERYTIMEOUT", Some(End::Expired)),
    ("DELIVERYIMP", Some(End::Undeliverable)),
    ("DELIVERY", None),
    ("DELIV", Some(End::Delivered)),
    ("DELVR", Some(End::Delivered)),
    ("DLVR", Some(End::Delivered)),
    ("SUCC", Some(End::Delivered)),
    ("EXP", Some(End::Expired)),
    ("TIMEOUT", Some(End::Expired)),
    ("DELET", Some(End::Deleted)),
    ("CANCEL", Some(End::Deleted)),
    ("UNDEL", Some(End::Undeliverable)),
    ("UNDLV", Some(End::Undeliverable)),
    ("NDELIV", Some(End::Undeliverable)),
    ("NODELIV", Some(End::Undeliverable)),
    ("NONDELIV", Some(End::Undeliverable)),
    ("NOTDELIV", Some(End::Undeliverable)),
    ("REJ", Some(End::Rejected)),
    ("BLOCK", Some(End::Rejected)),
    ("BARRED", Some(End::Rejected)),
    ("FAIL", Some(End::Failed)),
    ("ERR", Some(End::Failed)),
    ("ABORT", Some(End::Failed)),
    ("SKIP", Some(End::Failed)),
];

fn end_of(stat: &str) -> Option<End> {
    if let Ok(state) = stat.parse::<u8>() {
        return end_of_state(MessageState::from(state));
    }
    let letters = stat.chars().filter(char::is_ascii_alphabetic);
    let stat: String = letters.map(|letter| letter.to_ascii_uppercase()).collect();
    ENDS.iter().find(|(begins, _)| stat.starts_with(begins)).and_then(|(_, end)| *end)
}

fn end_of_state(state: MessageState) -> Option<End> {
    match state {
        MessageState::Delivered => Some(End::Delivered),
        MessageState::Expired => Some(End::Expired),
        MessageState::Deleted => Some(End::Deleted),
        MessageState::Undeliverable => Some(End::Undeliverable),
        MessageState::Rejected => Some(End::Rejected),
        // SMPP 5.0 §4.7.15.
        MessageState::Skipped => Some(End::Failed),
        _ => None,
    }
}

/// The last words of the keys of the text form.
const KEYS: [&str; 10] = ["id", "sub", "dlvrd", "date", "stat", "status", "state", "err", "error", "text"];

/// The value of `key:` or `key=` in the text form, whatever its case, up to the next blank.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let octets = text.as_bytes();
    let behind = octets.windows(key.len()).enumerate().find_map(|(at, letters)| {
        // Not inside another word, such as "msgid:".
        let begins = at == 0 || !octets[at - 1].is_ascii_alphanumeric();
        let is_key = begins && letters.eq_ignore_ascii_case(key.as_bytes());
        let behind = is_key.then(|| text.get(at + key.len()..))??;
        behind.trim_start_matches(' ').strip_prefix([':', '='])
    })?;
    let value = behind.trim_start_matches(' ').split([' ', '\t', '\r', '\n', ',', ';', '\0']).next()?;
    // An empty value: the next word is another key. An id may have a colon in it.
    let is_key =
        value.split_once([':', '=']).is_some_and(|(key, _)| KEYS.iter().any(|k| k.eq_ignore_ascii_case(key)));
    let value = value.trim_matches(['"', '\'']);
    (!value.is_empty() && !is_key).then_some(value)
}

/// Whether a text that is not marked as a receipt is one nonetheless.
pub(crate) fn looks_like_one(text: &str) -> bool {
    let begins = text.trim_start().get(..2).is_some_and(|begins| begins.eq_ignore_ascii_case("id"));
    let has = |key: &&str| field(text, key).is_some();
    begins && has(&"id") && has_state(text) && ["date", "err", "error", "dlvrd", "sub"].iter().any(has)
}

/// The word for the message's state.
fn state(text: &str) -> Option<&str> {
    field(text, "stat").or_else(|| field(text, "status")).or_else(|| field(text, "state"))
}

/// Whether a text names a message's state.
pub(crate) fn has_state(text: &str) -> bool {
    state(text).is_some()
}

/// A receipt's octets as text: ASCII in all but name, or UTF-16, whatever coding is stated.
pub(crate) fn text(octets: &[u8], read: impl Fn() -> String) -> Cow<'_, str> {
    let has = |octets: &[u8], key: &[u8]| octets.windows(key.len()).any(|l| l.eq_ignore_ascii_case(key));
    let is_receipt =
        |octets: &[u8]| [&b"id:"[..], b"id=", b"stat:", b"stat="].into_iter().any(|key| has(octets, key));
    if is_receipt(octets) {
        return String::from_utf8_lossy(octets);
    }
    let letters: Vec<u8> = octets.iter().copied().filter(|octet| *octet != 0).collect();
    if is_receipt(&letters) { String::from_utf8_lossy(&letters).into_owned().into() } else { read().into() }
}

/// The network's error as a number: read as decimal, otherwise as hexadecimal.
fn code_of(err: &str) -> Option<u32> {
    let hex = err.strip_prefix("0x").or_else(|| err.strip_prefix("0X"));
    let code = match hex {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => err.parse().ok().or_else(|| u32::from_str_radix(err, 16).ok().filter(|_| err.len() <= 4)),
    };
    code.filter(|code| *code != 0)
}

/// Reads a final receipt; none where the message is still on its way, or nothing is said.
pub(crate) fn read(sm: &Sm, text: &str) -> Option<Read> {
    let of_text = |key: &str| field(text, key);
    // Some SMSCs put an id of their own into the parameter, and the message's into the text.
    let given = sm.receipted_id.as_deref().filter(|id| !id.is_empty());
    let in_text = of_text("id").filter(|id| given != Some(*id));
    let ids = given.into_iter().chain(in_text).map(str::to_owned).collect();
    let end = sm.state.and_then(end_of_state).or_else(|| end_of(state(text)?))?;
    let err = of_text("err").or_else(|| of_text("error")).filter(|err| err.chars().any(|c| c != '0'));
    let code = err.and_then(code_of).or(sm.network_error.map(u32::from).filter(|code| *code != 0));
    let words = (end != End::Delivered).then(|| {
        let words = why(end, code);
        match err.map(str::to_owned).or_else(|| code.map(|code| code.to_string())) {
            Some(error) => {
                format!("{words} (error {})", error.chars().take(LONGEST_ERROR).collect::<String>())
            }
            None => words.into_owned(),
        }
    });
    Some(Read { ids, delivered: end == End::Delivered, code, words })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Read> {
        read(&Sm::default(), text)
    }

    #[test]
    fn states_are_read_as_vendors_spell_them() {
        for (stat, delivered) in [
            ("DELIVRD", Some(true)),
            ("delivrd", Some(true)),
            ("Delivered", Some(true)),
            ("DELIVERED", Some(true)),
            ("DELIVERD", Some(true)),
            ("2", Some(true)),
            ("002", Some(true)),
            ("SUCCESS", Some(true)),
            ("UNDELIV", Some(false)),
            ("UNDELIVERABLE", Some(false)),
            ("UNDELIVERED", Some(false)),
            ("UNDELIVRD", Some(false)),
            ("EXPIRED", Some(false)),
            ("Expired", Some(false)),
            ("DELETED", Some(false)),
            ("REJECTD", Some(false)),
            ("REJECTED", Some(false)),
            ("FAILED", Some(false)),
            ("5", Some(false)),
            ("8", Some(false)),
            ("ENROUTE", None),
            ("ACCEPTD", None),
            ("ACCEPTED", None),
            ("UNKNOWN", None),
            ("BUFFRED", None),
            ("DELIVERING", None),
            ("DELIVERY_FAILED", Some(false)),
            ("Delivery-Failure", Some(false)),
            ("DELIVERYERROR", Some(false)),
            ("DELIVERY_TIMEOUT", Some(false)),
            ("DELIVERY_SUCCESS", Some(true)),
            ("DELIVERY_PENDING", None),
            ("NOT_DELIVERED", Some(false)),
            ("NON-DELIVERED", Some(false)),
            ("UNDELVD", Some(false)),
            ("EXPRD", Some(false)),
            ("REJD", Some(false)),
            ("SKIPPED", Some(false)),
            ("9", Some(false)),
            ("1", None),
            ("6", None),
            ("", None),
            ("999", None),
        ] {
            let text = format!(
                "id:1 sub:001 dlvrd:001 submit date:2611241500 done date:2611241501 stat:{stat} err:000 text:Hi"
            );
            let read = of(&text);
            assert_eq!(read.as_ref().map(|r| r.delivered), delivered, "{stat}");
            // An undelivered message has a reason.
            assert_eq!(read.is_some_and(|r| r.words.is_some()), delivered == Some(false), "{stat}");
        }
    }

    #[test]
    fn errors_are_read_as_vendors_spell_them() {
        for (err, code, words) in [
            ("000", None, "the network could not deliver it"),
            ("027", Some(27), "the phone was switched off or out of reach (error 027)"),
            ("0027", Some(27), "the phone was switched off or out of reach (error 0027)"),
            ("0x1B", Some(27), "the phone was switched off or out of reach (error 0x1B)"),
            ("1B", Some(27), "the phone was switched off or out of reach (error 1B)"),
            ("250", Some(250), "the network could not deliver it (error 250)"),
            ("ABSENT_SUBSCRIBER", None, "the network could not deliver it (error ABSENT_SUBSCRIBER)"),
            ("", None, "the network could not deliver it"),
        ] {
            let read = of(&format!("id:1 stat:UNDELIV err:{err} text:Hi")).unwrap();
            assert_eq!((read.code, read.words.as_deref()), (code, Some(words)), "{err}");
        }
    }

    #[test]
    fn a_code_is_put_into_words_only_where_it_is_an_error_of_the_network() {
        for (stat, words) in [
            ("UNDELIV", "the phone's memory was full (error 033)"),
            (
                "EXPIRED",
                "it could not be delivered before it expired: the phone's memory was full (error 033)",
            ),
            ("REJECTD", "the carrier rejected it (error 033)"),
            ("DELETED", "the carrier deleted it (error 033)"),
        ] {
            let read = of(&format!("id:1 stat:{stat} err:033 text:Hi")).unwrap();
            assert_eq!(read.words.as_deref(), Some(words));
        }
    }

    #[test]
    fn fields_are_found_whatever_stands_around_them() {
        let r = |id: &str| Some(Read { ids: vec![id.into()], delivered: true, code: None, words: None });
        let none = Some(Read { ids: Vec::new(), delivered: true, code: None, words: None });
        for text in [
            "id:123abc sub:001 dlvrd:001 submit date:2611241500 done date:2611241501 stat:DELIVRD err:000 text:Hi",
            "ID:123abc STAT:DELIVRD ERR:000",
            "id: 123abc stat: DELIVRD err: 000",
            "id:123abc,stat:DELIVRD",
            "stat:DELIVRD id:123abc\0",
            "msgid:9 id:123abc status:Delivered",
            "id:123abc\r\nstat:DELIVRD\r\nerr:000",
            "id=123abc stat=DELIVRD err=000",
            "id : 123abc stat : DELIVRD err : 000",
            "id:\"123abc\" stat:\"DELIVRD\" err:\"000\"",
            "idle id:123abc status of it: unknown, stat:DELIVRD",
        ] {
            assert_eq!(of(text), r("123abc"), "{text}");
        }
        for id in ["smsc1:123", "2026:11:24:7"] {
            assert_eq!(of(&format!("id:{id} sub:001 stat:DELIVRD")), r(id));
            assert_eq!(of(&format!("id: {id} stat: DELIVRD")), r(id));
        }
        assert_eq!(of("id:sub:001 stat:DELIVRD"), none);
        assert_eq!(of("id: stat:DELIVRD"), none);
    }

    #[test]
    fn parameters_go_before_the_text_unless_they_are_empty() {
        let sm = Sm {
            receipted_id: Some("tlv".into()),
            state: Some(MessageState::Undeliverable),
            network_error: Some(9),
            ..Sm::default()
        };
        let read_1 = read(&sm, "id:text stat:DELIVRD err:000").unwrap();
        assert_eq!((read_1.delivered, read_1.code), (false, Some(9)));
        assert_eq!(read_1.ids, ["tlv", "text"]);
        assert_eq!(read(&sm, "id:tlv stat:DELIVRD err:000").unwrap().ids, ["tlv"]);
        assert_eq!(read(&sm, "").unwrap().ids, ["tlv"]);
        let sm =
            Sm { receipted_id: Some(String::new()), state: Some(MessageState::Enroute), ..Sm::default() };
        assert_eq!(read(&sm, "id:text stat:DELIVRD").unwrap().ids, ["text"]);
    }

    #[test]
    fn a_text_is_read_in_whatever_coding_it_comes() {
        let written = "id:123abc stat:DELIVRD err:000";
        let be: Vec<u8> = written.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let le: Vec<u8> = written.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for octets in [written.as_bytes(), &be, &le] {
            assert_eq!(text(octets, || "garbled".into()), written);
        }
        assert_eq!(text(b"stat:DELIVRD", || "garbled".into()), "stat:DELIVRD");
        assert_eq!(text("да".as_bytes(), || "да".into()), "да");
    }

    #[test]
    fn what_a_person_writes_is_no_receipt() {
        for text in [
            "id:1 sub:001 dlvrd:001 submit date:2611241500 stat:DELIVRD err:000 text:",
            " ID:1 Sub:001 Stat:Delivered Err:000",
            "id:1,sub:001,stat:DELIVRD,err:000",
            "id:1\nsubmit date:2611241500\nstatus:UNDELIV",
        ] {
            assert!(looks_like_one(text), "{text}");
        }
        for text in ["id:1", "my id: 5, what is the stat: of it", "STOP", "", "stat:DELIVRD id:1"] {
            assert!(!looks_like_one(text), "{text}");
        }
    }
}
