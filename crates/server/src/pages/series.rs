//! The series that bars and charts tell apart, with one colour each: what became of deliveries, as people look at it.

use campaign::{
    Outcome,
    outcome::{Kind, Place, Row},
};

/// Every series, from the bottom of a bar up.
pub(super) const ALL: [&str; 5] = ["delivered", "sent", "failed", "doubt", "skipped"];

/// The series of a place; none of those that are still to come.
pub(super) fn of(row: &Row) -> Option<&'static str> {
    match row.place {
        Place::Settled(Outcome::InDoubt) => Some("doubt"),
        Place::Settled(_) if row.kind == Kind::Good => Some("delivered"),
        Place::Settled(_) if row.kind == Kind::UnderWay => Some("sent"),
        Place::Settled(_) if row.kind == Kind::Bad => Some("failed"),
        Place::Settled(_) => Some("skipped"),
        Place::Cancelled | Place::NotCalled => Some("cancelled"),
        Place::Pending | Place::Sending | Place::Dialing | Place::Ringing | Place::InProgress => None,
    }
}

/// The series of a place, or that of what is still to come.
pub(super) fn or_left(row: &Row) -> &'static str {
    of(row).unwrap_or("left")
}

/// A part of a bar that is 100 wide.
#[derive(Debug, PartialEq)]
pub(super) struct Share {
    pub(super) series: &'static str,
    pub(super) from: f64,
    pub(super) width: f64,
}

/// The parts of a bar that stands for all of these counts. What is still to come has none: the bar's ground is left.
pub(super) fn shares<'a>(counts: impl Iterator<Item = (&'a Row, i64)>) -> Vec<Share> {
    let counts: Vec<_> = counts.collect();
    let all = counts.iter().map(|(_, n)| n).sum::<i64>().max(1) as f64;
    let mut shares: Vec<Share> = Vec::new();
    let mut from = 0.0;
    for series in ALL.into_iter().chain(["cancelled"]) {
        let n: i64 = counts.iter().filter(|(row, _)| of(row) == Some(series)).map(|(_, n)| n).sum();
        let width = n as f64 * 100.0 / all;
        if n > 0 {
            shares.push(Share { series, from, width });
        }
        from += width;
    }
    shares
}

#[cfg(test)]
mod tests {
    use campaign::{Channel, outcome::TABLE};

    use super::*;

    #[test]
    fn the_parts_of_a_bar_are_the_shares_of_what_is_no_longer_to_come() {
        for channel in Channel::ALL {
            // One of each place that the channel has.
            let places: Vec<_> = TABLE.iter().filter(|row| row.channels.contains(&channel)).collect();
            let shares = shares(places.iter().map(|row| (*row, 1)));
            let come_to = places.iter().filter(|row| of(row).is_some()).count();
            let wide: f64 = shares.iter().map(|share| share.width).sum();
            assert!((wide - 100.0 * come_to as f64 / places.len() as f64).abs() < 1e-9, "{shares:?}");
            assert!(
                shares.windows(2).all(|two| (two[0].from + two[0].width - two[1].from).abs() < 1e-9),
                "{shares:?}"
            );
        }
        assert_eq!(shares(std::iter::empty()), []);
    }
}
