//! The thread that serves many legs: 20 slots of 1 ms, each with its share of the legs; a slot's frames go out, then
//! what has come in is read.
//!
//! It sleeps to each slot by `std::thread::sleep` (0.3 ms late at the median); a timer wheel of 1 ms would add its own
//! width. A socket with something to read is read once a slot: what is left it names again in the next, so a call costs one
//! system call a packet, and a flood at one socket harms no other.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::time::Timespec;

use crate::audio::FRAME;
use crate::media::lateness::Lateness;
use crate::media::leg::{Leg, Setup};
use crate::media::ports::{self, Place};
use crate::media::session::Shared;

/// The slots of a frame.
const SLOTS: usize = 20;
/// The most sockets that are read in one slot; the others follow in the next.
const READS: usize = 4_096;
/// The most calls that begin in one slot: each opens a socket, and the frames of the others are due.
const BEGINS: usize = 32;
/// Later than this, the machine was asleep: the slots begin anew instead of being made up for.
const ASLEEP: Duration = Duration::from_millis(500);
/// Seconds from NTP's beginning (1900) to Unix's.
const NTP_OFFSET: u64 = 2_208_988_800;

/// A call that the thread is to serve. Its socket goes before the place that its session holds too.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) setup: Setup,
    pub(crate) rtp: UdpSocket,
    pub(crate) shared: Arc<Shared>,
    pub(crate) events: tokio::sync::mpsc::Sender<crate::media::Event>,
    pub(crate) place: Arc<Place>,
}

/// A call as the thread holds it.
struct Served {
    leg: Leg,
    rtp: UdpSocket,
    rtcp: Option<UdpSocket>,
    shared: Arc<Shared>,
    events: tokio::sync::mpsc::Sender<crate::media::Event>,
    place: Arc<Place>,
    /// The only far end that is heard, where it is the only one, and whether the socket for RTP is connected to it: the
    /// system then sends without looking for the way each time, and keeps strangers out.
    only: Option<SocketAddr>,
    connected: bool,
    /// Whether it was closed, and has said its goodbye.
    ended: bool,
}

impl Served {
    /// Connects the socket to the only far end that is heard, and to none where another may be.
    fn connect(&mut self) {
        let only = self.leg.only_source();
        if only == self.only {
            return;
        }
        self.only = only;
        // A socket of any address would be bound to one by this. Where the system refuses, each packet names its way.
        let connects = |far| !self.place.is_any() && self.rtp.connect(far).is_ok();
        self.connected = only.is_some_and(connects);
        if !self.connected {
            let _ = rustix::net::connect_unspec(&self.rtp);
        }
    }

    fn send(&self, frame: &[u8], to: SocketAddr) {
        // A full buffer or an unreachable far end costs this frame and nothing else.
        let _ = if self.connected { self.rtp.send(frame) } else { self.rtp.send_to(frame, to) };
    }

    fn send_report(&self, report: &[u8], to: SocketAddr) {
        if let Some(rtcp) = &self.rtcp {
            // One that is lost costs nothing.
            let _ = rtcp.send_to(report, to);
        }
    }
}

/// The thread's state.
pub(crate) struct Thread {
    poll: OwnedFd,
    incoming: Receiver<Begin>,
    lateness: Arc<Lateness>,
    /// The calls; their place is also their token, doubled, plus one for RTCP.
    calls: Vec<Option<Served>>,
    free: Vec<usize>,
    slots: [Vec<usize>; SLOTS],
    buffer: Vec<u8>,
    datagram: Box<[u8; 4_096]>,
}

impl Thread {
    pub(crate) fn new(incoming: Receiver<Begin>, lateness: Arc<Lateness>) -> std::io::Result<Self> {
        Ok(Self {
            poll: epoll::create(CreateFlags::CLOEXEC)?,
            incoming,
            lateness,
            calls: Vec::new(),
            free: Vec::new(),
            slots: std::array::from_fn(|_| Vec::new()),
            buffer: Vec::with_capacity(512),
            datagram: Box::new([0; 4_096]),
        })
    }

    /// Serves until nobody can open calls any more and the last has ended.
    pub(crate) fn run(mut self) {
        let mut readable = Vec::with_capacity(READS);
        loop {
            // Without a call there is nothing to pace.
            let Ok(first) = self.incoming.recv() else { return };
            self.begin(first);
            let mut due = Instant::now();
            let mut slot = 0;
            // Slots in a row without a call: after a frame of them the thread sleeps until there is one. Where many are hung up
            // as they are answered, one wake-up takes all that came in a slot.
            let mut idle = 0;
            while idle < SLOTS {
                for _ in 0..BEGINS {
                    match self.incoming.try_recv() {
                        Ok(call) => self.begin(call),
                        Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                    }
                }
                let now = Instant::now();
                match due.checked_duration_since(now) {
                    Some(early) => std::thread::sleep(early),
                    None if now.saturating_duration_since(due) > ASLEEP => due = now,
                    None => {}
                }
                self.send(slot, due);
                self.receive(&mut readable);
                idle = if self.free.len() < self.calls.len() { 0 } else { idle + 1 };
                slot = (slot + 1) % SLOTS;
                due += FRAME / SLOTS as u32;
            }
        }
    }

    fn begin(&mut self, call: Begin) {
        if call.shared.closed.load(Ordering::Acquire) {
            // It was hung up as it was answered: nothing was said.
            return;
        }
        let Begin { setup, rtp, shared, events, place } = call;
        let rtcp = ports::open_wide(&rtp, &place);
        let leg = Leg::new(setup, Instant::now());
        let call =
            Served { leg, rtp, rtcp, shared, events, place, only: None, connected: false, ended: false };
        let at = self.free.pop().unwrap_or(self.calls.len());
        let token = |at: usize| EventData::new_u64(at as u64);
        let registered = epoll::add(&self.poll, &call.rtp, token(at * 2), EventFlags::IN).and_then(|()| {
            match &call.rtcp {
                Some(rtcp) => epoll::add(&self.poll, rtcp, token(at * 2 + 1), EventFlags::IN),
                None => Ok(()),
            }
        });
        if let Err(error) = registered {
            // The call goes on one way, and its time-out ends it.
            tracing::error!(%error, "a call's sockets cannot be polled");
        }
        if at == self.calls.len() {
            self.calls.push(Some(call));
        } else {
            self.calls[at] = Some(call);
        }
        if let Some(slot) = self.slots.iter_mut().min_by_key(|slot| slot.len()) {
            slot.push(at);
        }
    }

    /// Sends what is due in this slot.
    fn send(&mut self, slot: usize, due: Instant) {
        let mut ended = false;
        let mut now = Instant::now();
        for at in &self.slots[slot] {
            let Some(call) = &mut self.calls[*at] else { continue };
            obey(call, now);
            if call.shared.closed.load(Ordering::Acquire) {
                (ended, call.ended) = (true, true);
                if let Some(to) = call.leg.farewell(now, ntp(), &mut self.buffer) {
                    call.send_report(&self.buffer, to);
                }
                continue;
            }
            if let Some(to) = call.leg.frame(now, &mut self.buffer) {
                call.send(&self.buffer, to);
                now = Instant::now();
                self.lateness.add(now.saturating_duration_since(due));
            }
            if let Some(to) = call.leg.report(now, ntp(), &mut self.buffer) {
                call.send_report(&self.buffer, to);
            }
            tell(call);
        }
        if ended {
            self.end_closed(slot);
        }
    }

    fn end_closed(&mut self, slot: usize) {
        let (calls, free) = (&mut self.calls, &mut self.free);
        self.slots[slot].retain(|at| {
            let closed = calls[*at].as_ref().is_none_or(|call| call.ended);
            if closed && let Some(call) = calls[*at].take() {
                let Served { rtp, rtcp, place, .. } = call;
                // The sockets go, and are polled no longer, before their ports are given out again.
                drop((rtp, rtcp));
                drop(place);
                free.push(*at);
            }
            !closed
        });
    }

    /// Reads what has come in.
    fn receive(&mut self, readable: &mut Vec<Event>) {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.poll, rustix::buffer::spare_capacity(readable), Some(&at_once)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => tracing::error!(%error, "sockets of calls cannot be polled"),
        }
        for event in readable.drain(..) {
            self.read(event.data.u64() as usize);
        }
    }

    /// Reads one datagram from a socket.
    fn read(&mut self, token: usize) {
        let Some(Some(call)) = self.calls.get_mut(token / 2) else { return };
        let rtcp = token % 2 == 1;
        let socket = if rtcp { call.rtcp.as_ref() } else { Some(&call.rtp) };
        let Some(socket) = socket else { return };
        // An error is what the far end's system refused of ours. A stranger's packet may have come before the socket was connected.
        let Ok((size, from)) = socket.recv_from(&mut self.datagram[..]) else { return };
        let (now, datagram) = (Instant::now(), &self.datagram[..size]);
        // What was agreed before the packet came holds for it.
        obey(call, now);
        if rtcp {
            call.leg.hear_report(now, from, datagram);
        } else {
            call.leg.hear(now, from, datagram);
            call.connect();
        }
        tell(call);
    }
}

/// Gives the leg what its call has said since.
fn obey(call: &mut Served, now: Instant) {
    // Looked at first, as a swap costs more and there is hardly ever a command.
    if call.shared.waiting.load(Ordering::Relaxed) && call.shared.waiting.swap(false, Ordering::AcqRel) {
        for command in call.shared.take() {
            call.leg.command(now, command);
        }
        call.connect();
    }
}

/// Hands the leg's events over. Where nobody fetches them they wait in the leg, within its bound.
fn tell(call: &mut Served) {
    while call.leg.has_event()
        && call.events.capacity() > 0
        && let Some(event) = call.leg.event()
    {
        if call.events.try_send(event).is_err() {
            return;
        }
    }
}

/// The time of day in NTP's 64 bits.
fn ntp() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    (now.as_secs().wrapping_add(NTP_OFFSET) << 32) | fraction
}
