//! What became of a delivery, in the product's words, and which later news may change it.

use serde::{Deserialize, Serialize};

use crate::Channel;

/// A settled delivery as stored in the database. Pending, Sending and Cancelled are never stored: they are what open
/// waves, claims and closed waves hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// The SMSC accepted it.
    Sent = 1,
    /// A receipt says that the message reached the phone.
    Delivered = 2,
    /// A receipt says that the message did not reach the phone.
    Undelivered = 3,
    /// The SMSC refused it for good.
    Failed = 4,
    /// Not sent, by a rule of ours.
    Skipped = 5,
    /// Handed over, but the answer was lost: never sent again automatically.
    InDoubt = 6,
}

/// Where a delivery stands: settled with a row, or derived from what holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The delivery has a row.
    Settled(Outcome),
    /// Not yet due, waiting, or to be retried.
    Pending,
    /// On its way to the SMSC.
    Sending,
    /// Left unsent by a stop or an archiving.
    Cancelled,
}

/// What an outcome means to a person who looks at a campaign: what charts tell apart, from the bottom up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The recipient was reached.
    Good,
    /// The delivery is on its way.
    UnderWay,
    /// The delivery failed.
    Bad,
    /// Nothing came of the delivery, or nobody knows.
    Nothing,
}

/// One row of [`TABLE`].
#[derive(Debug)]
pub struct Row {
    /// Where the delivery stands.
    pub place: Place,
    /// The number that stands for it in the database and in SQL; those without a row are above the outcomes.
    pub code: u8,
    /// The word used in the API, on pages and by the command line.
    pub word: &'static str,
    /// The channels that have it.
    pub channels: &'static [Channel],
    /// What it means to a person who looks at a campaign.
    pub kind: Kind,
    /// Whether it is shown even where its count is 0.
    pub usual: bool,
    /// Later news that change it: the first final receipt wins, In doubt gives way to whatever really happened,
    /// everything else stands.
    pub gives_way_to: &'static [Outcome],
}

const SMS: &[Channel] = &[Channel::Sms];

const fn row(
    place: Place,
    code: u8,
    word: &'static str,
    channels: &'static [Channel],
    (kind, usual): (Kind, bool),
    gives_way_to: &'static [Outcome],
) -> Row {
    Row { place, code, word, channels, kind, usual, gives_way_to }
}

/// Every place of a delivery, in the order in which pages show them. Totals, charts, filters, pages, the API and the
/// command line read this table; an outcome that is not here does not exist.
pub const TABLE: [Row; 9] = {
    use Kind::{Bad, Good, Nothing, UnderWay};
    use Outcome::{Delivered, Failed, InDoubt, Sent, Skipped, Undelivered};
    use Place::{Cancelled, Pending, Sending, Settled};
    [
        row(Settled(Delivered), 2, "delivered", SMS, (Good, true), &[]),
        row(Settled(Sent), 1, "sent", SMS, (UnderWay, true), &[Delivered, Undelivered]),
        row(Settled(Undelivered), 3, "undelivered", SMS, (Bad, false), &[]),
        row(Settled(Failed), 4, "failed", SMS, (Bad, true), &[]),
        row(Settled(InDoubt), 6, "in_doubt", SMS, (Nothing, false), &[Sent, Delivered, Undelivered, Failed]),
        row(Settled(Skipped), 5, "skipped", SMS, (Nothing, false), &[]),
        row(Cancelled, 102, "cancelled", SMS, (Nothing, false), &[]),
        row(Sending, 101, "sending", SMS, (UnderWay, false), &[]),
        row(Pending, 100, "pending", SMS, (UnderWay, true), &[]),
    ]
};

impl Kind {
    /// Every kind, from the bottom up.
    pub const ALL: [Self; 4] = [Self::Good, Self::UnderWay, Self::Bad, Self::Nothing];

    /// The name in style sheets.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::UnderWay => "under-way",
            Self::Bad => "bad",
            Self::Nothing => "nothing",
        }
    }
}

impl Place {
    /// The place's row; every place has one, as a test shows.
    pub fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.place == self).unwrap_or(&TABLE[0])
    }

    /// Whether the delivery has come to an end.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Settled(_))
    }

    /// The word used in the API.
    pub fn word(self) -> &'static str {
        self.row().word
    }

    /// The number that stands for it in SQL.
    pub fn code(self) -> u8 {
        self.row().code
    }

    /// Reads [`Place::code`] back.
    pub fn from_code(code: u8) -> Option<Self> {
        TABLE.iter().find(|row| row.code == code).map(|row| row.place)
    }

    /// Reads [`Place::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.word == word).map(|row| row.place)
    }
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.word())
    }
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
    pub fn word(self) -> &'static str {
        Place::Settled(self).word()
    }

    /// Reads [`Outcome::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.word() == word)
    }

    /// What the outcome means to a person who looks at a campaign.
    pub fn kind(self) -> Kind {
        Place::Settled(self).row().kind
    }

    /// Whether news of `later` change a delivery that is at `self`.
    pub fn gives_way_to(self, later: Self) -> bool {
        Place::Settled(self).row().gives_way_to.contains(&later)
    }
}

/// Why a recipient got nothing, by a rule of ours.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::EnumString, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
#[strum(serialize_all = "snake_case")]
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
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Reads [`SkipReason::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
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

/// What the outcome of the previous message means for the next message to the same recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// The next message goes.
    Goes,
    /// The next message is skipped for this reason.
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
    /// Not yet due, waiting, or to be retried.
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
    /// Left unsent by a stop or an archiving.
    pub cancelled: i64,
    /// Handed over, but the answer was lost.
    pub in_doubt: i64,
}

impl Totals {
    /// The count of a place.
    pub fn at(&mut self, place: Place) -> &mut i64 {
        match place {
            Place::Pending => &mut self.pending,
            Place::Sending => &mut self.sending,
            Place::Cancelled => &mut self.cancelled,
            Place::Settled(Outcome::Sent) => &mut self.sent,
            Place::Settled(Outcome::Delivered) => &mut self.delivered,
            Place::Settled(Outcome::Undelivered) => &mut self.undelivered,
            Place::Settled(Outcome::Failed) => &mut self.failed,
            Place::Settled(Outcome::Skipped) => &mut self.skipped,
            Place::Settled(Outcome::InDoubt) => &mut self.in_doubt,
        }
    }

    /// Every count with its row, in the table's order.
    pub fn counts(mut self) -> impl Iterator<Item = (&'static Row, i64)> {
        TABLE.iter().map(move |row| (row, *self.at(row.place)))
    }

    /// All deliveries.
    pub fn sum(&self) -> i64 {
        self.counts().map(|(_, count)| count).sum()
    }

    /// Deliveries that have come to an end. A cancelled delivery is not on its way, but nothing became of it either.
    pub fn settled(self) -> i64 {
        self.counts().filter(|(row, _)| row.place.is_settled()).map(|(_, count)| count).sum()
    }

    /// Adds another count to this one.
    pub fn add(&mut self, other: &Self) {
        for (row, count) in other.counts() {
            *self.at(row.place) += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_one_row_and_one_word() {
        let settled = Outcome::ALL.map(Place::Settled);
        let places: Vec<Place> =
            settled.into_iter().chain([Place::Pending, Place::Sending, Place::Cancelled]).collect();
        assert_eq!(places.len(), TABLE.len());
        for place in places {
            assert_eq!(TABLE.iter().filter(|row| row.place == place).count(), 1, "{place:?}");
            assert_eq!(Place::from_word(place.word()), Some(place));
            assert_eq!(Place::from_code(place.code()), Some(place));
            assert!(!matches!(place, Place::Settled(outcome) if outcome.code() != place.code()), "{place:?}");
        }
    }

    #[test]
    fn totals_add_up_place_by_place() {
        let (mut sum, mut one) = (Totals::default(), Totals::default());
        for (at, row) in TABLE.iter().enumerate() {
            *one.at(row.place) = 1 << at;
        }
        sum.add(&one);
        sum.add(&one);
        assert_eq!((one.sum(), sum.sum()), (511, 1_022));
        assert!(sum.counts().enumerate().all(|(at, (_, count))| count == 2 << at));
        assert_eq!(sum.sum() - sum.settled(), sum.pending + sum.sending + sum.cancelled);
    }

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
