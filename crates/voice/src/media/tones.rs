//! Keys as tones in the sound (ITU-T Q.23, Q.24), for far ends that send no telephone events.
//!
//! A key counts where two windows of 20 ms, 10 ms apart, hold it: a tone of 40 ms always makes two, one of 20 ms never.
//! Speech is kept out by what a key is: two frequencies, one of each group, that hold most of the energy.

use std::f32::consts::PI;
use std::sync::LazyLock;

use goertzel_nostd::Parameters;

const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
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

static GROUPS: LazyLock<[[Parameters; 4]; 2]> =
    LazyLock::new(|| [LOW, HIGH].map(|group| group.map(|hertz| Parameters::new(hertz, 8_000, WINDOW))));

/// Listens for keys in sound of 8 kHz.
#[derive(Debug)]
pub struct Tones {
    window: Vec<f32>,
    /// What the latest windows held, and how many of them.
    seen: (Option<char>, u8),
    pressed: Option<char>,
}

impl Default for Tones {
    fn default() -> Self {
        Self { window: Vec::with_capacity(WINDOW), seen: (None, 0), pressed: None }
    }
}

impl Tones {
    /// Hears more samples; each key that begins goes to `key`.
    pub fn hear(&mut self, samples: impl IntoIterator<Item = i16>, mut key: impl FnMut(char)) {
        for sample in samples {
            self.window.push(f32::from(sample) / 32_768.0);
            if self.window.len() < WINDOW {
                continue;
            }
            let held = key_of(&self.window);
            self.window.drain(..STEP);
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

/// The key that a window holds.
fn key_of(window: &[f32]) -> Option<char> {
    let energy: f32 = window.iter().map(|share| share * share).sum();
    if energy / (WINDOW as f32) < FLOOR {
        return None;
    }
    let (row, low) = strongest(&GROUPS[0], window)?;
    let (column, high) = strongest(&GROUPS[1], window)?;
    // A tone of amplitude A has a squared magnitude of (A·N/2)² and an energy of A²·N/2.
    let held = (low + high) * 2.0 / WINDOW as f32;
    let even = low < high * TWIST && high < low * TWIST;
    (even && held > energy * SHARE).then(|| PAD[row][column])
}

fn strongest(group: &[Parameters; 4], window: &[f32]) -> Option<(usize, f32)> {
    let powers = group.map(|tone| tone.mag_squared(window));
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
        .map(|at| (wave(LOW[row], at) * 9_000.0 + wave(HIGH[column], at) * 11_300.0) as i16)
        .collect()
}
