//! Senders with a rate of their own: so many segments a second each, over all campaigns and routes.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc};

use campaign::{Sender, Senders};
use jiff::Timestamp;

use crate::rate::Rate;

/// What each sender that has a rate may still send.
#[derive(Debug, Default)]
pub(crate) struct Paces(HashMap<Arc<Sender>, Rate>);

/// What the senders of one campaign have room for at one moment.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Of each sender, as [`Senders::all`] has them, its room and when it has more; none: not bound. Empty where none
    /// of them is.
    rooms: Vec<Option<(u32, Timestamp)>>,
    /// When the sender that has none left has room for another.
    pub(crate) next: Option<Timestamp>,
}

impl Paces {
    /// The room of a campaign's senders at `now`.
    pub(crate) fn room(&mut self, senders: &Senders, now: Timestamp) -> Pace {
        if !senders.are_paced() {
            return Pace { rooms: Vec::new(), next: None };
        }
        let room = |(sender, per_second): &(Arc<Sender>, Option<NonZeroU32>)| {
            let per_second = (*per_second)?.get();
            let rate = self.0.entry(sender.clone()).or_insert_with(|| Rate::new(per_second, now));
            rate.configure(per_second);
            let room = rate.room(now);
            Some((room, rate.after(room)))
        };
        Pace { rooms: senders.all().iter().map(room).collect(), next: None }
    }

    /// Takes what goes out as a sender; one without a rate takes nothing.
    pub(crate) fn take(&mut self, sender: &Arc<Sender>, segments: usize) {
        if segments > 0
            && let Some(rate) = self.0.get_mut(sender)
        {
            rate.take(segments);
        }
    }
}

impl Pace {
    /// How many recipients from `seq` on, at most `most`, can be written to before a sender has no room. What is
    /// granted is taken from the room.
    pub(crate) fn grant(&mut self, senders: &Senders, seq: i64, most: u32) -> u32 {
        if self.rooms.is_empty() {
            return most;
        }
        for granted in 0..most {
            if let Some((room, next)) = &mut self.rooms[senders.index(seq + i64::from(granted))] {
                if *room == 0 {
                    self.next = self.next.into_iter().chain([*next]).min();
                    return granted;
                }
                *room -= 1;
            }
        }
        most
    }

    /// How many recipients of whom it is not known who writes to them, at most `most`. Whose room they take is known
    /// once they are claimed; until then it stays.
    pub(crate) fn grant_any(&mut self, most: u32) -> u32 {
        let bound: Option<Vec<(u32, Timestamp)>> = self.rooms.iter().copied().collect();
        let Some(bound) = bound.filter(|bound| !bound.is_empty()) else { return most };
        let granted = most.min(bound.iter().fold(0, |sum, (room, _)| sum.saturating_add(*room)));
        if granted == 0 {
            self.next = self.next.into_iter().chain(bound.into_iter().map(|(_, next)| next)).min();
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use campaign::{PoolSender, pool};

    use super::*;

    fn dealt(rates: &[u32]) -> Senders {
        let rates: Vec<NonZeroU32> = rates.iter().map(|n| NonZeroU32::new(*n).unwrap()).collect();
        let place = |at: usize| PoolSender {
            sender: Sender::Alphanumeric(format!("S{at}")),
            rate_per_second: rates[at],
        };
        Senders::dealt(pool::deal(&rates).into_iter().map(place).collect()).unwrap()
    }

    /// What goes in a minute, by sender.
    fn minute(senders: &Senders) -> HashMap<String, u32> {
        let mut now: Timestamp = "2026-11-24T15:00:00Z".parse().unwrap();
        let end = now + jiff::SignedDuration::from_mins(1);
        let (mut paces, mut seq, mut sent) = (Paces::default(), 0, HashMap::new());
        while now < end {
            let mut pace = paces.room(senders, now);
            for _ in 0..pace.grant(senders, seq, 1_000) {
                paces.take(senders.of(seq), 1);
                *sent.entry(senders.of(seq).to_string()).or_default() += 1;
                seq += 1;
            }
            now = pace.next.unwrap().max(now + jiff::SignedDuration::from_millis(1));
        }
        sent
    }

    #[test]
    fn each_sender_keeps_its_rate_and_the_pool_carries_the_sum_of_them() {
        let equal = minute(&dealt(&[1, 1, 1]));
        assert!(equal.values().all(|n| (59..=62).contains(n)), "{equal:?}");
        let unequal = minute(&dealt(&[30, 10]));
        assert!(
            (1_780..=1_810).contains(&unequal["S0"]) && (590..=610).contains(&unequal["S1"]),
            "{unequal:?}"
        );
    }

    #[test]
    fn a_slow_sender_beside_a_fast_one_holds_it_back_no_more_than_its_share() {
        for (one, other) in [(2, 1), (1, 7)] {
            let sent = minute(&dealt(&[one, other]));
            let near = |n: u32, rate: u32| (60 * rate - 2..=60 * rate + 2 + rate).contains(&n);
            assert!(near(sent["S0"], one) && near(sent["S1"], other), "{one} and {other}: {sent:?}");
        }
    }

    #[test]
    fn a_campaign_without_such_senders_is_not_bound() {
        let now = "2026-11-24T15:00:00Z".parse().unwrap();
        let one = Senders::one(Sender::Alphanumeric("CLINIC".into()));
        let mut pace = Paces::default().room(&one, now);
        assert_eq!((pace.grant(&one, 0, 1_000), pace.grant_any(1_000), pace.next), (1_000, 1_000, None));
    }
}
