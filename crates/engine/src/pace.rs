//! Senders with a rate of their own: so many segments a second each, over all campaigns and routes.

use std::{collections::HashMap, sync::Arc};

use campaign::{Sender, Senders};
use jiff::Timestamp;

use crate::rate::Rate;

/// What each sender that has a rate may still send.
#[derive(Debug, Default)]
pub(crate) struct Paces(HashMap<Arc<Sender>, Rate>);

/// What the senders of one campaign have room for at one moment. What it grants is counted, so that all that is
/// claimed in a turn stays within it.
#[derive(Debug)]
pub(crate) struct Pace {
    /// By sender, as [`Senders::all`] has them; none: not bound.
    rooms: Vec<Option<u32>>,
    /// When the sender that has none left has room for another.
    pub(crate) next: Option<Timestamp>,
    nexts: Vec<Timestamp>,
}

impl Paces {
    /// The room of a campaign's senders at `now`.
    pub(crate) fn room(&mut self, senders: &Senders, now: Timestamp) -> Pace {
        let (mut rooms, mut nexts) = (Vec::new(), Vec::new());
        for (sender, per_second) in senders.all() {
            let Some(per_second) = per_second else {
                rooms.push(None);
                nexts.push(now);
                continue;
            };
            let rate = self.0.entry(sender.clone()).or_insert_with(|| Rate::new(per_second.get(), now));
            rate.configure(per_second.get());
            let room = rate.room(now);
            rooms.push(Some(room));
            nexts.push(rate.after(room));
        }
        Pace { rooms, next: None, nexts }
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
    /// How many recipients from `seq` on, at most `most`, can be written to before a sender has no room.
    pub(crate) fn grant(&mut self, senders: &Senders, seq: i64, most: u32) -> u32 {
        if self.rooms.iter().all(Option::is_none) {
            return most;
        }
        for granted in 0..most {
            let at = senders.index(seq + i64::from(granted));
            if let Some(room) = &mut self.rooms[at] {
                if *room == 0 {
                    self.next = Some(self.next.map_or(self.nexts[at], |next| next.min(self.nexts[at])));
                    return granted;
                }
                *room -= 1;
            }
        }
        most
    }

    /// How many recipients of whom it is not known who writes to them, at most `most`.
    pub(crate) fn grant_any(&mut self, most: u32) -> u32 {
        let Some(rooms) = self.rooms.iter().copied().collect::<Option<Vec<u32>>>() else { return most };
        let granted = most.min(rooms.into_iter().fold(0, u32::saturating_add));
        if granted == 0 {
            self.next = self.next.into_iter().chain(self.nexts.iter().copied()).min();
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

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
    fn a_campaign_without_such_senders_is_not_bound() {
        let now = "2026-11-24T15:00:00Z".parse().unwrap();
        let one = Senders::one(Sender::Alphanumeric("CLINIC".into()));
        let mut pace = Paces::default().room(&one, now);
        assert_eq!((pace.grant(&one, 0, 1_000), pace.grant_any(1_000), pace.next), (1_000, 1_000, None));
    }
}
