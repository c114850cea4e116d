//! A call as its owner sees it: what happens to it comes as events, what it shall do goes as orders. The task that
//! carries it out lives in `stack`.

use std::{sync::Arc, time::Duration};

use campaign::script::is_plain_address;
use tokio::sync::{mpsc, oneshot};

use super::{cause::End, stack::Facts, trace::Exchange, trunk::Fault};

/// The most events of one call that wait to be read; what comes beyond is dropped, but never the end.
pub(super) const MOST_EVENTS: usize = 64;
/// The most orders that wait.
pub(super) const MOST_ORDERS: usize = 8;

/// Who is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callee {
    /// A user at the trunk: a number in its form, or a name.
    User(String),
    /// A `sip:` address, or `sips:` over a trunk by TLS, at any host. It is the Request-URI; where its host is, the
    /// trunk knows: INVITEs go to the trunk and nowhere else.
    Address(String),
}

impl Callee {
    fn check(&self) -> Result<(), Fault> {
        let (value, fits, words): (_, fn(&str) -> bool, _) = match self {
            Self::User(user) => (user, is_user, USER_WORDS),
            Self::Address(address) => {
                let words = "it must be a sip: or sips: address of at most 255 characters";
                (address, is_address, words)
            }
        };
        if fits(value) {
            return Ok(());
        }
        Err(Fault::Field { field: "callee", value: value.clone(), words: words.to_owned() })
    }
}

const USER_WORDS: &str = "it must be 1 to 64 digits, letters, or any of + * # - _ .";

fn is_user(user: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "+*#-_.".contains(c);
    !user.is_empty() && user.len() <= 64 && user.chars().all(fits)
}

fn is_address(address: &str) -> bool {
    let rest = address.strip_prefix("sip:").or_else(|| address.strip_prefix("sips:"));
    rest.is_some_and(is_plain_address)
}

/// A call to begin.
#[derive(Debug, Clone)]
pub struct Invite {
    /// Who is called.
    pub callee: Callee,
    /// The caller ID in E.164: From and P-Asserted-Identity.
    pub caller_id: String,
    /// Our description of the sound (SDP).
    pub offer: Vec<u8>,
    /// How long the phone may ring: from the first 18x, and before one from the INVITE.
    pub ring_time: Duration,
    /// Further headers, by name and value.
    pub headers: Vec<(String, String)>,
    /// Whether the call's messages are kept, until it is answered.
    pub trace: bool,
}

impl Invite {
    /// Checks that nothing in it could be read as something else on the wire.
    pub(super) fn check(&self) -> Result<(), Fault> {
        self.callee.check()?;
        if !is_user(&self.caller_id) {
            let (field, words) = ("caller_id", USER_WORDS.to_owned());
            return Err(Fault::Field { field, value: self.caller_id.clone(), words });
        }
        for (name, value) in &self.headers {
            let token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(token) || value.chars().any(char::is_control) {
                let words = "a header needs a name of letters and a value of one line".to_owned();
                return Err(Fault::Field { field: "headers", value: format!("{name}: {value}"), words });
            }
        }
        Ok(())
    }
}

/// What happens to a call. After `Ended` nothing comes.
#[derive(Debug)]
pub enum Event {
    /// The far end works on it (100).
    Trying,
    /// The phone rings, or the network says so with an announcement (first of 180 to 183).
    Ringing,
    /// Sound before the answer (18x with SDP). No answer.
    EarlyMedia(Vec<u8>),
    /// The phone was picked up.
    Answered {
        /// The far end's description of the sound; empty where it sent none.
        sdp: Vec<u8>,
    },
    /// The far end wants to change the sound, hold included (re-INVITE, UPDATE).
    Reoffered {
        /// Its description.
        sdp: Vec<u8>,
        /// To accept or refuse it.
        answer: Answer,
    },
    /// The far end's description after a refresh of ours, or after a re-INVITE that asked us to offer.
    Described(Vec<u8>),
    /// A key by INFO (`0` to `9`, `*`, `#`, `A` to `D`).
    Key(char),
    /// How a transfer goes.
    Transfer(Transfer),
    /// The end.
    Ended(End),
}

/// How a REFER goes (RFC 3515).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// The far end tries it.
    Accepted,
    /// The far end does not try it, by this code; 0 where it did not answer.
    Refused(u16),
    /// The new leg's progress, by its code.
    Progress(u16),
    /// The new leg's final code: 2xx is done.
    Done(u16),
}

/// The answer to a changed description. Dropped, it refuses (488), and the call goes on as it was.
#[derive(Debug)]
pub struct Answer(pub(super) oneshot::Sender<Vec<u8>>);

impl Answer {
    /// Accepts with our description.
    pub fn accept(self, sdp: Vec<u8>) {
        let _ = self.0.send(sdp);
    }

    /// Refuses: no common codec.
    pub fn refuse(self) {}
}

/// What a call is told.
#[derive(Debug)]
pub(super) enum Order {
    HangUp,
    /// Answered with whether the INVITE was withdrawn.
    Abort(oneshot::Sender<bool>),
    Refer(String),
}

/// A call. Dropped, it is hung up.
#[derive(Debug)]
pub struct Call {
    pub(super) id: String,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) facts: Arc<Facts>,
}

impl Call {
    /// The Call-ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The next event; none after the end.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Ends the call: withdraws it before an answer, sends BYE after.
    pub fn hang_up(&self) {
        let _ = self.orders.try_send(Order::HangUp);
    }

    /// Withdraws the call where it is not answered: when this returns, no INVITE of it leaves any more, repeats
    /// included. A ringing phone stops; an answer that comes late is acknowledged and ended. Returns whether it was
    /// withdrawn: an answered call goes on.
    pub async fn abort(&self) -> bool {
        let (told, done) = oneshot::channel();
        // A full queue or a task that is gone: what waits there ends the call too, or it has ended.
        self.orders.send(Order::Abort(told)).await.is_ok() && done.await.unwrap_or(false)
    }

    /// Asks the far end to call `to`, a SIP URI, instead of us.
    pub fn refer(&self, to: &str) -> Result<(), Fault> {
        let fits = |c: char| c.is_ascii_graphic() && !"<>\"".contains(c);
        if !(to.starts_with("sip:") || to.starts_with("sips:") || to.starts_with("tel:"))
            || !to.chars().all(fits)
        {
            let words = "it must be a sip:, sips: or tel: address".to_owned();
            return Err(Fault::Field { field: "transfer", value: to.to_owned(), words });
        }
        let _ = self.orders.try_send(Order::Refer(to.to_owned()));
        Ok(())
    }

    /// The messages so far, where they are kept; none once it was answered.
    pub fn exchange(&self) -> Exchange {
        self.facts.exchange()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(callee: Callee, caller_id: &str, headers: &[(&str, &str)]) -> Invite {
        Invite {
            callee,
            caller_id: caller_id.to_owned(),
            offer: Vec::new(),
            ring_time: Duration::from_secs(30),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            trace: false,
        }
    }

    #[test]
    fn nothing_that_breaks_out_of_its_field_is_sent() {
        let user = |user: &str| Callee::User(user.to_owned());
        let at = |address: &str| Callee::Address(address.to_owned());
        let good = invite(user("+12025550123"), "+12025550100", &[("X-Tag", "a b")]);
        assert_eq!(good.check(), Ok(()));
        assert_eq!(invite(at("sip:agents@pbx.example;user=phone"), "1", &[]).check(), Ok(()));
        for (field, bad) in [
            ("callee", invite(user(""), "+1", &[])),
            ("callee", invite(user("1@evil"), "+1", &[])),
            ("callee", invite(user("1\r\nX: y"), "+1", &[])),
            ("callee", invite(user("1;x=y"), "+1", &[])),
            ("callee", invite(user(&"1".repeat(65)), "+1", &[])),
            ("callee", invite(at("sip:"), "+1", &[])),
            ("callee", invite(at("agents@pbx.example"), "+1", &[])),
            ("callee", invite(at("tel:+12025550199"), "+1", &[])),
            ("callee", invite(at("sip:a@b>\r\nX: y"), "+1", &[])),
            ("callee", invite(at("sip:a@b?Replaces=c"), "+1", &[])),
            ("callee", invite(at(&format!("sip:a@{}", "b".repeat(300))), "+1", &[])),
            ("caller_id", invite(user("1"), "+1>", &[])),
            ("headers", invite(user("1"), "1", &[("", "x")])),
            ("headers", invite(user("1"), "1", &[("X Y", "x")])),
            ("headers", invite(user("1"), "1", &[("X", "a\r\nY: b")])),
        ] {
            let Err(Fault::Field { field: named, .. }) = bad.check() else { panic!("{bad:?} passed") };
            assert_eq!(named, field);
        }
    }
}
