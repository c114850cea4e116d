//! Lateness: for how long nothing was dispatched that could have gone.
//!
//! Waiting for a rate, another campaign or a leader is not lateness, as the route had room meanwhile; a server that was
//! down or a backup that was restored is. What is late goes only when a person says so.

use jiff::{SignedDuration, Timestamp};

/// Whether, at `now`, more than `limit` has passed since it could go: since the last of `could_go` (due, window opened,
/// campaign restarted) and of `alive_at`, when its route last had room.
pub fn is_late(
    could_go: impl IntoIterator<Item = Timestamp>,
    alive_at: Timestamp,
    now: Timestamp,
    limit: SignedDuration,
) -> bool {
    let since = could_go.into_iter().fold(alive_at, Timestamp::max);
    now.duration_since(since) > limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_have_gone_all_the_time_is_late() {
        let hour = |h: i64| Timestamp::from_second(h * 3600).unwrap();
        let late = |could_go: &[i64], alive: i64, now: i64| {
            is_late(could_go.iter().map(|h| hour(*h)), hour(alive), hour(now), SignedDuration::from_hours(2))
        };
        // (due, opened or restarted), when the route last had room, now.
        assert!(late(&[10], 9, 13));
        assert!(!late(&[10], 9, 12), "within the limit");
        assert!(!late(&[10, 12], 9, 13), "its window opened an hour ago");
        assert!(!late(&[10], 12, 13), "it queued: its route had room an hour ago");
        assert!(!late(&[10], 14, 13), "the clock was set back");
    }
}
