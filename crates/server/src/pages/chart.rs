//! Outcomes over time: bars, drawn on the server as SVG without a word in it, and the same as a table. Words and times around
//! the bars are HTML, so they are as large on a phone as on a desk. Times are written in UTC; the page's script converts them to
//! the reader's own, like all others.

use std::borrow::Cow;

use askama::Template;
use campaign::{Outcome, outcome::Place};
use jiff::{SignedDuration, Timestamp};

use super::{series, t, words};

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60;
/// How many minutes a bar may stand for, as people count them.
const WIDTHS: [i64; 7] = [1, 5, 15, 60, 6 * 60, DAY, 7 * DAY];
/// The most bars.
const BARS: i64 = 60;
/// The fewest: a course of one minute stands behind some in which nothing was sent, and does not fill the page.
const FEWEST: i64 = 12;
/// A bar and the gap behind it, in the drawing's own units; the page scales it.
const WIDE: i64 = 10;
const GAP: i64 = 1;
/// The height of the drawing.
const HIGH: i64 = 1_000;
/// The times below the bars.
const TIMES: i64 = 4;

/// A campaign's course as its page shows it.
#[derive(Template)]
#[template(path = "chart.html")]
pub(crate) struct Chart {
    bars: Vec<Bar>,
    /// The places for bars: the axis ends with the last bar, none of it lies in the future.
    places: i64,
    /// The times at the beginning of each part of the axis, and at its end.
    times: Vec<Timestamp>,
    /// The height of the drawing, in deliveries.
    most: i64,
    /// Minutes per bar.
    minutes: i64,
    calls: bool,
}

impl Chart {
    /// What a bar stands for, in words.
    pub(super) fn title(&self) -> Cow<'static, str> {
        let channel = if self.calls { "calls" } else { "messages" };
        let what = t::word("chart", channel);
        match self.minutes {
            1 => t::with("chart-a-minute", ("what", what)),
            60 => t::with("chart-an-hour", ("what", what)),
            DAY => t::with("chart-a-day", ("what", what)),
            n => t::with("chart-minutes", ("what", what, "span", words::span(SignedDuration::from_mins(n)))),
        }
    }

    /// The series that it has, from the bottom up.
    fn series(&self) -> Vec<(usize, &'static str)> {
        let has = |at: usize| self.bars.iter().any(|bar| bar.counts[at] > 0);
        series::ALL.into_iter().enumerate().filter(|(at, _)| has(*at)).collect()
    }

    /// The word for a series.
    fn word(&self, series: &str) -> Cow<'static, str> {
        match (self.calls, series) {
            (true, "delivered") => t::say("series-answered"),
            (true, "failed") => t::say("series-not-reached"),
            _ => t::word("series", series),
        }
    }

    /// What a bar says: each series with its count.
    fn says(&self, bar: &Bar) -> String {
        let counted = series::ALL.iter().zip(bar.counts).filter(|(_, n)| *n > 0);
        counted
            .map(|(of, n)| format!("{} {}", self.word(of), words::grouped(n)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Whether the axis names days.
    fn has_days(&self) -> bool {
        self.places * self.minutes > DAY
    }
}

struct Bar {
    from: Timestamp,
    to: Timestamp,
    x: i64,
    counts: [i64; series::ALL.len()],
    /// Series, upper edge, height.
    parts: Vec<(&'static str, i64, i64)>,
}

impl Bar {
    fn is_any(&self) -> bool {
        self.counts.iter().any(|n| *n > 0)
    }
}

/// The next number that axes end with: 1, 2 or 5 and zeros.
fn round_up(n: i64) -> i64 {
    let mut ten = 1;
    loop {
        if let Some(step) = [1, 2, 5].into_iter().map(|step| step * ten).find(|step| *step >= n) {
            return step;
        }
        ten *= 10;
    }
}

/// The chart of a campaign's course; none before there is anything to show.
pub(crate) fn outcomes(course: &[(Timestamp, Outcome, i64)], calls: bool) -> Option<Chart> {
    let (first, last) = (course.first()?.0.as_second(), course.last()?.0.as_second());
    let fits = |minutes: &i64| (last - first) / (minutes * MINUTE) < BARS;
    let weeks = (last - first) / (7 * DAY * MINUTE * BARS) + 1;
    let minutes = WIDTHS.into_iter().find(fits).unwrap_or(7 * DAY * weeks);
    let length = minutes * MINUTE;
    // Bars begin where the clock has whole ones.
    let first = first.div_euclid(length) * length;
    let count = (last - first) / length + 1;
    let mut counts = vec![[0_i64; series::ALL.len()]; count as usize];
    for (at, outcome, n) in course {
        // Each outcome has a series, as a test shows.
        let of = series::of(Place::Settled(*outcome).row());
        let Some(at_series) = series::ALL.iter().position(|series| Some(*series) == of) else { continue };
        counts[((at.as_second() - first) / length) as usize][at_series] += n;
    }
    let most = round_up(counts.iter().map(|bar| bar.iter().sum::<i64>()).max().unwrap_or(1).max(1));
    let places = count.max(FEWEST);
    let before = places - count;
    let at = |bar: i64| Timestamp::from_second(first + bar * length).unwrap_or(Timestamp::UNIX_EPOCH);
    let bar = |(i, counts): (i64, [i64; series::ALL.len()])| {
        let mut below = 0;
        let mut parts = Vec::new();
        for (series, n) in series::ALL.into_iter().zip(counts).filter(|(_, n)| *n > 0) {
            let (from, to) = (below * HIGH / most, (below + n) * HIGH / most);
            parts.push((series, HIGH - to, to - from));
            below += n;
        }
        Bar { from: at(i), to: at(i + 1), x: (before + i) * WIDE, counts, parts }
    };
    Some(Chart {
        bars: (0..count).zip(counts).map(bar).collect(),
        places,
        times: (0..=TIMES).map(|i| at(places * i / TIMES - before)).collect(),
        most,
        minutes,
        calls,
    })
}

#[cfg(test)]
mod tests {
    use campaign::outcome::TABLE;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_400 / 3_600 * 3_600 + minute * 60).unwrap()
    }

    #[test]
    fn every_delivery_is_drawn_and_nothing_before_there_are_any() {
        assert!(outcomes(&[], false).is_none());
        let course =
            [(at(1), Outcome::Sent, 5), (at(1), Outcome::Delivered, 3), (at(91), Outcome::Failed, 1)];
        let chart = outcomes(&course, false).unwrap();
        // Ninety minutes are 19 bars of five minutes, which begin at whole ones.
        assert_eq!((chart.bars.len(), chart.minutes, chart.bars[0].from), (19, 5, at(0)));
        assert_eq!(chart.bars[0].counts, [3, 5, 0, 0, 0]);
        assert_eq!(chart.bars[18].counts, [0, 0, 1, 0, 0]);
        assert_eq!((chart.most, chart.times.first(), chart.times.last()), (10, Some(&at(0)), Some(&at(95))));
        assert_eq!(chart.says(&chart.bars[0]), "Delivered 3, Sent, no receipt yet 5");
        let drawn = chart.to_string();
        assert!(drawn.contains("<svg") && drawn.contains("per 5 minutes"), "{drawn}");
        // What stands in a bar fills its share of the height.
        assert_eq!(chart.bars[0].parts, [("delivered", 700, 300), ("sent", 200, 500)]);
    }

    #[test]
    fn a_minute_is_one_bar_and_any_time_is_as_many_as_fit() {
        let one = outcomes(&[(at(0), Outcome::Delivered, 1)], false).unwrap();
        assert_eq!((one.bars.len(), one.places, one.minutes), (1, FEWEST, 1));
        for minutes in [59, 60, 299, 300, 1_440, 10_000, 525_600, 52_560_000] {
            let long = outcomes(
                &[(at(0), Outcome::Delivered, 1), (at(minutes), Outcome::Sent, i64::from(u32::MAX))],
                false,
            )
            .unwrap();
            assert!((2..=BARS + 1).contains(&(long.bars.len() as i64)), "{minutes}: {}", long.bars.len());
            let whole: i64 = long.bars.iter().flat_map(|bar| bar.counts).sum();
            assert_eq!(whole, 1 + i64::from(u32::MAX));
        }
    }

    #[test]
    fn every_outcome_has_a_series_and_axes_end_with_round_numbers() {
        for row in TABLE.iter().filter(|row| row.place.is_settled()) {
            assert!(series::of(row).is_some_and(|of| series::ALL.contains(&of)), "{}", row.word);
        }
        let ends: Vec<i64> = [1, 2, 3, 5, 6, 11, 49, 51, 1_310].map(round_up).into();
        assert_eq!(ends, [1, 2, 5, 5, 10, 20, 50, 100, 2_000]);
    }
}
