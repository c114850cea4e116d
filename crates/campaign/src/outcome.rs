//! What became of a delivery, in the words of the product, and which later news may change it.

use serde::{Deserialize, Serialize};

/// A settled delivery as it stands in the database. Pending, Sending and Cancelled are never stored:
/// they are what open waves, claims and closed waves hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// The SMSC accepted it.
    Sent = 1,
    /// A receipt says that it reached the phone.
    Delivered = 2,
    /// A receipt says that it did not.
    Undelivered = 3,
    /// The SMSC refused it for good.
    Failed = 4,
    /// Not sent, for a reason of ours.
    Skipped = 5,
    /// Handed over, answer lost: never sent again by itself.
    InDoubt = 6,
}

impl Outcome {
    /// Every outcome, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Sent, Self::Delivered, Self::Undelivered, Self::Failed, Self::Skipped, Self::InDoubt];

    /// The number stored in the database.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Reads [`Outcome::code`] back.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.code() == code)
    }

    /// The word used in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::InDoubt => "in_doubt",
        }
    }

    /// Reads [`Outcome::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.word() == word)
    }

    /// Whether news of `later` changes a delivery that stands at `self`. The first final receipt wins;
    /// In doubt gives way to whatever really happened; everything else stands.
    pub const fn gives_way_to(self, later: Self) -> bool {
        match self {
            Self::Sent => matches!(later, Self::Delivered | Self::Undelivered),
            Self::InDoubt => {
                matches!(later, Self::Sent | Self::Delivered | Self::Undelivered | Self::Failed)
            }
            Self::Delivered | Self::Undelivered | Self::Failed | Self::Skipped => false,
        }
    }
}

/// Why a recipient got nothing, by a rule of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum SkipReason {
    /// The number opted out.
    OptedOut = 1,
    /// The number is on a do-not-contact list.
    Blocked = 2,
    /// The number cannot be reached by this channel.
    InvalidNumber = 3,
    /// The text needs a field that the contact lacks.
    MissingField = 4,
    /// The account requires consent and none is recorded.
    NoConsent = 5,
    /// A communication limit forbids it.
    Limit = 6,
    /// Its time had passed.
    Expired = 7,
    /// An earlier message to the same recipient failed.
    EarlierFailed = 8,
    /// The contact was deleted on request after the campaign had been scheduled.
    Deleted = 9,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::OptedOut,
        Self::Blocked,
        Self::InvalidNumber,
        Self::MissingField,
        Self::NoConsent,
        Self::Limit,
        Self::Expired,
        Self::EarlierFailed,
        Self::Deleted,
    ];

    /// The word used in the API and in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::OptedOut => "opted_out",
            Self::Blocked => "blocked",
            Self::InvalidNumber => "invalid_number",
            Self::MissingField => "missing_field",
            Self::NoConsent => "no_consent",
            Self::Limit => "limit",
            Self::Expired => "expired",
            Self::EarlierFailed => "earlier_failed",
            Self::Deleted => "deleted",
        }
    }

    /// Reads [`SkipReason::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.word() == word)
    }

    /// Whether the same reason holds for every later message to this recipient.
    pub const fn holds_for_later_messages(self) -> bool {
        matches!(
            self,
            Self::OptedOut
                | Self::Blocked
                | Self::InvalidNumber
                | Self::NoConsent
                | Self::EarlierFailed
                | Self::Deleted
        )
    }
}

/// What the outcome of the previous message means for the next one to the same recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// It goes.
    Goes,
    /// It is skipped for this reason.
    Skip(SkipReason),
}

/// The rule of architecture.md, "What became of n − 1 decides".
pub fn follow(previous: Outcome, reason: Option<SkipReason>, go_on_after_failure: bool) -> Follow {
    match (previous, reason) {
        (Outcome::Failed, _) if !go_on_after_failure => Follow::Skip(SkipReason::EarlierFailed),
        (Outcome::Skipped, Some(reason)) if reason.holds_for_later_messages() => Follow::Skip(reason),
        _ => Follow::Goes,
    }
}

/// Deliveries by outcome. Every key is always present; the sum is audience × messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Hash))]
pub struct Totals {
    /// Not yet due, waiting, or to be tried again.
    pub pending: i64,
    /// Claimed: on its way to the SMSC, answer not yet stored.
    pub sending: i64,
    /// Accepted by the SMSC, no receipt yet.
    pub sent: i64,
    /// Confirmed by receipt.
    pub delivered: i64,
    /// Denied by receipt.
    pub undelivered: i64,
    /// Refused by the SMSC.
    pub failed: i64,
    /// Left out by a rule.
    pub skipped: i64,
    /// What a stop or an archiving left unsent.
    pub cancelled: i64,
    /// Handed over, answer lost.
    pub in_doubt: i64,
}

impl Totals {
    /// The count of a stored outcome.
    pub fn of(&mut self, outcome: Outcome) -> &mut i64 {
        match outcome {
            Outcome::Sent => &mut self.sent,
            Outcome::Delivered => &mut self.delivered,
            Outcome::Undelivered => &mut self.undelivered,
            Outcome::Failed => &mut self.failed,
            Outcome::Skipped => &mut self.skipped,
            Outcome::InDoubt => &mut self.in_doubt,
        }
    }

    /// All deliveries.
    pub fn sum(&self) -> i64 {
        self.pending
            + self.sending
            + self.sent
            + self.delivered
            + self.undelivered
            + self.failed
            + self.skipped
            + self.cancelled
            + self.in_doubt
    }

    /// Adds another count to this one.
    pub fn add(&mut self, other: &Self) {
        self.pending += other.pending;
        self.sending += other.sending;
        self.cancelled += other.cancelled;
        let mut other = *other;
        for outcome in Outcome::ALL {
            *self.of(outcome) += *other.of(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_final_receipt_wins_and_doubt_gives_way() {
        assert!(Outcome::Sent.gives_way_to(Outcome::Delivered));
        assert!(!Outcome::Delivered.gives_way_to(Outcome::Undelivered));
        assert!(!Outcome::Undelivered.gives_way_to(Outcome::Delivered));
        assert!(Outcome::InDoubt.gives_way_to(Outcome::Failed));
        assert!(!Outcome::Skipped.gives_way_to(Outcome::Delivered));
    }

    #[test]
    fn a_failed_message_ends_the_sequence_unless_the_campaign_goes_on() {
        assert_eq!(follow(Outcome::Failed, None, false), Follow::Skip(SkipReason::EarlierFailed));
        assert_eq!(follow(Outcome::Failed, None, true), Follow::Goes);
        assert_eq!(follow(Outcome::Skipped, Some(SkipReason::MissingField), false), Follow::Goes);
        assert_eq!(
            follow(Outcome::Skipped, Some(SkipReason::OptedOut), true),
            Follow::Skip(SkipReason::OptedOut)
        );
        assert_eq!(follow(Outcome::InDoubt, None, false), Follow::Goes);
    }
}
