//! A route's rate: so many messages a second, evenly, with no more than a tenth of a second in one go.

use jiff::{SignedDuration, Timestamp};

/// The longest burst after a pause.
const BURST: SignedDuration = SignedDuration::from_millis(100);

/// How much may go, on the engine's clock.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    allowed: f64,
    at: Timestamp,
}

impl Rate {
    pub(crate) fn new(per_second: u32, now: Timestamp) -> Self {
        let mut rate = Self { per_second: f64::from(per_second.max(1)), allowed: 0.0, at: now };
        rate.allowed = rate.most();
        rate
    }

    fn most(&self) -> f64 {
        (self.per_second * BURST.as_secs_f64()).max(1.0)
    }

    /// How many messages may go at `now`.
    pub(crate) fn room(&mut self, now: Timestamp) -> u32 {
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.at = self.at.max(now);
        self.allowed = (self.allowed + passed * self.per_second).min(self.most());
        self.allowed.max(0.0) as u32
    }

    /// Takes what went.
    pub(crate) fn take(&mut self, count: usize) {
        self.allowed -= count as f64;
    }

    /// When the next message may go.
    pub(crate) fn next(&self) -> Timestamp {
        let missing = (1.0 - self.allowed).max(0.0) / self.per_second;
        self.at.saturating_add(SignedDuration::from_secs_f64(missing.max(0.001))).unwrap_or(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_lets_through_its_rate_and_no_more() {
        let mut now: Timestamp = "2026-11-24T15:00:00Z".parse().unwrap();
        let mut rate = Rate::new(50, now);
        let end = now + SignedDuration::from_mins(1);
        let mut sent = 0;
        while now < end {
            let room = rate.room(now);
            rate.take(room as usize);
            sent += room;
            now = rate.next();
        }
        assert!((2_995..=3_005).contains(&sent), "{sent}");
    }
}
