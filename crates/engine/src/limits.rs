//! Limits: how much may go, by key. A rate is a number of units a second, spread evenly, with no more than a tenth of a
//! second's worth in one go; a concurrency is a number of units at once. Both have one answer: what is granted now, and
//! when there is more.
//!
//! Knows nothing of messages, and reads no clock. A clock that is set back costs what was gained since, never more:
//! time that has not passed grants nothing, and no grant waits for a time from before the step.

use std::{collections::HashMap, hash::Hash};

use jiff::{SignedDuration, Timestamp};

/// The longest burst after a pause.
const BURST: SignedDuration = SignedDuration::from_millis(100);
/// The share of the configured rate that is regained each second after throttling.
const RECOVERY: f64 = 0.05;
/// Throttling within this time of the last slow-down concerns what was sent before it.
const SETTLING: SignedDuration = SignedDuration::from_secs(1);
/// The shortest wait that is worth a turn, in seconds: each turn is a commit, and what a fast rate gains in this time goes
/// with it.
const SHORTEST_WAIT: f64 = 0.01;

/// The limits of a key; a part that is not given does not bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Units a second; at least 1.
    pub(crate) per_second: Option<u32>,
    /// Units at once.
    pub(crate) at_once: Option<u32>,
}

/// The room that a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Units that may go now.
    pub(crate) granted: u32,
    /// When the rate has room for one unit more than is granted; none where the rate is not what is short: results then
    /// make room, and report it.
    pub(crate) next: Option<Timestamp>,
}

impl Grant {
    /// Where nothing binds.
    const ANY: Self = Self { granted: u32::MAX, next: None };

    /// The room that both leave.
    fn and(self, other: Self) -> Self {
        if self.granted < other.granted { self } else { other }
    }
}

#[derive(Debug, Clone)]
struct Kept {
    rate: Option<Rate>,
    at_once: Option<u32>,
    /// Units under way.
    under_way: u32,
}

/// The limits of all keys.
#[derive(Debug, Clone)]
pub(crate) struct Limits<K>(HashMap<K, Kept>);

impl<K> Default for Limits<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Limits<K> {
    /// Limits a key from `now` on. Units already taken stay taken.
    pub(crate) fn set(&mut self, key: K, limit: Limit, now: Timestamp) {
        let kept = self.0.entry(key).or_insert(Kept { rate: None, at_once: None, under_way: 0 });
        kept.at_once = limit.at_once;
        kept.rate = match (kept.rate.take(), limit.per_second) {
            (_, None) => None,
            (Some(rate), Some(per_second)) => Some(rate.configured(per_second)),
            (None, Some(per_second)) => Some(Rate::new(per_second, now)),
        };
    }

    /// Brings all rates up to `now`, at the beginning of a turn.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        for rate in self.0.values_mut().filter_map(|kept| kept.rate.as_mut()) {
            *rate = rate.at(now);
        }
    }

    /// The room of a key at `now`; a key without a limit is not bound.
    pub(crate) fn room(&self, key: &K, now: Timestamp) -> Grant {
        let Some(kept) = self.0.get(key) else { return Grant::ANY };
        let rate = kept.rate.as_ref().map_or(Grant::ANY, |rate| rate.room(now));
        let at_once = kept
            .at_once
            .map_or(Grant::ANY, |most| Grant { granted: most.saturating_sub(kept.under_way), next: None });
        // Where both are short, results are what to wait for.
        at_once.and(rate)
    }

    /// Takes `units` from the rate. Taking more than there was room for leaves a debt.
    pub(crate) fn take(&mut self, key: &K, units: u32, now: Timestamp) {
        if let Some(rate) = self.0.get_mut(key).and_then(|kept| kept.rate.as_mut()) {
            rate.take(units, now);
        }
    }

    /// Sets how many units of a key are under way.
    pub(crate) fn under_way(&mut self, key: &K, units: u32) {
        if let Some(kept) = self.0.get_mut(key) {
            kept.under_way = units;
        }
    }

    /// Halves the rate because the far end asked for less; a twentieth of the configured rate comes back each second.
    pub(crate) fn slow_down(&mut self, key: &K, now: Timestamp) {
        if let Some(rate) = self.0.get_mut(key).and_then(|kept| kept.rate.as_mut()) {
            rate.slow_down(now);
        }
    }

    /// Keeps the keys that `keep` says.
    pub(crate) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.0.retain(|key, _| keep(key));
    }

    /// Forgets a key.
    pub(crate) fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }
}

#[derive(Debug, Clone)]
struct Rate {
    configured: f64,
    per_second: f64,
    allowed: f64,
    at: Timestamp,
    slowed_at: Option<Timestamp>,
}

impl Rate {
    fn new(per_second: u32, now: Timestamp) -> Self {
        let configured = f64::from(per_second.max(1));
        let mut rate = Self { configured, per_second: configured, allowed: 0.0, at: now, slowed_at: None };
        rate.allowed = rate.burst();
        rate
    }

    fn configured(mut self, per_second: u32) -> Self {
        let configured = f64::from(per_second.max(1));
        if (configured - self.configured).abs() > f64::EPSILON {
            self.configured = configured;
            self.per_second = configured;
        }
        self
    }

    fn burst(&self) -> f64 {
        (self.per_second * BURST.as_secs_f64()).max(1.0)
    }

    /// The rate as it is at `now`.
    fn at(&self, now: Timestamp) -> Self {
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        let mut rate = self.clone();
        // A clock that was set back is followed: the rate gains from here on.
        rate.at = now;
        rate.per_second = (rate.per_second + passed * rate.configured * RECOVERY).min(rate.configured);
        rate.allowed = (rate.allowed + passed * rate.per_second).min(rate.burst());
        rate
    }

    fn room(&self, now: Timestamp) -> Grant {
        let rate = self.at(now);
        let granted = rate.allowed.max(0.0) as u32;
        let missing = (f64::from(granted) + 1.0 - rate.allowed).max(0.0) / rate.per_second;
        let wait = SignedDuration::from_secs_f64(missing.max(SHORTEST_WAIT));
        Grant { granted, next: Some(now.saturating_add(wait).unwrap_or(now)) }
    }

    fn take(&mut self, units: u32, now: Timestamp) {
        *self = self.at(now);
        self.allowed -= f64::from(units);
    }

    fn slow_down(&mut self, now: Timestamp) {
        let settling = |at: Timestamp| (SignedDuration::ZERO..SETTLING).contains(&now.duration_since(at));
        if !self.slowed_at.is_some_and(settling) {
            *self = self.at(now);
            self.slowed_at = Some(now);
            self.per_second = (self.per_second / 2.0).max(1.0);
            self.allowed = self.allowed.min(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin() -> Timestamp {
        "2026-11-24T15:00:00Z".parse().unwrap()
    }

    fn limits(per_second: Option<u32>, at_once: Option<u32>) -> Limits<u8> {
        let mut limits = Limits::default();
        limits.set(1, Limit { per_second, at_once }, begin());
        limits
    }

    /// Counts the units that go in this many seconds, waking whenever a grant says so.
    fn sent_in(limits: &mut Limits<u8>, now: &mut Timestamp, seconds: i64) -> u32 {
        let end = *now + SignedDuration::from_secs(seconds);
        let mut sent = 0;
        while *now < end {
            limits.advance(*now);
            let room = limits.room(&1, *now);
            limits.take(&1, room.granted, *now);
            sent += room.granted;
            *now = limits.room(&1, *now).next.unwrap();
        }
        sent
    }

    #[test]
    fn a_minute_lets_through_its_rate_and_no_more() {
        for rate in [1, 7, 50, 10_000] {
            let (mut limits, mut now) = (limits(Some(rate), None), begin());
            let sent = sent_in(&mut limits, &mut now, 60);
            let (least, most) = (rate * 60 - rate.div_ceil(10), rate * 60 + rate.div_ceil(10) + 2);
            assert!((least..=most).contains(&sent), "{rate}: {sent}");
        }
    }

    #[test]
    fn a_clock_that_is_set_changes_the_rate_by_no_more_than_a_burst() {
        for step in [-3_600, -60, -1, 1, 60, 3_600] {
            let (mut limits, mut now) = (limits(Some(100), None), begin());
            let first = sent_in(&mut limits, &mut now, 10);
            now += SignedDuration::from_secs(step);
            let second = sent_in(&mut limits, &mut now, 10);
            assert!((first + second).abs_diff(2_000) <= 25, "{step} s: {first} and {second}");
        }
    }

    #[test]
    fn throttling_halves_it_once_and_it_comes_back() {
        let (mut limits, mut now) = (limits(Some(100), None), begin());
        for _ in 0..50 {
            limits.slow_down(&1, now);
        }
        let first = sent_in(&mut limits, &mut now, 1);
        assert!((45..=60).contains(&first), "{first}");
        sent_in(&mut limits, &mut now, 10);
        let later = sent_in(&mut limits, &mut now, 1);
        assert!((98..=102).contains(&later), "{later}");
    }

    #[test]
    fn what_is_under_way_leaves_no_room_and_is_not_waited_for_by_time() {
        let wait = |ms: i64| Some(begin() + SignedDuration::from_millis(ms));
        // (rate, at once, under way) -> granted, next.
        let table = [
            ((None, None, 9), (u32::MAX, None)),
            ((None, Some(5), 3), (2, None)),
            ((None, Some(5), 9), (0, None)),
            ((Some(100), None, 0), (10, wait(10))),
            ((Some(100), Some(4), 0), (4, None)),
            ((Some(100), Some(400), 0), (10, wait(10))),
            ((Some(1), Some(400), 0), (1, wait(1_000))),
        ];
        for ((rate, at_once, under_way), (granted, next)) in table {
            let mut limits = limits(rate, at_once);
            limits.under_way(&1, under_way);
            let room = limits.room(&1, begin());
            assert_eq!(room, Grant { granted, next }, "{rate:?} {at_once:?} {under_way}");
        }
        assert_eq!(Limits::<u8>::default().room(&1, begin()), Grant::ANY);
    }

    #[test]
    fn a_long_text_is_a_debt_and_a_changed_rate_keeps_it() {
        let mut limits = limits(Some(10), None);
        limits.take(&1, 21, begin());
        assert_eq!(limits.room(&1, begin()).granted, 0);
        assert_eq!(limits.room(&1, begin()).next, Some(begin() + SignedDuration::from_millis(2_100)));
        limits.set(1, Limit { per_second: Some(100), at_once: None }, begin());
        assert_eq!(limits.room(&1, begin()).next, Some(begin() + SignedDuration::from_millis(210)));
    }
}
