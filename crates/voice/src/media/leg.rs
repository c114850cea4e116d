//! One call's media, without a socket or a clock: packets and instants in, packets and events out.
//!
//! Keeps: the first source that speaks is the only one that is heard, unless the announced one speaks after it; each
//! key is told once; the time-out never ends a call that is on hold; whatever comes in changes nothing beyond this leg.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use audio_codec::Decoder;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rtp_types::RtpPacket;

use crate::audio::{FRAME_BYTES, FRAME_TICKS, Prompt};
use crate::media::bridge::{Bridge, Crossing};
use crate::media::keys::{KeyFrame, KeyReader, KeyWriter};
use crate::media::packet::Stream;
use crate::media::playing::Playing;
use crate::media::report::{self, INTERVAL, Reception};
use crate::media::seal::Seal;
use crate::media::tones::{Tones, tone};
use crate::media::window::{Piece, Window};
use crate::sdp::{Codec, Direction, Sound};

/// Comfort noise (RFC 3389) has this payload type, whether it was agreed or not.
const COMFORT_NOISE: u8 = 13;
/// The most events that wait to be fetched: a flood of keys is cut.
const MOST_EVENTS: usize = 64;
/// The largest packet that is looked at: sound of 200 ms.
const MOST_BYTES: usize = 2_048;
/// An event of the same key within this time of its tone is the same press.
const SAME_PRESS: Duration = Duration::from_secs(1);
/// A gap in timestamps up to this many ticks (10 s) is silence in a recording; beyond it the stream began anew.
const LONGEST_GAP: u32 = 80_000;

/// What a call tells its media.
#[derive(Debug)]
pub enum Command {
    /// Sound flows as agreed from now on: the answer, another address, hold and its end.
    Agree(Sound),
    /// Play these, instead of what is being played.
    Play(Vec<Arc<Prompt>>, u64),
    /// Be silent.
    Stop,
    /// Press keys.
    Keys(String),
    /// Pass on what is heard, and send what the other leg hears, instead of what is being played.
    Join(Bridge),
}

/// What a call's media tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The far end pressed a key: `0`–`9`, `*`, `#`, `A`–`D`.
    Key(char),
    /// The last frame of what was played under this mark went out. Not told of what was stopped or replaced.
    Played(u64),
    /// Nothing came for the time allowed. Told once, until something comes or is agreed anew.
    TimedOut {
        /// Something had come before.
        heard: bool,
    },
}

/// How long a call may hear nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// After the last packet.
    pub after_last: Duration,
    /// Where none ever came.
    pub never: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { after_last: Duration::from_secs(20), never: Duration::from_secs(60) }
    }
}

/// What a leg begins with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// SSRC, sequence, timestamp and the moments of reports come from this.
    pub seed: u64,
    /// The time-outs.
    pub timeouts: Timeouts,
    /// Where what is heard is kept, and the most samples of it.
    pub record: Option<(Arc<Mutex<Vec<i16>>>, usize)>,
}

/// One call's media.
pub struct Leg {
    agreed: Option<Sound>,
    timeouts: Timeouts,
    random: StdRng,
    seal: Seal,
    // What goes out.
    stream: Stream,
    talking: bool,
    playing: Option<Playing>,
    keys: KeyWriter,
    crossing: Option<Crossing>,
    silence: Option<(Codec, Vec<u8>)>,
    name: String,
    report_due: Option<Instant>,
    /// How many reports were written.
    reports: u32,
    // What comes in.
    source: Option<(SocketAddr, u32)>,
    began: Instant,
    window: Window,
    ready: Vec<Piece>,
    reception: Reception,
    decoder: Option<(Codec, Box<dyn Decoder>)>,
    samples: Vec<i16>,
    /// The samples at 8 kHz, where the codec has more.
    halves: Vec<i16>,
    reader: KeyReader,
    events_seen: bool,
    tones: Tones,
    tone_key: Option<(char, Instant)>,
    record: Option<(Arc<Mutex<Vec<i16>>>, usize)>,
    recorded_to: Option<u32>,
    quiet_since: Instant,
    timed_out: bool,
    events: VecDeque<Event>,
}

impl Leg {
    /// A leg that knows no far end yet: nothing goes out and what comes in is passed over.
    pub fn new(setup: Setup, now: Instant) -> Self {
        let mut random = StdRng::seed_from_u64(setup.seed);
        // Timestamps and sequences begin anywhere (RFC 3550 §5.1).
        let stream = Stream::new(random.random(), random.random(), random.random());
        let name = format!("{:016x}", random.random::<u64>());
        Self {
            agreed: None,
            timeouts: setup.timeouts,
            random,
            seal: Seal,
            stream,
            talking: false,
            playing: None,
            keys: KeyWriter::default(),
            crossing: None,
            silence: None,
            name,
            report_due: None,
            reports: 0,
            source: None,
            began: now,
            window: Window::default(),
            ready: Vec::new(),
            reception: Reception::default(),
            decoder: None,
            samples: Vec::new(),
            halves: Vec::new(),
            reader: KeyReader::default(),
            events_seen: false,
            tones: Tones::default(),
            tone_key: None,
            record: setup.record,
            recorded_to: None,
            quiet_since: now,
            timed_out: false,
            events: VecDeque::new(),
        }
    }

    /// Does what the call says.
    pub fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Agree(sound) => self.agree(now, sound),
            Command::Play(prompts, mark) => self.playing = Some(Playing::new(prompts, mark)),
            Command::Stop => self.playing = None,
            Command::Keys(keys) => self.keys.add(&keys),
            Command::Join(bridge) => {
                self.playing = None;
                self.crossing = Some(Crossing::new(bridge));
            }
        }
    }

    fn agree(&mut self, now: Instant, agreed: Sound) {
        if self.agreed.as_ref().is_none_or(|before| before.address != agreed.address) {
            // Another far end: whoever speaks first is held anew.
            self.source = None;
            self.window = Window::default();
            self.reader.reset();
        }
        if self.agreed.as_ref().is_none_or(|before| before.codec != agreed.codec) {
            self.decoder = Some((agreed.codec, agreed.codec.decoder()));
            let frame = agreed.codec.encoder().encode(&vec![0; agreed.codec.frame_samples()]);
            self.silence = Some((agreed.codec, frame));
        }
        if agreed.held {
            self.talking = false;
        }
        let half = INTERVAL.mul_f64(0.5);
        self.report_due.get_or_insert(now + half);
        self.quiet_since = now;
        self.timed_out = false;
        self.agreed = Some(agreed);
    }

    /// Writes this slot's frame into `buffer` and says where it goes; nothing where the call is silent by agreement.
    /// To be called every 20 ms.
    pub fn frame(&mut self, now: Instant, buffer: &mut Vec<u8>) -> Option<SocketAddr> {
        self.window.drain(now, &mut self.ready);
        self.take_ready(now);
        self.watch(now);
        let agreed = self.agreed.as_ref()?;
        let (codec, kind, events) = (agreed.codec, agreed.payload, agreed.keys);
        let to = self.source.map(|(source, _)| source).or(agreed.address).filter(|_| !agreed.held);
        let Some(to) = to else {
            // The clock goes on, so that the far end sees a pause and no shift.
            self.stream.ticks = self.stream.ticks.wrapping_add(FRAME_TICKS);
            return None;
        };
        let first = !std::mem::replace(&mut self.talking, true);
        let stream = &mut self.stream;
        // Taken while a key is sent too, so that what is said meanwhile does not come late.
        let crossed = self.crossing.as_mut().map(|crossing| crossing.frame(codec));
        match (self.keys.next(events.is_some()), events) {
            (Some(KeyFrame::Event { payload, first, age }), Some(events)) => {
                stream.write(events, first, age, &payload, buffer);
            }
            (Some(KeyFrame::Tone { key, frame }), _) => {
                let samples = codec.frame_samples();
                let sound = tone(key, codec.rate(), frame as usize * samples, samples);
                stream.write(kind, first, 0, &codec.encoder().encode(&sound), buffer);
            }
            (pause, _) => {
                let silence = self.silence.as_ref().filter(|(of, _)| *of == codec);
                let silence = silence.map_or(&[0xff; FRAME_BYTES][..], |(_, frame)| frame);
                let playing = self.playing.as_mut().filter(|_| pause.is_none());
                let mark = playing.as_ref().map(|playing| playing.mark);
                let mut send = |frame: &[u8]| stream.write(kind, first, 0, frame, buffer);
                if let Some(frame) = crossed {
                    send(frame);
                } else if playing.and_then(|playing| playing.next(codec, &mut send)).is_none() {
                    if let Some(mark) = mark {
                        self.playing = None;
                        tell(&mut self.events, Event::Played(mark));
                    }
                    send(silence);
                }
            }
        }
        self.stream.ticks = self.stream.ticks.wrapping_add(FRAME_TICKS);
        self.seal.protect(buffer);
        (!buffer.is_empty()).then_some(to)
    }

    /// Writes an RTCP report where one is due. `ntp` is the time of day in NTP's 64 bits.
    pub fn report(&mut self, now: Instant, ntp: u64, buffer: &mut Vec<u8>) -> Option<SocketAddr> {
        if self.report_due.is_none_or(|due| now < due) {
            return None;
        }
        self.report_due = Some(now + INTERVAL.mul_f64(self.random.random_range(0.5..1.5)));
        self.reports = self.reports.saturating_add(1);
        self.write_report(now, ntp, false, buffer)
    }

    /// Writes the last report, with BYE; nothing where nothing was sent before (RFC 3550 §6.3.7).
    pub fn farewell(&mut self, now: Instant, ntp: u64, buffer: &mut Vec<u8>) -> Option<SocketAddr> {
        if self.stream.packets == 0 && self.reports == 0 {
            return None;
        }
        self.write_report(now, ntp, true, buffer)
    }

    fn write_report(
        &mut self,
        now: Instant,
        ntp: u64,
        bye: bool,
        buffer: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        let agreed = self.agreed.as_ref()?;
        let rtp = self.source.map(|(source, _)| source).or(agreed.address)?;
        let to = SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?);
        report::write(&self.stream, &mut self.reception, now, ntp, &self.name, bye, buffer);
        self.seal.protect(buffer);
        (!buffer.is_empty()).then_some(to)
    }

    /// Takes what came to the RTP port.
    pub fn hear(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Some(agreed) = &self.agreed else { return };
        if datagram.len() > MOST_BYTES
            || matches!(agreed.direction, Direction::RecvOnly | Direction::Inactive)
        {
            return;
        }
        let Some(plain) = self.seal.unprotect(datagram) else { return };
        let Ok(packet) = RtpPacket::parse(plain) else { return };
        let kind = packet.payload_type();
        if kind != agreed.payload && Some(kind) != agreed.keys && kind != COMFORT_NOISE {
            return;
        }
        let ssrc = packet.ssrc();
        match self.source {
            Some((held, of)) if held == from => {
                if of != ssrc {
                    self.begin_source(from, ssrc);
                }
            }
            // A stranger, unless the one that was announced speaks at last.
            Some((held, _)) if Some(held) == agreed.address || Some(from) != agreed.address => return,
            _ => self.begin_source(from, ssrc),
        }
        self.timed_out = false;
        self.quiet_since = now;
        let ticks_now = (now.saturating_duration_since(self.began).as_micros() * 8 / 1_000) as u32;
        self.reception.count(ssrc, packet.sequence_number(), packet.timestamp(), ticks_now);
        let piece =
            Piece { kind, marker: packet.marker_bit(), ticks: packet.timestamp(), payload: packet.payload() };
        // Most are in order, and need not be kept.
        if self.window.is_next(packet.sequence_number()) {
            self.take(now, piece);
        } else {
            self.window.push(now, packet.sequence_number(), piece.kept(), &mut self.ready);
            self.take_ready(now);
        }
    }

    /// Where sound comes from, if it can come from nowhere else until something else is agreed: the far end that was announced
    /// speaks.
    pub fn only_source(&self) -> Option<SocketAddr> {
        let announced = self.agreed.as_ref()?.address?;
        self.source.map(|(held, _)| held).filter(|held| *held == announced)
    }

    /// Takes what came to the RTCP port.
    pub fn hear_report(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Some(agreed) = &self.agreed else { return };
        let known = self.source.map(|(source, _)| source).or(agreed.address);
        if datagram.len() > MOST_BYTES || known.is_none_or(|known| known.ip() != from.ip()) {
            return;
        }
        let Some(plain) = self.seal.unprotect(datagram) else { return };
        self.reception.read(now, plain);
    }

    /// Whether an event waits.
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// The next event, where one waits.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn begin_source(&mut self, from: SocketAddr, ssrc: u32) {
        self.source = Some((from, ssrc));
        self.window.flush(&mut self.ready);
        self.reader.reset();
        self.recorded_to = None;
    }

    fn take_ready(&mut self, now: Instant) {
        let mut ready = std::mem::take(&mut self.ready);
        for piece in ready.drain(..) {
            self.take(now, piece.as_ref());
        }
        self.ready = ready;
    }

    fn take(&mut self, now: Instant, piece: Piece<&[u8]>) {
        let Some(agreed) = &self.agreed else { return };
        if Some(piece.kind) == agreed.keys {
            self.events_seen = true;
            if let Some(key) = self.reader.read(piece.ticks, piece.marker, piece.payload) {
                // A gateway may let a tone's beginning through before it sends the event.
                let twice = self
                    .tone_key
                    .take()
                    .is_some_and(|(tone, at)| tone == key && now.saturating_duration_since(at) < SAME_PRESS);
                if !twice {
                    tell(&mut self.events, Event::Key(key));
                }
            }
            return;
        }
        // Tones on a bridge stay in its sound.
        let listens = self.crossing.is_none() && !(self.events_seen && agreed.keys.is_some());
        let wanted = listens || self.crossing.is_some() || self.record.is_some();
        if piece.kind != agreed.payload || !wanted {
            return;
        }
        let Some((codec, decoder)) = &mut self.decoder else { return };
        self.samples.resize(decoder.max_decode_samples(piece.payload.len()), 0);
        let Ok(count) = decoder.decode_into(piece.payload, &mut self.samples) else { return };
        self.samples.truncate(count);
        if listens {
            let narrow = *codec != Codec::G722;
            let (events, last) = (&mut self.events, &mut self.tone_key);
            let mut pressed = |key| {
                *last = Some((key, now));
                tell(events, Event::Key(key));
            };
            if narrow {
                self.tones.hear(&self.samples, &mut pressed);
            } else {
                // The mean of two is filter enough for tones below 1,700 Hz.
                self.halves.clear();
                self.halves.extend(self.samples.chunks_exact(2).map(|two| two[0].midpoint(two[1])));
                self.tones.hear(&self.halves, &mut pressed);
            }
        }
        if let Some(crossing) = &self.crossing {
            crossing.heard(*codec, piece.ticks, &self.samples);
        }
        if let Some((kept, most)) = &self.record {
            let per_tick = (codec.rate() / 8_000) as usize;
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let gap = self.recorded_to.map_or(0, |to| piece.ticks.wrapping_sub(to));
            let silence = if gap <= LONGEST_GAP { gap as usize * per_tick } else { 0 };
            let room = most.saturating_sub(kept.len());
            let until = kept.len() + silence.min(room);
            kept.resize(until, 0);
            let room = most.saturating_sub(kept.len());
            kept.extend(self.samples.iter().take(room));
            self.recorded_to = Some(piece.ticks.wrapping_add((count / per_tick) as u32));
        }
    }

    /// Tells of the time-out. On hold the far end may be silent (RFC 3264 §8.4).
    fn watch(&mut self, now: Instant) {
        let Some(agreed) = &self.agreed else { return };
        if agreed.held || agreed.direction != Direction::SendRecv {
            self.quiet_since = now;
            return;
        }
        let heard = self.source.is_some();
        let allowed = if heard { self.timeouts.after_last } else { self.timeouts.never };
        if !self.timed_out && now.saturating_duration_since(self.quiet_since) >= allowed {
            self.timed_out = true;
            tell(&mut self.events, Event::TimedOut { heard });
        }
    }
}

fn tell(events: &mut VecDeque<Event>, event: Event) {
    if events.len() < MOST_EVENTS {
        events.push_back(event);
    }
}
