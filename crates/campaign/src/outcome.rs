//! What became of a delivery, in the product's words, and which later news may change it.

use std::{
    collections::BTreeMap,
    ops::{Index, IndexMut},
};

use serde::{Deserialize, Serialize};

use crate::Channel;

/// A settled delivery as stored in the database. Everything else that a [`Place`] can be is never stored: it is what
/// open waves, claims and closed waves hold.
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
    /// A person answered the call.
    AnsweredHuman = 7,
    /// An answering machine answered the call.
    AnsweredMachine = 8,
    /// Somebody or something answered the call.
    AnsweredUnknown = 9,
    /// The line was busy.
    Busy = 10,
    /// Nobody answered the call.
    NoAnswer = 11,
    /// The call was declined, by the person or by a filter.
    Rejected = 12,
    /// The number cannot be reached.
    Unreachable = 13,
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
    /// Called, and neither ringing nor talking yet.
    Dialing,
    /// The phone rings.
    Ringing,
    /// The call was answered and goes on.
    InProgress,
    /// Left unsent by a stop or an archiving.
    Cancelled,
    /// Left uncalled because the campaign errored.
    NotCalled,
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
const VOICE: &[Channel] = &[Channel::Voice];
const BOTH: &[Channel] = &Channel::ALL;

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
pub const TABLE: [Row; 20] = {
    use Kind::{Bad, Good, Nothing, UnderWay};
    use Outcome::{
        AnsweredHuman, AnsweredMachine, AnsweredUnknown, Busy, Delivered, Failed, InDoubt, NoAnswer,
        Rejected, Sent, Skipped, Undelivered, Unreachable,
    };
    use Place::{Cancelled, Dialing, InProgress, NotCalled, Pending, Ringing, Sending, Settled};
    const REALLY_HAPPENED: &[Outcome] = &[
        Sent,
        Delivered,
        Undelivered,
        Failed,
        AnsweredHuman,
        AnsweredMachine,
        AnsweredUnknown,
        Busy,
        NoAnswer,
        Rejected,
        Unreachable,
    ];
    [
        row(Settled(Delivered), 2, "delivered", SMS, (Good, true), &[]),
        row(Settled(Sent), 1, "sent", SMS, (UnderWay, true), &[Delivered, Undelivered]),
        row(Settled(Undelivered), 3, "undelivered", SMS, (Bad, false), &[]),
        row(Settled(AnsweredHuman), 7, "answered_human", VOICE, (Good, true), &[]),
        row(Settled(AnsweredUnknown), 9, "answered_unknown", VOICE, (Good, true), &[]),
        row(Settled(AnsweredMachine), 8, "answered_machine", VOICE, (Nothing, false), &[]),
        row(Settled(Busy), 10, "busy", VOICE, (Bad, true), &[]),
        row(Settled(NoAnswer), 11, "no_answer", VOICE, (Bad, true), &[]),
        row(Settled(Rejected), 12, "rejected", VOICE, (Bad, false), &[]),
        row(Settled(Unreachable), 13, "unreachable", VOICE, (Bad, false), &[]),
        row(Settled(Failed), 4, "failed", BOTH, (Bad, true), &[]),
        row(Settled(InDoubt), 6, "in_doubt", BOTH, (Nothing, false), REALLY_HAPPENED),
        row(Settled(Skipped), 5, "skipped", BOTH, (Nothing, false), &[]),
        row(Cancelled, 102, "cancelled", BOTH, (Nothing, false), &[]),
        row(NotCalled, 106, "not_called", VOICE, (Nothing, false), &[]),
        row(Sending, 101, "sending", SMS, (UnderWay, false), &[]),
        row(InProgress, 105, "in_progress", VOICE, (UnderWay, false), &[]),
        row(Ringing, 104, "ringing", VOICE, (UnderWay, false), &[]),
        row(Dialing, 103, "dialing", VOICE, (UnderWay, false), &[]),
        row(Pending, 100, "pending", BOTH, (UnderWay, true), &[]),
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
    /// The place's row.
    pub fn row(self) -> &'static Row {
        &TABLE[self.at()]
    }

    /// Where its row is in [`TABLE`]; every place has one, as a test shows.
    fn at(self) -> usize {
        TABLE.iter().position(|row| row.place == self).unwrap_or(0)
    }

    /// Where a delivery is that was claimed and has no result yet.
    pub const fn under_way(channel: Channel) -> Self {
        match channel {
            Channel::Sms => Self::Sending,
            Channel::Voice => Self::Dialing,
        }
    }

    /// Where a delivery is that will not leave any more; `errored`: because its campaign errored.
    pub const fn left(errored: bool) -> Self {
        if errored { Self::NotCalled } else { Self::Cancelled }
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
    pub const ALL: [Self; 13] = [
        Self::Sent,
        Self::Delivered,
        Self::Undelivered,
        Self::Failed,
        Self::Skipped,
        Self::InDoubt,
        Self::AnsweredHuman,
        Self::AnsweredMachine,
        Self::AnsweredUnknown,
        Self::Busy,
        Self::NoAnswer,
        Self::Rejected,
        Self::Unreachable,
    ];

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

    /// What a person may settle a delivery as that is in doubt.
    pub const fn by_hand(channel: Channel) -> [Self; 2] {
        match channel {
            Channel::Sms => [Self::Sent, Self::Failed],
            Channel::Voice => [Self::AnsweredUnknown, Self::NoAnswer],
        }
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
    /// What was to be said could not be rendered.
    SpeechFailed = 10,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::OptedOut,
        Self::Blocked,
        Self::InvalidNumber,
        Self::MissingField,
        Self::NoConsent,
        Self::Limit,
        Self::Expired,
        Self::EarlierFailed,
        Self::Deleted,
        Self::SpeechFailed,
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

/// Deliveries by where they stand; the sum is audience × messages. Those of another channel's places are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub struct Totals([i64; TABLE.len()]);

impl Index<Place> for Totals {
    type Output = i64;

    fn index(&self, place: Place) -> &i64 {
        &self.0[place.at()]
    }
}

impl IndexMut<Place> for Totals {
    fn index_mut(&mut self, place: Place) -> &mut i64 {
        &mut self.0[place.at()]
    }
}

impl<const N: usize> From<[(Place, i64); N]> for Totals {
    fn from(counts: [(Place, i64); N]) -> Self {
        let mut totals = Self::default();
        for (place, count) in counts {
            totals[place] += count;
        }
        totals
    }
}

impl Totals {
    /// Every count that a campaign of `channel` can have, with its row, in the table's order.
    pub fn counts(&self, channel: Channel) -> impl Iterator<Item = (&'static Row, i64)> {
        self.all().filter(move |(row, _)| row.channels.contains(&channel))
    }

    /// The same by its word, as in the API: every key is always present.
    pub fn by_word(&self, channel: Channel) -> BTreeMap<&'static str, i64> {
        self.counts(channel).map(|(row, count)| (row.word, count)).collect()
    }

    fn all(self) -> impl Iterator<Item = (&'static Row, i64)> {
        TABLE.iter().zip(self.0)
    }

    /// All deliveries.
    pub fn sum(&self) -> i64 {
        self.0.iter().sum()
    }

    /// Deliveries that have come to an end. A cancelled delivery is not on its way, but nothing became of it either.
    pub fn settled(self) -> i64 {
        self.all().filter(|(row, _)| row.place.is_settled()).map(|(_, count)| count).sum()
    }

    /// Adds another count to this one.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(one, more)| *one += more);
    }

    /// Tells apart the calls that are up, of which a route tells how many ring and how many were answered. A call that
    /// has ended and whose result is not stored yet is still counted as dialing, so the sum stands.
    pub fn tell_apart(&mut self, ringing: i64, in_progress: i64) {
        for (place, told) in [(Place::InProgress, in_progress), (Place::Ringing, ringing)] {
            let told = told.clamp(0, self[Place::Dialing].max(0));
            self[Place::Dialing] -= told;
            self[place] += told;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_one_row_and_one_word() {
        let settled = Outcome::ALL.map(Place::Settled);
        let others = [
            Place::Pending,
            Place::Sending,
            Place::Dialing,
            Place::Ringing,
            Place::InProgress,
            Place::Cancelled,
            Place::NotCalled,
        ];
        let places: Vec<Place> = settled.into_iter().chain(others).collect();
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
            one[row.place] = 1 << at;
        }
        sum.add(&one);
        sum.add(&one);
        let all = (1 << TABLE.len()) - 1;
        assert_eq!((one.sum(), sum.sum()), (all, 2 * all));
        assert!(sum.all().enumerate().all(|(at, (_, count))| count == 2 << at));
        let unsettled: i64 = sum.all().filter(|(row, _)| !row.place.is_settled()).map(|(_, n)| n).sum();
        assert_eq!(sum.sum() - sum.settled(), unsettled);
    }

    #[test]
    fn each_channel_has_the_keys_of_the_api_and_no_others() {
        let keys = |channel| Totals::default().by_word(channel).into_keys().collect::<Vec<_>>().join(" ");
        assert_eq!(
            keys(Channel::Sms),
            "cancelled delivered failed in_doubt pending sending sent skipped undelivered"
        );
        assert_eq!(
            keys(Channel::Voice),
            "answered_human answered_machine answered_unknown busy cancelled dialing failed in_doubt in_progress no_answer \
             not_called pending rejected ringing skipped unreachable"
        );
    }

    #[test]
    fn calls_that_are_up_are_told_apart_within_what_is_outstanding() {
        for (outstanding, ringing, talking, told) in
            [(10, 3, 2, [5, 3, 2]), (4, 3, 2, [0, 2, 2]), (1, 0, 5, [0, 0, 1]), (0, 3, 2, [0, 0, 0])]
        {
            let mut totals = Totals::from([(Place::Dialing, outstanding), (Place::Pending, 7)]);
            totals.tell_apart(ringing, talking);
            assert_eq!([Place::Dialing, Place::Ringing, Place::InProgress].map(|place| totals[place]), told);
            assert_eq!(totals.sum(), outstanding + 7);
        }
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
