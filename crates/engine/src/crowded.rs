//! Trunks at their limit: a trunk that is given too many calls answers some of them as busy or congested, which looks as
//! if people were. What tells is a share of such answers that jumps above what is usual on the trunk.

use std::collections::VecDeque;

/// How many of the last answers are looked at.
const RECENT: usize = 50;
/// How many answers before them tell what is usual.
const KNOWN: u32 = 50;
/// The least share that is a jump, however rare such answers are otherwise.
const LEAST: f64 = 0.2;
/// How many times the usual share is a jump.
const JUMP: f64 = 3.0;

/// The answers of one trunk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers {
    /// The last ones: whether each was busy or congested.
    recent: VecDeque<bool>,
    /// Those before, and how many of them were.
    before: (u32, u32),
    crowded: bool,
    /// Answers since the trunk was last found at its limit.
    since: usize,
}

impl Answers {
    /// Takes note of an answer. Returns whether the trunk is to be given calls more slowly from here.
    pub(crate) fn came(&mut self, busy: bool) -> bool {
        self.recent.push_back(busy);
        if self.recent.len() <= RECENT {
            return false;
        }
        let oldest = self.recent.pop_front().unwrap_or_default();
        // While it is at its limit, it does not tell what is usual.
        if !self.crowded {
            self.before.0 = self.before.0.saturating_add(1);
            self.before.1 = self.before.1.saturating_add(u32::from(oldest));
        }
        if self.before.0 < KNOWN {
            return false;
        }
        let usual = f64::from(self.before.1) / f64::from(self.before.0);
        let now = self.recent.iter().filter(|busy| **busy).count() as f64 / RECENT as f64;
        let jumps = now >= LEAST.max(usual * JUMP);
        self.since += 1;
        let slower = jumps && (!self.crowded || self.since >= RECENT);
        if slower {
            self.since = 0;
        }
        // Once told, it holds until the share is nearly as usual.
        self.crowded = jumps || (self.crowded && now >= (LEAST / 2.0).max(usual * JUMP / 2.0));
        slower
    }

    /// Whether the trunk answers more calls as busy or congested than usual.
    pub(crate) const fn is_crowded(&self) -> bool {
        self.crowded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of which one in `every` is busy; returns how often it was to go more slowly.
    fn take(answers: &mut Answers, count: usize, every: usize) -> usize {
        (1..=count).filter(|n| answers.came(every > 0 && n.is_multiple_of(every))).count()
    }

    #[test]
    fn a_share_that_jumps_is_told_and_slows_until_it_is_as_usual() {
        let mut answers = Answers::default();
        assert_eq!(take(&mut answers, 300, 20), 0);
        assert!(!answers.is_crowded());
        // Every second call is refused now: slower at once, and again after as many answers.
        assert_eq!(take(&mut answers, 100, 2), 2);
        assert!(answers.is_crowded());
        // The last fifty count: it may be slowed once more before they are as usual.
        assert!(take(&mut answers, 50, 20) <= 1);
        assert_eq!((take(&mut answers, 100, 20), answers.is_crowded()), (0, false));
    }

    #[test]
    fn what_is_always_busy_a_few_calls_and_a_slow_rise_are_no_jump() {
        let mut answers = Answers::default();
        assert_eq!(take(&mut answers, 1_000, 2), 0, "half of them always are");
        let mut answers = Answers::default();
        assert_eq!(take(&mut answers, 99, 1), 0, "nothing tells what is usual");
        let mut answers = Answers::default();
        assert_eq!(take(&mut answers, 200, 0) + take(&mut answers, 9, 1), 0, "nine in a row");
    }
}
