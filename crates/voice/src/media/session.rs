//! A call's media as the call's task holds it: commands in, events out. A thread serves it from its first agreement on: until
//! then it is a socket, whose port the far end is told. Closing or dropping it ends the sound, with an RTCP BYE;
//! dropped, it gives its ports back.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::audio::{Pcm, Prompt};
use crate::media::bridge::Bridge;
use crate::media::lateness::Lateness;
use crate::media::leg::{Command, Event, Setup, Timeouts};
use crate::media::ports::{Place, Ports, PortsError};
use crate::media::thread::{Begin, Thread};
use crate::sdp::{Codec, Sound};

/// The most calls that wait for a thread to begin with them.
const MOST_BEGINNING: usize = 4_096;
/// The most events that wait for the call's task; more wait in the leg.
const EVENTS: usize = 64;
/// The most commands that wait for the next frame.
const COMMANDS: usize = 64;

/// Why a call has no sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// No port can be had.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// The threads do not keep up.
    #[error("the media threads take no more calls: {MOST_BEGINNING} wait already: lower calls_per_second")]
    Busy,
    /// The threads ended.
    #[error("the media threads have ended")]
    Ended,
}

/// What a session begins with.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The address that sockets are bound to.
    pub address: IpAddr,
    /// The time-outs.
    pub timeouts: Timeouts,
    /// The most of what is heard that is kept, for `Session::heard`; nothing by default.
    pub record: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), timeouts: Timeouts::default(), record: None }
    }
}

/// The threads that serve calls' media. They end with the last call once this is dropped.
#[derive(Debug)]
pub struct Media {
    threads: Arc<[Serving]>,
}

/// A thread as sessions know it.
#[derive(Debug)]
struct Serving {
    begin: SyncSender<Begin>,
    /// How many calls it serves.
    calls: Arc<AtomicUsize>,
    lateness: Arc<Lateness>,
}

impl Media {
    /// Starts `threads` threads, at most one for each core and at least one.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let started = (0..threads.clamp(1, cores)).map(|number| {
            let (sender, incoming) = sync_channel(MOST_BEGINNING);
            // A counter that several threads write goes from core to core with each frame.
            let lateness = Arc::<Lateness>::default();
            let thread = Thread::new(incoming, lateness.clone())?;
            std::thread::Builder::new().name(format!("media-{number}")).spawn(move || thread.run())?;
            Ok(Serving { begin: sender, calls: Arc::default(), lateness })
        });
        Ok(Self { threads: started.collect::<std::io::Result<_>>()? })
    }

    /// Opens a call's port. Nothing is sent and nothing heard until `Session::agree`.
    pub fn open(&self, ports: &Ports, options: Options) -> Result<Session, MediaError> {
        let (rtp, place) = ports.take(options.address)?;
        let (port, place) = (place.port(), Arc::new(place));
        let heard = options.record.map(|most| (Arc::new(Mutex::new(Vec::new())), most));
        // Of the widest codec, so that the time holds for each.
        let record =
            heard.as_ref().map(|(kept, most)| (kept.clone(), (most.as_secs_f64() * 16_000.0) as usize));
        let setup = Setup { seed: rand::random(), timeouts: options.timeouts, record };
        let shared = Arc::<Shared>::default();
        let (sender, events) = tokio::sync::mpsc::channel(EVENTS);
        let begin = Begin { setup, rtp, shared: shared.clone(), events: sender, place: place.clone() };
        Ok(Session {
            port,
            _place: place,
            state: State::Opened(Box::new(begin), self.threads.clone()),
            shared,
            events,
            marks: AtomicU64::new(0),
            heard: heard.map(|(kept, _)| kept),
        })
    }

    /// How late frames leave, over all threads since the start.
    pub fn lateness(&self) -> Lateness {
        self.threads.iter().map(|thread| thread.lateness.as_ref()).sum()
    }
}

/// What a session and its thread share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    commands: Mutex<VecDeque<Command>>,
    pub(crate) waiting: AtomicBool,
    pub(crate) closed: AtomicBool,
    /// The codec that was agreed last.
    codec: Mutex<Option<Codec>>,
}

impl Shared {
    fn put(&self, command: Command) {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if commands.len() >= COMMANDS {
            // No script says so much in 20 ms; the far end of a bridge may press as many keys as it likes.
            tracing::debug!("a call's media is told too much at once, some is passed over");
            return;
        }
        commands.push_back(command);
        self.waiting.store(true, Ordering::Release);
    }

    pub(crate) fn take(&self) -> VecDeque<Command> {
        std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How far a session is.
#[derive(Debug)]
enum State {
    /// Nothing is agreed: these threads may serve it.
    Opened(Box<Begin>, Arc<[Serving]>),
    /// A thread serves it, which counts its calls.
    Served(Arc<AtomicUsize>),
    Closed,
}

/// One call's media. Commands take effect with the next frame, within 20 ms.
#[derive(Debug)]
pub struct Session {
    port: u16,
    /// Its ports: until the call is over, its far end may still send to them.
    _place: Arc<Place>,
    state: State,
    shared: Arc<Shared>,
    events: tokio::sync::mpsc::Receiver<Event>,
    marks: AtomicU64,
    heard: Option<Arc<Mutex<Vec<i16>>>>,
}

impl Session {
    /// The local RTP port, for the offer. RTCP has the next.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sound flows as agreed from now on: after an answer, a re-INVITE, hold and its end. Begins the time-out anew.
    ///
    /// # Errors
    /// Where it is the first agreement, and no thread takes the call.
    pub fn agree(&mut self, agreed: Sound) -> Result<(), MediaError> {
        *self.shared.codec.lock().unwrap_or_else(PoisonError::into_inner) = Some(agreed.codec);
        self.shared.put(Command::Agree(agreed));
        let (begin, threads) = match std::mem::replace(&mut self.state, State::Closed) {
            State::Opened(begin, threads) => (begin, threads),
            begun => {
                self.state = begun;
                return Ok(());
            }
        };
        // The one with the fewest calls, or the next that takes it.
        let mut by_load: Vec<&Serving> = threads.iter().collect();
        by_load.sort_by_key(|thread| thread.calls.load(Ordering::Relaxed));
        let (mut begin, mut fault) = (*begin, MediaError::Ended);
        for thread in by_load {
            begin = match thread.begin.try_send(begin) {
                Ok(()) => {
                    thread.calls.fetch_add(1, Ordering::Relaxed);
                    self.state = State::Served(thread.calls.clone());
                    return Ok(());
                }
                Err(TrySendError::Full(begin)) => {
                    fault = MediaError::Busy;
                    begin
                }
                Err(TrySendError::Disconnected(begin)) => begin,
            };
        }
        Err(fault)
    }

    /// Plays these one behind the other, instead of what is being played, and tells `Event::Played` with the mark
    /// returned once the last frame went out. On hold it waits.
    pub fn play(&self, prompts: Vec<Arc<Prompt>>) -> u64 {
        let codec = *self.shared.codec.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(codec) = codec {
            // Encoded here, where it delays no other call.
            for prompt in &prompts {
                prompt.frames(codec);
            }
        }
        let mark = self.marks.fetch_add(1, Ordering::Relaxed) + 1;
        self.shared.put(Command::Play(prompts, mark));
        mark
    }

    /// Stops what is being played; its `Played` is not told, unless it is already on its way.
    pub fn stop(&self) {
        self.shared.put(Command::Stop);
    }

    /// Presses keys: as telephone events where they were agreed, else as tones. What is playing waits meanwhile.
    pub fn keys(&self, keys: &str) {
        self.shared.put(Command::Keys(keys.to_owned()));
    }

    /// Passes the sound of each to the other from now on, until one is closed or dropped: the other then sends silence. What is
    /// being played ends. Keys that come as telephone events are told as ever; those that are tones stay in the sound.
    pub fn join(&self, other: &Self) {
        let (ours, theirs) = Bridge::pair();
        self.shared.put(Command::Join(ours));
        other.shared.put(Command::Join(theirs));
    }

    /// Ends the sound, with an RTCP BYE: whoever hangs up says and hears nothing more (RFC 3261 §15.1.1). The ports are
    /// given back when the session is dropped.
    pub fn close(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        if let State::Served(calls) = std::mem::replace(&mut self.state, State::Closed) {
            calls.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The next event; nothing once the session is closed or the media threads have ended. Can be cancelled without loss.
    pub async fn event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// What was heard so far, where it is recorded: gaps are silence.
    pub fn heard(&self) -> Option<Pcm> {
        let kept = self.heard.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let codec = *self.shared.codec.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Pcm::new(codec.unwrap_or(Codec::Pcmu).rate(), kept))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}
