//! Keeps a trunk: registers and refreshes where it asks for it, asks by OPTIONS whether the far end is there, and
//! says what is known of it. Any answer counts as being there; silence is told apart from a refusal.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rsipstack::{
    dialog::registration::Registration,
    sip::{Header, HeadersExt, Method, Response, SipMessage, StatusCodeKind, typed},
    transaction::{
        key::{TransactionKey, TransactionRole},
        make_tag,
        transaction::Transaction,
    },
};
use tokio::time::{Instant, timeout};

use super::{
    Facts, Shared, inspect,
    targets::{self, sip_addr},
    words,
};
use crate::sip::trunk::{Register, State, Transport};

/// How long an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// How often we look where the far end is not to be asked.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How soon it is asked again when it was not there.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How soon a refused registration is tried again: not so often that the far end bans us.
const REGISTER_AGAIN: Duration = Duration::from_secs(60);
/// The longest registration that we take where the far end asks for a longer one (423).
const LONGEST_REGISTRATION: u32 = 86_400;

/// Keeps the trunk until the agent closes; then takes the registration back.
pub(super) async fn keep(shared: Arc<Shared>, resolve_again: bool) {
    let mut registrar = shared.trunk.register.map(|register| Registrar::new(&shared, register));
    let closing = shared.closing.clone();
    tokio::select! {
        () = look_again_and_again(&shared, registrar.as_mut(), resolve_again) => {}
        () = closing.cancelled() => {}
    }
    let registered = registrar.filter(|registrar| registrar.until.is_some());
    if let Some(mut registrar) = registered {
        tokio::select! {
            _ = timeout(ANSWER_WITHIN, registrar.register(&shared, 0)) => {}
            () = shared.gone.cancelled() => {}
        }
    }
}

async fn look_again_and_again(shared: &Shared, mut registrar: Option<&mut Registrar>, resolve_again: bool) {
    loop {
        let state = look(shared, registrar.as_deref_mut()).await;
        let mut pause = match state {
            State::Reachable | State::Starting => shared.trunk.keep_alive.unwrap_or(LOOK_EVERY),
            State::Refused { .. } => REGISTER_AGAIN,
            State::Silent(_) | State::Unreachable(_) => ASK_AGAIN,
        };
        if let Some(until) = registrar.as_ref().and_then(|registrar| registrar.until) {
            pause = pause.min(until.saturating_duration_since(Instant::now()) / 2);
        }
        let reachable = state == State::Reachable;
        shared.state.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
        tokio::time::sleep(pause).await;
        if resolve_again
            && !reachable
            && let Ok(found) = targets::resolve(&shared.trunk).await
        {
            shared.targets.replace(found);
        }
    }
}

async fn look(shared: &Shared, registrar: Option<&mut Registrar>) -> State {
    if let Some(registrar) = registrar.filter(|registrar| registrar.is_due()) {
        let expires = registrar.asked;
        if let Err(state) = registrar.register(shared, expires).await {
            return state;
        }
    }
    let mut state = State::Starting;
    let asked = shared.trunk.keep_alive.map(|_| shared.targets.all()).unwrap_or_default();
    for target in asked {
        state = ask(shared, target).await;
        if state == State::Reachable {
            return state;
        }
    }
    // A trunk that ignores OPTIONS and answers calls is there.
    if shared.calls.heard() { State::Reachable } else { state }
}

/// Asks one target by OPTIONS (RFC 3261 §11).
async fn ask(shared: &Shared, target: SocketAddr) -> State {
    let address = sip_addr(target, shared.trunk.transport);
    if let Err(words) = shared.connect(&address).await {
        return State::Unreachable(words);
    }
    let sent = async {
        let from = typed::From { display_name: None, uri: shared.contact(), params: Vec::new() };
        let to = typed::To { display_name: None, uri: shared.uri(None), params: Vec::new() };
        let from = from.with_tag(make_tag());
        let via = shared.via().map_err(|e| *e)?;
        let seq = shared.layer.increment_last_seq();
        let mut request =
            shared.endpoint.make_request(Method::Options, shared.uri(None), via, from, to, seq, None);
        request.headers.push(Header::Contact(format!("<{}>", shared.contact()).into()));
        request.headers.push(Header::Accept("application/sdp".into()));
        let key = TransactionKey::from_request(&request, TransactionRole::Client)?;
        let mut transaction = Transaction::new_client(key, request, shared.endpoint.clone(), None);
        transaction.destination = Some(address);
        transaction.send().await?;
        while let Some(message) = transaction.receive().await {
            if let SipMessage::Response(response) = message {
                return Ok(Some(response));
            }
        }
        Ok::<Option<Response>, rsipstack::Error>(None)
    };
    match timeout(ANSWER_WITHIN, sent).await {
        Ok(Ok(Some(response))) if !inspect::is_local(&response) => State::Reachable,
        Ok(Ok(Some(_))) => State::Unreachable(format!("the connection to {target} is lost")),
        Ok(Err(e)) => State::Unreachable(format!("{target} cannot be reached: {e}")),
        Ok(Ok(None)) | Err(_) => State::Silent(format!("{target} does not answer OPTIONS")),
    }
}

/// Our registration.
struct Registrar {
    registration: Registration,
    asked: u32,
    /// So long before it ends, a registration is refreshed: it must not end between two looks.
    early: Duration,
    /// When it must be refreshed, while it holds.
    until: Option<Instant>,
}

impl Registrar {
    fn new(shared: &Shared, register: Register) -> Self {
        let mut registration = Registration::new(shared.endpoint.clone(), shared.credential());
        registration.contact =
            Some(typed::Contact { display_name: None, uri: shared.contact(), params: Vec::new() });
        let asked = u32::try_from(register.expires.as_secs()).unwrap_or(LONGEST_REGISTRATION);
        let early = shared.trunk.keep_alive.unwrap_or(LOOK_EVERY) + ASK_AGAIN;
        Self { registration, asked, early, until: None }
    }

    fn is_due(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() + self.early >= until)
    }

    /// Registers for so many seconds, 0 to take it back.
    async fn register(&mut self, shared: &Shared, expires: u32) -> Result<(), State> {
        let target = shared.targets.all().first().copied();
        let target =
            target.ok_or_else(|| State::Unreachable("the trunk's name has no address".to_owned()))?;
        let address = sip_addr(target, shared.trunk.transport);
        shared.connect(&address).await.map_err(State::Unreachable)?;
        let facts = Arc::new(Facts::new("", shared.account(), true));
        shared.calls.add(self.registration.call_id.value(), facts.clone());
        let refused = |code, words| State::Refused { code, words, exchange: facts.exchange() };
        self.registration.outbound_proxy = Some(target);
        self.until = None;
        let mut uri = shared.uri(None);
        if shared.trunk.transport != Transport::Udp {
            uri.params.push(rsipstack::sip::Param::Transport(targets::wire(shared.trunk.transport)));
        }
        let silent = || State::Silent(format!("{target} does not answer REGISTER"));
        let mut answer = timeout(ANSWER_WITHIN, self.registration.register(uri.clone(), Some(expires))).await;
        if let Ok(Ok(response)) = &answer {
            let longer = response.min_expires_header().and_then(|min| min.value().trim().parse::<u32>().ok());
            if let (423, Some(longer)) = (response.status_code.code(), longer) {
                self.asked = longer.min(LONGEST_REGISTRATION);
                let again = self.registration.register(uri, Some(self.asked));
                answer = timeout(ANSWER_WITHIN, again).await;
            }
        }
        let response = match answer {
            Ok(Ok(response)) => response,
            // The connection stands: what fails now is reading the challenge.
            Ok(Err(e)) => {
                let words = format!("the far end's challenge cannot be answered: {e}");
                return Err(refused(401, words));
            }
            Err(_) => return Err(silent()),
        };
        if inspect::is_local(&response) {
            return Err(silent());
        }
        if response.status_code.kind() != StatusCodeKind::Successful {
            return Err(refused(response.status_code.code(), words::of(&response)));
        }
        let granted = Duration::from_secs(self.registration.expires().into());
        self.until = (expires > 0).then(|| Instant::now() + granted);
        if let Some(seen) = self.registration.discovered_public_address() {
            shared.contact_at(seen);
        }
        Ok(())
    }
}
