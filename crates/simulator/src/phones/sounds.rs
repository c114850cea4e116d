//! What simulated people and machines say: no words, but with the rhythm, pitch and pauses of speech, and beeps as
//! machines give them.

use std::{f64::consts::TAU, time::Duration};

use rand::{Rng as _, rngs::StdRng};
use voice::audio::Pcm;

/// Of telephones.
const RATE: u32 = 8_000;
/// How loud a vowel is at its loudest, of 32,767.
const LOUDNESS: f64 = 9_000.0;
/// The silence between two syllables.
const BETWEEN: Duration = Duration::from_millis(50);
/// A machine's beep: Hz, and how long.
const BEEP: (f64, Duration) = (1_000.0, Duration::from_millis(400));

fn samples(time: Duration) -> usize {
    (time.as_secs_f64() * f64::from(RATE)) as usize
}

/// One syllable: a voice's harmonics, the louder the nearer they are to two formants, swelling and fading.
fn syllable(rng: &mut StdRng, pitch: f64, into: &mut Vec<i16>) {
    let length = samples(Duration::from_millis(rng.random_range(120..260)));
    let formants = [rng.random_range(300.0..800.0), rng.random_range(900.0..2_300.0)];
    let near = |hz: f64| formants.iter().map(|f| (-((hz - f) / 180.0).powi(2)).exp()).sum::<f64>() + 0.02;
    let harmonics: Vec<(f64, f64)> = (1..24).map(|n| pitch * f64::from(n)).map(|hz| (hz, near(hz))).collect();
    let most: f64 = harmonics.iter().map(|(_, loud)| loud).sum();
    into.extend((0..length).map(|at| {
        let swell = (at as f64 / length as f64 * std::f64::consts::PI).sin();
        let seconds = at as f64 / f64::from(RATE);
        let sum: f64 = harmonics.iter().map(|(hz, loud)| loud * (TAU * hz * seconds).sin()).sum();
        (sum / most * swell * LOUDNESS) as i16
    }));
    into.extend(std::iter::repeat_n(0, samples(BETWEEN)));
}

fn speech(rng: &mut StdRng, syllables: usize) -> Pcm {
    let pitch = rng.random_range(95.0..220.0);
    let mut said = Vec::new();
    for _ in 0..syllables {
        let pitch = pitch * rng.random_range(0.9..1.1);
        syllable(rng, pitch, &mut said);
    }
    Pcm::new(RATE, said)
}

/// What a person says on picking up: a word or two.
pub(super) fn word(rng: &mut StdRng) -> Pcm {
    let syllables = rng.random_range(2..5);
    speech(rng, syllables)
}

/// What a machine says before its beep: some five to ten seconds.
pub(super) fn greeting(rng: &mut StdRng) -> Pcm {
    let syllables = rng.random_range(22..40);
    speech(rng, syllables)
}

/// The beep after which a machine records.
pub(super) fn beep() -> Pcm {
    let (hz, length) = BEEP;
    let tone = |at: usize| ((at as f64 / f64::from(RATE) * hz * TAU).sin() * LOUDNESS) as i16;
    Pcm::new(RATE, (0..samples(length)).map(tone).collect())
}
