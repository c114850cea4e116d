//! Restart: what a stop cancelled is planned anew.
//!
//! Past times move, times ahead stay: instants by one common offset, local times by a common number of whole days, so
//! that their spacing stays. Messages after another keep their distance from what the recipient last received, which
//! their leader's marks tell; their own due time is only a lower bound.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{Send, ZoneGroup, schedule::Delay};

/// A campaign stopped for longer than ten years goes on at once.
const LONGEST_STOP_DAYS: i32 = 3653;

/// A part that a stop closed with something left in it: a wave, or the retries of one group. `P` names it.
#[derive(Debug, Clone)]
pub struct Closed<P> {
    /// Which part it is.
    pub part: P,
    /// The number of its message.
    pub message_no: u32,
    /// Where its recipients are.
    pub zones: ZoneGroup,
    /// When it was due.
    pub due_at: Timestamp,
    /// How many recipients are left.
    pub remaining: i64,
}

/// A closed part with its new due time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt<P> {
    /// Which part it is.
    pub part: P,
    /// The number of its message.
    pub message_no: u32,
    /// When it may go on.
    pub due_at: Timestamp,
    /// How many recipients are left in it.
    pub remaining: i64,
}

/// Rebuilds the schedule of what was closed. `sends` are the campaign's messages in order; `changed` holds the messages
/// whose schedule the user replaced (these start afresh from it).
pub fn rebuild<P: Clone>(
    closed: &[Closed<P>],
    sends: &[Send],
    changed: &BTreeMap<u32, Send>,
    now: Timestamp,
) -> Vec<Rebuilt<P>> {
    let send_of = |n: u32| changed.get(&n).or_else(|| sends.get(n as usize - 1)).unwrap_or(&Send::Now);
    let past = |w: &&Closed<P>| w.due_at < now && !changed.contains_key(&w.message_no);
    let is_local = |w: &Closed<P>| matches!(send_of(w.message_no), Send::Local { .. });
    let offset = closed
        .iter()
        .filter(past)
        .filter(|w| !is_local(w) && !send_of(w.message_no).is_after())
        .map(|w| now.duration_since(w.due_at))
        .max()
        .unwrap_or(SignedDuration::ZERO);
    let days = closed
        .iter()
        .filter(past)
        .filter(|w| is_local(w))
        .map(|w| (1..=LONGEST_STOP_DAYS).find(|days| add_days(w, *days) >= now).unwrap_or(LONGEST_STOP_DAYS))
        .max()
        .unwrap_or(0);
    closed
        .iter()
        .map(|w| {
            let send = send_of(w.message_no);
            let due_at = match send {
                // The marks of the message before it tell when each recipient's new distance is over.
                Send::After { .. } if changed.contains_key(&w.message_no) => now,
                Send::After { .. } => w.due_at,
                _ if changed.contains_key(&w.message_no) => send.due(&w.zones, now).unwrap_or(now),
                _ if w.due_at >= now => w.due_at,
                Send::Local { .. } => add_days(w, days),
                Send::Now | Send::At(_) => w.due_at.saturating_add(offset).unwrap_or(now),
            };
            Rebuilt { part: w.part.clone(), message_no: w.message_no, due_at, remaining: w.remaining }
        })
        .collect()
}

fn add_days<P>(wave: &Closed<P>, days: i32) -> Timestamp {
    Send::After { delay: Delay::Days(days), time: None }.due_after(&wave.zones, wave.due_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn wave(part: i64, message_no: u32, due_at: &str) -> Closed<i64> {
        Closed {
            part,
            message_no,
            zones: ZoneGroup::parse("America/New_York").unwrap(),
            due_at: at(due_at),
            remaining: 10,
        }
    }

    fn due(rebuilt: &[Rebuilt<i64>]) -> Vec<String> {
        rebuilt.iter().map(|r| r.due_at.to_string()).collect()
    }

    #[test]
    fn past_instants_move_by_one_offset_and_times_ahead_stay() {
        let sends: Vec<Send> = serde_json::from_str(
            r#"[{"at":"2026-11-24T10:00:00Z"},{"at":"2026-11-24T11:00:00Z"},{"at":"2026-11-24T20:00:00Z"}]"#,
        )
        .unwrap();
        let waves = [
            wave(1, 1, "2026-11-24T10:00:00Z"),
            wave(2, 2, "2026-11-24T11:00:00Z"),
            wave(3, 3, "2026-11-24T20:00:00Z"),
        ];
        let rebuilt = rebuild(&waves, &sends, &BTreeMap::new(), at("2026-11-24T15:00:00Z"));
        assert_eq!(due(&rebuilt), ["2026-11-24T15:00:00Z", "2026-11-24T16:00:00Z", "2026-11-24T20:00:00Z"]);
    }

    #[test]
    fn a_message_that_is_to_follow_another_has_no_time_of_its_own_any_more() {
        let sends: Vec<Send> =
            serde_json::from_str(r#"[{"now":true},{"after":"P3D"},{"at":"2026-12-24T10:00:00Z"}]"#).unwrap();
        let waves = [wave(2, 2, "2026-11-27T10:00:00Z"), wave(3, 3, "2026-12-24T10:00:00Z")];
        let soon: Send = serde_json::from_str(r#"{"after":"PT1H"}"#).unwrap();
        let changed = BTreeMap::from([(2, soon.clone()), (3, soon)]);
        let rebuilt = rebuild(&waves, &sends, &changed, at("2026-11-24T15:00:00Z"));
        assert_eq!(due(&rebuilt), ["2026-11-24T15:00:00Z", "2026-11-24T15:00:00Z"]);
    }

    #[test]
    fn local_times_move_by_whole_days() {
        let sends: Vec<Send> =
            serde_json::from_str(r#"[{"local":"2026-11-24T10:00"},{"local":"2026-11-25T09:00"}]"#).unwrap();
        let waves = [wave(1, 1, "2026-11-24T15:00:00Z"), wave(2, 2, "2026-11-25T14:00:00Z")];
        let rebuilt = rebuild(&waves, &sends, &BTreeMap::new(), at("2026-11-26T16:00:00Z"));
        assert_eq!(due(&rebuilt), ["2026-11-27T15:00:00Z", "2026-11-28T14:00:00Z"]);
    }

    #[test]
    fn a_changed_message_takes_its_new_time_and_followers_keep_their_bound() {
        let sends: Vec<Send> = serde_json::from_str(r#"[{"now":true},{"after":"P1D"}]"#).unwrap();
        let waves = [wave(1, 1, "2026-11-24T10:00:00Z"), wave(2, 2, "2026-11-25T10:00:00Z")];
        let changed = BTreeMap::from([(1, Send::At(at("2026-11-30T10:00:00Z")))]);
        let rebuilt = rebuild(&waves, &sends, &changed, at("2026-11-24T15:00:00Z"));
        assert_eq!(due(&rebuilt), ["2026-11-30T10:00:00Z", "2026-11-25T10:00:00Z"]);
    }
}
