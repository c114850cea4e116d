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
    /// The message's id; empty where none is given.
    pub(crate) id: String,
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

/// How the words of `stat:` that tell an end begin. Any other word means on its way, or unknown.
const ENDS: &[(&str, End)] = &[
    ("DELIV", End::Delivered),
    ("DELVR", End::Delivered),
    ("DLVR", End::Delivered),
    ("SUCC", End::Delivered),
    ("EXPIR", End::Expired),
    ("DELET", End::Deleted),
    ("CANCEL", End::Deleted),
    ("UNDELIV", End::Undeliverable),
    ("UNDLV", End::Undeliverable),
    ("NOTDELIV", End::Undeliverable),
    ("NOT_DELIV", End::Undeliverable),
    ("REJECT", End::Rejected),
    ("REJCT", End::Rejected),
    ("BLOCK", End::Rejected),
    ("FAIL", End::Failed),
    ("ERROR", End::Failed),
];

fn end_of(stat: &str) -> Option<End> {
    if let Ok(state) = stat.parse::<u8>() {
        return end_of_state(MessageState::from(state));
    }
    let stat = stat.to_ascii_uppercase();
    if stat.starts_with("DELIVERING") {
        return None;
    }
    ENDS.iter().find(|(begins, _)| stat.starts_with(begins)).map(|(_, end)| *end)
}

fn end_of_state(state: MessageState) -> Option<End> {
    match state {
        MessageState::Delivered => Some(End::Delivered),
        MessageState::Expired => Some(End::Expired),
        MessageState::Deleted => Some(End::Deleted),
        MessageState::Undeliverable => Some(End::Undeliverable),
        MessageState::Rejected => Some(End::Rejected),
        _ => None,
    }
}

/// The value of `key:` in the text form, whatever its case, up to the next blank.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let octets = text.as_bytes();
    let at = octets.windows(key.len()).enumerate().find_map(|(at, letters)| {
        // Not inside another word, such as "msgid:".
        let begins = at == 0 || !octets[at - 1].is_ascii_alphanumeric();
        (begins && letters.eq_ignore_ascii_case(key.as_bytes())).then_some(at)
    })?;
    let value = text.get(at + key.len()..)?.trim_start_matches(' ');
    // An empty value: the next word is another key.
    let value = value.split([' ', '\t', '\r', '\n', ',', ';', '\0']).next()?;
    (!value.is_empty() && !value.contains(':')).then_some(value)
}

/// Whether a text that is not marked as a receipt is one nonetheless.
pub(crate) fn looks_like_one(text: &str) -> bool {
    let small = text.trim_start().to_ascii_lowercase();
    small.starts_with("id:")
        && small.contains(" stat:")
        && ["date:", " err:", " dlvrd:"].iter().any(|key| small.contains(key))
}

/// A receipt's octets as text: ASCII in all but name, or UTF-16.
pub(crate) fn text(octets: &[u8], read: impl Fn() -> String) -> Cow<'_, str> {
    let has_id = octets.windows(3).any(|letters| letters.eq_ignore_ascii_case(b"id:"));
    if has_id { String::from_utf8_lossy(octets) } else { read().into() }
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
    let given = sm.receipted_id.as_deref().filter(|id| !id.is_empty());
    let id = given.or_else(|| of_text("id:")).unwrap_or_default().to_owned();
    let stat = of_text("stat:").or_else(|| of_text("status:")).or_else(|| of_text("state:"));
    let end = sm.state.and_then(end_of_state).or_else(|| end_of(stat?))?;
    let err = of_text("err:").or_else(|| of_text("error:")).filter(|err| err.chars().any(|c| c != '0'));
    let code = err.and_then(code_of).or(sm.network_error.map(u32::from).filter(|code| *code != 0));
    let words = (end != End::Delivered).then(|| {
        let error = err.map(str::to_owned).or_else(|| code.map(|code| code.to_string()));
        match error {
            Some(error) => {
                format!("{} (error {})", end.words(), error.chars().take(LONGEST_ERROR).collect::<String>())
            }
            None => end.words().to_owned(),
        }
    });
    Some(Read { id, delivered: end == End::Delivered, code, words })
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
            ("027", Some(27), "the network could not deliver it (error 027)"),
            ("0027", Some(27), "the network could not deliver it (error 0027)"),
            ("0x1B", Some(27), "the network could not deliver it (error 0x1B)"),
            ("1B", Some(27), "the network could not deliver it (error 1B)"),
            ("ABSENT_SUBSCRIBER", None, "the network could not deliver it (error ABSENT_SUBSCRIBER)"),
            ("", None, "the network could not deliver it"),
        ] {
            let read = of(&format!("id:1 stat:UNDELIV err:{err} text:Hi")).unwrap();
            assert_eq!((read.code, read.words.as_deref()), (code, Some(words)), "{err}");
        }
    }

    #[test]
    fn fields_are_found_whatever_stands_around_them() {
        let r = |id: &str| Some(Read { id: id.into(), delivered: true, code: None, words: None });
        for text in [
            "id:123abc sub:001 dlvrd:001 submit date:2611241500 done date:2611241501 stat:DELIVRD err:000 text:Hi",
            "ID:123abc STAT:DELIVRD ERR:000",
            "id: 123abc stat: DELIVRD err: 000",
            "id:123abc,stat:DELIVRD",
            "stat:DELIVRD id:123abc\0",
            "msgid:9 id:123abc status:Delivered",
        ] {
            assert_eq!(of(text), r("123abc"), "{text}");
        }
        assert_eq!(of("id: stat:DELIVRD"), r(""));
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
        assert_eq!((read_1.id.as_str(), read_1.delivered, read_1.code), ("tlv", false, Some(9)));
        let sm =
            Sm { receipted_id: Some(String::new()), state: Some(MessageState::Enroute), ..Sm::default() };
        assert_eq!(read(&sm, "id:text stat:DELIVRD").unwrap().id, "text");
    }

    #[test]
    fn what_a_person_writes_is_no_receipt() {
        assert!(looks_like_one("id:1 sub:001 dlvrd:001 submit date:2611241500 stat:DELIVRD err:000 text:"));
        for text in ["id:1", "my id: 5, what is the stat: of it", "STOP", "", "stat:DELIVRD id:1"] {
            assert!(!looks_like_one(text), "{text}");
        }
    }
}
