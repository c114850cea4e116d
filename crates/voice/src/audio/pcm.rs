//! Mono samples at a known rate, and their form as a WAV file.

use std::time::Duration;

use crate::audio::resample::Resampler;

/// Mono sound of 16 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pcm {
    rate: u32,
    samples: Vec<i16>,
}

impl Pcm {
    /// Sound of `rate` samples a second.
    pub fn new(rate: u32, samples: Vec<i16>) -> Self {
        Self { rate: rate.max(1), samples }
    }

    /// The samples a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// The samples.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// How long it sounds.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.rate))
    }

    /// The same sound at `rate` samples a second. Rates that no resampler relates leave it silent.
    #[must_use]
    pub fn at(&self, rate: u32) -> Self {
        if rate == self.rate {
            return self.clone();
        }
        let Ok(mut resampler) = Resampler::new(self.rate, rate) else { return Self::new(rate, Vec::new()) };
        let mut floats = Vec::with_capacity(4096);
        for part in self.samples.chunks(4096) {
            floats.clear();
            floats.extend(part.iter().map(|&sample| f32::from(sample) / 32_768.0));
            resampler.push(&floats);
        }
        Self::new(rate, resampler.finish())
    }

    /// The sound as a WAV file (16 bits, one channel).
    pub fn to_wav(&self) -> Vec<u8> {
        let bytes = self.samples.len() as u32 * 2;
        let mut wav = Vec::with_capacity(44 + bytes as usize);
        wav.extend_from_slice(b"RIFF");
        wav.extend_from_slice(&(36 + bytes).to_le_bytes());
        wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        wav.extend_from_slice(&self.rate.to_le_bytes());
        wav.extend_from_slice(&(self.rate * 2).to_le_bytes());
        wav.extend_from_slice(b"\x02\0\x10\0data");
        wav.extend_from_slice(&bytes.to_le_bytes());
        for sample in &self.samples {
            wav.extend_from_slice(&sample.to_le_bytes());
        }
        wav
    }
}

/// A sample from its share of full scale, clipped.
pub(crate) fn sample(share: f32) -> i16 {
    (share * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16
}
