//! When a message goes: at once, at an instant, at a local time of each recipient, or some time after
//! the message before it.

use jiff::{SignedDuration, Span, Timestamp, Unit, civil};
use serde::{Deserialize, Serialize};

use crate::{
    ZoneGroup,
    window::{instant_of, time_of_day},
};

/// The send schedule of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Send {
    /// When the campaign is scheduled.
    Now,
    /// At one instant for everybody.
    At(Timestamp),
    /// At a date and time on each recipient's own clock.
    Local {
        /// The local time.
        at: civil::DateTime,
        /// Whether a time that has passed already means the same time on the next day instead of a refusal.
        next_day: bool,
    },
    /// After the previous message.
    After {
        /// How long after.
        delay: Delay,
        /// Not before this local time of that day; only with whole days.
        time: Option<civil::Time>,
    },
}

/// How long after the previous message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// Calendar days on the recipient's clock.
    Days(i32),
    /// Hours and minutes.
    Exact(SignedDuration),
}

/// What is wrong with a send schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSend {
    /// None of the four forms, or several.
    #[error("give exactly one of \"now\": true, \"at\", \"local\", \"after\"")]
    NotOne,
    /// Not an instant.
    #[error("'{0}' is not an instant; use 2026-11-24T15:00:00Z")]
    At(String),
    /// Not a local time.
    #[error("'{0}' is not a local date and time; use 2026-11-25T10:00")]
    Local(String),
    /// A local time with an offset or a zone.
    #[error(
        "'{0}' names an offset or a zone, and a local time is each recipient's own: use 2026-11-25T10:00, or \"at\" with \
         2026-11-25T15:00:00Z for one instant for all"
    )]
    LocalZone(String),
    /// A local date alone.
    #[error("'{0}' has no time of day; use 2026-11-25T10:00")]
    LocalDate(String),
    /// Not a usable delay.
    #[error("'{0}' is not a delay; use whole days (P2D) or hours and minutes (PT1H30M), up to 366 days")]
    After(String),
    /// Not a time of day, or a time where it has no meaning.
    #[error("'{0}' cannot be the time; use 10:00 with a delay of whole days")]
    Time(String),
    /// Unknown `late`.
    #[error("\"late\" can only be \"next_day\", with \"local\"")]
    Late,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<String>,
}

impl TryFrom<Written> for Send {
    type Error = BadSend;

    fn try_from(w: Written) -> Result<Self, BadSend> {
        if w.late.is_some() && (w.local.is_none() || w.late.as_deref() != Some("next_day")) {
            return Err(BadSend::Late);
        }
        if let (Some(time), None) = (&w.time, &w.after) {
            return Err(BadSend::Time(time.clone()));
        }
        match w {
            Written { now: Some(true), at: None, local: None, after: None, .. } => Ok(Self::Now),
            Written { now: None, at: Some(at), local: None, after: None, .. } => {
                at.parse().map(Self::At).map_err(|_| BadSend::At(at))
            }
            Written { now: None, at: None, local: Some(local), after: None, late, .. } => {
                let at = local_time(&local)?;
                Ok(Self::Local { at, next_day: late.is_some() })
            }
            Written { now: None, at: None, local: None, after: Some(after), time, .. } => {
                let delay = delay(&after).ok_or(BadSend::After(after))?;
                let time = time
                    .map(|t| match (delay, time_of_day(&t)) {
                        (Delay::Days(_), Some(time)) => Ok(time),
                        _ => Err(BadSend::Time(t)),
                    })
                    .transpose()?;
                Ok(Self::After { delay, time })
            }
            _ => Err(BadSend::NotOne),
        }
    }
}

/// Reads a local time strictly: with an offset or a zone it would be an instant, and the date parser skips over both.
fn local_time(text: &str) -> Result<civil::DateTime, BadSend> {
    const DATE: usize = "2026-11-25".len();
    let bad = || BadSend::Local(text.to_owned());
    let (date, rest) = text.split_at_checked(DATE).ok_or_else(bad)?;
    date.parse::<civil::Date>().map_err(|_| bad())?;
    if rest.is_empty() {
        return Err(BadSend::LocalDate(text.to_owned()));
    }
    let time = rest.strip_prefix(['T', 't', ' ']).ok_or_else(bad)?;
    let (digits, zone) =
        time.split_at(time.find(|c: char| !c.is_ascii_digit() && !":.,".contains(c)).unwrap_or(time.len()));
    if zone.is_empty() {
        text.parse().map_err(|_| bad())
    } else if digits.is_empty() {
        Err(bad())
    } else {
        Err(BadSend::LocalZone(text.to_owned()))
    }
}

fn delay(text: &str) -> Option<Delay> {
    const LONGEST_DAYS: i32 = 366;
    let span: Span = text.parse().ok()?;
    if span.is_negative() || span.get_months() != 0 || span.get_years() != 0 {
        return None;
    }
    let days = span.get_weeks() * 7 + span.get_days();
    let rest = span.weeks(0).days(0);
    match (days, rest.is_zero()) {
        (0, _) => {
            let exact = SignedDuration::try_from(rest).ok()?;
            (exact <= SignedDuration::from_hours(i64::from(LONGEST_DAYS) * 24)).then_some(Delay::Exact(exact))
        }
        (1..=LONGEST_DAYS, true) => Some(Delay::Days(days)),
        _ => None,
    }
}

impl From<Send> for Written {
    fn from(send: Send) -> Self {
        match send {
            Send::Now => Self { now: Some(true), ..Self::default() },
            Send::At(at) => Self { at: Some(at.to_string()), ..Self::default() },
            Send::Local { at, next_day } => Self {
                local: Some(at.to_string()),
                late: next_day.then(|| "next_day".to_owned()),
                ..Self::default()
            },
            Send::After { delay, time } => Self {
                after: Some(match delay {
                    Delay::Days(days) => format!("P{days}D"),
                    Delay::Exact(exact) => Span::try_from(exact)
                        .and_then(|s| s.round(jiff::SpanRound::new().largest(Unit::Hour)))
                        .map_or_else(|_| exact.to_string(), |s| s.to_string()),
                }),
                time: time.map(|t| t.strftime("%H:%M").to_string()),
                ..Self::default()
            },
        }
    }
}

impl Send {
    /// When the message is due for recipients of `group`, for a campaign scheduled at `now`. `None` for a message that
    /// follows another: that depends on when the other went.
    ///
    /// Where a group spans zones, the local time is the one reached last, so that it has come for all.
    pub fn due(&self, group: &ZoneGroup, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Now => Some(now),
            Self::At(at) => Some(*at),
            Self::Local { at, next_day } => {
                let mut local = *at;
                let mut due = latest(group, local);
                if *next_day && due < now {
                    // At most one day more than the days that have passed.
                    let passed = now.duration_since(due).as_hours() / 24;
                    local = local.checked_add(Span::new().days(passed)).unwrap_or(local);
                    due = latest(group, local);
                    if due < now {
                        due = latest(group, local.checked_add(Span::new().days(1)).unwrap_or(local));
                    }
                }
                Some(due)
            }
            Self::After { .. } => None,
        }
    }

    /// The earliest instant at which this message can be due, when the message before it went at `at`.
    pub fn due_after(&self, group: &ZoneGroup, at: Timestamp) -> Timestamp {
        match self {
            Self::After { delay: Delay::Exact(exact), .. } => at.saturating_add(*exact).unwrap_or(at),
            Self::After { delay: Delay::Days(days), time } => group
                .zones()
                .iter()
                .map(|zone| {
                    let before = zone.to_datetime(at);
                    let day = before.checked_add(Span::new().days(*days)).unwrap_or(before);
                    instant_of(zone, time.map_or(day, |time| day.date().to_datetime(time)))
                })
                .max()
                .unwrap_or(at),
            Self::Now | Self::At(_) | Self::Local { .. } => at,
        }
    }

    /// Who may get this message now: the recipients whose previous message was settled at or before the returned time.
    /// The inverse of [`Send::due_after`]; for messages with a time of their own, `now`.
    pub fn settled_before(&self, group: &ZoneGroup, now: Timestamp) -> Timestamp {
        match self {
            Self::After { delay: Delay::Exact(exact), .. } => now.saturating_sub(*exact).unwrap_or(now),
            Self::After { delay: Delay::Days(days), time } => group
                .zones()
                .iter()
                .map(|zone| {
                    let local = zone.to_datetime(now);
                    let back = |d: civil::DateTime, n: i32| d.checked_sub(Span::new().days(n)).unwrap_or(d);
                    match time {
                        None => {
                            let mut settled = instant_of(zone, back(local, *days));
                            // Where clocks changed in between, the way back is longer or shorter than the way there.
                            while let over = self.due_after(group, settled).duration_since(now)
                                && over > SignedDuration::ZERO
                            {
                                settled = settled.saturating_sub(over).unwrap_or(settled);
                            }
                            settled
                        }
                        Some(time) => {
                            // The whole local day that is `days` before the last occurrence of `time`.
                            let passed = instant_of(zone, local.date().to_datetime(*time)) <= now;
                            let last = if passed { local } else { back(local, 1) };
                            let day_after = back(last, *days - 1).date().to_datetime(civil::Time::midnight());
                            let end = instant_of(zone, day_after);
                            end.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(end)
                        }
                    }
                })
                .min()
                .unwrap_or(now),
            Self::Now | Self::At(_) | Self::Local { .. } => now,
        }
    }

    /// Whether the message waits for the one before it.
    pub fn is_after(&self) -> bool {
        matches!(self, Self::After { .. })
    }
}

fn latest(group: &ZoneGroup, local: civil::DateTime) -> Timestamp {
    group.zones().iter().map(|zone| instant_of(zone, local)).max().unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn send(json: &str) -> Result<Send, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ny() -> ZoneGroup {
        ZoneGroup::parse("America/New_York").unwrap()
    }

    #[test]
    fn every_form_reads_and_writes_itself() {
        for json in [
            r#"{"now":true}"#,
            r#"{"at":"2026-11-24T15:00:00Z"}"#,
            r#"{"local":"2026-11-25T10:00:00"}"#,
            r#"{"local":"2026-11-25T10:00:00","late":"next_day"}"#,
            r#"{"after":"P2D","time":"10:00"}"#,
            r#"{"after":"PT1H30M"}"#,
        ] {
            assert_eq!(serde_json::to_string(&send(json).unwrap()).unwrap(), json);
        }
    }

    #[test]
    fn what_cannot_be_a_schedule_is_refused_in_words() {
        for (json, word) in [
            ("{}", "exactly one"),
            (r#"{"now":true,"at":"2026-11-24T15:00:00Z"}"#, "exactly one"),
            (r#"{"now":false}"#, "exactly one"),
            (r#"{"at":"tomorrow"}"#, "not an instant"),
            (r#"{"at":"2026-11-24T15:00"}"#, "not an instant"),
            (r#"{"local":"2026-11-24T15:00Z"}"#, "offset or a zone"),
            (r#"{"local":"2026-11-24T15:00z"}"#, "offset or a zone"),
            (r#"{"local":"2026-11-24T15:00-05:00"}"#, "offset or a zone"),
            (r#"{"local":"2026-11-24T15:00+01"}"#, "offset or a zone"),
            (r#"{"local":"2026-11-24 15:00 EST"}"#, "offset or a zone"),
            (r#"{"local":"2026-11-24T15:00:00[Europe/Berlin]"}"#, "offset or a zone"),
            (r#"{"local":"2026-11-24"}"#, "no time of day"),
            (r#"{"local":"2026-11-24T"}"#, "not a local"),
            (r#"{"local":"15:00"}"#, "not a local"),
            (r#"{"local":"2026-13-24T15:00"}"#, "not a local"),
            (r#"{"local":"24.11.2026 15:00"}"#, "not a local"),
            (r#"{"after":"P1M"}"#, "not a delay"),
            (r#"{"after":"P1DT2H"}"#, "not a delay"),
            (r#"{"after":"-PT1H"}"#, "not a delay"),
            (r#"{"after":"PT1H","time":"10:00"}"#, "cannot be the time"),
            (r#"{"at":"2026-11-24T15:00:00Z","time":"10:00"}"#, "cannot be the time"),
            (r#"{"after":"P1D","time":"10:00+02:00"}"#, "cannot be the time"),
            (r#"{"after":"P1D","time":"10:00-05"}"#, "cannot be the time"),
            (r#"{"after":"P1D","time":"10:00Z"}"#, "cannot be the time"),
            (r#"{"after":"P1D","time":"10:00 EST"}"#, "cannot be the time"),
            (r#"{"after":"P1D","time":"10:00[Europe/Berlin]"}"#, "cannot be the time"),
            (r#"{"after":"P1D","time":"2026-11-24T10:00"}"#, "cannot be the time"),
            (r#"{"after":"P1D","time":"10:00:30"}"#, "cannot be the time"),
            (r#"{"after":"P1D","time":"10"}"#, "cannot be the time"),
            (r#"{"local":"2026-11-24T15:00","late":"never"}"#, "next_day"),
        ] {
            let error = send(json).unwrap_err();
            assert!(error.contains(word), "{json}: {error}");
        }
    }

    #[test]
    fn a_local_time_is_each_recipients_own() {
        let local = send(r#"{"local":"2026-11-25T10:00"}"#).unwrap();
        let now = at("2026-11-24T00:00:00Z");
        assert_eq!(local.due(&ny(), now), Some(at("2026-11-25T15:00:00Z")));
        let spans = ZoneGroup::parse("America/New_York&America/Chicago").unwrap();
        assert_eq!(local.due(&spans, now), Some(at("2026-11-25T16:00:00Z")));
        // 02:30 on the day that springs forward does not exist; 01:30 on the other one comes twice.
        let gap = send(r#"{"local":"2027-03-14T02:30"}"#).unwrap();
        assert_eq!(gap.due(&ny(), now), Some(at("2027-03-14T07:30:00Z")));
        let fold = send(r#"{"local":"2026-11-01T01:30"}"#).unwrap();
        assert_eq!(fold.due(&ny(), at("2026-10-01T00:00:00Z")), Some(at("2026-11-01T05:30:00Z")));
    }

    #[test]
    fn a_local_time_that_has_passed_can_move_to_the_next_day() {
        let late = send(r#"{"local":"2026-11-25T10:00","late":"next_day"}"#).unwrap();
        assert_eq!(late.due(&ny(), at("2026-11-25T15:00:01Z")), Some(at("2026-11-26T15:00:00Z")));
        assert_eq!(late.due(&ny(), at("2026-11-28T14:00:00Z")), Some(at("2026-11-28T15:00:00Z")));
    }

    #[test]
    fn two_days_after_at_ten_is_the_second_local_day() {
        let after = send(r#"{"after":"P2D","time":"10:00"}"#).unwrap();
        // Sent late on the 24th in New York (already the 25th in UTC).
        let sent = at("2026-11-25T01:00:00Z");
        let due = at("2026-11-26T15:00:00Z");
        assert_eq!(after.due_after(&ny(), sent), due);
        assert!(after.settled_before(&ny(), due) >= sent);
        assert!(after.settled_before(&ny(), at("2026-11-26T14:59:59Z")) < sent);
    }

    proptest! {
        /// Every recipient who is let through was due, and every one who was due a minute ago is let through.
        #[test]
        fn settled_before_is_the_inverse_of_due_after(
            days in 1i32..10, timed in any::<bool>(), minutes in 0i64..3000,
            hour in 0i8..24, now in 1_780_000_000i64..1_830_000_000, back in 0i64..2_000_000,
            zone in prop::sample::select(vec![
                "America/New_York", "Australia/Lord_Howe", "Atlantic/Azores", "Africa/Cairo", "Europe/Berlin&America/Chicago",
            ]),
        ) {
            let group = ZoneGroup::parse(zone).unwrap();
            let now = Timestamp::from_second(now).unwrap();
            let settled = now - SignedDuration::from_secs(back);
            for send in [
                Send::After { delay: Delay::Days(days), time: timed.then(|| civil::time(hour, 0, 0, 0)) },
                Send::After { delay: Delay::Exact(SignedDuration::from_mins(minutes)), time: None },
            ] {
                let bound = send.settled_before(&group, now);
                if settled <= bound {
                    prop_assert!(send.due_after(&group, settled) <= now, "{send:?} {settled} {now}");
                }
                if send.due_after(&group, settled) <= now - SignedDuration::from_mins(61) {
                    prop_assert!(settled <= bound, "{send:?} {settled} {bound}");
                }
            }
        }
    }
}
