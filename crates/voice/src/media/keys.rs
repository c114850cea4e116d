//! Keys as telephone events (RFC 4733): each key once, however many of its packets come, and whichever are lost.

use std::collections::VecDeque;

use audio_codec::telephone_event::{
    digit_to_event, encode_event_payload, event_to_digit, parse_telephone_event,
};

use crate::audio::FRAME_TICKS;

/// The keys of a telephone.
pub const KEYS: &str = "0123456789*#ABCD";

/// How long a key of ours sounds, in frames, and the pause behind it.
const PRESS: u32 = 5;
const PAUSE: u32 = 5;
/// The end of an event is sent three times (RFC 4733 §2.5.1.4).
const ENDS: u32 = 3;
/// The most keys that wait to be sent.
const MOST: usize = 64;
/// −10 dBm0.
const VOLUME: u8 = 10;
/// A packet of the same key that begins within this many ticks (40 ms) of the end of what was heard goes on with it:
/// a long event's next segment (RFC 4733 §2.5.1.3), or a sender that moves the timestamp with each packet.
const SAME_PRESS: u32 = 320;

/// The event that is heard, or was heard last.
#[derive(Debug, Clone, Copy)]
struct Heard {
    event: u8,
    /// The timestamp that names the event, and of its latest segment.
    ticks: u32,
    duration: u32,
    ended: bool,
}

/// Reads the keys of the far end.
#[derive(Debug, Default)]
pub(crate) struct KeyReader {
    last: Option<Heard>,
}

impl KeyReader {
    /// The key, where this packet is the first that is heard of it.
    pub(crate) fn read(&mut self, ticks: u32, marker: bool, payload: &[u8]) -> Option<char> {
        let heard = parse_telephone_event(payload).filter(|heard| heard.event <= 15)?;
        let now = Heard { event: heard.event, ticks, duration: u32::from(heard.duration), ended: heard.end };
        if let Some(last) = &mut self.last {
            let ahead = ticks.wrapping_sub(last.ticks) as i32;
            if ahead < 0 && ahead > -(1 << 24) {
                return None;
            }
            if ahead == 0 {
                last.duration = last.duration.max(now.duration);
                last.ended |= now.ended;
                return None;
            }
            let since_end = (ahead as u32).saturating_sub(last.duration);
            if now.event == last.event && !last.ended && !marker && since_end < SAME_PRESS {
                *last = now;
                return None;
            }
        }
        self.last = Some(now);
        Some(event_to_digit(heard.event))
    }

    /// Forgets what was heard: another source speaks.
    pub(crate) fn reset(&mut self) {
        self.last = None;
    }
}

/// What a key of ours sends in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFrame {
    /// An event's packet: the payload, whether it is the first, and how many ticks ago the event began.
    Event { payload: [u8; 4], first: bool, age: u32 },
    /// The key sounds, where no events were agreed: its frame's number.
    Tone { key: char, frame: u32 },
    /// The pause behind a key.
    Pause,
}

/// Sends keys, one after the other.
#[derive(Debug, Default)]
pub(crate) struct KeyWriter {
    waiting: VecDeque<char>,
    frame: u32,
}

impl KeyWriter {
    /// Adds keys; what is no key, and what is beyond the bound, is left out.
    pub(crate) fn add(&mut self, keys: &str) {
        let room = MOST.saturating_sub(self.waiting.len());
        self.waiting.extend(
            keys.chars().map(|key| key.to_ascii_uppercase()).filter(|key| KEYS.contains(*key)).take(room),
        );
    }

    /// What goes out in this frame; nothing where no key is being sent.
    pub(crate) fn next(&mut self, events: bool) -> Option<KeyFrame> {
        let key = *self.waiting.front()?;
        let frame = self.frame;
        self.frame += 1;
        let last = PRESS + ENDS + PAUSE;
        if self.frame >= last {
            self.waiting.pop_front();
            self.frame = 0;
        }
        if !events {
            return Some(if frame < PRESS { KeyFrame::Tone { key, frame } } else { KeyFrame::Pause });
        }
        if frame >= PRESS + ENDS {
            return Some(KeyFrame::Pause);
        }
        let end = frame >= PRESS;
        let duration = (frame + 1).min(PRESS) * FRAME_TICKS;
        let payload = encode_event_payload(digit_to_event(key)?, end, VOLUME, duration as u16);
        Some(KeyFrame::Event { payload, first: frame == 0, age: frame * FRAME_TICKS })
    }
}
