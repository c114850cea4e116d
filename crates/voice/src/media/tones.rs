//! Keys as tones in the sound (ITU-T Q.23, Q.24), for far ends that send no telephone events.
//!
//! A key counts where two windows of 20 ms, 10 ms apart, hold it: a tone of 40 ms always makes two, one of 20 ms never.
//! Speech is kept out by what a key is: two frequencies, one of each group, that hold most of the energy.
//!
//! This listens in every call, so it is written for the processor: each half of a window is transformed once for all
//! frequencies together, and two halves make a window. By the filters of Goertzel, one frequency after the other, it took
//! more than all else that is done to a packet.

use std::f32::consts::PI;
use std::sync::LazyLock;

/// The frequencies of keys: the low group, then the high one.
const HERTZ: [f32; 8] = [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0];
const PAD: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// The samples of a window (20 ms at 8 kHz) and of a step.
const WINDOW: usize = 160;
const STEP: usize = 80;
/// The mean square of a share of full scale below which nothing is a key: −45 dBFS.
const FLOOR: f32 = 3.2e-5;
/// The strongest of a group against the sum of its others.
const ABOVE_OTHERS: f32 = 4.0;
/// The share of a window's energy that the two tones hold. Tones 1.5 % off (Q.24) at the high end hold a half of theirs.
const SHARE: f32 = 0.55;
/// The most that one of the tones may be stronger: 10 dB (Q.24 asks for 8 and 4).
const TWIST: f32 = 10.0;
/// Windows with the key until it counts, and without it until it is released.
const HOLDS: u8 = 2;

/// A value for each of the frequencies.
type Each = [f32; 8];

/// The waves of the frequencies over a step, and how far they turn in it.
struct Waves {
    cosine: [Each; STEP],
    sine: [Each; STEP],
    turn: (Each, Each),
}

static WAVES: LazyLock<Waves> = LazyLock::new(|| {
    let at = |sample: usize| HERTZ.map(|hertz| hertz * sample as f32 / 8_000.0 * 2.0 * PI);
    Waves {
        cosine: std::array::from_fn(|sample| at(sample).map(f32::cos)),
        sine: std::array::from_fn(|sample| at(sample).map(f32::sin)),
        turn: (at(STEP).map(f32::cos), at(STEP).map(f32::sin)),
    }
});

/// Half a window: its energy, and what it holds of each frequency, as a complex number.
#[derive(Debug, Clone, Copy, Default)]
struct Half {
    energy: f32,
    real: Each,
    imaginary: Each,
}

impl Half {
    fn of(samples: &[f32; STEP]) -> Self {
        let waves = &*WAVES;
        let mut half = Self::default();
        for (sample, (cosine, sine)) in samples.iter().zip(waves.cosine.iter().zip(&waves.sine)) {
            half.energy += sample * sample;
            half.real.iter_mut().zip(cosine).for_each(|(sum, wave)| *sum += sample * wave);
            half.imaginary.iter_mut().zip(sine).for_each(|(sum, wave)| *sum -= sample * wave);
        }
        half
    }

    /// The squared magnitude of each frequency in the window that this half and the `next` make.
    fn power_with(&self, next: &Self) -> Each {
        let (cosine, sine) = &WAVES.turn;
        std::array::from_fn(|each| {
            let real = self.real[each] + next.real[each] * cosine[each] + next.imaginary[each] * sine[each];
            let imaginary =
                self.imaginary[each] + next.imaginary[each] * cosine[each] - next.real[each] * sine[each];
            real * real + imaginary * imaginary
        })
    }
}

/// Listens for keys in sound of 8 kHz.
#[derive(Debug)]
pub struct Tones {
    /// The samples of the half that is coming in, and how many there are.
    samples: ([f32; STEP], usize),
    /// The half before.
    before: Option<Half>,
    /// What the latest windows held, and how many of them.
    seen: (Option<char>, u8),
    pressed: Option<char>,
}

impl Default for Tones {
    fn default() -> Self {
        Self { samples: ([0.0; STEP], 0), before: None, seen: (None, 0), pressed: None }
    }
}

impl Tones {
    /// Hears more samples; each key that begins goes to `key`.
    pub fn hear(&mut self, mut samples: &[i16], mut key: impl FnMut(char)) {
        while !samples.is_empty() {
            let (half, count) = &mut self.samples;
            let (now, rest) = samples.split_at(samples.len().min(STEP - *count));
            for (to, sample) in half[*count..].iter_mut().zip(now) {
                *to = f32::from(*sample) / 32_768.0;
            }
            *count += now.len();
            samples = rest;
            if *count < STEP {
                return;
            }
            *count = 0;
            let half = Half::of(half);
            let Some(before) = self.before.replace(half) else { continue };
            let held = key_of(&before, &half);
            self.seen = if held == self.seen.0 { (held, self.seen.1.saturating_add(1)) } else { (held, 1) };
            if self.seen.1 == HOLDS && self.pressed != held {
                self.pressed = held;
                if let Some(pressed) = held {
                    key(pressed);
                }
            }
        }
    }
}

/// The key that a window of two halves holds.
fn key_of(first: &Half, second: &Half) -> Option<char> {
    let energy = first.energy + second.energy;
    if energy / (WINDOW as f32) < FLOOR {
        return None;
    }
    let power = first.power_with(second);
    let (low, high) = power.split_at(HERTZ.len() / 2);
    let ((row, low), (column, high)) = (strongest(low)?, strongest(high)?);
    // A tone of amplitude A has a squared magnitude of (A·N/2)² and an energy of A²·N/2.
    let held = (low + high) * 2.0 / WINDOW as f32;
    let even = low < high * TWIST && high < low * TWIST;
    (even && held > energy * SHARE).then(|| PAD[row][column])
}

/// The strongest of a group and its power, where it stands out from the others.
fn strongest(powers: &[f32]) -> Option<(usize, f32)> {
    let (best, power) = powers.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let others: f32 = powers.iter().sum::<f32>() - power;
    (power > others * ABOVE_OTHERS).then_some((best, power))
}

/// The samples of a key's tone at `rate`, from sample `from` on: −9 dBFS each, 2 dB more on the high group.
pub fn tone(key: char, rate: u32, from: usize, samples: usize) -> Vec<i16> {
    let place =
        PAD.iter().enumerate().find_map(|(row, keys)| Some((row, keys.iter().position(|k| *k == key)?)));
    let Some((row, column)) = place else { return vec![0; samples] };
    let wave = |hertz: f32, at: usize| {
        // The phase in double precision: a tone may begin anywhere in a long call.
        let turns = f64::from(hertz) * at as f64 / f64::from(rate);
        (turns.fract() as f32 * 2.0 * PI).sin()
    };
    (from..from + samples)
        .map(|at| (wave(HERTZ[row], at) * 9_000.0 + wave(HERTZ[4 + column], at) * 11_300.0) as i16)
        .collect()
}
