//! How late frames leave: counters that threads add to and anyone reads, at no cost to a frame.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The width of one counter, in microseconds, and how many there are: up to 50 ms; the last holds all beyond.
const WIDTH: u64 = 250;
const COUNTERS: usize = 201;

/// A histogram of lateness.
#[derive(Debug)]
pub struct Lateness {
    counters: Box<[AtomicU64]>,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl<'a> std::iter::Sum<&'a Self> for Lateness {
    fn sum<I: Iterator<Item = &'a Self>>(each: I) -> Self {
        let all = Self::default();
        for one in each {
            for (sum, counter) in all.counters.iter().zip(&one.counters) {
                sum.fetch_add(counter.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        all
    }
}

impl Lateness {
    /// Counts a frame that left this late.
    pub(crate) fn add(&self, late: Duration) {
        let counter = (late.as_micros() as u64 / WIDTH).min(COUNTERS as u64 - 1) as usize;
        self.counters[counter].fetch_add(1, Ordering::Relaxed);
    }

    /// The frames that were sent.
    pub fn frames(&self) -> u64 {
        self.counters.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    /// The lateness that a share of the frames (0.5, 0.99) did not exceed, to a quarter of a millisecond; 50 ms stands for all beyond.
    /// Nothing where no frame was sent.
    pub fn share(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u64> = self.counters.iter().map(|counter| counter.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let wanted = ((all as f64 * share).ceil() as u64).max(1);
        let mut sum = 0;
        let at = counts.iter().position(|count| {
            sum += count;
            sum >= wanted
        })?;
        (all > 0).then(|| Duration::from_micros((at as u64 + 1).min(COUNTERS as u64 - 1) * WIDTH))
    }
}
