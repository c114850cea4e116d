//! Sees every message in and out: mends what the library and the wire spell differently, marks what the library made
//! up itself, and notes what each call must know beyond its dialog's states.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rsipstack::{
    sip::{
        CSeq, Header, HeadersExt, Method, Request, Response, SipMessage, StatusCode, StatusCodeKind, Version,
        prelude::HasHeaders,
    },
    transaction::endpoint::MessageInspector,
    transport::SipAddr,
};
use tokio::sync::Notify;

use super::{challenge, targets};
use crate::sip::{
    cause,
    trace::{Exchange, Wire},
};

/// Marks a response that the library made up: a time-out or a connection that is lost.
const LOCAL: &str = "X-Carillon-Local";
/// Room for most messages.
const USUAL_BYTES: usize = 1_024;
/// Marks a request of a version that we do not speak.
const STRANGE_VERSION: &str = "X-Carillon-Version";

/// What was seen of one call on the wire.
#[derive(Debug)]
pub struct Facts {
    seen: Mutex<Seen>,
    changed: Notify,
    number: String,
    /// Our name at the trunk; empty: none.
    account: String,
}

#[derive(Debug, Default)]
struct Seen {
    invited: bool,
    answered: bool,
    rang: bool,
    last_final: Option<u16>,
    bye_q850: Option<u8>,
    /// Its messages, where they are kept, up to an answer: after it, no fault of the trunk is left to be shown.
    wire: Option<Wire>,
}

impl Facts {
    pub(super) fn new(number: &str, account: &str, traced: bool) -> Self {
        let seen = Seen { wire: traced.then(Wire::default), ..Seen::default() };
        let (number, account) = (number.to_owned(), account.to_owned());
        Self { seen: Mutex::new(seen), changed: Notify::new(), number, account }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with the next target: what the last one did says nothing of it.
    pub(super) fn begin_attempt(&self) {
        let mut seen = self.seen();
        seen.answered = false;
        seen.last_final = None;
    }

    /// Whether an INVITE left.
    pub(super) fn invited(&self) -> bool {
        self.seen().invited
    }

    /// Whether the target answered the INVITE in any way.
    pub(super) fn any_answer(&self) -> bool {
        self.seen().answered
    }

    /// Whether any of 180 to 183 came.
    pub(super) fn rang(&self) -> bool {
        self.seen().rang
    }

    /// The last final code that came to an INVITE of the call.
    pub(super) fn last_final(&self) -> Option<u16> {
        self.seen().last_final
    }

    /// The Q.850 cause in the far end's BYE.
    pub(super) fn bye_q850(&self) -> Option<u8> {
        self.seen().bye_q850
    }

    /// The messages kept: none once the call was answered.
    pub(in crate::sip) fn exchange(&self) -> Exchange {
        self.seen().wire.as_ref().map(|wire| wire.shown(&self.number, &self.account)).unwrap_or_default()
    }

    /// Waits for the INVITE's final answer.
    pub(super) async fn settled(&self) -> u16 {
        loop {
            let changed = self.changed.notified();
            if let Some(code) = self.last_final() {
                return code;
            }
            changed.await;
        }
    }

    fn note_response(&self, method: Method, response: &Response) {
        if method != Method::Invite {
            return;
        }
        let code = response.status_code.code();
        let mut seen = self.seen();
        seen.answered = true;
        seen.rang |= (180..=183).contains(&code);
        if code >= 200 {
            seen.last_final = Some(code);
        }
        if (200..300).contains(&code) {
            seen.wire = None;
        }
        drop(seen);
        self.changed.notify_waiters();
    }

    fn keep(&self, sent: bool, message: &SipMessage) {
        if let Some(wire) = &mut self.seen().wire {
            wire.keep(sent, as_written(message));
        }
    }
}

/// The calls that are up, by Call-ID, and whether anything was heard of the far end.
#[derive(Debug, Default)]
pub(super) struct Calls {
    by_id: RwLock<HashMap<String, Arc<Facts>>>,
    heard: AtomicBool,
}

impl Calls {
    pub(super) fn add(&self, id: &str, facts: Arc<Facts>) {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), facts);
    }

    pub(super) fn remove(&self, id: &str) {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Facts>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Whether the far end answered anything since this was asked last.
    pub(super) fn heard(&self) -> bool {
        self.heard.swap(false, Ordering::Relaxed)
    }
}

/// The library's window on the messages.
pub(super) struct Inspector(pub(super) Arc<Calls>);

impl Inspector {
    fn facts(&self, message: &SipMessage) -> Option<Arc<Facts>> {
        self.0.get(message.call_id_header().ok()?.value())
    }
}

impl MessageInspector for Inspector {
    fn before_send(&self, mut message: SipMessage, _: Option<&SipAddr>) -> SipMessage {
        message.headers_mut().retain(|header| !targets::is_hop(header));
        for header in message.headers_mut().iter_mut() {
            match header {
                Header::Authorization(answer) => answer.replace(challenge::on_the_wire(answer.value())),
                Header::ProxyAuthorization(answer) => answer.replace(challenge::on_the_wire(answer.value())),
                _ => {}
            }
        }
        if let Some(facts) = self.facts(&message) {
            if matches!(&message, SipMessage::Request(request) if request.method == Method::Invite) {
                facts.seen().invited = true;
            }
            facts.keep(true, &message);
        }
        message
    }

    fn after_received(&self, mut message: SipMessage, from: Option<&SipAddr>) -> SipMessage {
        let facts = self.facts(&message);
        match &mut message {
            SipMessage::Response(response) if from.is_none() => {
                response.headers.push(Header::Other(LOCAL.to_owned(), "1".to_owned()));
                return message;
            }
            SipMessage::Response(_) => self.0.heard.store(true, Ordering::Relaxed),
            SipMessage::Request(_) => {}
        }
        if let Some(facts) = facts.as_ref().filter(|_| !is_answer(&message)) {
            facts.keep(false, &message);
        }
        match &mut message {
            SipMessage::Response(response) => {
                let method = mend_response(response);
                if let (Some(facts), Some(method)) = (facts, method) {
                    facts.note_response(method, response);
                }
            }
            SipMessage::Request(request) => {
                if request.version != Version::V2 {
                    let mark = Header::Other(STRANGE_VERSION.to_owned(), request.version.to_string());
                    request.headers.push(mark);
                    request.version = Version::V2;
                }
                if let (Some(facts), Method::Bye) = (facts, request.method) {
                    facts.seen().bye_q850 = q850(request);
                }
            }
        }
        message
    }
}

/// Whether it answers a call, whose messages are kept no longer.
fn is_answer(message: &SipMessage) -> bool {
    let SipMessage::Response(response) = message else { return false };
    let is_invite = |cseq: &CSeq| matches!(cseq.method(), Ok(Method::Invite));
    response.status_code.kind() == StatusCodeKind::Successful && response.cseq_header().is_ok_and(is_invite)
}

/// A message as it was written: the library shows the usual phrase of an answer's code instead of the far end's own.
fn as_written(message: &SipMessage) -> String {
    let mut shown = String::with_capacity(USUAL_BYTES);
    // A string takes whatever is written to it.
    let _ = write!(shown, "{message}");
    match message {
        SipMessage::Response(Response { version, status_code, wire_reason: Some(phrase), .. }) => {
            let rest = shown.split_once("\r\n").map_or("", |(_, rest)| rest);
            format!("{version} {} {phrase}\r\n{rest}", status_code.code())
        }
        _ => shown,
    }
}

/// Makes of a response what the library can go on with; returns the method that it answers.
fn mend_response(response: &mut Response) -> Option<Method> {
    if response.version != Version::V2 {
        response.version = Version::V2;
        response.status_code = StatusCode::VersionNotSupported;
    }
    let method = response.cseq_header().ok()?.method().ok()?;
    if method == Method::Invite && response.status_code.kind() == StatusCodeKind::Successful {
        // The library knows no success of an INVITE but 200, and none without a Contact: the call would stay up.
        response.status_code = StatusCode::OK;
        if response.contact_header().is_err() {
            let to = response.to_header().ok().map(|to| to.value().to_owned()).unwrap_or_default();
            let uri = to.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(uri, _)| uri);
            if let Some(uri) = uri {
                response.headers.push(Header::Contact(format!("<{uri}>").into()));
            }
        }
    }
    if matches!(response.status_code, StatusCode::Unauthorized | StatusCode::ProxyAuthenticationRequired) {
        keep_first_answerable(response);
    }
    Some(method)
}

/// The library takes the first challenge: leaves it the first that it can answer, which is the one that the far end
/// prefers among them (RFC 8760 §2.4). Where there is none, all stay, and it fails with its reason.
fn keep_first_answerable(response: &mut Response) {
    let proxy_first = response.status_code == StatusCode::ProxyAuthenticationRequired;
    let answerable = |proxy: bool| {
        response.headers().iter().find_map(|header| match header {
            Header::WwwAuthenticate(c) if !proxy => {
                challenge::answerable(c.value()).map(|c| Header::WwwAuthenticate(c.into()))
            }
            Header::ProxyAuthenticate(c) if proxy => {
                challenge::answerable(c.value()).map(|c| Header::ProxyAuthenticate(c.into()))
            }
            _ => None,
        })
    };
    if let Some(first) = answerable(proxy_first).or_else(|| answerable(!proxy_first)) {
        response.headers.retain(|h| !matches!(h, Header::WwwAuthenticate(_) | Header::ProxyAuthenticate(_)));
        response.headers.push(first);
    }
}

/// Whether the library made the response up.
pub(super) fn is_local(response: &Response) -> bool {
    response.headers.iter().any(|header| matches!(header, Header::Other(name, _) if name == LOCAL))
}

/// Whether the request was of a version that we do not speak.
pub(super) fn is_strange_version(request: &Request) -> bool {
    request.headers.iter().any(|header| matches!(header, Header::Other(name, _) if name == STRANGE_VERSION))
}

/// The Q.850 cause of a message's Reason headers.
pub(super) fn q850(message: &impl HasHeaders) -> Option<u8> {
    cause::q850(message.headers().iter().filter_map(|header| match header {
        Header::Reason(reason) => Some(reason.value()),
        _ => None,
    }))
}
