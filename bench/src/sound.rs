//! Calls' sound with nothing around it: one epoll thread, a port of its own for each call, `send_to` and `recv`, 20 slots
//! of 1 ms. It is what the product is measured beside, and the far end of both.

use std::{
    io::{BufRead, Write as _},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    ops::RangeInclusive,
    sync::LazyLock,
    time::{Duration, Instant},
};

use rustix::{
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    time::Timespec,
};
use serde::{Deserialize, Serialize};
use voice::{
    audio::{Pcm, Prompt},
    sdp::Codec,
};

/// Frames a second, and their slots.
pub const FRAMES: usize = 50;
const SLOTS: usize = 20;
const FRAME: Duration = Duration::from_millis(20);
/// The bytes of a frame and of the header before it (RFC 3550 §5.1).
const FRAME_BYTES: usize = 160;
const HEADER: usize = 12;
/// The payload numbers of PCMU and, as the product offers it, of telephone events.
const PCMU: u8 = 0;
const KEYS: u8 = 101;
/// The end of a key, and a volume of −10 dBm0 (RFC 4733 §2.3).
const END: u8 = 0x80;
const VOLUME: u8 = 0x0a;
/// The addresses of the ends: each has all ports for its own calls.
pub const NEAR: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// See [`NEAR`].
pub const FAR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The ports of either end, below those that the system gives out by itself.
pub const PORTS: RangeInclusive<u16> = 10_000..=31_999;
/// A call's ports are this far apart: RTCP has the one between.
const APART: u16 = 2;
/// The most calls that there are ports for.
pub const MOST: usize = ((*PORTS.end() - *PORTS.start()) / APART + 1) as usize;
/// For how long the sound lasts that is played.
const LENGTH: Duration = Duration::from_secs(4);

/// Sound like speech: a buzz of 120 Hz through three moving resonances, in words with pauses between them.
pub static SPEECH: LazyLock<Prompt> = LazyLock::new(|| {
    let (rate, mut samples) = (8_000, Vec::new());
    for at in 0..(LENGTH.as_secs_f64() * f64::from(rate)) as usize {
        let time = at as f64 / f64::from(rate);
        let word = (time * 2.0 * std::f64::consts::PI * 1.5).sin().max(0.0).sqrt();
        let wave = (1..28).map(|harmonic| {
            let hertz = 120.0 * f64::from(harmonic);
            let near = |formant: f64| 1.0 / (1.0 + ((hertz - formant) / 90.0).powi(2));
            let strength = near(500.0 + 200.0 * (time * 4.0).sin())
                + 0.6 * near(1_500.0 + 400.0 * (time * 2.7).cos())
                + 0.3 * near(2_500.0);
            strength * (hertz * time * 2.0 * std::f64::consts::PI).sin()
        });
        samples.push((wave.sum::<f64>() * word * 6_000.0).clamp(-32_000.0, 32_000.0) as i16);
    }
    Prompt::new(Pcm::new(rate, samples))
});

/// Where an end has the sound of one of its calls, which are fewer than [`MOST`].
pub fn place(end: Ipv4Addr, call: usize) -> SocketAddr {
    SocketAddr::from((end, PORTS.start() + APART * call as u16))
}

/// What one end of calls' sound came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Side {
    /// Frames that left.
    pub sent: u64,
    /// How late they left, 99 of 100 at most, in milliseconds.
    pub late: f64,
    /// Packets that came.
    pub heard: u64,
    /// How much later they came than the first of their call and their number say, 99 of 100 at most, in milliseconds.
    pub heard_late: f64,
    /// Packets that did not come, by their numbers.
    pub missing: u64,
    /// Calls in which a key was heard.
    pub keys: u64,
    /// Processor time.
    pub cpu: f64,
}

/// What an end is to do.
#[derive(Debug, Clone, Copy)]
pub struct Loop {
    /// The address of this end.
    pub own: Ipv4Addr,
    /// The address of the other.
    pub other: Ipv4Addr,
    /// Calls, each with its ports.
    pub calls: usize,
    /// For how long.
    pub time: Duration,
    /// When each call presses a key, if it does.
    pub key_at: Option<Duration>,
    /// Whether it sends to where its sound comes from, and only once some has come.
    pub follows: bool,
}

/// Says that all is ready, and waits for the word to go.
pub fn ready() -> anyhow::Result<()> {
    println!("ready");
    std::io::stdout().flush()?;
    let mut word = String::new();
    anyhow::ensure!(std::io::stdin().lock().read_line(&mut word)? > 0, "nobody says go");
    Ok(())
}

/// What is known of one call's sound as it comes in.
#[derive(Debug, Default, Clone, Copy)]
struct Heard {
    /// When the first came, and its number.
    first: Option<(Duration, u16)>,
    packets: u64,
    /// The highest number, counted from the first.
    highest: u64,
    key: bool,
}

impl Heard {
    /// Takes a packet; how late it is, beside the first.
    fn take(&mut self, at: Duration, packet: &[u8]) -> Option<Duration> {
        let (kind, number) = (*packet.get(1)? & 0x7f, u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
        self.key |= kind == KEYS;
        self.packets += 1;
        let (first, from) = *self.first.get_or_insert((at, number));
        let since = u64::from(number.wrapping_sub(from));
        self.highest = self.highest.max(since);
        Some(at.saturating_sub(first + FRAME * since as u32))
    }
}

impl Loop {
    /// Runs it: sockets, the word to go, sound.
    pub fn run(self) -> anyhow::Result<Side> {
        let sockets: Vec<UdpSocket> = (0..self.calls)
            .map(|call| {
                let socket = UdpSocket::bind(place(self.own, call))?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            })
            .collect::<std::io::Result<_>>()?;
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        for (call, socket) in sockets.iter().enumerate() {
            epoll::add(&poll, socket, EventData::new_u64(call as u64), EventFlags::IN)?;
        }
        let mut to: Vec<Option<SocketAddr>> =
            (0..self.calls).map(|call| (!self.follows).then(|| place(self.other, call))).collect();
        let sound = SPEECH.frames(Codec::Pcmu);
        let frames = (self.time.as_secs_f64() * FRAMES as f64) as usize;
        let key_frame = self.key_at.map(|at| (at.as_secs_f64() * FRAMES as f64) as usize);
        let mut heard = vec![Heard::default(); self.calls];
        let expected = self.calls * frames;
        let (mut late, mut heard_late) = (Vec::with_capacity(expected), Vec::with_capacity(expected));
        let mut events: Vec<Event> = Vec::with_capacity(1_024);
        let mut packet = [0; HEADER + FRAME_BYTES];
        let mut datagram = [0; 2_048];
        let mut side = Side::default();
        ready()?;
        let (cpu_before, began) = (crate::machine::cpu("self"), Instant::now());
        for (frame, slot) in (0..frames).flat_map(|frame| (0..SLOTS).map(move |slot| (frame, slot))) {
            let due = FRAME * frame as u32 + FRAME / SLOTS as u32 * slot as u32;
            if let Some(early) = due.checked_sub(began.elapsed()) {
                std::thread::sleep(early);
            } else if began.elapsed() > self.time + FRAME {
                // It does not fit.
                break;
            }
            let from = frame * FRAME_BYTES % sound.len();
            for call in (slot..self.calls).step_by(SLOTS) {
                let Some(to) = to[call] else { continue };
                packet[0] = 0x80;
                packet[2..4].copy_from_slice(&(frame as u16).to_be_bytes());
                packet[4..8].copy_from_slice(&((frame * FRAME_BYTES) as u32).to_be_bytes());
                packet[8..HEADER].copy_from_slice(&(call as u32 + 1).to_be_bytes());
                let length = if Some(frame) == key_frame {
                    packet[1] = KEYS;
                    // The key 5, whole in one packet, of 100 ms (RFC 4733 §2.3).
                    packet[HEADER..HEADER + 4].copy_from_slice(&[5, END | VOLUME, 3, 32]);
                    HEADER + 4
                } else {
                    packet[1] = PCMU;
                    packet[HEADER..].copy_from_slice(&sound[from..from + FRAME_BYTES]);
                    packet.len()
                };
                side.sent += u64::from(sockets[call].send_to(&packet[..length], to).is_ok());
                late.push(began.elapsed().saturating_sub(due));
            }
            loop {
                events.clear();
                epoll::wait(
                    &poll,
                    rustix::buffer::spare_capacity(&mut events),
                    Some(&Timespec { tv_sec: 0, tv_nsec: 0 }),
                )?;
                for event in &events {
                    let call = event.data.u64() as usize;
                    let received = if self.follows {
                        let from = sockets[call].recv_from(&mut datagram);
                        from.map(|(length, from)| {
                            to[call] = Some(from);
                            length
                        })
                    } else {
                        sockets[call].recv(&mut datagram)
                    };
                    if let Ok(length) = received {
                        heard_late.extend(heard[call].take(began.elapsed(), &datagram[..length]));
                    }
                }
                if events.len() < events.capacity() {
                    break;
                }
            }
        }
        side.cpu = crate::machine::cpu("self") - cpu_before;
        side.late = crate::percentiles(late).1;
        side.heard = heard_late.len() as u64;
        side.heard_late = crate::percentiles(heard_late).1;
        side.keys = heard.iter().filter(|call| call.key).count() as u64;
        side.missing = heard
            .iter()
            .filter(|call| call.packets > 0)
            .map(|call| (call.highest + 1).saturating_sub(call.packets))
            .sum();
        Ok(side)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_late_beside_the_first_of_their_call_and_missing_by_their_numbers() {
        let packet = |kind, number: u16| {
            let [high, low] = number.to_be_bytes();
            [0x80, kind, high, low]
        };
        let ms = Duration::from_millis;
        let mut heard = Heard::default();
        for (at, packet, late) in [
            (100, packet(0, 65_535), 0),
            (121, packet(0, 0), 1),
            (135, packet(0, 1), 0),
            (190, packet(0x80 | KEYS, 3), 10),
        ] {
            assert_eq!(heard.take(ms(at), &packet), Some(ms(late)), "{at}");
        }
        assert_eq!((heard.packets, heard.highest, heard.key), (4, 4, true));
        assert_eq!(heard.take(ms(200), &[0x80]), None);
    }

    #[test]
    fn the_sound_is_whole_frames_that_are_neither_silent_nor_a_key() {
        let frames = SPEECH.frames(Codec::Pcmu);
        assert_eq!(frames.len(), FRAME_BYTES * FRAMES * LENGTH.as_secs() as usize);
        let mut keys = String::new();
        voice::media::Tones::default().hear(SPEECH.sound().samples(), |key| keys.push(key));
        assert_eq!(keys, "");
        let loud = SPEECH.sound().samples().iter().filter(|sample| sample.abs() > 1_000).count();
        assert!(loud * 4 > SPEECH.sound().samples().len(), "{loud}");
    }
}
