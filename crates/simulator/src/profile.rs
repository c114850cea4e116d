//! How a simulated carrier behaves.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use rusmpp::CommandStatus;

/// `ESME_RINVDSTADR`: it does not know the number.
pub const UNKNOWN_NUMBER: u32 = 0x0B;

/// How an SMSC behaves. Shares are from 0 to 1. The default accepts everything at once and delivers all of it.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The seed that decides, with a message's number, what becomes of the message.
    pub seed: u64,
    /// The password that it requires; any password if none.
    pub password: Option<String>,
    /// The longest time that an answer takes; each answer takes its own part of it, so the order changes.
    pub answer_within: Duration,
    /// The rate beyond which it answers `ESME_RTHROTTLED`, in messages a second.
    pub rate_per_second: Option<u32>,
    /// Share of numbers that it refuses.
    pub refused: f64,
    /// The command status that it refuses them with.
    pub refuse_with: u32,
    /// A sender that it refuses (`ESME_RINVSRCADR`).
    pub refused_sender: Option<String>,
    /// The longest time from the answer to the receipt.
    pub receipt_within: Duration,
    /// Share of receipts that say UNDELIV.
    pub undelivered: f64,
    /// Share of messages without a receipt.
    pub no_receipt: f64,
    /// Share of receipts that come twice.
    pub twice: f64,
    /// Share of receipts that come before the answer.
    pub early: f64,
    /// Share of recipients who write back.
    pub replies: f64,
    /// Share of these recipients who write STOP.
    pub stops: f64,
    /// After how many `submit_sm` it closes a connection, with answers still owed.
    pub hang_up_after: Option<u64>,
    /// Whether records are kept; their number is always known.
    pub keep: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            seed: 0,
            password: None,
            answer_within: Duration::ZERO,
            rate_per_second: None,
            refused: 0.0,
            refuse_with: UNKNOWN_NUMBER,
            refused_sender: None,
            receipt_within: Duration::ZERO,
            undelivered: 0.0,
            no_receipt: 0.0,
            twice: 0.0,
            early: 0.0,
            replies: 0.0,
            stops: 0.0,
            hang_up_after: None,
            keep: true,
        }
    }
}

/// What becomes of one message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fate {
    pub(crate) status: CommandStatus,
    pub(crate) answer_after: Duration,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) reply: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Receipt {
    pub(crate) delivered: bool,
    /// Measured from the arrival of the message.
    pub(crate) after: Duration,
    pub(crate) times: usize,
}

/// What people write who want no more messages.
pub(crate) const STOP: &str = "STOP";
const REPLIES: [&str; 4] = ["Thank you", "OK, see you then", "Who is this?", "Please call me"];

impl Profile {
    /// What becomes of a message from `source` to `destination`.
    pub(crate) fn fate(&self, source: &str, destination: &str) -> Fate {
        let mut hash = DefaultHasher::new();
        destination.hash(&mut hash);
        let mut chance = StdRng::seed_from_u64(self.seed ^ hash.finish());
        let within = |most: Duration, chance: &mut StdRng| most.mul_f64(chance.random::<f64>());
        let answer_after = within(self.answer_within, &mut chance);
        let receipt_after = within(self.receipt_within, &mut chance);
        let refused = chance.random_bool(self.refused);
        let status = if self.refused_sender.as_deref() == Some(source) {
            CommandStatus::EsmeRinvsrcadr
        } else if refused {
            CommandStatus::from(self.refuse_with)
        } else {
            CommandStatus::EsmeRok
        };
        let (lost, undelivered) = (chance.random_bool(self.no_receipt), chance.random_bool(self.undelivered));
        let (twice, early) = (chance.random_bool(self.twice), chance.random_bool(self.early));
        let (replies, stops) = (chance.random_bool(self.replies), chance.random_bool(self.stops));
        let text = REPLIES[chance.random_range(0..REPLIES.len())];
        let taken = status == CommandStatus::EsmeRok;
        let after = if early { Duration::ZERO } else { answer_after + receipt_after };
        Fate {
            status,
            answer_after: if early { answer_after + EARLY_BY } else { answer_after },
            receipt: (taken && !lost).then_some(Receipt {
                delivered: !undelivered,
                after,
                times: if twice { 2 } else { 1 },
            }),
            reply: (taken && replies).then_some(if stops { STOP } else { text }),
        }
    }
}

/// How long after its receipt an answer comes, if the receipt is early.
const EARLY_BY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_number_meet_the_same_fate_and_shares_hold() {
        let profile = Profile { seed: 7, refused: 0.1, undelivered: 0.2, ..Profile::default() };
        let fates: Vec<Fate> = (0..10_000).map(|i| profile.fate("x", &format!("1202555{i:04}"))).collect();
        let again: Vec<Fate> = (0..10_000).map(|i| profile.fate("x", &format!("1202555{i:04}"))).collect();
        assert_eq!(fates, again);
        let refused =
            |fates: &[Fate], status: u32| fates.iter().filter(|f| u32::from(f.status) == status).count();
        let many = refused(&fates, UNKNOWN_NUMBER);
        assert!((900..1_100).contains(&many), "{many}");
        // The same numbers are refused with another status.
        let profile = Profile { refuse_with: 0x0400, ..profile };
        let others: Vec<Fate> = (0..10_000).map(|i| profile.fate("x", &format!("1202555{i:04}"))).collect();
        assert_eq!((refused(&others, 0x0400), refused(&others, UNKNOWN_NUMBER)), (many, 0));
        let undelivered = fates.iter().filter(|f| f.receipt.as_ref().is_some_and(|r| !r.delivered)).count();
        assert!((1_600..2_000).contains(&undelivered), "{undelivered}");
    }
}
