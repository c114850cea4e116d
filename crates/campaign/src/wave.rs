//! Planning: an audience and a schedule become waves.
//!
//! A wave is a contiguous range of the audience for one message, with one due time. Pending work is
//! never a row per message, so a campaign of ten million plans as fast as one of ten. Ranges are
//! half-open: `from_seq` is in, `to_seq` is not.

use std::collections::HashMap;

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::{Send, Window, ZoneGroup, course::Piece, window::Opening};

/// The most stripes that a large group is cut into, so that workers and binds do not meet on one wave.
const MOST_STRIPES: i64 = 16;
/// The fewest recipients of a stripe.
const SMALLEST_STRIPE: i64 = 10_000;

/// A contiguous part of the audience that shares its time zones.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Where these recipients are.
    pub zones: ZoneGroup,
    /// First recipient.
    pub from_seq: i64,
    /// One past the last recipient.
    pub to_seq: i64,
}

/// A wave as planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedWave {
    /// Which message, from 1.
    pub message_no: u32,
    /// Index of its group.
    pub group: usize,
    /// First recipient.
    pub from_seq: i64,
    /// One past the last recipient.
    pub to_seq: i64,
    /// When it may begin; for a message after another, the earliest possible instant.
    pub due_at: Timestamp,
    /// Index, in the plan, of the previous message's wave over the same range. None once a pilot has cut it.
    pub leader: Option<usize>,
    /// Whether it is behind the pilot: it waits until a person releases it.
    pub held: bool,
}

/// Why a schedule cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The first message has no message to follow.
    #[error("the first message has no message before it: give it a time of its own")]
    FirstFollows,
    /// An instant in the past.
    #[error("{at} has passed; the nearest possible time is {nearest}")]
    PastInstant {
        /// The instant that was asked for.
        at: Timestamp,
        /// The nearest possible instant.
        nearest: Timestamp,
    },
    /// A local time that has passed for some recipients.
    #[error(
        "{at} has passed for {recipients} recipients in {zones}; the nearest possible time is {nearest}; or \
         let it go the next day where it has passed (\"late\")"
    )]
    PastLocal {
        /// The local time that was asked for.
        at: civil::DateTime,
        /// How many recipients.
        recipients: i64,
        /// The zones that they are in.
        zones: String,
        /// The nearest local time that lies ahead for everyone.
        nearest: civil::DateTime,
    },
    /// Beyond the years that calendars support.
    #[error("{0} lies beyond the calendar; choose an earlier date")]
    Beyond(String),
    /// The window never opens for some recipients.
    #[error(
        "the sending window is never open at once in {zones}, where {recipients} recipients may be; widen it, or set \
         their time zone"
    )]
    WindowNeverOpens {
        /// The zones that they are in.
        zones: String,
        /// How many recipients.
        recipients: i64,
    },
}

/// The last day for which a message may be planned: a message after it, and its window, still lie within the calendar
/// of four-digit years.
const LAST_DAY: civil::Date = civil::date(9990, 12, 31);

fn last_instant() -> Timestamp {
    TimeZone::UTC.to_timestamp(LAST_DAY.into()).unwrap_or(Timestamp::MAX)
}

/// Checks one message's schedule against the clock.
pub fn check(send: &Send, groups: &[Group], now: Timestamp) -> Result<(), PlanError> {
    let beyond = match send {
        Send::At(at) if *at > last_instant() => Some(at.to_string()),
        Send::Local { at, .. } if at.date() > LAST_DAY => Some(at.to_string()),
        _ => None,
    };
    if let Some(at) = beyond {
        return Err(PlanError::Beyond(at));
    }
    match send {
        Send::At(at) if *at < now => Err(PlanError::PastInstant { at: *at, nearest: now }),
        Send::Local { at, next_day: false } => {
            let past: Vec<_> =
                groups.iter().filter(|g| send.due(&g.zones, now).is_some_and(|due| due < now)).collect();
            if past.is_empty() {
                return Ok(());
            }
            let nearest = groups
                .iter()
                .flat_map(|g| g.zones.zones())
                .map(|zone| zone.to_datetime(now))
                .max()
                .and_then(|t| {
                    t.round(
                        jiff::civil::DateTimeRound::new()
                            .smallest(jiff::Unit::Minute)
                            .mode(jiff::RoundMode::Ceil),
                    )
                    .ok()
                })
                .unwrap_or(*at);
            Err(PlanError::PastLocal {
                at: *at,
                recipients: past.iter().map(|g| g.to_seq - g.from_seq).sum(),
                zones: past.iter().map(|g| g.zones.to_string()).collect::<Vec<_>>().join("; "),
                nearest,
            })
        }
        Send::Now | Send::At(_) | Send::Local { .. } | Send::After { .. } => Ok(()),
    }
}

/// Plans `sends` (one per message, in order) for the audience that `groups` cover.
pub fn plan(
    groups: &[Group],
    sends: &[Send],
    window: Option<&Window>,
    now: Timestamp,
) -> Result<Vec<PlannedWave>, PlanError> {
    if sends.first().is_some_and(Send::is_after) {
        return Err(PlanError::FirstFollows);
    }
    if let Some(window) = window {
        for group in groups {
            if window.at(&group.zones, now) == Opening::Never {
                return Err(PlanError::WindowNeverOpens {
                    zones: group.zones.to_string(),
                    recipients: group.to_seq - group.from_seq,
                });
            }
        }
    }
    let mut waves: Vec<PlannedWave> = Vec::new();
    let mut leaders_from = None;
    for (at, send) in sends.iter().enumerate() {
        check(send, groups, now)?;
        let first = waves.len();
        let mut place = 0;
        for (g, group) in groups.iter().enumerate() {
            for (from_seq, to_seq) in stripes(group.from_seq, group.to_seq) {
                let leader = leaders_from.map(|base: usize| base + place);
                let due_at = match leader {
                    Some(leader) if send.is_after() => send.due_after(&group.zones, waves[leader].due_at),
                    _ => send.due(&group.zones, now).unwrap_or(now),
                };
                waves.push(PlannedWave {
                    message_no: at as u32 + 1,
                    group: g,
                    from_seq,
                    to_seq,
                    due_at,
                    leader,
                    held: false,
                });
                place += 1;
            }
        }
        leaders_from = Some(first);
    }
    Ok(waves)
}

/// Holds the first message back from everybody behind the first `pilot` recipients. Later messages follow it anyway.
pub fn hold_behind(waves: Vec<PlannedWave>, pilot: i64) -> Vec<PlannedWave> {
    let cut = |w: PlannedWave| -> Vec<PlannedWave> {
        if w.message_no > 1 || w.to_seq <= pilot {
            return vec![w];
        }
        if w.from_seq >= pilot {
            return vec![PlannedWave { held: true, ..w }];
        }
        let first = PlannedWave { to_seq: pilot, ..w.clone() };
        vec![first, PlannedWave { from_seq: pilot, held: true, ..w }]
    };
    // The indexes of the plan change.
    waves.into_iter().flat_map(cut).map(|w| PlannedWave { leader: None, ..w }).collect()
}

/// What the course of a plan begins with: the first message's pieces, and when each message (from 1) may go in each
/// group.
pub fn pieces(waves: &[PlannedWave]) -> (Vec<Piece>, HashMap<(u32, usize), Timestamp>) {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut due = HashMap::new();
    for w in waves {
        due.insert((w.message_no, w.group), w.due_at);
        if w.message_no > 1 {
            continue;
        }
        match pieces.last_mut() {
            Some(last) if (last.group, last.to, last.due) == (w.group, w.from_seq, w.due_at) => {
                last.to = w.to_seq;
            }
            _ => pieces.push(Piece {
                message: 1,
                group: w.group,
                from: w.from_seq,
                to: w.to_seq,
                due: w.due_at,
                all_due: w.due_at,
            }),
        }
    }
    (pieces, due)
}

fn stripes(from: i64, to: i64) -> impl Iterator<Item = (i64, i64)> {
    let size = to - from;
    let count = (size / SMALLEST_STRIPE).clamp(1, MOST_STRIPES);
    (0..count)
        .map(move |i| (from + size * i / count, from + size * (i + 1) / count))
        .filter(|(from, to)| from < to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn groups(sizes: &[i64]) -> Vec<Group> {
        let zones = ["America/New_York", "America/Chicago", "Europe/Berlin", "Asia/Tokyo"];
        let mut from = 0;
        sizes
            .iter()
            .zip(zones.iter().cycle())
            .map(|(size, zone)| {
                let group =
                    Group { zones: ZoneGroup::parse(zone).unwrap(), from_seq: from, to_seq: from + size };
                from += size;
                group
            })
            .collect()
    }

    fn now() -> Timestamp {
        "2026-11-24T15:00:00Z".parse().unwrap()
    }

    fn sends(json: &str) -> Vec<Send> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_local_time_makes_one_wave_a_zone_with_its_own_due_time() {
        let waves = plan(&groups(&[3, 4]), &sends(r#"[{"local":"2026-11-25T10:00"}]"#), None, now()).unwrap();
        let due: Vec<_> = waves.iter().map(|w| (w.from_seq, w.to_seq, w.due_at.to_string())).collect();
        assert_eq!(
            due,
            [(0, 3, "2026-11-25T15:00:00Z".to_owned()), (3, 7, "2026-11-25T16:00:00Z".to_owned())]
        );
    }

    #[test]
    fn ten_million_recipients_are_tens_of_waves() {
        let all = groups(&[5_000_000, 3_000_000, 2_000_000]);
        let waves = plan(&all, &sends(r#"[{"now":true},{"after":"P1D"}]"#), None, now()).unwrap();
        assert_eq!(waves.len(), 2 * 3 * 16);
    }

    #[test]
    fn the_past_is_refused_with_the_nearest_time() {
        let refuse = |json: &str| {
            let window = Window::default();
            plan(&groups(&[3, 4]), &sends(json), Some(&window), now()).unwrap_err().to_string()
        };
        assert_eq!(
            refuse(r#"[{"at":"2026-11-24T14:00:00Z"}]"#),
            "2026-11-24T14:00:00Z has passed; the nearest possible time is 2026-11-24T15:00:00Z"
        );
        // 09:30 has passed in New York (10:00 there) but not in Chicago (09:00 there).
        assert_eq!(
            refuse(r#"[{"local":"2026-11-24T09:30"}]"#),
            "2026-11-24T09:30:00 has passed for 3 recipients in America/New_York; the nearest possible time is \
             2026-11-24T10:00:00; or let it go the next day where it has passed (\"late\")"
        );
        assert_eq!(
            refuse(r#"[{"after":"P1D"}]"#),
            "the first message has no message before it: give it a time of its own"
        );
    }

    #[test]
    fn what_lies_beyond_the_calendar_is_refused_and_what_is_far_is_planned() {
        for (json, word) in [
            (r#"[{"local":"9999-12-31T23:59"}]"#, "9999-12-31"),
            (r#"[{"local":"9999-12-31T23:59","late":"next_day"}]"#, "beyond the calendar"),
            (r#"[{"at":"9999-12-30T22:00:00Z"}]"#, "beyond the calendar"),
        ] {
            let error = plan(&groups(&[3, 4]), &sends(json), Some(&Window::default()), now())
                .unwrap_err()
                .to_string();
            assert!(error.contains(word), "{json}: {error}");
        }
        for json in [
            r#"[{"at":"2099-01-01T00:00:00Z"}]"#,
            r#"[{"local":"9990-12-31T10:00"},{"after":"P366D","time":"10:00"}]"#,
        ] {
            plan(&groups(&[3, 4]), &sends(json), Some(&Window::default()), now()).unwrap();
        }
    }

    #[test]
    fn a_window_that_never_opens_is_refused() {
        let spread = vec![Group {
            zones: ZoneGroup::parse("Pacific/Honolulu&Europe/Berlin").unwrap(),
            from_seq: 0,
            to_seq: 9,
        }];
        let narrow = Window::new([true; 7], 540, 600).unwrap();
        let error = plan(&spread, &sends(r#"[{"now":true}]"#), Some(&narrow), now()).unwrap_err();
        assert!(matches!(error, PlanError::WindowNeverOpens { recipients: 9, .. }));
    }

    #[test]
    fn a_pilot_holds_everybody_behind_the_first_so_many() {
        let all = groups(&[30, 20]);
        let waves = plan(&all, &sends(r#"[{"now":true},{"after":"P1D"}]"#), None, now()).unwrap();
        let held: Vec<_> = hold_behind(waves, 10)
            .into_iter()
            .map(|w| (w.message_no, w.from_seq, w.to_seq, w.held))
            .collect();
        let expected =
            [(1, 0, 10, false), (1, 10, 30, true), (1, 30, 50, true), (2, 0, 30, false), (2, 30, 50, false)];
        assert_eq!(held, expected);
    }

    proptest! {
        /// For each message, waves cover the audience exactly, so nobody is in two and nobody is left out; and every
        /// follower's leader has the same range.
        #[test]
        fn waves_cover_the_audience_exactly(
            sizes in prop::collection::vec(1i64..400_000, 1..6),
            messages in 1usize..6,
        ) {
            let all = groups(&sizes);
            let mut list = vec![Send::Now];
            list.resize(messages, sends(r#"[{"after":"P1D"}]"#).remove(0));
            let waves = plan(&all, &list, None, now()).unwrap();
            for n in 1..=messages as u32 {
                let mut at = 0;
                for wave in waves.iter().filter(|w| w.message_no == n) {
                    prop_assert_eq!(wave.from_seq, at);
                    prop_assert!(wave.from_seq < wave.to_seq);
                    at = wave.to_seq;
                    if let Some(leader) = wave.leader.map(|l| &waves[l]) {
                            prop_assert_eq!(leader.message_no, n - 1);
                            prop_assert_eq!((leader.from_seq, leader.to_seq), (wave.from_seq, wave.to_seq));
                            prop_assert!(wave.due_at > leader.due_at);
                    } else {
                        prop_assert_eq!(n, 1);
                    }
                }
                prop_assert_eq!(at, sizes.iter().sum::<i64>());
            }
        }
    }
}
