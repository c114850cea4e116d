//! Phones over real SIP and RTP: the far end of a trunk, for demo, rehearsal and tests.
//!
//! The seed and a number alone decide what its phone does, so that a run can be repeated whatever the order of calls.

mod behaviour;
mod sounds;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

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
    audio::{Pcm, Prompt},
    media::{self, Media, Options, Ports, Session, Timeouts},
    sdp::{self, Codec, Local},
};

pub use behaviour::PhoneProfile;
use behaviour::{Answers, Behaviour};

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
/// How long a machine records before it hangs up.
const MACHINE_RECORDS: Duration = Duration::from_secs(60);
/// How long a phone without sound stays up.
const MOST_DEAF: Duration = Duration::from_secs(600);
/// The most sound that is kept of all calls together; the oldest goes.
const MOST_HEARD: Duration = Duration::from_secs(3_600);
/// When a trunk that throttles says to try again, in seconds.
const RETRY_AFTER: u32 = 1;

/// What one phone heard in one call.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The called number, as the caller wrote it.
    pub number: String,
    /// The sound; gaps are silence.
    pub sound: Pcm,
}

/// What phones heard, the oldest first.
#[derive(Default)]
struct Recordings {
    all: VecDeque<Heard>,
    length: Duration,
}

impl Recordings {
    fn keep(&mut self, heard: Heard) {
        self.length += heard.sound.length();
        self.all.push_back(heard);
        while self.length > MOST_HEARD
            && let Some(oldest) = self.all.pop_front()
        {
            self.length = self.length.saturating_sub(oldest.sound.length());
        }
    }
}

/// The calls that came within the second that began then.
struct Second {
    began: Instant,
    came: u32,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Under these locks values are only put in and taken out whole.
    of.lock().unwrap_or_else(PoisonError::into_inner)
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
    came: AtomicU64,
    heard: Mutex<Recordings>,
    second: Mutex<Second>,
    gone: CancellationToken,
}

/// The far end of a trunk. Dropped, it is gone.
pub struct Phones {
    shared: Arc<Shared>,
}

impl Drop for Phones {
    fn drop(&mut self) {
        self.shared.gone.cancel();
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
            came: AtomicU64::new(0),
            heard: Mutex::default(),
            second: Mutex::new(Second { began: Instant::now(), came: 0 }),
            gone,
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
        Ok(Self { shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// The calls that came so far, by the called number.
    pub fn called(&self) -> HashMap<String, usize> {
        lock(&self.shared.called).clone()
    }

    /// What phones heard in calls that have ended, the oldest first: an hour in all at most, and nothing where the profile
    /// records nothing.
    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.shared.heard).all.iter().cloned().collect()
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
        if self.profile.refuses {
            return request.reply(StatusCode::Forbidden).await;
        }
        match request.original.method {
            Method::Invite => self.call(request).await,
            Method::Register | Method::Options => request.reply(StatusCode::OK).await,
            _ => request.reply(StatusCode::MethodNotAllowed).await,
        }
    }

    async fn call(self: &Arc<Self>, mut request: Transaction) -> rsipstack::Result<()> {
        if self.up.load(Ordering::Relaxed) >= MOST_CALLS {
            return request.reply(StatusCode::ServiceUnavailable).await;
        }
        let number = request.original.uri.user().unwrap_or_default().to_owned();
        *lock(&self.called).entry(number.clone()).or_default() += 1;
        let came = self.came.fetch_add(1, Ordering::Relaxed) + 1;
        if self.profile.dies_after.is_some_and(|most| came > most) {
            // Nothing is heard of it any more, and what was up breaks off.
            self.gone.cancel();
            return Ok(());
        }
        if self.is_over_its_rate() {
            let header = Header::RetryAfter(RETRY_AFTER.to_string().into());
            return request.reply_with(StatusCode::ServiceUnavailable, vec![header], None).await;
        }
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

    /// Counts a call; returns whether the trunk takes no more of them in this second.
    fn is_over_its_rate(&self) -> bool {
        let Some(rate) = self.profile.rate_per_second else { return false };
        let mut second = lock(&self.second);
        if second.began.elapsed() >= Duration::from_secs(1) {
            *second = Second { began: Instant::now(), came: 0 };
        }
        second.came += 1;
        second.came > rate
    }

    /// What one phone does with a call.
    async fn phone(
        &self,
        dialog: &InviteDialog,
        mut states: DialogStateReceiver,
        number: &str,
    ) -> rsipstack::Result<()> {
        let answers = match self.profile.behaviour(number) {
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
            Behaviour::Answers(answers) => answers,
        };
        dialog.ringing(None, None)?;
        let picks_up_at = Instant::now() + answers.after;
        loop {
            tokio::select! {
                state = states.recv() => if ended(state.as_ref()) { return Ok(()) },
                () = sleep_until(picks_up_at) => break,
            }
        }
        let offer = dialog.initial_request().body;
        // A caller that is gone sends no sound, and one that went before the answer never sent any.
        let timeouts = Timeouts { after_last: FREE_AFTER, never: FREE_AFTER };
        let options = Options { address: self.address.ip(), timeouts, record: self.profile.record };
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
        // One that sends no sound never opens its own: whatever comes is passed over.
        if !answers.one_way && session.agree(sound).is_err() {
            return dialog.reject(Some(StatusCode::ServiceUnavailable), None);
        }
        dialog.accept(Some(vec![Header::ContentType("application/sdp".into())]), Some(answer))?;
        talk(dialog, &mut states, &mut session, answers).await;
        if let Some(sound) = session.heard() {
            lock(&self.heard).keep(Heard { number: number.to_owned(), sound });
        }
        Ok(())
    }
}

/// An answered call until its end.
async fn talk(
    dialog: &InviteDialog,
    states: &mut DialogStateReceiver,
    session: &mut Session,
    answers: Answers,
) {
    let Answers { keys, hangs_up_after, says, one_way, .. } = answers;
    if let Some(sounds) = says {
        session.play(sounds.into_iter().map(|sound| Arc::new(Prompt::new(sound))).collect());
    }
    // One that hears nothing does not notice that its caller is gone.
    let hangs_up_after = hangs_up_after.or(one_way.then_some(MOST_DEAF));
    let hangs_up_at = hangs_up_after.map(|after| Instant::now() + after);
    let mut keys = keys.chars();
    let mut key_at = Instant::now() + BEFORE_A_KEY;
    loop {
        tokio::select! {
            state = states.recv() => if ended(state.as_ref()) { return },
            event = session.event() => match event {
                Some(media::Event::TimedOut { .. }) if !one_way => return hang_up(dialog),
                None => return hang_up(dialog),
                Some(_) => {}
            },
            () = sleep_until(key_at), if !keys.as_str().is_empty() => {
                if let Some(key) = keys.next() {
                    session.keys(&key.to_string());
                }
                key_at = Instant::now() + BEFORE_A_KEY;
            }
            () = at(hangs_up_at) => return hang_up(dialog),
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
