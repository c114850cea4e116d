//! Notices a far end that takes each new bind and ends an older one for it: it allows fewer binds than the route has.
//!
//! Binding anew at once would end the other bind, which would bind anew, for ever, with messages in doubt each time. So
//! where one bind after another ends right after a sibling came up, the bind that ended last stays away for a time that
//! grows. Keeps: any other end in between begins the count anew, so a line that merely drops is not taken for such a
//! far end; no bind that sends stays away for one that only receives.

use std::time::Duration;

use tokio::time::Instant;

/// How soon after a sibling came up an end is put down to it.
const RIGHT_AFTER: Duration = Duration::from_secs(1);
/// How far the news of two connections may be out of order.
const AT_ONCE: Duration = Duration::from_millis(100);
/// How many ends in a row show that it is no accident.
const IN_A_ROW: u32 = 2;
/// The first time to stay away; each further one is twice as long.
const FIRST_REST: Duration = Duration::from_secs(30);
/// Each return costs the sibling that is up a window's worth of answers.
const LONGEST_REST: Duration = Duration::from_secs(3600);

pub(crate) struct Crowd {
    /// How many of the binds send; they come first.
    senders: usize,
    /// Since when each bind is up.
    up: Vec<Option<Instant>>,
    /// How many ends in a row followed a sibling's bind.
    pushed_out: u32,
}

impl Crowd {
    pub(crate) fn new(senders: usize, binds: usize) -> Self {
        Self { senders, up: vec![None; binds], pushed_out: 0 }
    }

    pub(crate) fn came_up(&mut self, bind: usize, now: Instant) {
        self.up[bind] = Some(now);
    }

    pub(crate) fn went_down(&mut self, bind: usize) {
        self.up[bind] = None;
    }

    /// How long a bind that was up from `began` to `ended` should stay away, if it should. To be asked a moment after
    /// the end: what ended the sibling too was no far end that prefers it.
    pub(crate) fn rest(&mut self, bind: usize, (began, ended): (Instant, Instant)) -> Option<Duration> {
        let came_right_before =
            |up: Instant| up + AT_ONCE >= began && up + RIGHT_AFTER >= ended && up <= ended + AT_ONCE;
        let siblings = self.up.iter().enumerate().filter(|(at, _)| *at != bind);
        let mut newer = siblings.filter(|(_, up)| up.is_some_and(came_right_before)).peekable();
        if newer.peek().is_none() {
            self.pushed_out = 0;
            return None;
        }
        if bind < self.senders && newer.all(|(at, _)| at >= self.senders) {
            return None;
        }
        self.pushed_out = self.pushed_out.saturating_add(1);
        let doublings = self.pushed_out.checked_sub(IN_A_ROW)?;
        Some(FIRST_REST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_REST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MOMENT: Duration = Duration::from_millis(200);

    /// A far end, and what the binds make of it.
    struct Line {
        crowd: Crowd,
        now: Instant,
    }

    impl Line {
        fn new(senders: usize, binds: usize) -> Self {
            Self { crowd: Crowd::new(senders, binds), now: Instant::now() }
        }

        /// The far end ends `older`, which was up for a moment, as `newer` comes up; returns the rest of `older`.
        fn push_out(&mut self, older: usize, newer: usize) -> Option<u64> {
            let began = self.now;
            self.crowd.came_up(older, began);
            self.now += MOMENT;
            self.crowd.came_up(newer, self.now);
            self.crowd.went_down(older);
            let ended = self.now;
            self.now += MOMENT;
            self.crowd.rest(older, (began, ended)).map(|rest| rest.as_secs())
        }
    }

    #[test]
    fn binds_that_push_each_other_out_stay_away_longer_each_time() {
        let mut line = Line::new(2, 2);
        let rests: Vec<_> = (0..12).map(|n| line.push_out(n % 2, (n + 1) % 2)).collect();
        assert_eq!(rests[..5], [None, Some(30), Some(60), Some(120), Some(240)]);
        assert_eq!(rests[9..], [Some(3600); 3]);
    }

    #[test]
    fn an_end_of_another_kind_begins_the_count_anew() {
        let mut line = Line::new(2, 2);
        assert_eq!(line.push_out(0, 1), None);
        // The sibling has been up for long.
        line.now += 10 * SECOND;
        assert_eq!(line.crowd.rest(0, (line.now - SECOND, line.now)), None);
        assert_eq!(line.push_out(1, 0), None);
        assert_eq!(line.push_out(0, 1), Some(30));
    }

    #[test]
    fn lines_that_drop_every_three_seconds_never_rest_whatever_lies_between_them() {
        for apart in (0..3_200).step_by(20).map(Duration::from_millis) {
            let mut crowd = Crowd::new(2, 2);
            let start = Instant::now();
            // Each bind: when it comes up or goes down next, and since when it is up.
            let mut binds = [(start, None), (start + apart, None)];
            let mut ended: Vec<(usize, (Instant, Instant))> = Vec::new();
            for _ in 0..60 {
                let next = usize::from(binds[1].0 < binds[0].0);
                let at = binds[next].0;
                for (bind, up) in ended.extract_if(.., |(_, up)| up.1 + MOMENT <= at) {
                    assert_eq!(crowd.rest(bind, up), None, "{apart:?}");
                }
                if let Some(since) = binds[next].1.take() {
                    crowd.went_down(next);
                    ended.push((next, (since, at)));
                    binds[next].0 = at + MOMENT;
                } else {
                    crowd.came_up(next, at);
                    binds[next] = (at + 3 * SECOND, Some(at));
                }
            }
        }
    }

    #[test]
    fn a_line_that_drops_all_binds_is_put_down_to_none_of_them() {
        let mut line = Line::new(2, 2);
        for _ in 0..5 {
            let began = line.now;
            line.crowd.came_up(0, began);
            line.crowd.came_up(1, began);
            line.now += MOMENT;
            line.crowd.went_down(0);
            line.crowd.went_down(1);
            let ended = line.now;
            line.now += MOMENT;
            assert_eq!(line.crowd.rest(0, (began, ended)), None);
            // The first is up again before the second is judged.
            line.crowd.came_up(0, line.now);
            assert_eq!(line.crowd.rest(1, (began, ended)), None);
        }
    }

    #[test]
    fn a_bind_that_sends_does_not_stay_away_for_one_that_receives() {
        let mut line = Line::new(1, 2);
        let rests: Vec<_> = (0..6).map(|n| line.push_out(n % 2, (n + 1) % 2)).collect();
        assert_eq!(rests, [None, None, None, Some(30), None, Some(60)]);
    }
}
