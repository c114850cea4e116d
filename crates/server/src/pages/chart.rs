//! Outcomes over time: bars of whole minutes, drawn on the server as SVG, and the same as a table. Times are written in
//! UTC; the page's script converts them to the reader's own, like all others.

use askama::Template;
use campaign::{Outcome, outcome::Kind};
use jiff::Timestamp;

use super::{t, words};

/// The size in the drawing's own units; the page scales it.
const SIZE: (i64, i64) = (960, 240);
/// Where the bars are in the drawing.
const LEFT: i64 = 56;
const TOP: i64 = 26;
const BOTTOM: i64 = 200;
/// The most bars.
const BARS: i64 = 80;
/// The widest bar: a course of one minute does not fill the page.
const WIDEST: i64 = 36;
/// The most times below the bars.
const TIMES: i64 = 8;
/// The lines behind the bars.
const LEVELS: i64 = 4;
const MINUTE: i64 = 60;

/// A campaign's course as its page shows it.
#[derive(Template)]
#[template(path = "chart.html")]
pub(crate) struct Chart {
    bars: Vec<Bar>,
    times: Vec<(i64, Timestamp)>,
    levels: Vec<(i64, i64)>,
    /// Minutes per bar.
    minutes: i64,
    /// Whether the course spans more than a day.
    days: bool,
}

impl Chart {
    /// The kinds that are shown, from the bottom up.
    fn kinds(&self) -> [&'static str; Kind::ALL.len()] {
        Kind::ALL.map(Kind::word)
    }

    /// Whether each bar is a minute.
    fn a_minute(&self) -> bool {
        self.minutes == 1
    }
}

struct Bar {
    from: Timestamp,
    to: Timestamp,
    x: i64,
    width: i64,
    counts: [i64; Kind::ALL.len()],
    /// Kind, upper edge, height.
    parts: Vec<(&'static str, i64, i64)>,
}

impl Bar {
    /// What the bar stands for, in words.
    fn says(&self) -> String {
        let kinds = Kind::ALL.iter().map(|kind| kind.word()).zip(self.counts).filter(|(_, n)| *n > 0);
        kinds
            .map(|(kind, n)| format!("{} {}", t::word("chart", kind), words::grouped(n)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn is_any(&self) -> bool {
        self.counts.iter().any(|n| *n > 0)
    }
}

/// The chart of a campaign's course; none before there is anything to show.
pub(crate) fn outcomes(course: &[(Timestamp, Outcome, i64)]) -> Option<Chart> {
    let (first, last) = (course.first()?.0.as_second(), course.last()?.0.as_second());
    // Whole minutes per bar, as few as fit the width.
    let minutes = ((last - first) / MINUTE + 1).div_euclid(BARS) + 1;
    let length = minutes * MINUTE;
    let count = (last - first) / length + 1;
    let mut counts = vec![[0_i64; Kind::ALL.len()]; count as usize];
    for (at, outcome, n) in course {
        counts[((at.as_second() - first) / length) as usize][outcome.kind() as usize] += n;
    }
    let highest = counts.iter().map(|bar| bar.iter().sum::<i64>()).max().unwrap_or(1).max(1);
    let scaled = |n: i64| n * (BOTTOM - TOP) / highest;
    // The axis ends with the last bar: none of it lies in the future.
    let width = ((SIZE.0 - LEFT - 8) / count).clamp(1, WIDEST);
    let at = |bar: i64| Timestamp::from_second(first + bar * length).unwrap_or(Timestamp::UNIX_EPOCH);
    let bar = |(i, counts): (i64, [i64; Kind::ALL.len()])| {
        let mut below = 0;
        let mut parts = Vec::new();
        for (kind, n) in Kind::ALL.map(Kind::word).into_iter().zip(counts).filter(|(_, n)| *n > 0) {
            let (from, to) = (scaled(below), scaled(below + n));
            parts.push((kind, BOTTOM - to, to - from));
            below += n;
        }
        Bar { from: at(i), to: at(i + 1), x: LEFT + i * width, width, counts, parts }
    };
    let every = (count / TIMES).max((64 + width - 1) / width).max(1);
    let level = |i: i64| (highest * i / LEVELS, BOTTOM - scaled(highest * i / LEVELS));
    let mut levels: Vec<(i64, i64)> = (0..=LEVELS).map(level).collect();
    levels.dedup_by_key(|(n, _)| *n);
    Some(Chart {
        bars: (0..count).zip(counts).map(bar).collect(),
        times: (0..count).step_by(every as usize).map(|i| (LEFT + i * width, at(i))).collect(),
        levels,
        minutes,
        days: last - first > 24 * 60 * MINUTE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delivery_is_drawn_and_nothing_before_there_are_any() {
        assert!(outcomes(&[]).is_none());
        let at = |minute: i64| Timestamp::from_second(1_790_000_000 / 60 * 60 + minute * 60).unwrap();
        let chart = outcomes(&[
            (at(0), Outcome::Sent, 5),
            (at(0), Outcome::Delivered, 3),
            (at(90), Outcome::Failed, 1),
        ])
        .unwrap();
        // 91 minutes are 46 bars of two minutes.
        assert_eq!((chart.bars.len(), chart.minutes), (46, 2));
        assert_eq!(chart.bars[0].counts, [3, 5, 0, 0]);
        assert_eq!(chart.bars[45].counts, [0, 0, 1, 0]);
        let end = chart.bars[45].x + chart.bars[45].width;
        assert!(end <= SIZE.0 && chart.times.iter().all(|(x, _)| *x < end));
        assert_eq!(chart.bars[0].says(), "Delivered 3, Sent 5");
        let drawn = chart.to_string();
        assert!(drawn.contains("<svg") && drawn.contains("UTC"), "{drawn}");
    }

    #[test]
    fn a_minute_is_one_bar_and_a_year_is_as_many_as_fit() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let one = outcomes(&[(at(0), Outcome::Delivered, 1)]).unwrap();
        assert_eq!((one.bars.len(), one.bars[0].width), (1, WIDEST));
        let year =
            outcomes(&[(at(0), Outcome::Delivered, 1), (at(525_600), Outcome::Sent, i64::from(u32::MAX))])
                .unwrap();
        assert!(year.bars.len() as i64 <= BARS + 1 && year.days);
    }
}
