//! Pools of senders: which sender writes to which recipient.
//!
//! Keeps: a recipient stays with the same sender; neighbours in an audience differ wherever no sender has most of the
//! pool's rate; each sender's share of the audience is its share of the rate, so that all finish at the same time.
//! Nothing is stored per recipient: the place in the audience decides.

use std::{num::NonZeroU32, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::Sender;

/// The most places of a deal. More would only divide the rates more finely than anybody measures.
const MOST_SLOTS: u64 = 240;

/// A sender of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSender {
    /// The sender.
    pub sender: Sender,
    /// Segments a second that may go out from this sender, over all campaigns.
    pub rate_per_second: NonZeroU32,
}

/// Deals senders with these rates into a round of places: each as often as its share of the whole, spread evenly. The
/// result holds their indexes.
pub fn deal(rates: &[NonZeroU32]) -> Vec<usize> {
    let divisor = rates.iter().fold(0, |so_far, rate| gcd(so_far, rate.get())).max(1);
    let mut weights: Vec<u64> = rates.iter().map(|rate| u64::from(rate.get() / divisor)).collect();
    let whole: u64 = weights.iter().sum();
    if whole > MOST_SLOTS {
        for weight in &mut weights {
            *weight = (*weight * MOST_SLOTS / whole).max(1);
        }
    }
    // Smooth weighted round robin: the sender that is owed most is next.
    let whole = weights.iter().sum::<u64>() as i64;
    let mut owed = vec![0_i64; weights.len()];
    (0..whole)
        .filter_map(|_| {
            for (owed, weight) in owed.iter_mut().zip(&weights) {
                *owed += *weight as i64;
            }
            // The first among equals.
            let next = owed.iter().enumerate().rev().max_by_key(|(_, owed)| **owed)?.0;
            owed[next] -= whole;
            Some(next)
        })
        .collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The senders that write to a campaign's audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Senders {
    /// Each sender once, with its own rate if it has one.
    all: Vec<(Arc<Sender>, Option<NonZeroU32>)>,
    /// The index of the sender at each place of a round. Never empty.
    slots: Vec<usize>,
}

impl Senders {
    /// One sender for everybody, without a rate of its own.
    pub fn one(sender: Sender) -> Self {
        Self { all: vec![(Arc::new(sender), None)], slots: vec![0] }
    }

    /// The senders as dealt, place by place; none where nothing was dealt.
    pub fn dealt(places: Vec<PoolSender>) -> Option<Self> {
        let mut all: Vec<(Arc<Sender>, Option<NonZeroU32>)> = Vec::new();
        let mut slots = Vec::with_capacity(places.len());
        for place in places {
            let known = all.iter().position(|(sender, _)| **sender == place.sender);
            slots.push(known.unwrap_or(all.len()));
            if known.is_none() {
                all.push((Arc::new(place.sender), Some(place.rate_per_second)));
            }
        }
        (!slots.is_empty()).then_some(Self { all, slots })
    }

    /// Every sender, with the segments a second that it may send if that is limited.
    pub fn all(&self) -> &[(Arc<Sender>, Option<NonZeroU32>)] {
        &self.all
    }

    /// Whether any sender has a rate of its own.
    pub fn are_paced(&self) -> bool {
        self.all.iter().any(|(_, rate)| rate.is_some())
    }

    /// Which of [`Senders::all`] writes to the recipient at this place of the audience.
    pub fn index(&self, seq: i64) -> usize {
        self.slots[seq.rem_euclid(self.slots.len() as i64) as usize]
    }

    /// The sender that writes to the recipient at this place of the audience.
    pub fn of(&self, seq: i64) -> &Arc<Sender> {
        &self.all[self.index(seq)].0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rates(rates: &[u32]) -> Vec<NonZeroU32> {
        rates.iter().map(|n| NonZeroU32::new(*n).unwrap()).collect()
    }

    #[test]
    fn equal_senders_take_turns_and_unequal_ones_are_spread_by_their_rates() {
        assert_eq!(deal(&rates(&[5, 5, 5])), [0, 1, 2]);
        assert_eq!(deal(&rates(&[10, 30])), [1, 0, 1, 1]);
        assert_eq!(deal(&rates(&[7])), [0]);
        assert_eq!(deal(&[]), Vec::<usize>::new());
    }

    #[test]
    fn a_recipient_keeps_the_sender_of_its_place() {
        let named = |name: &str, rate: u32| PoolSender {
            sender: Sender::try_from(name.to_owned()).unwrap(),
            rate_per_second: NonZeroU32::new(rate).unwrap(),
        };
        let senders = Senders::dealt(vec![named("ONE", 2), named("TWO", 1), named("ONE", 2)]).unwrap();
        let dealt: Vec<&str> = (0..7).map(|seq| senders.of(seq).address()).collect();
        assert_eq!(dealt, ["ONE", "TWO", "ONE", "ONE", "TWO", "ONE", "ONE"]);
        let all: Vec<_> =
            senders.all().iter().map(|(s, rate)| (s.address(), rate.map(NonZeroU32::get))).collect();
        assert_eq!(all, [("ONE", Some(2)), ("TWO", Some(1))]);
        assert!(senders.are_paced() && !Senders::one(named("ONE", 1).sender).are_paced());
        assert_eq!(Senders::dealt(Vec::new()), None);
    }

    proptest! {
        #[test]
        fn everybody_has_a_place_and_its_share_of_them(given in prop::collection::vec(1_u32..2_000, 1..40)) {
            let round = deal(&rates(&given));
            prop_assert!(round.len() as u64 <= MOST_SLOTS + given.len() as u64);
            let whole: u64 = given.iter().map(|n| u64::from(*n)).sum();
            for (at, rate) in given.iter().enumerate() {
                let places = round.iter().filter(|i| **i == at).count();
                prop_assert!(places >= 1);
                // Its share of the whole, less what rounding down and the minimum of one place for others take.
                let share = f64::from(*rate) / whole as f64;
                let had = places as f64 / round.len() as f64;
                prop_assert!((had - share).abs() < 0.2, "{had} of {share}: {given:?}");
            }
            let most = given.iter().max().copied().unwrap_or(0);
            // Where all have equal shares, neighbours differ.
            if given.len() > 1 && given.iter().all(|n| *n == most) {
                prop_assert!(round.windows(2).all(|two| two[0] != two[1]));
            }
        }
    }
}
