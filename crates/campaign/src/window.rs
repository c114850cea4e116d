//! Sending windows: the hours and weekdays in which a recipient may be messaged, in the recipient's own
//! time zone. Default 08:00–21:00 every day (47 CFR 64.1200(c)(1)).

use jiff::{
    SignedDuration, Timestamp, civil,
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Serialize};

use crate::ZoneGroup;

const MINUTES_A_DAY: u16 = 24 * 60;
/// The most dates on which a window stays closed.
const MOST_DATES: usize = 400;

/// Hours of the day on some weekdays. `from` < `to`; both on the same local day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Window {
    /// Monday first.
    days: [bool; 7],
    /// Minutes after local midnight.
    from: u16,
    /// Minutes after local midnight; 1440 is the day's end.
    to: u16,
    /// Local dates on which it stays closed, such as holidays; in order, each once.
    except: Vec<civil::Date>,
}

/// What is wrong with a window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWindow {
    /// Not a weekday.
    #[error("'{0}' is not a weekday; use mon, tue, wed, thu, fri, sat, sun")]
    Day(String),
    /// No day at all.
    #[error("a window needs at least one weekday")]
    NoDay,
    /// Not a time of day.
    #[error("'{0}' is not a time of day; use 08:00 to 24:00")]
    Time(String),
    /// Ends before it begins.
    #[error("a window must end after it begins; use two campaigns for hours across midnight")]
    Empty,
    /// More dates than a calendar of holidays has.
    #[error("{0} dates are too many: at most {MOST_DATES}")]
    Dates(usize),
}

/// Whether a window is open at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Open since `since`, until `until`.
    Open {
        /// When it opened.
        since: Timestamp,
        /// When it closes.
        until: Timestamp,
    },
    /// Closed until `next`.
    Closed {
        /// The next opening.
        next: Timestamp,
    },
    /// The zones of the group have no hour in common: it never opens.
    Never,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "every_day")]
    days: Vec<String>,
    from: String,
    to: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    except: Vec<civil::Date>,
}

const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn every_day() -> Vec<String> {
    DAY_NAMES.map(str::to_owned).to_vec()
}

fn minutes(text: &str) -> Result<u16, BadWindow> {
    if text == "24:00" {
        return Ok(MINUTES_A_DAY);
    }
    let time = time_of_day(text).ok_or_else(|| BadWindow::Time(text.to_owned()))?;
    Ok(u16::from(time.hour() as u8) * 60 + u16::from(time.minute() as u8))
}

/// Reads a time of day, in whole minutes, strictly: the parser of times takes a date before it and skips over an offset
/// or a zone behind it, and the time is each recipient's own.
pub(crate) fn time_of_day(text: &str) -> Option<civil::Time> {
    let bare =
        text.find(':').is_some_and(|at| at <= 2) && text.bytes().all(|b| b.is_ascii_digit() || b == b':');
    let time: civil::Time = bare.then(|| text.parse().ok())??;
    (time.second() == 0).then_some(time)
}

impl TryFrom<Written> for Window {
    type Error = BadWindow;

    fn try_from(w: Written) -> Result<Self, BadWindow> {
        let mut days = [false; 7];
        for name in &w.days {
            let day = DAY_NAMES.iter().position(|d| d == name).ok_or_else(|| BadWindow::Day(name.clone()))?;
            days[day] = true;
        }
        Self::new(days, minutes(&w.from)?, minutes(&w.to)?)?.except(w.except)
    }
}

impl From<Window> for Written {
    fn from(w: Window) -> Self {
        let days = DAY_NAMES.iter().zip(w.days).filter(|(_, on)| *on).map(|(n, _)| (*n).to_owned()).collect();
        let text = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
        Self { days, from: text(w.from), to: text(w.to), except: w.except }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self { days: [true; 7], from: 8 * 60, to: 21 * 60, except: Vec::new() }
    }
}

impl Window {
    /// A window on `days` (Monday first) from `from` to `to`, in minutes after midnight.
    pub fn new(days: [bool; 7], from: u16, to: u16) -> Result<Self, BadWindow> {
        if !days.contains(&true) {
            return Err(BadWindow::NoDay);
        }
        if from >= to || to > MINUTES_A_DAY {
            return Err(BadWindow::Empty);
        }
        Ok(Self { days, from, to, except: Vec::new() })
    }

    /// Open at any hour of every day.
    pub const fn any_time() -> Self {
        Self { days: [true; 7], from: 0, to: MINUTES_A_DAY, except: Vec::new() }
    }

    /// The same window, also closed on `dates`.
    pub fn except(mut self, dates: impl IntoIterator<Item = civil::Date>) -> Result<Self, BadWindow> {
        self.except.extend(dates);
        self.except.sort_unstable();
        self.except.dedup();
        if self.except.len() > MOST_DATES { Err(BadWindow::Dates(self.except.len())) } else { Ok(self) }
    }

    /// The window's state at `now` for recipients who may be in any zone of `group`: open only where it
    /// is open in all of them.
    pub fn at(&self, group: &ZoneGroup, now: Timestamp) -> Opening {
        // Windows repeat weekly: zones that have not met after two weeks of openings never will. Each excluded date may
        // cost another round in each zone.
        const ROUNDS: usize = 14 * 8;
        let mut instant = now;
        for _ in 0..ROUNDS + self.except.len() * group.zones().len() {
            let mut latest_opening = instant;
            let mut since = Timestamp::MIN;
            let mut until = Timestamp::MAX;
            for zone in group.zones() {
                match self.in_zone(zone, instant) {
                    Opening::Open { since: s, until: u } => {
                        since = since.max(s);
                        until = until.min(u);
                    }
                    Opening::Closed { next } => latest_opening = latest_opening.max(next),
                    Opening::Never => return Opening::Never,
                }
            }
            if latest_opening == instant {
                return if instant == now {
                    Opening::Open { since, until }
                } else {
                    Opening::Closed { next: instant }
                };
            }
            instant = latest_opening;
        }
        Opening::Never
    }

    /// `instant` itself when the window is open then, else the next opening; `None` when it never opens.
    pub fn not_before(&self, group: &ZoneGroup, instant: Timestamp) -> Option<Timestamp> {
        match self.at(group, instant) {
            Opening::Open { .. } => Some(instant),
            Opening::Closed { next } => Some(next),
            Opening::Never => None,
        }
    }

    /// The window's state in one zone, decided by what its clocks show at each instant: an hour that comes twice may
    /// open it twice, and a skipped hour opens nothing.
    fn in_zone(&self, zone: &TimeZone, now: Timestamp) -> Opening {
        let mut instant = now;
        // A week until its day comes again, and another for each excluded date and where clocks that go forward skip
        // its hours.
        let mut days = 7 * (3 + self.except.len());
        while days > 0 {
            let span = Span::around(zone, instant);
            // A local day can lie outside the calendar only at its very ends, years from any campaign.
            let mut day = span.offset.to_datetime(instant).date();
            while days > 0 && span.at(day, 0) < span.to {
                days -= 1;
                if let Some((opens, closes)) = self.hours(&span, day)
                    && instant < closes
                {
                    if instant < opens {
                        return Opening::Closed { next: opens };
                    }
                    if instant > now {
                        return Opening::Closed { next: instant };
                    }
                    return self.whole(zone, day, opens, closes);
                }
                let Ok(next) = day.tomorrow() else { return Opening::Never };
                day = next;
            }
            if span.to == Timestamp::MAX {
                break;
            }
            instant = span.to;
        }
        Opening::Never
    }

    /// The hours of `day` in which the window is open, as far as they are in `span`.
    fn hours(&self, span: &Span, day: civil::Date) -> Option<(Timestamp, Timestamp)> {
        let on = self.days[day.weekday().to_monday_zero_offset() as usize];
        if !on || self.except.binary_search(&day).is_ok() {
            return None;
        }
        let (opens, closes) = (span.at(day, self.from).max(span.from), span.at(day, self.to).min(span.to));
        (opens < closes).then_some((opens, closes))
    }

    /// Extends the opening of `day` from `since` to `until` over changes of clocks that keep it open.
    fn whole(&self, zone: &TimeZone, day: civil::Date, since: Timestamp, until: Timestamp) -> Opening {
        let (mut since, mut until) = (since, until);
        while let Some((opens, closes)) =
            since.checked_sub(MOMENT).ok().and_then(|before| self.hours(&Span::around(zone, before), day))
            && closes == since
        {
            since = opens;
        }
        while let Some((opens, closes)) = self.hours(&Span::around(zone, until), day)
            && opens == until
        {
            until = closes;
        }
        Opening::Open { since, until }
    }
}

/// The shortest span of time.
const MOMENT: SignedDuration = SignedDuration::from_nanos(1);

/// A time during which a zone's clocks keep one offset.
struct Span {
    from: Timestamp,
    to: Timestamp,
    offset: Offset,
}

impl Span {
    fn around(zone: &TimeZone, instant: Timestamp) -> Self {
        let after = instant.checked_add(MOMENT).unwrap_or(instant);
        Self {
            from: zone.preceding(after).next().map_or(Timestamp::MIN, |change| change.timestamp()),
            to: zone.following(instant).next().map_or(Timestamp::MAX, |change| change.timestamp()),
            offset: zone.to_offset(instant),
        }
    }

    /// When clocks of this offset show `minutes` after midnight on `day`.
    fn at(&self, day: civil::Date, minutes: u16) -> Timestamp {
        let midnight = day.to_datetime(civil::Time::midnight());
        let local = midnight.checked_add(SignedDuration::from_mins(minutes.into()));
        local.and_then(|local| self.offset.to_timestamp(local)).unwrap_or(Timestamp::MAX)
    }
}

/// The instant of a local time: one that does not exist moves forward, a repeated one is the first.
pub(crate) fn instant_of(zone: &TimeZone, local: civil::DateTime) -> Timestamp {
    zone.to_ambiguous_timestamp(local).compatible().unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn group(name: &str) -> ZoneGroup {
        ZoneGroup::parse(name).unwrap()
    }

    #[test]
    fn the_default_window_opens_at_eight_in_the_recipients_morning() {
        let w = Window::default();
        let ny = group("America/New_York");
        assert_eq!(
            w.at(&ny, at("2026-11-24T12:59:59Z")),
            Opening::Closed { next: at("2026-11-24T13:00:00Z") }
        );
        assert_eq!(
            w.at(&ny, at("2026-11-24T13:00:00Z")),
            Opening::Open { since: at("2026-11-24T13:00:00Z"), until: at("2026-11-25T02:00:00Z") }
        );
        assert_eq!(
            w.at(&ny, at("2026-11-25T02:00:00Z")),
            Opening::Closed { next: at("2026-11-25T13:00:00Z") }
        );
    }

    #[test]
    fn a_day_that_changes_its_clocks_keeps_local_hours() {
        let w = Window::default();
        let ny = group("America/New_York");
        // 2027-03-14 springs forward, 2026-11-01 falls back.
        assert_eq!(w.not_before(&ny, at("2027-03-14T05:00:00Z")), Some(at("2027-03-14T12:00:00Z")));
        assert_eq!(w.not_before(&ny, at("2026-11-01T05:00:00Z")), Some(at("2026-11-01T13:00:00Z")));
        // 02:30 does not exist on that day: clocks that show 03:00 are within the window.
        let night = Window::new([true; 7], 150, 240).unwrap();
        assert_eq!(night.not_before(&ny, at("2027-03-14T06:00:00Z")), Some(at("2027-03-14T07:00:00Z")));
        // A window within the skipped hour does not open on that day.
        let gone = Window::new([true; 7], 130, 150).unwrap();
        assert_eq!(gone.not_before(&ny, at("2027-03-14T06:00:00Z")), Some(at("2027-03-15T06:10:00Z")));
        // 01:15 comes twice, and is outside the window both times.
        let late = Window::new([true; 7], 90, 150).unwrap();
        let opens = |text: &str| late.not_before(&ny, at(text)).unwrap().to_string();
        assert_eq!(opens("2026-11-01T05:15:00Z"), "2026-11-01T05:30:00Z");
        assert_eq!(opens("2026-11-01T06:15:00Z"), "2026-11-01T06:30:00Z");
        assert_eq!(
            late.at(&ny, at("2026-11-01T05:45:00Z")),
            Opening::Open { since: at("2026-11-01T05:30:00Z"), until: at("2026-11-01T06:00:00Z") }
        );
    }

    #[test]
    fn a_group_is_open_where_all_its_zones_are() {
        let w = Window::default();
        let both = group("America/New_York&America/Los_Angeles");
        assert_eq!(w.not_before(&both, at("2026-11-24T13:00:00Z")), Some(at("2026-11-24T16:00:00Z")));
        let far = Window::new([true; 7], 9 * 60, 10 * 60).unwrap();
        assert_eq!(far.at(&both, at("2026-11-24T13:00:00Z")), Opening::Never);
    }

    #[test]
    fn weekdays_are_the_recipients() {
        let w: Window = serde_json::from_str(r#"{"days":["mon"],"from":"00:00","to":"24:00"}"#).unwrap();
        // Sunday evening in New York is Monday in Auckland.
        let sunday_evening = at("2026-11-22T23:00:00Z");
        assert!(matches!(w.at(&group("Pacific/Auckland"), sunday_evening), Opening::Open { .. }));
        assert_eq!(
            w.not_before(&group("America/New_York"), sunday_evening),
            Some(at("2026-11-23T05:00:00Z"))
        );
        assert_eq!(serde_json::to_string(&w).unwrap(), r#"{"days":["mon"],"from":"00:00","to":"24:00"}"#);
    }

    #[test]
    fn a_window_stays_closed_on_the_dates_that_are_left_out() {
        let json = r#"{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"08:00","to":"21:00","except":["2026-12-25","2026-12-26"]}"#;
        let w: Window = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&w).unwrap(), json);
        let berlin = group("Europe/Berlin");
        let next = |text: &str| w.not_before(&berlin, at(text)).unwrap().to_string();
        assert_eq!(next("2026-12-24T10:00:00Z"), "2026-12-24T10:00:00Z");
        assert_eq!(next("2026-12-25T10:00:00Z"), "2026-12-27T07:00:00Z");
        // A weekly day that is excluded comes again a week later.
        let mondays: Window = serde_json::from_str(
            r#"{"days":["mon"],"from":"08:00","to":"21:00","except":["2026-12-21","2026-12-28"]}"#,
        )
        .unwrap();
        assert_eq!(
            mondays.not_before(&berlin, at("2026-12-15T10:00:00Z")).unwrap().to_string(),
            "2027-01-04T07:00:00Z"
        );
        // Christmas Eve in New York is no use to a recipient who may be in Berlin.
        let both = group("Europe/Berlin&America/New_York");
        assert_eq!(
            w.not_before(&both, at("2026-12-24T21:00:00Z")).unwrap().to_string(),
            "2026-12-27T13:00:00Z"
        );
    }

    #[test]
    fn a_bad_window_says_what_is_wrong() {
        let bad = |json: &str| serde_json::from_str::<Window>(json).unwrap_err().to_string();
        assert!(bad(r#"{"days":["caturday"],"from":"08:00","to":"21:00"}"#).contains("not a weekday"));
        assert!(bad(r#"{"days":[],"from":"08:00","to":"21:00"}"#).contains("at least one"));
        assert!(bad(r#"{"from":"8 am","to":"21:00"}"#).contains("not a time of day"));
        for from in ["08:00-05:00", "08:00Z", "08:00[Europe/Berlin]", "2026-11-25T08:00", "08:00:30", "0800"]
        {
            assert!(
                bad(&format!(r#"{{"from":"{from}","to":"21:00"}}"#)).contains("not a time of day"),
                "{from}"
            );
        }
        assert!(bad(r#"{"from":"21:00","to":"08:00"}"#).contains("must end after"));
    }

    /// The day on which a zone's clocks show an hour of the window, if they do.
    fn shows(w: &Window, zone: &TimeZone, instant: Timestamp) -> Option<civil::Date> {
        let local = zone.to_datetime(instant);
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let on = w.days[local.weekday().to_monday_zero_offset() as usize];
        (on && minute >= w.from && minute < w.to).then_some(local.date())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Every second of the nights in which clocks change, in zones that change them by an hour, by half an hour, at
        /// midnight, to the other side of the date line, or for a month of fasting.
        #[test]
        fn every_second_of_a_night_of_changed_clocks_is_as_its_clocks_show(
            name in prop::sample::select(vec![
                "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut",
                "Africa/Cairo", "America/St_Johns", "Pacific/Chatham", "Africa/Casablanca", "Pacific/Apia",
            ]),
            before in 1_320_000_000i64..1_860_000_000,
            days in prop::array::uniform7(prop::bool::weighted(0.8)),
            from in 0u16..300,
            length in 1u16..300,
        ) {
            prop_assume!(days.contains(&true));
            let w = Window::new(days, from, from + length).unwrap();
            let (g, zone) = (group(name), TimeZone::get(name).unwrap());
            let Some(change) = zone.following(Timestamp::from_second(before).unwrap()).next() else { return Ok(()) };
            let begin = change.timestamp() - SignedDuration::from_mins(150);
            let second = |n: i64| begin + SignedDuration::from_secs(n);
            let shown: Vec<_> = (0..5 * 3_600).map(|n| shows(&w, &zone, second(n))).collect();
            let mut first = 0;
            while first < shown.len() {
                // A run of seconds in which nothing changes.
                let last = shown[first..].iter().position(|s| *s != shown[first]).map(|n| first + n);
                let end = last.unwrap_or(shown.len());
                for n in first..end {
                    match (w.at(&g, second(n as i64)), shown[first]) {
                        (Opening::Open { since, until }, Some(_)) => {
                            prop_assert!(first == 0 || since == second(first as i64), "{since} {}", second(n as i64));
                            prop_assert!(last.is_none_or(|last| until == second(last as i64)), "{until}");
                        }
                        (Opening::Closed { next }, None) => {
                            prop_assert!(last.is_none_or(|last| next == second(last as i64)), "{next}");
                        }
                        (said, shown) => prop_assert!(false, "{said:?} at {}, clocks show {shown:?}", second(n as i64)),
                    }
                }
                first = end;
            }
        }
    }

    proptest! {
        /// Whatever the window, zones and instant: where it says open, every zone's clock agrees.
        #[test]
        fn open_means_open_in_every_zone(
            days in prop::array::uniform7(any::<bool>()),
            from in 0u16..1439,
            length in 1u16..1440,
            seconds in 1_780_000_000i64..1_830_000_000,
            zones in prop::sample::subsequence(
                vec!["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"], 1..4),
        ) {
            prop_assume!(days.contains(&true));
            let w = Window::new(days, from, (from + length).min(MINUTES_A_DAY)).unwrap();
            let g = group(&zones.join("&"));
            let now = Timestamp::from_second(seconds).unwrap();
            let open_at = |instant: Timestamp| g.zones().iter().all(|z| {
                let local = z.to_datetime(instant);
                let minute = local.hour() as u16 * 60 + local.minute() as u16;
                w.days[local.weekday().to_monday_zero_offset() as usize] && minute >= w.from && minute < w.to
            });
            match w.at(&g, now) {
                Opening::Open { since, until } => {
                    prop_assert!(since <= now && now < until);
                    prop_assert!(open_at(now));
                }
                Opening::Closed { next } => {
                    prop_assert!(next > now);
                    let opens = matches!(w.at(&g, next), Opening::Open { .. });
                    prop_assert!(opens);
                }
                Opening::Never => {}
            }
        }
    }
}
