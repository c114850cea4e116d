//! What a person hears while somebody else's phone rings.

use std::f64::consts::TAU;
use std::sync::{Arc, LazyLock};

use crate::audio::{Pcm, Prompt};

const RATE: u32 = 8_000;
/// The pitch in Hz, and the seconds of tone and of silence behind it: what ITU-T E.180 recommends (425 Hz preferred,
/// 0.67 to 1.5 s, 3 to 5 s), which nobody takes for another tone whatever their country's own is.
const PITCH: f64 = 425.0;
const SOUNDS: usize = 1;
const PAUSES: usize = 4;
/// −13 dBFS: well below speech that follows.
const LEVEL: f64 = 7_300.0;

/// One ring and the pause behind it, the same for all calls: encoded once for each codec.
pub fn ringback() -> Arc<Prompt> {
    static RINGBACK: LazyLock<Arc<Prompt>> = LazyLock::new(|| {
        let rate = RATE as usize;
        let tone =
            (0..SOUNDS * rate).map(|at| ((PITCH * TAU * at as f64 / rate as f64).sin() * LEVEL) as i16);
        let samples = tone.chain(std::iter::repeat_n(0, PAUSES * rate)).collect();
        Arc::new(Prompt::new(Pcm::new(RATE, samples)))
    });
    RINGBACK.clone()
}
