//! Outcomes over time, drawn on the server as SVG. Texts and lines take the page's own
//! colour.

use campaign::Outcome;
use jiff::Timestamp;
use plotters::prelude::*;

/// Size in the drawing's own units; the page scales it.
const SIZE: (u32, u32) = (960, 220);
/// Bars at most.
const BARS: i64 = 80;
/// A course of a minute is not as wide as the page.
const FEWEST_BARS: i64 = 30;
const MINUTE: i64 = 60;
/// Legible on light and on dark paper.
const GOOD: RGBColor = RGBColor(46, 140, 90);
const UNDER_WAY: RGBColor = RGBColor(86, 132, 214);
const BAD: RGBColor = RGBColor(201, 74, 66);
const NOTHING: RGBColor = RGBColor(140, 148, 160);

/// The kinds of outcome that are told apart, from the ground up.
pub(crate) const KINDS: [(&str, RGBColor); 4] =
    [("good", GOOD), ("under-way", UNDER_WAY), ("bad", BAD), ("nothing", NOTHING)];

fn kind(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Delivered => 0,
        Outcome::Sent => 1,
        Outcome::Undelivered | Outcome::Failed => 2,
        Outcome::Skipped | Outcome::InDoubt => 3,
    }
}

/// The chart of a campaign's course; none before there is anything to show.
pub(crate) fn outcomes(course: &[(Timestamp, Outcome, i64)]) -> Option<String> {
    let (first, last) = (course.first()?.0.as_second(), course.last()?.0.as_second());
    // Whole minutes a bar, as few as fill the width.
    let minutes = ((last - first) / MINUTE + 1).div_euclid(BARS) + 1;
    let width = minutes * MINUTE;
    let count = ((last - first) / width + 1) as usize;
    let mut bars = vec![[0_i64; KINDS.len()]; count];
    for (at, outcome, n) in course {
        bars[((at.as_second() - first) / width) as usize][kind(*outcome)] += n;
    }
    let highest = bars.iter().map(|bar| bar.iter().sum::<i64>()).max().unwrap_or(1).max(1);
    let mut svg = String::new();
    draw(&mut svg, &bars, highest, |bar| {
        let at = Timestamp::from_second(first + bar * width).unwrap_or(Timestamp::UNIX_EPOCH);
        at.strftime(if width * count as i64 > 24 * 3600 { "%m-%d %H:%M" } else { "%H:%M" }).to_string()
    })
    .ok()?;
    Some(svg)
}

fn draw(
    svg: &mut String,
    bars: &[[i64; KINDS.len()]],
    highest: i64,
    label: impl Fn(i64) -> String,
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        // Half of the last label.
        .margin_right(24)
        .x_label_area_size(24)
        .y_label_area_size(48)
        .build_cartesian_2d(0..FEWEST_BARS.max(bars.len() as i64), 0..highest)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(8)
        .y_labels(4)
        .x_label_formatter(&|bar| label(*bar))
        .draw()?;
    let mut floor = vec![0; bars.len()];
    for (at, (_, colour)) in KINDS.iter().enumerate() {
        let column = |(x, bar): (usize, &[i64; KINDS.len()])| {
            let from = floor[x];
            floor[x] += bar[at];
            Rectangle::new([(x as i64, from), (x as i64 + 1, floor[x])], colour.filled())
        };
        let columns: Vec<_> = bars.iter().enumerate().map(column).collect();
        chart.draw_series(columns)?;
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delivery_is_drawn_and_nothing_before_there_are_any() {
        assert_eq!(outcomes(&[]), None);
        let at = |minute: i64| Timestamp::from_second(1_790_000_000 / 60 * 60 + minute * 60).unwrap();
        let svg = outcomes(&[
            (at(0), Outcome::Sent, 5),
            (at(0), Outcome::Delivered, 3),
            (at(90), Outcome::Failed, 1),
        ])
        .unwrap();
        assert!(svg.starts_with("<svg"));
        // 91 minutes are 46 bars of two minutes, each with its four kinds.
        assert!(svg.matches("<rect").count() >= 46 * KINDS.len(), "{svg}");
    }
}
