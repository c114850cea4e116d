//! How a plan runs: at a route's rate, through its windows, each message after the one before it. What a forecast says
//! and what a page says about future times is computed here, by the functions that sending itself uses
//! ([`Send::due_after`], [`Window::at`]), so that the two never disagree.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use jiff::{SignedDuration, Timestamp};

use crate::{Send, Window, wave::Group, window::Opening};

/// The most closed windows that one piece waits through: a year of days.
const MOST_OPENINGS: usize = 366;
/// The most steps of one computation; what is left after them is not reported.
const MOST_STEPS: usize = 200_000;

/// Recipients of one message that may go from one time on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which message, from 1.
    pub message: u32,
    /// Index of its group.
    pub group: usize,
    /// First recipient.
    pub from: i64,
    /// One past the last recipient.
    pub to: i64,
    /// When the first of them may go.
    pub due: Timestamp,
    /// When the last of them may go.
    pub all_due: Timestamp,
}

/// What is known of a campaign before its course is computed.
pub struct Plan<'a> {
    /// When each message goes, in order.
    pub sends: &'a [Send],
    /// The zone groups of its audience.
    pub groups: &'a [Group],
    /// Its sending window.
    pub window: Option<&'a Window>,
    /// Segments a second.
    pub rate: f64,
    /// Average segments per recipient of each message.
    pub segments: &'a [f64],
    /// The earliest that recipients in the group may get a message (from 1), whatever became of the message before.
    pub due: &'a dyn Fn(u32, usize, i64) -> Timestamp,
}

/// When a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When its first recipient is sent to.
    pub first: Timestamp,
    /// When its last recipient is sent to.
    pub last: Timestamp,
}

/// The recipients of a message that windows keep waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// How many recipients.
    pub recipients: i64,
    /// When the windows of the last of them open.
    pub until: Timestamp,
}

/// How a plan runs.
#[derive(Debug, Default)]
pub struct Course {
    /// When each message goes, by its number.
    pub messages: BTreeMap<u32, Span>,
    /// The recipients that windows keep waiting, by message.
    pub delayed: BTreeMap<u32, Delay>,
}

impl Course {
    /// When the first and the last message go.
    pub fn span(&self) -> Option<Span> {
        let first = self.messages.values().map(|span| span.first).min()?;
        let last = self.messages.values().map(|span| span.last).max()?;
        Some(Span { first, last })
    }

    fn sent(&mut self, message: u32, first: Timestamp, last: Timestamp) {
        let span = self.messages.entry(message).or_insert(Span { first, last });
        span.first = span.first.min(first);
        span.last = span.last.max(last);
    }

    fn delay(&mut self, message: u32, recipients: i64, until: Timestamp) {
        let delay = self.delayed.entry(message).or_insert(Delay { recipients: 0, until });
        delay.recipients += recipients;
        delay.until = delay.until.max(until);
    }
}

/// A piece on its way.
struct Waiting {
    piece: Piece,
    delayed: bool,
    openings: usize,
}

/// Repeatedly takes the piece that may go first, until its window closes or nothing of it is left; the next message's
/// recipients follow those that went.
pub fn course(pieces: Vec<Piece>, plan: &Plan<'_>) -> Course {
    let mut course = Course::default();
    let mut all: Vec<Waiting> = Vec::new();
    let mut next = BinaryHeap::new();
    let add = |all: &mut Vec<Waiting>, next: &mut BinaryHeap<_>, piece: Piece| {
        next.push(Reverse((piece.due, piece.message, all.len())));
        all.push(Waiting { piece, delayed: false, openings: 0 });
    };
    for piece in pieces {
        add(&mut all, &mut next, piece);
    }
    let mut clock = Timestamp::MIN;
    for _ in 0..MOST_STEPS {
        let Some(Reverse((known, message, at))) = next.pop() else { break };
        let waiting = &mut all[at];
        let zones = &plan.groups[waiting.piece.group].zones;
        let start = known.max(clock);
        let until = match plan.window.map(|window| window.at(zones, start)) {
            None => Timestamp::MAX,
            Some(Opening::Open { until, .. }) if start == known => until,
            // Pieces that may go earlier are looked at first.
            Some(Opening::Open { .. }) => {
                next.push(Reverse((start, message, at)));
                continue;
            }
            Some(Opening::Closed { next: opens }) => {
                waiting.openings += 1;
                if waiting.openings < MOST_OPENINGS {
                    if !waiting.delayed {
                        waiting.delayed = true;
                        course.delay(message, waiting.piece.to - waiting.piece.from, opens);
                    } else if let Some(delay) = course.delayed.get_mut(&message) {
                        delay.until = delay.until.max(opens);
                    }
                    next.push(Reverse((opens, message, at)));
                }
                continue;
            }
            Some(Opening::Never) => continue,
        };
        let room = until.duration_since(start);
        if room <= SignedDuration::ZERO {
            continue;
        }
        let each = plan.segments.get(message as usize - 1).copied().unwrap_or(1.0)
            / plan.rate.max(f64::MIN_POSITIVE);
        let left = waiting.piece.to - waiting.piece.from;
        // At least one: a message that takes longer than a window is still sent in it.
        let fit = if each > 0.0 { (room.as_secs_f64() / each).max(1.0) } else { f64::INFINITY };
        let sent = if fit >= left as f64 { left } else { fit as i64 };
        let runs = SignedDuration::try_from_secs_f64(sent as f64 * each).unwrap_or(room).min(room);
        clock = start.saturating_add(runs).unwrap_or(start);
        let last = if sent == left { clock.max(waiting.piece.all_due) } else { clock };
        let (group, from) = (waiting.piece.group, waiting.piece.from);
        waiting.piece.from += sent;
        if sent < left {
            next.push(Reverse((clock, message, at)));
        }
        course.sent(message, start, last);
        if let Some(send) = plan.sends.get(message as usize) {
            let bound = (plan.due)(message + 1, group, from);
            let after = |at| send.due_after(zones, at).max(bound);
            let piece = Piece {
                message: message + 1,
                group,
                from,
                to: from + sent,
                due: after(start),
                all_due: after(last),
            };
            add(&mut all, &mut next, piece);
        }
    }
    course
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ZoneGroup, wave};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn groups(zones: &[&str], each: i64) -> Vec<Group> {
        let place = |(i, zone): (usize, &&str)| Group {
            zones: ZoneGroup::parse(zone).unwrap(),
            from_seq: i as i64 * each,
            to_seq: (i as i64 + 1) * each,
        };
        zones.iter().enumerate().map(place).collect()
    }

    /// Computes the course of a plan that is made at `now`.
    fn reckon(sends: &str, groups: &[Group], window: Option<&Window>, rate: f64, now: Timestamp) -> Course {
        let sends: Vec<Send> = serde_json::from_str(sends).unwrap();
        let waves = wave::plan(groups, &sends, window, now).unwrap();
        let (pieces, due) = wave::pieces(&waves);
        let due = |message, group, _| due[&(message, group)];
        course(
            pieces,
            &Plan { sends: &sends, groups, window, rate, segments: &vec![1.0; sends.len()], due: &due },
        )
    }

    #[test]
    fn a_message_after_another_goes_after_it_really_went() {
        // Nothing goes before the window opens at 08:00 in New York (13:00 UTC); the second goes two minutes later.
        let all = groups(&["America/New_York"], 100);
        let window = Window::default();
        let now = at("2026-11-25T07:00:00Z");
        let c = reckon(r#"[{"now":true},{"after":"PT2M"}]"#, &all, Some(&window), 100.0, now);
        assert_eq!(
            c.messages[&1],
            Span { first: at("2026-11-25T13:00:00Z"), last: at("2026-11-25T13:00:01Z") }
        );
        assert_eq!(
            c.messages[&2],
            Span { first: at("2026-11-25T13:02:00Z"), last: at("2026-11-25T13:02:01Z") }
        );
        // Two days after, at ten: after the day on which the first one went.
        let now = at("2026-11-25T03:00:00Z");
        let c = reckon(r#"[{"now":true},{"after":"P2D","time":"10:00"}]"#, &all, Some(&window), 100.0, now);
        assert_eq!(c.messages[&1].first, at("2026-11-25T13:00:00Z"));
        assert_eq!(c.messages[&2].first, at("2026-11-27T15:00:00Z"));
    }

    #[test]
    fn a_message_with_a_time_of_its_own_never_overtakes_the_one_before_it() {
        let all = groups(&["America/New_York"], 3_600);
        let now = at("2026-11-25T15:00:00Z");
        let c = reckon(r#"[{"now":true},{"at":"2026-11-25T15:10:00Z"}]"#, &all, None, 1.0, now);
        assert_eq!(c.messages[&1].last, at("2026-11-25T16:00:00Z"));
        assert!(c.messages[&2].last >= at("2026-11-25T17:00:00Z"), "{:?}", c.messages);
    }

    #[test]
    fn the_ends_of_the_calendar_are_reckoned_in_no_time() {
        let all = groups(&["America/New_York", "Asia/Tokyo"], 10);
        let window = Window::default();
        for due in [Timestamp::MAX, at("9999-12-30T12:00:00Z"), Timestamp::MIN] {
            let piece = Piece { message: 1, group: 0, from: 0, to: 10, due, all_due: due };
            let sends: Vec<Send> =
                serde_json::from_str(r#"[{"now":true},{"after":"P366D","time":"10:00"}]"#).unwrap();
            let due = |_, _, _| due;
            course(
                vec![piece],
                &Plan {
                    sends: &sends,
                    groups: &all,
                    window: Some(&window),
                    rate: 1.0,
                    segments: &[1.0, 1.0],
                    due: &due,
                },
            );
        }
    }

    proptest! {
        /// Whatever the windows, rates and delays, the course ends, goes only within windows, each message after the
        /// one before it, and no faster than the rate.
        #[test]
        fn a_course_goes_in_windows_in_order_and_no_faster_than_its_rate(
            from in 0u16..1300, length in 30u16..1400, rate in 1.0f64..500.0, people in 1i64..20_000,
            minutes in 1i64..4000, days in 1i64..4, seconds in 1_780_000_000i64..1_830_000_000,
        ) {
            let window = Window::new([true; 7], from, (from + length).min(1440)).unwrap();
            let all = groups(&["America/New_York", "Asia/Kathmandu"], people);
            let now = Timestamp::from_second(seconds).unwrap();
            let sends = format!(r#"[{{"now":true}},{{"after":"PT{minutes}M"}},{{"after":"P{days}D"}}]"#);
            let c = reckon(&sends, &all, Some(&window), rate, now);
            let (one, two, three) = (c.messages[&1], c.messages[&2], c.messages[&3]);
            let whole = SignedDuration::try_from_secs_f64(2.0 * people as f64 / rate - 1.0).unwrap();
            prop_assert!(one.last.duration_since(one.first) >= whole);
            prop_assert!(two.first.duration_since(one.first) >= SignedDuration::from_mins(minutes));
            prop_assert!(two.last.duration_since(one.last) >= SignedDuration::from_mins(minutes) - SignedDuration::from_secs(1));
            prop_assert!(three.first > two.first && three.last > two.last);
            for span in [one, two, three] {
                let open = all.iter().any(|g| matches!(window.at(&g.zones, span.first), Opening::Open { .. }));
                prop_assert!(open, "{span:?}");
            }
        }
    }
}
