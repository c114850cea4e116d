//! The machine's clocks: the wall clock, which people and NTP set, and one that only runs on, even through a suspend.
//! Where they part, the wall clock was set; a suspend does not part them, as both run on.

use jiff::{SignedDuration, Timestamp};

/// Smaller steps are what NTP does all the time.
const SMALLEST_STEP: SignedDuration = SignedDuration::from_millis(500);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
struct Look {
    wall: Timestamp,
    steady: SignedDuration,
}

/// Watches whether the wall clock is set.
#[derive(Debug)]
pub(crate) struct Watch(Look);

impl Watch {
    /// Watches from now on.
    pub(crate) fn begin() -> Self {
        Self(look())
    }

    /// What the wall clock shows; and, where it was set since the last look, what it would have shown and by how much
    /// it was set.
    pub(crate) fn now(&mut self) -> (Timestamp, Option<(Timestamp, SignedDuration)>) {
        let before = std::mem::replace(&mut self.0, look());
        (self.0.wall, step(before, self.0))
    }
}

fn look() -> Look {
    // This clock counts the time of a suspend, unlike the standard library's.
    let steady = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let nanos = i32::try_from(steady.tv_nsec).unwrap_or_default();
    Look { wall: Timestamp::now(), steady: SignedDuration::new(steady.tv_sec, nanos) }
}

fn step(before: Look, now: Look) -> Option<(Timestamp, SignedDuration)> {
    let unset = before.wall.saturating_add(now.steady - before.steady).ok()?;
    let by = now.wall.duration_since(unset);
    (by.abs() >= SMALLEST_STEP).then_some((unset, by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_from_one_that_runs_on() {
        let begin: Timestamp = "2026-11-24T15:00:00Z".parse().unwrap();
        let look = |wall: i64, steady: i64| Look {
            wall: begin + SignedDuration::from_millis(wall),
            steady: SignedDuration::from_millis(steady),
        };
        // (what the wall clock gained, what really passed) -> by how much the clock was set.
        let table = [
            (1_000, 1_000, None),
            (1_400, 1_000, None),
            (8 * 3_600_000, 8 * 3_600_000, None),
            (-3_599_000, 1_000, Some(-3_600_000)),
            (3_601_000, 1_000, Some(3_600_000)),
            (3_000, 1_000, Some(2_000)),
        ];
        for (wall, steady, expected) in table {
            let found = step(look(0, 0), look(wall, steady));
            let expected = expected
                .map(|by| (begin + SignedDuration::from_millis(steady), SignedDuration::from_millis(by)));
            assert_eq!(found, expected, "{wall} {steady}");
        }
    }
}
