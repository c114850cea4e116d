//! Brings a stream of samples from one rate to another, a part at a time.

use rubato::{FftFixedIn, Resampler as _};

use crate::audio::pcm::sample;

/// The samples that go through the resampler at once.
const PART: usize = 1024;
/// The parts of silence at the end that may give nothing: more than a block of a second at 192 kHz.
const MOST_IDLE: u32 = 256;

/// A resampler of one channel that keeps what has come out.
pub(crate) struct Resampler {
    inner: Option<FftFixedIn<f32>>,
    waiting: Vec<f32>,
    done: Vec<i16>,
    /// The samples that came in.
    taken: u64,
    from: u32,
    to: u32,
}

impl Resampler {
    pub(crate) fn new(from: u32, to: u32) -> Result<Self, rubato::ResamplerConstructionError> {
        let inner =
            (from != to).then(|| FftFixedIn::new(from as usize, to as usize, PART, 1, 1)).transpose()?;
        Ok(Self { inner, waiting: Vec::new(), done: Vec::new(), taken: 0, from, to })
    }

    pub(crate) fn push(&mut self, samples: &[f32]) {
        self.taken += samples.len() as u64;
        let Some(inner) = &mut self.inner else {
            self.done.extend(samples.iter().map(|&share| sample(share)));
            return;
        };
        self.waiting.extend_from_slice(samples);
        let mut at = 0;
        while self.waiting.len() - at >= inner.input_frames_next() {
            let until = at + inner.input_frames_next();
            if let Ok(out) = inner.process(&[&self.waiting[at..until]], None) {
                self.done.extend(out.iter().flatten().map(|&share| sample(share)));
            }
            at = until;
        }
        self.waiting.drain(..at);
    }

    /// All samples: as many as the input lasts, without the resampler's own delay.
    pub(crate) fn finish(mut self) -> Vec<i16> {
        let Some(mut inner) = self.inner.take() else { return self.done };
        let wanted = (self.taken * u64::from(self.to)).div_ceil(u64::from(self.from)) as usize;
        let delay = inner.output_delay();
        let mut idle = 0;
        let mut rest = Some(std::mem::take(&mut self.waiting));
        while self.done.len() < wanted + delay {
            let part = rest.take().filter(|rest| !rest.is_empty());
            let part = part.as_ref().map(|part| [part.as_slice()]);
            let Ok(out) = inner.process_partial(part.as_ref().map(<[_; 1]>::as_slice), None) else { break };
            // Rates without a common divisor are worked on in blocks of a second: many parts give nothing.
            idle = if out.iter().all(Vec::is_empty) { idle + 1 } else { 0 };
            if idle > MOST_IDLE {
                break;
            }
            self.done.extend(out.iter().flatten().map(|&share| sample(share)));
        }
        self.done.drain(..delay.min(self.done.len()));
        self.done.truncate(wanted);
        self.done
    }
}
