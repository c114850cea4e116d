//! An answered call until its end: what the far end asks is answered, the session is kept alive (RFC 4028), and
//! whoever hangs up, the dialog is removed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rsipstack::{
    dialog::{
        dialog::{DialogState, TerminatedReason, TransactionHandle},
        invite_dialog::InviteDialog,
    },
    sip::{
        Header, HeadersExt, Method, Request, Response, SessionExpires, StatusCode, StatusCodeKind,
        prelude::HasHeaders,
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Shared,
    dial::{Confirmed, Dial, Line, meanwhile},
    hear, words,
};
use crate::sip::{
    call::{Answer, Event, Order, Transfer},
    cause::{Cause, End, Side},
    session::{self, Agreed, Refresher, agreed},
};

/// How long the owner may take to answer a changed description.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long the answer to our BYE is waited for; its repeats go on behind.
const BYE_WITHIN: Duration = Duration::from_secs(4);

/// What the library calls the answer of a request of ours in a dialog.
type Asked = rsipstack::Result<Option<Response>>;

/// Lives through the call and returns its end. `min_se` is the shortest interval that it may have, in seconds.
pub(super) async fn talk(
    dial: &Dial,
    confirmed: Confirmed,
    min_se: u32,
    line: &mut Line,
    started: Instant,
) -> End {
    let Confirmed { dialog, mut states, response } = confirmed;
    let ours = Arc::new(Mutex::new(dial.invite.offer.clone()));
    let mut session = Session::new(&response, min_se);
    let mut refreshing: Option<JoinHandle<Asked>> = None;
    let mut offered = false;
    let mut closing = std::pin::pin!(dial.shared.closing.cancelled());
    let (by, words) = loop {
        let refresh_at = session.refresh_at.filter(|_| refreshing.is_none());
        tokio::select! {
            order = line.orders.recv() => match order {
                Some(Order::Abort(told)) => { let _ = told.send(false); }
                Some(Order::Refer(to)) => refer(&dialog, to, line.events.clone()),
                Some(Order::HangUp) | None => break (Side::Us, "hung up by us".to_owned()),
            },
            () = &mut closing => break (Side::Us, "the route was closed".to_owned()),
            state = states.recv() => match state {
                Some(DialogState::Updated(_, request, handle)) => {
                    session.renew(&request);
                    offered = updated(&request, handle, &session, &ours, line);
                }
                Some(DialogState::Confirmed(..)) if offered => {
                    offered = false;
                    if let Some(sdp) = dialog.last_remote_ack().map(|ack| ack.body).filter(|b| !b.is_empty()) {
                        line.tell(Event::Described(sdp));
                    }
                }
                Some(DialogState::Terminated(_, reason)) => break ended(&reason),
                Some(state) => asked(state, line),
                None => break (Side::Us, "the call's dialog is gone".to_owned()),
            },
            refreshed = done(refreshing.as_mut()) => {
                refreshing = None;
                match refreshed {
                    Some(answer) if answer.status_code.kind() == StatusCodeKind::Successful => {
                        session = Session::refreshed(&answer, &session);
                        if !answer.body.is_empty() {
                            line.tell(Event::Described(answer.body));
                        }
                    }
                    Some(answer) if matches!(answer.status_code.code(), 408 | 481) => {
                        break (Side::Us, format!("the far end lost the call: {}", words::of(&answer)));
                    }
                    answer => session.refresh_failed(answer.as_ref()),
                }
            },
            () = at(refresh_at) => refreshing = Some(session.refresh(&dialog, &ours)),
            () = at(session.dead_at) => {
                break (Side::Us, "the far end stopped refreshing the session (RFC 4028)".to_owned());
            }
        }
    };
    if let Some(refreshing) = refreshing {
        refreshing.abort();
    }
    meanwhile(&mut line.orders, false, bye(&dial.shared, &dialog)).await;
    let q850 = dial.facts.bye_q850().filter(|_| by == Side::FarEnd);
    End {
        cause: Cause::Completed { by },
        trunk: false,
        sip_code: None,
        q850,
        words,
        retry_after: None,
        after_18x: dial.facts.rang(),
        elapsed: started.elapsed(),
    }
}

/// Ends the dialog by BYE where it is not ended, and removes it.
async fn bye(shared: &Shared, dialog: &InviteDialog) {
    let saying = dialog.clone();
    let mut said = Box::pin(async move { saying.bye().await });
    match timeout(BYE_WITHIN, &mut said).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => tracing::debug!(error = %e, "a BYE was not answered"),
        Err(_) => drop(tokio::spawn(said)),
    }
    shared.layer.remove_dialog(&dialog.id());
}

fn ended(reason: &TerminatedReason) -> (Side, String) {
    match reason {
        TerminatedReason::UasBye => (Side::FarEnd, "hung up by the far end".to_owned()),
        TerminatedReason::UacBye => (Side::Us, "hung up by us".to_owned()),
        TerminatedReason::Timeout => (Side::Us, "the far end did not acknowledge a change".to_owned()),
        other => (Side::Us, format!("the call broke off ({other:?})")),
    }
}

/// Answers a re-INVITE or UPDATE. Returns whether the far end's description will come with its ACK.
fn updated(
    request: &Request,
    handle: TransactionHandle,
    session: &Session,
    ours: &Arc<Mutex<Vec<u8>>>,
    line: &Line,
) -> bool {
    let mut headers = vec![Header::Allow(hear::ALLOW.into()), Header::Supported("timer".into())];
    headers.extend(session.answer());
    if request.body.is_empty() {
        // Nothing changes: a refresh. A re-INVITE without a description asks for ours.
        let offer = request.method == Method::Invite;
        let body = offer.then(|| ours.lock().unwrap_or_else(PoisonError::into_inner).clone());
        if offer {
            headers.push(Header::ContentType("application/sdp".into()));
        }
        tokio::spawn(async move { handle.respond(StatusCode::OK, Some(headers), body).await });
        return offer;
    }
    let (answer, answered) = oneshot::channel();
    line.tell(Event::Reoffered { sdp: request.body.clone(), answer: Answer(answer) });
    let ours = ours.clone();
    tokio::spawn(async move {
        if let Ok(Ok(sdp)) = timeout(ANSWER_WITHIN, answered).await {
            ours.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&sdp);
            headers.push(Header::ContentType("application/sdp".into()));
            handle.respond(StatusCode::OK, Some(headers), Some(sdp)).await
        } else {
            handle.reply(StatusCode::NotAcceptableHere).await
        }
    });
    false
}

/// Answers what else comes in the dialog.
fn asked(state: DialogState, line: &Line) {
    let (handle, code) = match state {
        DialogState::Info(_, request, handle) => {
            let kind = request.headers().iter().find(|h| h.name().eq_ignore_ascii_case("Content-Type"));
            let key = key(kind.map_or("", Header::value), &String::from_utf8_lossy(&request.body));
            let code = match key {
                Some(key) => {
                    line.tell(Event::Key(key));
                    StatusCode::OK
                }
                None if request.body.is_empty() => StatusCode::OK,
                None => StatusCode::UnsupportedMediaType,
            };
            (handle, code)
        }
        DialogState::Notify(_, request, handle) => {
            if let Some(progress) = progress(&request) {
                line.tell(Event::Transfer(progress));
            }
            (handle, StatusCode::OK)
        }
        DialogState::Options(_, _, handle) => (handle, StatusCode::OK),
        DialogState::Refer(_, _, handle) => (handle, StatusCode::Decline),
        DialogState::Message(_, _, handle) => (handle, StatusCode::MethodNotAllowed),
        _ => return,
    };
    tokio::spawn(
        async move { handle.respond(code, Some(vec![Header::Allow(hear::ALLOW.into())]), None).await },
    );
}

/// The key in an INFO: `application/dtmf-relay` (`Signal=5`) or `application/dtmf` (`5`).
fn key(content_type: &str, body: &str) -> Option<char> {
    let kind = content_type.split(';').next()?.trim();
    let signal = if kind.eq_ignore_ascii_case("application/dtmf-relay") {
        body.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
        })?
    } else if kind.eq_ignore_ascii_case("application/dtmf") {
        body.trim()
    } else {
        return None;
    };
    match signal {
        "10" => Some('*'),
        "11" => Some('#'),
        _ => {
            let mut letters = signal.chars();
            let key = letters.next()?.to_ascii_uppercase();
            (letters.next().is_none() && "0123456789*#ABCD".contains(key)).then_some(key)
        }
    }
}

/// The progress of a transfer in a NOTIFY (RFC 3515 §2.4.5).
fn progress(request: &Request) -> Option<Transfer> {
    let value = |name: &str| {
        request
            .headers()
            .iter()
            .find(|h| h.name().eq_ignore_ascii_case(name))
            .map(Header::value)
            .unwrap_or_default()
    };
    value("Event").trim_start().to_ascii_lowercase().starts_with("refer").then_some(())?;
    let body = String::from_utf8_lossy(&request.body);
    let code = body.trim_start().strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
    Some(if code < 200 { Transfer::Progress(code) } else { Transfer::Done(code) })
}

/// Asks the far end to call another instead of us, and tells what it says to that.
fn refer(dialog: &InviteDialog, to: String, events: mpsc::Sender<Event>) {
    let dialog = dialog.clone();
    tokio::spawn(async move {
        let transfer = match dialog.refer(format!("<{to}>"), None, None).await {
            Ok(Some(answer)) if answer.status_code.kind() == StatusCodeKind::Successful => Transfer::Accepted,
            Ok(Some(answer)) => Transfer::Refused(answer.status_code.code()),
            Ok(None) | Err(_) => Transfer::Refused(0),
        };
        let _ = events.try_send(Event::Transfer(transfer));
    });
}

/// The session timer of a call.
struct Session {
    agreed: Option<Agreed>,
    by_update: bool,
    /// The shortest interval that it may have, in seconds: the longest that a 422 named (RFC 4028 §7.4).
    min_se: u32,
    refresh_at: Option<Instant>,
    dead_at: Option<Instant>,
}

impl Session {
    /// As the answer to our INVITE says.
    fn new(response: &Response, min_se: u32) -> Self {
        let mut allowed = response.headers().iter().filter(|h| h.name().eq_ignore_ascii_case("Allow"));
        let is_update = |method: &str| method.trim().eq_ignore_ascii_case("UPDATE");
        let by_update = allowed.any(|allow| allow.value().split(',').any(is_update));
        let mut session = Self { agreed: None, by_update, min_se, refresh_at: None, dead_at: None };
        let header = response.session_expires_header().map(SessionExpires::value);
        session.agree(header.and_then(|header| agreed(header, true)));
        session
    }

    /// As the answer to our refresh says; one that says nothing of it ends the timer (RFC 4028 §7.2).
    fn refreshed(response: &Response, before: &Self) -> Self {
        Self { by_update: before.by_update, ..Self::new(response, before.min_se) }
    }

    /// As a request of the far end says.
    fn renew(&mut self, request: &Request) {
        let header = request.session_expires_header().map(SessionExpires::value);
        if let Some(new) = header.and_then(|header| agreed(header, false)) {
            self.agree(Some(new));
        }
    }

    fn agree(&mut self, agreed: Option<Agreed>) {
        self.agreed = agreed;
        let now = Instant::now();
        self.refresh_at =
            agreed.filter(|a| a.refresher == Refresher::Us).map(|agreed| now + agreed.refresh_after());
        self.dead_at = agreed.map(|agreed| now + agreed.end_after());
    }

    /// What the answer to a far end's request says of the timer: the far end asks, so it is the `uac`.
    fn answer(&self) -> Vec<Header> {
        let Some(agreed) = self.agreed else { return Vec::new() };
        let seconds = agreed.interval.as_secs();
        match agreed.refresher {
            Refresher::FarEnd => vec![
                Header::SessionExpires(format!("{seconds};refresher=uac").into()),
                Header::Require("timer".into()),
            ],
            Refresher::Us => vec![Header::SessionExpires(format!("{seconds};refresher=uas").into())],
        }
    }

    /// Sends a refresh: an UPDATE where the far end takes it, else a re-INVITE with what it knows already.
    fn refresh(&mut self, dialog: &InviteDialog, ours: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<Asked> {
        self.refresh_at = None;
        let seconds = self.agreed.map_or(session::PROPOSED.into(), |agreed| agreed.interval.as_secs());
        let mut headers = vec![
            Header::Allow(hear::ALLOW.into()),
            Header::Supported("timer".into()),
            Header::SessionExpires(format!("{seconds};refresher=uac").into()),
            Header::MinSE(self.min_se.to_string().into()),
        ];
        let (dialog, by_update) = (dialog.clone(), self.by_update);
        let sdp = ours.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tokio::spawn(async move {
            if by_update {
                dialog.update(Some(headers), None).await
            } else {
                headers.push(Header::ContentType("application/sdp".into()));
                dialog.reinvite(Some(headers), Some(sdp)).await
            }
        })
    }

    /// A refresh that failed is tried again while the session lives; a 422 names the interval to ask for.
    fn refresh_failed(&mut self, answer: Option<&Response>) {
        let Some(agreed) = &mut self.agreed else { return };
        let longer = answer.filter(|a| a.status_code.code() == 422).and_then(words::min_se);
        if let Some(longer) = longer {
            agreed.interval = agreed.interval.max(Duration::from_secs(longer.into()));
            self.min_se = self.min_se.max(longer);
        }
        self.refresh_at = Some(Instant::now() + agreed.interval / 8);
    }
}

async fn done(refreshing: Option<&mut JoinHandle<Asked>>) -> Option<Response> {
    match refreshing {
        Some(refreshing) => refreshing.await.ok().and_then(Result::ok).flatten(),
        None => std::future::pending().await,
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_by_info_are_read_in_both_forms() {
        for (kind, body, expected) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", Some('5')),
            ("Application/DTMF-Relay; x=y", "duration= 1\r\nsignal= # \r\n", Some('#')),
            ("application/dtmf-relay", "Signal=10\r\n", Some('*')),
            ("application/dtmf-relay", "Signal=11\r\n", Some('#')),
            ("application/dtmf", "a", Some('A')),
            ("application/dtmf", "55", None),
            ("application/dtmf-relay", "Duration=1\r\n", None),
            ("text/plain", "Signal=5", None),
            ("", "", None),
        ] {
            assert_eq!(key(kind, body), expected, "{kind} {body}");
        }
    }
}
