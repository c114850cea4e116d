//! The thread that serves many legs: 20 slots of 1 ms, each with its share of the legs; a slot's frames go out, then
//! what has come in is read.
//!
//! It sleeps to each slot by `std::thread::sleep` (0.3 ms late at the median); a timer wheel of 1 ms would add its own
//! width. Sockets are polled edge-triggered, each read at most so often a slot, so that a flood at one harms no other.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::audio::FRAME;
use crate::media::lateness::Lateness;
use crate::media::leg::Leg;
use crate::media::ports::Place;
use crate::media::session::Shared;

/// The slots of a frame.
const SLOTS: usize = 20;
/// The most datagrams that are read from one socket in one slot.
const READS: usize = 32;
/// Later than this, the machine was asleep: the slots begin anew instead of being made up for.
const ASLEEP: Duration = Duration::from_millis(500);
/// Seconds from NTP's beginning (1900) to Unix's.
const NTP_OFFSET: u64 = 2_208_988_800;

/// A call as the thread holds it.
pub(crate) struct Served {
    pub(crate) leg: Leg,
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    pub(crate) shared: Arc<Shared>,
    pub(crate) events: tokio::sync::mpsc::Sender<crate::media::Event>,
    pub(crate) place: Place,
}

/// The thread's state.
pub(crate) struct Thread {
    poll: Poll,
    incoming: Receiver<Served>,
    lateness: Arc<Lateness>,
    /// The calls; their place is also their token, doubled, plus one for RTCP.
    calls: Vec<Option<Served>>,
    free: Vec<usize>,
    slots: [Vec<usize>; SLOTS],
    /// Sockets that had more than was read.
    again: Vec<usize>,
    buffer: Vec<u8>,
    datagram: Box<[u8; 4_096]>,
}

impl Thread {
    pub(crate) fn new(incoming: Receiver<Served>, lateness: Arc<Lateness>) -> std::io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            incoming,
            lateness,
            calls: Vec::new(),
            free: Vec::new(),
            slots: std::array::from_fn(|_| Vec::new()),
            again: Vec::new(),
            buffer: Vec::with_capacity(512),
            datagram: Box::new([0; 4_096]),
        })
    }

    /// Serves until nobody can open calls any more and the last has ended.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        loop {
            // Without a call there is nothing to pace.
            let Ok(first) = self.incoming.recv() else { return };
            self.begin(first);
            let mut due = Instant::now();
            let mut slot = 0;
            let mut open = true;
            while self.free.len() < self.calls.len() {
                while open {
                    match self.incoming.try_recv() {
                        Ok(call) => self.begin(call),
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => open = false,
                    }
                }
                let now = Instant::now();
                match due.checked_duration_since(now) {
                    Some(early) => std::thread::sleep(early),
                    None if now.saturating_duration_since(due) > ASLEEP => due = now,
                    None => {}
                }
                self.send(slot, due);
                self.receive(&mut events);
                slot = (slot + 1) % SLOTS;
                due += FRAME / SLOTS as u32;
            }
        }
    }

    fn begin(&mut self, mut call: Served) {
        let at = self.free.pop().unwrap_or(self.calls.len());
        let registry = self.poll.registry();
        let registered = registry
            .register(&mut call.rtp, Token(at * 2), Interest::READABLE)
            .and_then(|()| registry.register(&mut call.rtcp, Token(at * 2 + 1), Interest::READABLE));
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
        for at in &self.slots[slot] {
            let Some(call) = &mut self.calls[*at] else { continue };
            let now = Instant::now();
            obey(call, now);
            if call.shared.closed.load(Ordering::Acquire) {
                ended = true;
                if let Some(to) = call.leg.farewell(now, ntp(), &mut self.buffer) {
                    let _ = call.rtcp.send_to(&self.buffer, to);
                }
                continue;
            }
            if let Some(to) = call.leg.frame(now, &mut self.buffer) {
                // A full buffer or an unreachable far end costs this frame and nothing else.
                let _ = call.rtp.send_to(&self.buffer, to);
                self.lateness.add(Instant::now().saturating_duration_since(due));
            }
            if let Some(to) = call.leg.report(now, ntp(), &mut self.buffer) {
                let _ = call.rtcp.send_to(&self.buffer, to);
            }
            tell(call);
        }
        if ended {
            self.end_closed(slot);
        }
    }

    fn end_closed(&mut self, slot: usize) {
        let (calls, free, poll) = (&mut self.calls, &mut self.free, &self.poll);
        self.slots[slot].retain(|at| {
            let closed = calls[*at].as_ref().is_none_or(|call| call.shared.closed.load(Ordering::Acquire));
            if closed && let Some(mut call) = calls[*at].take() {
                let _ = poll.registry().deregister(&mut call.rtp);
                let _ = poll.registry().deregister(&mut call.rtcp);
                let Served { rtp, rtcp, place, .. } = call;
                // The sockets go before their ports are given out again.
                drop((rtp, rtcp));
                drop(place);
                free.push(*at);
            }
            !closed
        });
    }

    /// Reads what has come in.
    fn receive(&mut self, events: &mut Events) {
        if let Err(error) = self.poll.poll(events, Some(Duration::ZERO)) {
            if error.kind() != ErrorKind::Interrupted {
                tracing::error!(%error, "sockets of calls cannot be polled");
            }
            return;
        }
        let mut again = std::mem::take(&mut self.again);
        again.extend(events.iter().map(|event| event.token().0));
        for token in again.drain(..) {
            if !self.read(token) {
                self.again.push(token);
            }
        }
        // A socket with more than one slot's reads is named by its events as well.
        self.again.sort_unstable();
        self.again.dedup();
    }

    /// Reads one socket; false where there may be more.
    fn read(&mut self, token: usize) -> bool {
        let Some(Some(call)) = self.calls.get_mut(token / 2) else { return true };
        let rtcp = token % 2 == 1;
        // What was agreed before a packet came holds for it.
        obey(call, Instant::now());
        for _ in 0..READS {
            let socket = if rtcp { &call.rtcp } else { &call.rtp };
            let (size, from): (usize, SocketAddr) = match socket.recv_from(&mut self.datagram[..]) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tell(call);
                    return true;
                }
                // What the far end's system refused of ours; the next may be a datagram.
                Err(_) => continue,
            };
            let (now, datagram) = (Instant::now(), &self.datagram[..size]);
            if rtcp {
                call.leg.hear_report(now, from, datagram);
            } else {
                call.leg.hear(now, from, datagram);
            }
        }
        tell(call);
        false
    }
}

/// Gives the leg what its call has said since.
fn obey(call: &mut Served, now: Instant) {
    if call.shared.waiting.swap(false, Ordering::AcqRel) {
        for command in call.shared.take() {
            call.leg.command(now, command);
        }
    }
}

/// Hands the leg's events over. Where nobody fetches them they wait in the leg, within its bound.
fn tell(call: &mut Served) {
    while call.events.capacity() > 0
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
