//! What an attempt means for the delivery: settled, or to be tried again and when.

use campaign::{Outcome, SkipReason};
use jiff::{SignedDuration, Timestamp};
use store::Fate;

use crate::{Attempt, Refusal};

/// First wait after throttling; doubles with each attempt.
const FIRST_BACKOFF: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_BACKOFF: SignedDuration = SignedDuration::from_mins(5);
/// After so many throttled attempts (about an hour) it has failed.
const MOST_ATTEMPTS: u32 = 20;

/// The fate of a message after an attempt, and how many attempts count from now on.
pub(crate) fn of(attempt: Attempt, before: u32, now: Timestamp) -> (Fate, u32) {
    let settled = |outcome, code, detail, provider_ids: Vec<String>| {
        let parts = provider_ids.len().max(1) as u32;
        Fate::Final { outcome, reason: None, code, detail, provider_ids, parts }
    };
    match attempt {
        Attempt::Accepted { provider_ids } => (settled(Outcome::Sent, None, None, provider_ids), before + 1),
        Attempt::OptedOut => (
            Fate::Final {
                outcome: Outcome::Skipped,
                reason: Some(SkipReason::OptedOut),
                code: None,
                detail: None,
                provider_ids: Vec::new(),
                parts: 0,
            },
            before,
        ),
        Attempt::Lost { words } => (settled(Outcome::InDoubt, None, Some(words), Vec::new()), before + 1),
        Attempt::Refused { kind: Refusal::Recipient, status, words } => {
            (settled(Outcome::Failed, Some(status), Some(words), Vec::new()), before + 1)
        }
        Attempt::Refused { kind: Refusal::Throttled, status, words } if before + 1 >= MOST_ATTEMPTS => {
            (settled(Outcome::Failed, Some(status), Some(words), Vec::new()), before + 1)
        }
        Attempt::Refused { kind: Refusal::Throttled, words, .. } => {
            let wait = (FIRST_BACKOFF * 2_i32.saturating_pow(before.min(16))).min(LONGEST_BACKOFF);
            (Fate::Again { due_at: now.saturating_add(wait).unwrap_or(now), detail: words }, before + 1)
        }
        // Nothing counted: a wrong sender id never burns an audience.
        Attempt::Refused { kind: Refusal::Route, words, .. } => {
            (Fate::Again { due_at: now, detail: words }, before)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_waits_longer_each_time_and_ends() {
        let now: Timestamp = "2026-11-24T15:00:00Z".parse().unwrap();
        let throttled =
            || Attempt::Refused { kind: Refusal::Throttled, status: 0x58, words: "throttled".into() };
        let mut waits = Vec::new();
        let mut attempts = 0;
        loop {
            let (fate, counted) = of(throttled(), attempts, now);
            attempts = counted;
            match fate {
                Fate::Again { due_at, .. } => waits.push(due_at.duration_since(now).as_secs()),
                Fate::Final { outcome, code, .. } => {
                    assert_eq!((outcome, code), (Outcome::Failed, Some(0x58)));
                    break;
                }
            }
        }
        assert_eq!(waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(waits.len(), 19);
    }
}
