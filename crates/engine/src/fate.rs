//! What an attempt means for its delivery: settled, to be tried again and when, or set aside.

use campaign::{Outcome, SkipReason};
use jiff::{SignedDuration, Timestamp};
use store::{Fate, Tries};

use crate::{Attempt, Refusal, refusal::Verdict};

/// The first wait after throttling; it doubles with each attempt.
const FIRST_BACKOFF: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_BACKOFF: SignedDuration = SignedDuration::from_mins(5);

/// The fate of a message after an attempt; `tries` counts the attempts. A refusal that may be due to the recipient or
/// to the route is `judge`d.
pub(crate) fn of(
    attempt: Attempt,
    tries: &mut Tries,
    now: Timestamp,
    judge: impl FnOnce(Refusal, &str, &mut Tries) -> Verdict,
) -> Fate {
    let settled = |outcome, code, detail, provider_ids: Vec<String>| {
        let parts = provider_ids.len().max(1) as u32;
        Fate::Final { outcome, reason: None, code, detail, provider_ids, parts }
    };
    let before = tries.attempts;
    if !matches!(attempt, Attempt::OptedOut) {
        tries.attempts += 1;
    }
    match attempt {
        Attempt::Accepted { provider_ids } => settled(Outcome::Sent, None, None, provider_ids),
        Attempt::OptedOut => Fate::settled(Outcome::Skipped, Some(SkipReason::OptedOut), None, None),
        Attempt::Lost { words } => settled(Outcome::InDoubt, None, Some(words), Vec::new()),
        Attempt::Refused { kind: Refusal::Recipient, status, words } => {
            settled(Outcome::Failed, Some(status), Some(words), Vec::new())
        }
        // However long it takes: throttling is never the recipient's fault.
        Attempt::Refused { kind: Refusal::Throttled, words, .. } => {
            let wait = (FIRST_BACKOFF * 2_i32.saturating_pow(before.min(16))).min(LONGEST_BACKOFF);
            Fate::Again { due_at: now.saturating_add(wait).unwrap_or(now), detail: words, otherwise: None }
        }
        Attempt::Refused { kind, status, words } => match judge(kind, &words, tries) {
            Verdict::Failed => settled(Outcome::Failed, Some(status), Some(words), Vec::new()),
            Verdict::AskAgain(due_at) | Verdict::Later(due_at) => {
                Fate::Again { due_at, detail: words, otherwise: None }
            }
            Verdict::Parked => Fate::Parked { tried: true, detail: words },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_waits_longer_each_time_and_uses_nobody_up() {
        let now: Timestamp = "2026-11-24T15:00:00Z".parse().unwrap();
        let mut tries = Tries::default();
        let mut waits = Vec::new();
        for _ in 0..1_000 {
            let throttled =
                Attempt::Refused { kind: Refusal::Throttled, status: 0x58, words: "throttled".into() };
            let fate = of(throttled, &mut tries, now, |_, _, _| Verdict::Failed);
            let Fate::Again { due_at, .. } = fate else { panic!("{fate:?}") };
            waits.push(due_at.duration_since(now).as_secs());
        }
        assert_eq!(waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!(waits[10..].iter().all(|wait| *wait == 300));
        assert_eq!(tries, Tries { attempts: 1_000, refusals: 0, refused_at: None });
    }
}
