//! What a route has carried lately, and what its carrier has refused, since this process began.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::{Attempt, CallEnd, Refusal};

/// The period that the throughput is measured over, in seconds.
const SECONDS: i64 = 10;

/// What the carrier answered with one command status.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The status in words.
    pub words: String,
    /// What the status is blamed on.
    pub kind: Refusal,
    /// How often the carrier answered with it.
    pub count: u64,
    /// When the carrier last answered with it.
    pub last: Timestamp,
}

/// The traffic of one route.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Messages that the carrier accepted, by second.
    pub(crate) accepted: VecDeque<(i64, u32)>,
    /// What the carrier refused, by command status.
    pub refused: BTreeMap<u32, Refused>,
    /// Messages claimed for the route whose answer is not stored yet.
    pub open: u32,
}

impl Traffic {
    pub(crate) fn note(&mut self, attempt: &Attempt, now: Timestamp) {
        match attempt {
            Attempt::Accepted { .. } => {
                let second = now.as_second();
                match self.accepted.back_mut() {
                    Some((last, count)) if *last == second => *count += 1,
                    _ => self.accepted.push_back((second, 1)),
                }
                while self.accepted.front().is_some_and(|(at, _)| *at <= second - SECONDS) {
                    self.accepted.pop_front();
                }
            }
            Attempt::Refused { kind, status, words } => {
                let refused = self.refused.entry(*status).or_insert_with(|| Refused {
                    words: words.clone(),
                    kind: *kind,
                    count: 0,
                    last: now,
                });
                refused.count += 1;
                refused.last = now;
            }
            Attempt::OptedOut | Attempt::Lost { .. } => {}
        }
    }

    /// Takes note of a call.
    pub(crate) fn note_call(&mut self, end: &CallEnd, code: Option<u16>, words: &str, now: Timestamp) {
        match end {
            CallEnd::Came(_) => self.note(&Attempt::Accepted { provider_ids: Vec::new() }, now),
            CallEnd::Trunk { .. } => {
                let status = u32::from(code.unwrap_or_default());
                let words = words.to_owned();
                self.note(&Attempt::Refused { kind: Refusal::Route, status, words }, now);
            }
            CallEnd::Withdrawn | CallEnd::OptedOut | CallEnd::NoSpeech(_) | CallEnd::NotBegun(_) => {}
        }
    }

    /// Messages a second that the carrier accepted over the ten seconds before `now`.
    pub fn per_second(&self, now: Timestamp) -> f64 {
        let since = now.as_second() - SECONDS;
        let accepted = self.accepted.iter().filter(|(at, _)| *at >= since).map(|(_, count)| *count);
        f64::from(accepted.sum::<u32>()) / SECONDS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_of_the_last_ten_seconds_and_refusals_are_counted_by_status() {
        let begin: Timestamp = "2026-11-24T15:00:00Z".parse().unwrap();
        let at = |second: i64| begin + jiff::SignedDuration::from_secs(second);
        let mut traffic = Traffic::default();
        for second in 0..20 {
            for _ in 0..5 {
                traffic.note(&Attempt::Accepted { provider_ids: Vec::new() }, at(second));
            }
        }
        assert!((traffic.per_second(at(20)) - 5.0).abs() < 1e-9, "{}", traffic.per_second(at(20)));
        assert!(traffic.per_second(at(40)).abs() < 1e-9);
        for _ in 0..3 {
            let refused = Attempt::Refused { kind: Refusal::Throttled, status: 88, words: "too fast".into() };
            traffic.note(&refused, at(21));
        }
        assert_eq!((traffic.refused[&88].count, traffic.refused[&88].last), (3, at(21)));
    }
}
