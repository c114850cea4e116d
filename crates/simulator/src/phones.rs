//! Phones over real SIP and RTP: the far end of a trunk, for demo, rehearsal and tests.
//!
//! The seed and a number alone decide what its phone does, so that a run can be repeated whatever the order of calls.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use rsipstack::{
    EndpointBuilder,
    dialog::{
        dialog::{DialogState, DialogStateReceiver},
        dialog_layer::DialogLayer,
        invite_dialog::InviteDialog,
    },
    sip::{Auth, Header, HeadersExt as _, Method, Scheme, StatusCode, Uri},
    transaction::transaction::Transaction,
    transport::{TransportLayer, udp::UdpConnection},
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use voice::{
    media::{self, Media, Options, Ports, Timeouts},
    sdp::{self, Codec, Local},
};

/// What phones speak, the best first.
const CODECS: [Codec; 3] = [Codec::G722, Codec::Pcmu, Codec::Pcma];
/// The most calls that are up at once.
const MOST_CALLS: usize = 10_000;
/// How long a phone rings that nobody picks up.
const RINGS_FOR: Duration = Duration::from_secs(180);
/// How long a phone waits for sound before it is free again.
const FREE_AFTER: Duration = Duration::from_secs(20);
/// How long a person hesitates before each key.
const BEFORE_A_KEY: Duration = Duration::from_millis(1_500);

/// How phones behave. Shares are of all numbers and are taken in this order; the rest picks up.
#[derive(Debug, Clone)]
pub struct PhoneProfile {
    /// Decides, with the number, what each phone does.
    pub seed: u64,
    /// The longest time that a phone rings before it is picked up.
    pub answer_within: Duration,
    /// The share that is busy.
    pub busy: f64,
    /// The share that nobody picks up.
    pub no_answer: f64,
    /// The share that declines.
    pub rejected: f64,
    /// The share of numbers that do not exist.
    pub unreachable: f64,
    /// The share of calls that the trunk fails with 503.
    pub failed: f64,
    /// The keys that a person may press, one after the other; empty: none.
    pub keys: String,
    /// The share of those who pick up that press keys.
    pub presses: f64,
    /// The share of those who pick up that hang up by themselves, within ten seconds.
    pub hangs_up: f64,
    /// How long an agent talks before hanging up. Whoever is called by a name and not by a number is an agent: none of
    /// the shares above is theirs, each picks up.
    pub agent_talks: Duration,
    /// The UDP ports of sound.
    pub media_ports: String,
}

impl Default for PhoneProfile {
    fn default() -> Self {
        Self {
            seed: 1,
            answer_within: Duration::from_millis(200),
            busy: 0.0,
            no_answer: 0.0,
            rejected: 0.0,
            unreachable: 0.0,
            failed: 0.0,
            keys: String::new(),
            presses: 0.0,
            hangs_up: 0.0,
            agent_talks: Duration::from_secs(20),
            media_ports: "30000-40000".to_owned(),
        }
    }
}

/// What one phone does with a call.
#[derive(Debug, Clone, PartialEq)]
enum Behaviour {
    Refuses(StatusCode),
    RingsOut,
    PicksUp { after: Duration, keys: String, hangs_up_after: Option<Duration> },
}

impl PhoneProfile {
    fn behaviour(&self, number: &str) -> Behaviour {
        let digits =
            number.bytes().fold(self.seed, |seed, c| seed.wrapping_mul(1_099_511_628_211) ^ u64::from(c));
        let mut rng = StdRng::seed_from_u64(digits);
        if number.contains(char::is_alphabetic) {
            let after = self.answer_within.mul_f64(rng.random());
            let hangs_up_after = Some(self.agent_talks);
            return Behaviour::PicksUp { after, keys: String::new(), hangs_up_after };
        }
        let mut chance: f64 = rng.random();
        let mut falls = |share: f64| {
            let falls = chance < share;
            chance -= share;
            falls
        };
        if falls(self.busy) {
            return Behaviour::Refuses(StatusCode::BusyHere);
        }
        if falls(self.no_answer) {
            return Behaviour::RingsOut;
        }
        if falls(self.rejected) {
            return Behaviour::Refuses(StatusCode::Decline);
        }
        if falls(self.unreachable) {
            return Behaviour::Refuses(StatusCode::NotFound);
        }
        if falls(self.failed) {
            return Behaviour::Refuses(StatusCode::ServiceUnavailable);
        }
        let after = self.answer_within.mul_f64(rng.random());
        let keys =
            if rng.random_bool(self.presses.clamp(0.0, 1.0)) { self.keys.clone() } else { String::new() };
        let hangs_up = rng.random_bool(self.hangs_up.clamp(0.0, 1.0));
        let hangs_up_after = hangs_up.then(|| Duration::from_secs(10).mul_f64(rng.random()));
        Behaviour::PicksUp { after, keys, hangs_up_after }
    }
}

struct Shared {
    profile: PhoneProfile,
    contact: Uri,
    layer: DialogLayer,
    media: Media,
    ports: Ports,
    address: SocketAddr,
    up: AtomicUsize,
    sessions: AtomicU64,
    /// The calls that came, by the called number.
    called: Mutex<HashMap<String, usize>>,
}

/// The far end of a trunk. Dropped, it is gone.
pub struct Phones {
    shared: Arc<Shared>,
    gone: CancellationToken,
}

impl Drop for Phones {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

fn broken(e: impl std::fmt::Display) -> io::Error {
    io::Error::other(e.to_string())
}

impl Phones {
    /// Answers calls on `listen` over UDP.
    ///
    /// # Errors
    /// Where the address cannot be listened on, or the profile's ports make no sense.
    pub async fn start(listen: SocketAddr, profile: PhoneProfile) -> io::Result<Self> {
        let ports = profile.media_ports.parse::<Ports>().map_err(broken)?;
        let gone = CancellationToken::new();
        let transport = TransportLayer::new(gone.clone());
        let socket = tokio::net::UdpSocket::bind(listen).await?;
        let address = socket.local_addr()?;
        let connection = UdpConnection::from_socket(Arc::new(socket), None, Some(gone.child_token())).await;
        transport.add_transport(connection.map_err(broken)?.into());
        let endpoint = EndpointBuilder::new()
            .with_cancel_token(gone.clone())
            .with_transport_layer(transport)
            .with_user_agent("Carillon's simulated phones")
            .build();
        let mut incoming = endpoint.incoming_transactions().map_err(broken)?;
        let layer = DialogLayer::new(endpoint.inner.clone());
        tokio::spawn(async move { endpoint.serve().await });
        let contact = Uri {
            scheme: Some(Scheme::Sip),
            auth: Some(Auth { user: "phone".to_owned(), password: None }),
            host_with_port: address.into(),
            ..Uri::default()
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = Arc::new(Shared {
            profile,
            contact,
            layer,
            media: Media::start(threads)?,
            ports,
            address,
            up: AtomicUsize::new(0),
            sessions: AtomicU64::new(1),
            called: Mutex::default(),
        });
        let theirs = shared.clone();
        tokio::spawn(async move {
            while let Some(request) = incoming.recv().await {
                let shared = theirs.clone();
                tokio::spawn(async move {
                    if let Err(e) = shared.answer(request).await {
                        tracing::debug!(error = %e, "a request could not be answered");
                    }
                });
            }
        });
        Ok(Self { shared, gone })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// The calls that came so far, by the called number.
    pub fn called(&self) -> HashMap<String, usize> {
        self.shared.called.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls are up: answered or ringing.
    pub fn up(&self) -> usize {
        self.shared.up.load(Ordering::Relaxed)
    }
}

impl Shared {
    async fn answer(self: &Arc<Self>, mut request: Transaction) -> rsipstack::Result<()> {
        if request.original.to_header()?.tag()?.is_some() {
            return match self.layer.match_dialog(&request) {
                Some(mut dialog) => dialog.handle(&mut request).await,
                None if request.original.method == Method::Ack => Ok(()),
                None => request.reply(StatusCode::CallTransactionDoesNotExist).await,
            };
        }
        match request.original.method {
            Method::Invite => self.call(request).await,
            Method::Options => request.reply(StatusCode::OK).await,
            _ => request.reply(StatusCode::MethodNotAllowed).await,
        }
    }

    async fn call(self: &Arc<Self>, mut request: Transaction) -> rsipstack::Result<()> {
        if self.up.load(Ordering::Relaxed) >= MOST_CALLS {
            return request.reply(StatusCode::ServiceUnavailable).await;
        }
        let number = request.original.uri.user().unwrap_or_default().to_owned();
        *self.called.lock().unwrap_or_else(PoisonError::into_inner).entry(number.clone()).or_default() += 1;
        let (sender, states) = self.layer.new_dialog_state_channel();
        let contact = Some(self.contact.clone());
        let dialog = self.layer.get_or_create_server_invite(&request, sender, None, contact)?;
        let mut handled = dialog.clone();
        let shared = self.clone();
        tokio::spawn(async move {
            shared.up.fetch_add(1, Ordering::Relaxed);
            let id = dialog.id();
            if let Err(e) = shared.phone(&dialog, states, &number).await {
                tracing::debug!(error = %e, "a call went wrong");
            }
            shared.layer.remove_dialog(&id);
            shared.up.fetch_sub(1, Ordering::Relaxed);
        });
        handled.handle(&mut request).await
    }

    /// What one phone does with a call.
    async fn phone(
        &self,
        dialog: &InviteDialog,
        mut states: DialogStateReceiver,
        number: &str,
    ) -> rsipstack::Result<()> {
        let (after, keys, hangs_up_after) = match self.profile.behaviour(number) {
            Behaviour::Refuses(code) => return dialog.reject(Some(code), None),
            Behaviour::RingsOut => {
                dialog.ringing(None, None)?;
                let rings_out_at = Instant::now() + RINGS_FOR;
                loop {
                    tokio::select! {
                        state = states.recv() => if ended(state.as_ref()) { return Ok(()) },
                        // A caller that is gone cancels nothing.
                        () = sleep_until(rings_out_at) => {
                            return dialog.reject(Some(StatusCode::TemporarilyUnavailable), None);
                        }
                    }
                }
            }
            Behaviour::PicksUp { after, keys, hangs_up_after } => (after, keys, hangs_up_after),
        };
        dialog.ringing(None, None)?;
        let picks_up_at = Instant::now() + after;
        loop {
            tokio::select! {
                state = states.recv() => if ended(state.as_ref()) { return Ok(()) },
                () = sleep_until(picks_up_at) => break,
            }
        }
        let offer = dialog.initial_request().body;
        // A caller that is gone sends no sound, and one that went before the answer never sent any.
        let timeouts = Timeouts { after_last: FREE_AFTER, never: FREE_AFTER };
        let options = Options { address: self.address.ip(), timeouts, record: None };
        let Ok(mut session) = self.media.open(&self.ports, options) else {
            return dialog.reject(Some(StatusCode::ServiceUnavailable), None);
        };
        let local = Local {
            session: self.sessions.fetch_add(1, Ordering::Relaxed),
            version: 1,
            address: SocketAddr::new(self.address.ip(), session.port()),
        };
        let Ok((answer, sound)) = sdp::answer(&offer, &local, &CODECS) else {
            return dialog.reject(Some(StatusCode::NotAcceptableHere), None);
        };
        session.agree(sound);
        dialog.accept(Some(vec![Header::ContentType("application/sdp".into())]), Some(answer))?;
        let hangs_up_at = hangs_up_after.map(|after| Instant::now() + after);
        let mut keys = keys.chars();
        let mut key_at = Instant::now() + BEFORE_A_KEY;
        loop {
            tokio::select! {
                state = states.recv() => if ended(state.as_ref()) { return Ok(()) },
                event = session.event() => {
                    if matches!(event, Some(media::Event::TimedOut { .. }) | None) {
                        hang_up(dialog);
                        return Ok(());
                    }
                }
                () = sleep_until(key_at), if !keys.as_str().is_empty() => {
                    if let Some(key) = keys.next() {
                        session.keys(&key.to_string());
                    }
                    key_at = Instant::now() + BEFORE_A_KEY;
                }
                () = at(hangs_up_at) => {
                    hang_up(dialog);
                    return Ok(());
                }
            }
        }
    }
}

/// Hangs up. The phone is free at once, whether or not the far end is there to hear of it.
fn hang_up(dialog: &InviteDialog) {
    let dialog = dialog.clone();
    tokio::spawn(async move { dialog.bye().await });
}

fn ended(state: Option<&DialogState>) -> bool {
    matches!(state, Some(DialogState::Terminated(..)) | None)
}

async fn at(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_and_the_number_decide_and_the_shares_hold() {
        let profile = PhoneProfile {
            busy: 0.1,
            no_answer: 0.2,
            rejected: 0.05,
            unreachable: 0.05,
            ..PhoneProfile::default()
        };
        let all: Vec<Behaviour> =
            (0..10_000).map(|n| profile.behaviour(&format!("+1202555{n:04}"))).collect();
        let agent = profile.behaviour("agents");
        assert!(
            matches!(&agent, Behaviour::PicksUp { hangs_up_after: Some(talks), .. } if *talks == profile.agent_talks)
        );
        assert!((0..100).all(|n| all[n] == profile.behaviour(&format!("+1202555{n:04}"))));
        for (behaviour, share) in [
            (Behaviour::Refuses(StatusCode::BusyHere), 0.1),
            (Behaviour::RingsOut, 0.2),
            (Behaviour::Refuses(StatusCode::Decline), 0.05),
            (Behaviour::Refuses(StatusCode::NotFound), 0.05),
        ] {
            let count = all.iter().filter(|one| **one == behaviour).count() as f64 / all.len() as f64;
            assert!((count - share).abs() < 0.02, "{behaviour:?}: {count}");
        }
    }
}
