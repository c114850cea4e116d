//! The SIP messages of one call, kept within bounds to be shown on an error page: without credentials and keys, and
//! with the called number masked.

use std::fmt;

use jiff::Timestamp;

/// The most messages of one call that are kept.
const MOST_MESSAGES: usize = 24;
/// The most bytes of one message that are kept.
const MOST_BYTES: usize = 2_000;
/// As many of the called number's last digits are hidden.
const HIDDEN_DIGITS: usize = 7;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it was sent or received.
    pub at: Timestamp,
    /// Whether it was ours.
    pub sent: bool,
    /// Its text, masked.
    pub text: String,
}

/// The messages of one call in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The first of them.
    pub messages: Vec<Message>,
    /// How many more there were.
    pub left_out: usize,
}

/// The messages of one call as they were on the wire: masked only where somebody asks, as hardly anybody does.
#[derive(Default)]
pub(super) struct Wire {
    messages: Vec<Message>,
    left_out: usize,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({} messages)", self.messages.len() + self.left_out)
    }
}

impl Wire {
    /// Keeps a message, or counts it where there are enough.
    pub(super) fn keep(&mut self, sent: bool, mut text: String) {
        if self.messages.len() < MOST_MESSAGES {
            text.truncate(cut(&text).len());
            self.messages.push(Message { at: Timestamp::now(), sent, text });
        } else {
            self.left_out += 1;
        }
    }

    /// As it may be shown. `number` is the called one, `account` our name at the trunk.
    pub(super) fn shown(&self, number: &str, account: &str) -> Exchange {
        let shown = |message: &Message| Message { text: mask(&message.text, number, account), ..*message };
        let masked = self.messages.iter().map(shown);
        Exchange { messages: masked.collect(), left_out: self.left_out }
    }
}

/// The text up to the bound, cut between characters.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MOST_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The text without what identifies the account or the person called.
fn mask(text: &str, number: &str, account: &str) -> String {
    let own = format!("sip:{account}@");
    let mut masked = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let name = line.split([':', '=']).next().unwrap_or_default().trim();
        let secret = ["authorization", "proxy-authorization"].iter().any(|n| name.eq_ignore_ascii_case(n));
        if secret {
            masked.push_str(name);
            masked.push_str(": (removed)\r\n");
        } else if line.starts_with("a=crypto:") {
            masked.push_str("a=crypto:(removed)\r\n");
        } else {
            // A name that is a number may be the caller ID, which everybody sees.
            if account.is_empty() || account.starts_with('+') {
                mask_number(line, number, &mut masked);
            } else {
                mask_number(&line.replace(&own, "sip:(account)@"), number, &mut masked);
            }
        }
    }
    masked
}

/// Appends `line` with the last digits of every form of `number` hidden: with or without prefix or country code.
fn mask_number(line: &str, number: &str, to: &mut String) {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let hidden = HIDDEN_DIGITS.min(digits.len().saturating_sub(1));
    if hidden < 2 {
        return to.push_str(line);
    }
    let tail = &digits[digits.len() - hidden..];
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let length = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (run, after) = from.split_at(length);
        to.push_str(before);
        if let Some(head) = run.strip_suffix(tail) {
            to.push_str(head);
            to.extend(std::iter::repeat_n('*', hidden));
        } else {
            to.push_str(run);
        }
        rest = after;
    }
    to.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_keys_and_the_called_number_are_hidden_in_every_form() {
        for (line, shown) in [
            ("INVITE sip:+12025550123@trunk SIP/2.0\r\n", "INVITE sip:+1202*******@trunk SIP/2.0\r\n"),
            ("To: <sip:00112025550123@trunk>\r\n", "To: <sip:0011202*******@trunk>\r\n"),
            ("P-Called-Party-ID: <sip:5550123@trunk>\r\n", "P-Called-Party-ID: <sip:*******@trunk>\r\n"),
            ("From: <sip:+12025550100@trunk>\r\n", "From: <sip:+12025550100@trunk>\r\n"),
            ("Authorization: Digest response=\"abc\"\r\n", "Authorization: (removed)\r\n"),
            ("proxy-authorization : Digest x\r\n", "proxy-authorization: (removed)\r\n"),
            ("a=crypto:1 AES inline:KEY\r\n", "a=crypto:(removed)\r\n"),
            ("Contact: <sip:alice@192.0.2.7>\r\n", "Contact: <sip:(account)@192.0.2.7>\r\n"),
            ("Content-Length: 0\r\n", "Content-Length: 0\r\n"),
        ] {
            assert_eq!(mask(line, "+12025550123", "alice"), shown);
        }
        assert_eq!(mask("To: sip:911@x\r\n", "911", ""), "To: sip:9**@x\r\n");
        assert_eq!(mask("To: sip:1@x\r\n", "1", ""), "To: sip:1@x\r\n");
    }

    #[test]
    fn an_exchange_stays_within_its_bounds() {
        let mut wire = Wire::default();
        for _ in 0..MOST_MESSAGES + 3 {
            wire.keep(true, "é".repeat(MOST_BYTES));
        }
        let exchange = wire.shown("+12025550123", "");
        assert_eq!((exchange.messages.len(), exchange.left_out), (MOST_MESSAGES, 3));
        assert!(exchange.messages.iter().all(|message| message.text.len() <= MOST_BYTES));
    }
}
