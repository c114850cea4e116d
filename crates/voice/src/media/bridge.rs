//! The sound of two legs that are joined: what each hears, the other sends.
//!
//! Samples cross, not packets: each leg keeps a stream, a codec and a clock of its own, so that neither notices how the
//! other's packets come. Keeps: at most 60 ms wait when more comes, the oldest goes first; where nothing waits there is
//! silence; no leg waits for the other, whichever threads serve them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use audio_codec::Encoder;
use rubato::{FftFixedInOut, Resampler as _};

use crate::audio::{FRAME_BYTES, FRAME_TICKS, sample};
use crate::sdp::Codec;

/// The most that waits when more comes, in ticks of the RTP clock: 60 ms. It is also the longest gap in timestamps that
/// is a loss and filled with silence; a longer one is a pause of the far end.
const MOST: u32 = 480;
/// What must wait before sound goes on after a pause, in ticks: 40 ms, so that packets late by less leave no gap.
const BEGINS: u32 = 2 * FRAME_TICKS;

/// One direction of a bridge.
#[derive(Debug, Default)]
struct Way(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// The samples a second of what waits.
    rate: u32,
    samples: VecDeque<i16>,
    /// The timestamp that goes on with what waits.
    next: Option<u32>,
    /// Whether the last frame was sound.
    flows: bool,
}

impl Way {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes sound of `rate` samples a second that its sender stamped with `ticks`.
    fn put(&self, rate: u32, ticks: u32, samples: &[i16]) {
        let mut waiting = self.waiting();
        if waiting.rate != rate {
            *waiting = Waiting { rate, ..Waiting::default() };
        }
        let per_tick = rate / 8_000;
        let gap = waiting.next.map_or(0, |next| ticks.wrapping_sub(next));
        // A gap that was heard already, as silence, is not filled once more.
        let lost = if waiting.flows && gap <= MOST { gap * per_tick } else { 0 };
        let until = waiting.samples.len() + lost as usize;
        waiting.samples.resize(until, 0);
        let beyond = until.saturating_sub((MOST * per_tick) as usize);
        waiting.samples.drain(..beyond);
        waiting.samples.extend(samples);
        waiting.next = Some(ticks.wrapping_add(samples.len() as u32 / per_tick.max(1)));
    }

    /// Puts the next 20 ms into `frame`, and says at which rate they are; nothing where there is silence.
    fn take(&self, frame: &mut Vec<i16>) -> Option<u32> {
        let mut waiting = self.waiting();
        let per_tick = waiting.rate / 8_000;
        let whole = (FRAME_TICKS * per_tick) as usize;
        let enough = if waiting.flows { 1 } else { (BEGINS * per_tick) as usize };
        frame.clear();
        if waiting.samples.len() < enough.max(1) {
            waiting.flows = false;
            return None;
        }
        let there = whole.min(waiting.samples.len());
        frame.extend(waiting.samples.drain(..there));
        frame.resize(whole, 0);
        waiting.flows = there == whole;
        Some(waiting.rate)
    }
}

/// One leg's end of a bridge.
#[derive(Debug, Clone)]
pub struct Bridge {
    heard: Arc<Way>,
    said: Arc<Way>,
}

impl Bridge {
    /// The two ends of a bridge.
    pub fn pair() -> (Self, Self) {
        let (heard, said) = (Arc::<Way>::default(), Arc::<Way>::default());
        (Self { heard: heard.clone(), said: said.clone() }, Self { heard: said, said: heard })
    }
}

/// A bridge as its leg uses it.
pub(crate) struct Crossing {
    bridge: Bridge,
    /// What brings the other leg's sound into this leg's codec.
    making: Option<Making>,
    frame: Vec<i16>,
    encoded: [u8; FRAME_BYTES],
}

/// An encoder, with a resampler where the other leg's sound is of another rate.
struct Making {
    codec: Codec,
    rate: u32,
    encoder: Box<dyn Encoder>,
    resampler: Option<FftFixedInOut<f32>>,
    shares: (Vec<f32>, Vec<f32>),
}

impl Crossing {
    pub(crate) fn new(bridge: Bridge) -> Self {
        Self { bridge, making: None, frame: Vec::new(), encoded: [0; FRAME_BYTES] }
    }

    /// Passes on what was heard in `codec`; `ticks` is its timestamp.
    pub(crate) fn heard(&self, codec: Codec, ticks: u32, samples: &[i16]) {
        self.bridge.heard.put(codec.rate(), ticks, samples);
    }

    /// The frame of the other leg that goes out next, in `codec`.
    pub(crate) fn frame(&mut self, codec: Codec) -> &[u8] {
        let rate = self.bridge.said.take(&mut self.frame);
        let made_for = self.making.as_ref().map(|making| (making.codec, making.rate));
        let rate = rate.or(made_for.map(|(_, rate)| rate)).unwrap_or(codec.rate());
        if made_for != Some((codec, rate)) {
            self.making = Some(Making::new(codec, rate));
        }
        // Silence is encoded as well: what follows it goes on from where the encoder is.
        self.frame.resize((rate / 50) as usize, 0);
        if let Some(making) = &mut self.making {
            making.encode(&mut self.frame, &mut self.encoded);
        }
        &self.encoded
    }
}

impl Making {
    fn new(codec: Codec, rate: u32) -> Self {
        let (from, to) = ((rate / 50) as usize, codec.frame_samples());
        // Between 8,000 and 16,000 there is always one.
        let resampler = (from != to)
            .then(|| FftFixedInOut::new(rate as usize, codec.rate() as usize, from, 1).ok())
            .flatten();
        let shares = (vec![0.0; from], vec![0.0; to]);
        Self { codec, rate, encoder: codec.encoder(), resampler, shares }
    }

    fn encode(&mut self, frame: &mut Vec<i16>, encoded: &mut [u8]) {
        if let Some(resampler) = &mut self.resampler {
            let (shares, made) = &mut self.shares;
            for (share, sample) in shares.iter_mut().zip(frame.iter()) {
                *share = f32::from(*sample) / 32_768.0;
            }
            if resampler.process_into_buffer(&[shares], &mut [&mut *made], None).is_err() {
                made.fill(0.0);
            }
            frame.clear();
            frame.extend(made.iter().map(|share| sample(*share)));
        }
        if self.encoder.encode_into(frame, encoded).is_err() {
            encoded.fill(0xff);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 ms of one sample.
    fn packet(sample: i16) -> Vec<i16> {
        vec![sample; 160]
    }

    /// What the next frame begins with; nothing where it is silence.
    fn next(way: &Way) -> Option<i16> {
        let mut frame = Vec::new();
        way.take(&mut frame).map(|_| frame[0])
    }

    #[test]
    fn sound_begins_with_40_ms_and_goes_on_frame_by_frame() {
        let way = Way::default();
        assert_eq!(next(&way), None);
        way.put(8_000, 1_000, &packet(1));
        assert_eq!(next(&way), None);
        way.put(8_000, 1_160, &packet(2));
        assert_eq!([next(&way), next(&way), next(&way)], [Some(1), Some(2), None]);
    }

    #[test]
    fn packets_of_any_length_are_cut_into_frames() {
        for ticks in [80, 240, 480] {
            let way = Way::default();
            let all: Vec<i16> = (0..ticks * 4).collect();
            let mut heard = Vec::new();
            let mut frame = Vec::new();
            for (n, part) in all.chunks(ticks as usize).enumerate() {
                way.put(8_000, (n as u32 * ticks as u32).wrapping_sub(100), part);
                while way.waiting().samples.len() >= 320 && way.take(&mut frame).is_some() {
                    heard.extend_from_slice(&frame);
                }
            }
            while way.take(&mut frame).is_some() {
                heard.extend_from_slice(&frame);
            }
            assert_eq!(heard[..all.len()], all, "{ticks}");
        }
    }

    #[test]
    fn what_nobody_takes_stays_within_60_ms_and_a_packet_and_the_newest_is_kept() {
        let way = Way::default();
        for n in 0..1_000u32 {
            way.put(8_000, n * 160, &packet(n as i16));
            assert!(way.waiting().samples.len() <= 480 + 160);
        }
        assert_eq!(next(&way), Some(996));
    }

    #[test]
    fn a_loss_is_silence_in_its_place_and_a_pause_of_the_far_end_is_not_made_up_for() {
        let way = Way::default();
        way.put(8_000, 0, &packet(1));
        way.put(8_000, 160, &packet(2));
        assert_eq!(next(&way), Some(1));
        way.put(8_000, 480, &packet(4));
        assert_eq!([next(&way), next(&way), next(&way)], [Some(2), Some(0), Some(4)]);
        // A second later.
        way.put(8_000, 8_480, &packet(5));
        way.put(8_000, 8_640, &packet(6));
        assert_eq!([next(&way), next(&way), next(&way)], [Some(5), Some(6), None]);
    }

    #[test]
    fn another_rate_begins_anew() {
        let way = Way::default();
        way.put(8_000, 0, &packet(1));
        way.put(16_000, 160, &[7; 640]);
        let mut frame = Vec::new();
        assert_eq!((way.take(&mut frame), frame.len(), frame[0]), (Some(16_000), 320, 7));
    }

    #[test]
    fn g711_that_crosses_to_the_same_law_is_the_same() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let (one, other) = Bridge::pair();
            let (from, mut to) = (Crossing::new(one), Crossing::new(other));
            // All but the least negative step, which is encoded as the positive one.
            let least = if codec == Codec::Pcmu { 0x7f } else { 0x55 };
            let bytes: Vec<u8> = (0..=255u8).filter(|byte| *byte != least).cycle().take(320).collect();
            from.heard(codec, 0, &codec.decoder().decode(&bytes));
            assert_eq!(to.frame(codec), &bytes[..160], "{codec:?}");
            assert_eq!(to.frame(codec), &bytes[160..], "{codec:?}");
        }
    }
}
