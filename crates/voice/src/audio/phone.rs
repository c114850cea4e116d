//! How a prompt sounds on a phone, for whoever writes it: 8 kHz, 300–3,400 Hz, through µ-law.

use std::f32::consts::PI;

use crate::audio::pcm::{Pcm, sample};
use crate::sdp::Codec;

/// The taps of the filter at 8 kHz: steep enough for a voice, odd so that the delay is whole samples.
const TAPS: usize = 161;
/// The band of a telephone in Hz (ITU-T G.712).
const BAND: (f32, f32) = (300.0, 3_400.0);

/// The sound as a phone hears it, as a WAV file of 8 kHz.
pub fn as_heard(sound: &Pcm) -> Vec<u8> {
    let narrow = sound.at(8_000);
    let taps = taps();
    let middle = TAPS / 2;
    let samples = narrow.samples();
    let filtered: Vec<i16> = (0..samples.len())
        .map(|at| {
            let from = at.saturating_sub(middle);
            let until = (at + middle + 1).min(samples.len());
            let sum: f32 = (from..until).map(|i| f32::from(samples[i]) * taps[at + middle - i]).sum();
            sample(sum / 32_767.0)
        })
        .collect();
    let bytes = Codec::Pcmu.encoder().encode(&filtered);
    Pcm::new(8_000, Codec::Pcmu.decoder().decode(&bytes)).to_wav()
}

/// A windowed band pass: the difference of two low passes.
fn taps() -> [f32; TAPS] {
    let low_pass = |cut: f32, x: f32| {
        let turn = 2.0 * PI * cut / 8_000.0;
        if x == 0.0 { turn / PI } else { (turn * x).sin() / (PI * x) }
    };
    std::array::from_fn(|i| {
        let x = i as f32 - (TAPS / 2) as f32;
        let window = 0.54 - 0.46 * (2.0 * PI * i as f32 / (TAPS - 1) as f32).cos();
        (low_pass(BAND.1, x) - low_pass(BAND.0, x)) * window
    })
}
