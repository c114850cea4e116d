//! A route's rate: so many segments a second, evenly, with no more than a tenth of a second in one go.
//! Throttling by the far end halves it; it comes back by a twentieth of the configured rate a second.

use jiff::{SignedDuration, Timestamp};

/// The longest burst after a pause.
const BURST: SignedDuration = SignedDuration::from_millis(100);
/// What is won back in a second, as a share of the configured rate.
const RECOVERY: f64 = 0.05;
/// Throttling within this time of the last slowing-down is about what was sent before it.
const SETTLING: SignedDuration = SignedDuration::from_secs(1);

/// How much may go, on the engine's clock.
#[derive(Debug)]
pub(crate) struct Rate {
    configured: f64,
    per_second: f64,
    allowed: f64,
    at: Timestamp,
    slowed_at: Timestamp,
}

impl Rate {
    pub(crate) fn new(per_second: u32, now: Timestamp) -> Self {
        let configured = f64::from(per_second.max(1));
        let mut rate =
            Self { configured, per_second: configured, allowed: 0.0, at: now, slowed_at: Timestamp::MIN };
        rate.allowed = rate.most();
        rate
    }

    /// From now on at this rate; what was taken stays taken.
    pub(crate) fn configure(&mut self, per_second: u32) {
        let configured = f64::from(per_second.max(1));
        if (configured - self.configured).abs() > f64::EPSILON {
            self.configured = configured;
            self.per_second = configured;
        }
    }

    fn most(&self) -> f64 {
        (self.per_second * BURST.as_secs_f64()).max(1.0)
    }

    /// How many segments may go at `now`.
    pub(crate) fn room(&mut self, now: Timestamp) -> u32 {
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.at = self.at.max(now);
        self.per_second = (self.per_second + passed * self.configured * RECOVERY).min(self.configured);
        self.allowed = (self.allowed + passed * self.per_second).min(self.most());
        self.allowed.max(0.0) as u32
    }

    /// Takes what went. More than there was room for is a debt: long texts count by their segments.
    pub(crate) fn take(&mut self, count: usize) {
        self.allowed -= count as f64;
    }

    /// The far end asked for less.
    pub(crate) fn slow_down(&mut self, now: Timestamp) {
        if self.slowed_at == Timestamp::MIN || now.duration_since(self.slowed_at) >= SETTLING {
            self.slowed_at = now;
            self.per_second = (self.per_second / 2.0).max(1.0);
            self.allowed = self.allowed.min(0.0);
        }
    }

    /// When the next message may go.
    pub(crate) fn next(&self) -> Timestamp {
        self.after(0)
    }

    /// When there is room for one more than `count`, if nothing is taken before.
    pub(crate) fn after(&self, count: u32) -> Timestamp {
        let missing = (f64::from(count) + 1.0 - self.allowed).max(0.0) / self.per_second;
        self.at.saturating_add(SignedDuration::from_secs_f64(missing.max(0.001))).unwrap_or(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_in(rate: &mut Rate, now: &mut Timestamp, seconds: i64) -> u32 {
        let end = *now + SignedDuration::from_secs(seconds);
        let mut sent = 0;
        while *now < end {
            let room = rate.room(*now);
            rate.take(room as usize);
            sent += room;
            *now = rate.next();
        }
        sent
    }

    #[test]
    fn a_minute_lets_through_its_rate_and_no_more() {
        let mut now: Timestamp = "2026-11-24T15:00:00Z".parse().unwrap();
        let mut rate = Rate::new(50, now);
        let sent = sent_in(&mut rate, &mut now, 60);
        assert!((2_995..=3_005).contains(&sent), "{sent}");
    }

    #[test]
    fn throttling_halves_it_once_and_it_comes_back() {
        let mut now: Timestamp = "2026-11-24T15:00:00Z".parse().unwrap();
        let mut rate = Rate::new(100, now);
        for _ in 0..50 {
            rate.slow_down(now);
        }
        let first = sent_in(&mut rate, &mut now, 1);
        assert!((45..=60).contains(&first), "{first}");
        sent_in(&mut rate, &mut now, 10);
        let later = sent_in(&mut rate, &mut now, 1);
        assert!((98..=102).contains(&later), "{later}");
    }
}
