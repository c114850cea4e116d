//! The lifecycle of a campaign as one table that a person can read beside the product document.
//!
//! Nothing else in the system knows which status follows which: screens, API, command line, engine and
//! store all ask this module. A [`Transition`] can only be made here, and the store takes nothing else
//! to change a status.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a campaign sends.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::EnumString, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Channel {
    /// Text messages.
    Sms,
    /// Calls.
    Voice,
}

/// Where a campaign stands (product document, "Status Definitions").
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::EnumString, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Saved, not scheduled; everything can be edited.
    Defined,
    /// Audience frozen, deliveries planned.
    Scheduled,
    /// The first delivery has come due.
    Running,
    /// Stopped by a person; what was not sent is cancelled.
    Stopped,
    /// Voice only: the engine could not go on.
    Errored,
    /// Every delivery is settled.
    Completed,
    /// Hidden from the index unless asked for.
    Archived,
}

/// What a person can do with a campaign. Reading is always possible and is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    /// Change details (voice, Scheduled: settings and start).
    Edit,
    /// Freeze the audience and queue the campaign.
    Schedule,
    /// Change the send schedule of a message (SMS, Scheduled).
    Adjust,
    /// Stop: nothing leaves after the answer.
    Stop,
    /// Plan anew what a stop cancelled (SMS).
    Restart,
    /// Release what is on hold.
    Release,
    /// Hide from the index.
    Archive,
    /// Copy into a new Defined campaign.
    Clone,
    /// End the calls that are up (voice); changes no status.
    HangUp,
}

/// What moves a campaign: a person's action, or what the engine finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A person's action.
    Act(Action),
    /// The first delivery has come due.
    Due,
    /// The last delivery is settled.
    Settled,
    /// The engine cannot go on (voice).
    Broken,
}

use Action::{Adjust, Archive, Edit, HangUp, Release, Restart, Schedule, Stop};
use Cause::{Act, Broken, Due, Settled};
use Channel::{Sms, Voice};
use Status::{Archived, Completed, Defined, Errored, Running, Scheduled, Stopped};

const BOTH: &[Channel] = &[Sms, Voice];
const ONLY_SMS: &[Channel] = &[Sms];
const ONLY_VOICE: &[Channel] = &[Voice];

/// One row of the lifecycle: in `from`, for these channels, `cause` leads to `to`.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    channels: &'static [Channel],
    from: Status,
    cause: Cause,
    to: Status,
}

const fn rule(channels: &'static [Channel], from: Status, cause: Cause, to: Status) -> Rule {
    Rule { channels, from, cause, to }
}

/// The lifecycle. Order within a status is the order in which actions are offered.
const TABLE: &[Rule] = &[
    rule(BOTH, Defined, Act(Edit), Defined),
    rule(BOTH, Defined, Act(Schedule), Scheduled),
    rule(BOTH, Defined, Act(Archive), Archived),
    rule(BOTH, Defined, Act(Action::Clone), Defined),
    rule(ONLY_VOICE, Scheduled, Act(Edit), Scheduled),
    rule(ONLY_SMS, Scheduled, Act(Adjust), Scheduled),
    rule(BOTH, Scheduled, Act(Stop), Stopped),
    rule(BOTH, Scheduled, Act(Archive), Archived),
    rule(BOTH, Scheduled, Act(Action::Clone), Scheduled),
    rule(BOTH, Scheduled, Due, Running),
    rule(BOTH, Running, Act(Stop), Stopped),
    rule(BOTH, Running, Act(Release), Running),
    rule(BOTH, Running, Act(Action::Clone), Running),
    rule(BOTH, Running, Settled, Completed),
    rule(ONLY_VOICE, Running, Broken, Errored),
    rule(ONLY_SMS, Stopped, Act(Restart), Running),
    rule(ONLY_VOICE, Stopped, Act(HangUp), Stopped),
    rule(BOTH, Stopped, Act(Archive), Archived),
    rule(BOTH, Stopped, Act(Action::Clone), Stopped),
    rule(ONLY_VOICE, Errored, Act(HangUp), Errored),
    rule(ONLY_VOICE, Errored, Act(Archive), Archived),
    rule(ONLY_VOICE, Errored, Act(Action::Clone), Errored),
    rule(BOTH, Completed, Act(Archive), Archived),
    rule(BOTH, Completed, Act(Action::Clone), Completed),
    rule(ONLY_VOICE, Archived, Act(HangUp), Archived),
    rule(BOTH, Archived, Act(Action::Clone), Archived),
];

/// A proven step of the lifecycle: only [`transition`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    from: Status,
    cause: Cause,
    to: Status,
}

impl Transition {
    /// The status it leaves.
    pub fn from(self) -> Status {
        self.from
    }
    /// What moves it.
    pub fn cause(self) -> Cause {
        self.cause
    }
    /// The status it reaches.
    pub fn to(self) -> Status {
        self.to
    }
}

/// The action is not possible in this status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a campaign that is {status} cannot {cause}")]
pub struct NotAllowed {
    /// What the campaign sends.
    pub channel: Channel,
    /// The status the campaign is in.
    pub status: Status,
    /// The cause that was tried.
    pub cause: Cause,
}

/// The transition that `cause` makes from `from`, if the table has it.
pub fn transition(channel: Channel, from: Status, cause: Cause) -> Result<Transition, NotAllowed> {
    TABLE
        .iter()
        .find(|r| r.from == from && r.cause == cause && r.channels.contains(&channel))
        .map(|r| Transition { from, cause, to: r.to })
        .ok_or(NotAllowed { channel, status: from, cause })
}

/// What some actions are offered for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// Something waits for a person to release it.
    pub held: bool,
    /// Calls are up.
    pub calls_up: bool,
}

/// Whether a campaign of this kind can come to a status.
pub fn has_status(channel: Channel, status: Status) -> bool {
    status == Defined || TABLE.iter().any(|rule| rule.to == status && rule.channels.contains(&channel))
}

/// The actions that a person can take now.
pub fn available_actions(channel: Channel, status: Status, now: Circumstances) -> Vec<Action> {
    TABLE
        .iter()
        .filter(|r| r.from == status && r.channels.contains(&channel))
        .filter_map(|r| match r.cause {
            Act(Release) => now.held.then_some(Release),
            Act(HangUp) => now.calls_up.then_some(HangUp),
            Act(action) => Some(action),
            Due | Settled | Broken => None,
        })
        .collect()
}

/// The table as the page `docs/lifecycle.md`.
pub fn markdown() -> String {
    use fmt::Write as _;
    let mut page = String::from(
        "# Lifecycle of a campaign\n\nPrinted from the table in `crates/campaign/src/lifecycle.rs`; a test keeps this \
         page current.\nReading is possible in every status.\n",
    );
    for (channel, title) in [(Sms, "SMS"), (Voice, "Voice")] {
        let _ = write!(page, "\n## {title}\n\n| Status | What happens | Then |\n|---|---|---|\n");
        for r in TABLE.iter().filter(|r| r.channels.contains(&channel)) {
            let then = if r.to == r.from { "stays".to_owned() } else { r.to.to_string() };
            let _ = writeln!(page, "| {} | {} | {then} |", r.from, r.cause);
        }
    }
    page
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [Defined, Scheduled, Running, Stopped, Errored, Completed, Archived];

    /// The word used in the API and in the database.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Reads [`Status::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 2] = [Sms, Voice];

    /// The word used in the API and in the database.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Reads [`Channel::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 9] = [Edit, Schedule, Adjust, Stop, Restart, Release, HangUp, Archive, Self::Clone];

    /// The word used in the API.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Defined => "Defined",
            Scheduled => "Scheduled",
            Running => "Running",
            Stopped => "Stopped",
            Errored => "Errored",
            Completed => "Completed",
            Archived => "Archived",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Act(action) => action.word(),
            Due => "first delivery due",
            Settled => "last delivery settled",
            Broken => "engine cannot go on",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const CAUSES: [Cause; 12] = [
        Act(Edit),
        Act(Schedule),
        Act(Adjust),
        Act(Stop),
        Act(Restart),
        Act(Release),
        Act(HangUp),
        Act(Archive),
        Act(Action::Clone),
        Due,
        Settled,
        Broken,
    ];

    /// The status flow of the product document, written down a second time and independently of the table.
    fn document(channel: Channel) -> BTreeSet<(&'static str, &'static str)> {
        let mut edges: BTreeSet<_> = [
            ("defined", "scheduled"),
            ("scheduled", "running"),
            ("running", "completed"),
            ("scheduled", "stopped"),
            ("running", "stopped"),
            ("defined", "archived"),
            ("scheduled", "archived"),
            ("stopped", "archived"),
            ("completed", "archived"),
        ]
        .into();
        match channel {
            Sms => edges.extend([("stopped", "running")]),
            Voice => edges.extend([("running", "errored"), ("errored", "archived")]),
        }
        edges
    }

    #[test]
    fn only_a_campaign_of_calls_can_come_to_errored() {
        for status in Status::ALL {
            assert!(has_status(Voice, status), "{status:?}");
            assert_eq!(has_status(Sms, status), status != Errored, "{status:?}");
        }
    }

    #[test]
    fn the_status_graph_is_the_documents_and_no_other() {
        for channel in [Sms, Voice] {
            let mut edges = BTreeSet::new();
            for from in Status::ALL {
                for cause in CAUSES {
                    if let Ok(t) = transition(channel, from, cause)
                        && t.from() != t.to()
                    {
                        edges.insert((t.from().word(), t.to().word()));
                    }
                }
            }
            assert_eq!(edges, document(channel), "{channel:?}");
        }
    }

    #[test]
    fn actions_are_those_of_the_product_page() {
        let words =
            |c, s, now| available_actions(c, s, now).iter().map(|a| a.word()).collect::<Vec<_>>().join(" ");
        let usual = Circumstances::default();
        let sms: Vec<_> = Status::ALL.iter().map(|s| words(Sms, *s, usual)).collect();
        assert_eq!(
            sms,
            [
                "edit schedule archive clone",
                "adjust stop archive clone",
                "stop clone",
                "restart archive clone",
                "",
                "archive clone",
                "clone"
            ]
        );
        let voice: Vec<_> = Status::ALL.iter().map(|s| words(Voice, *s, usual)).collect();
        assert_eq!(
            voice,
            [
                "edit schedule archive clone",
                "edit stop archive clone",
                "stop clone",
                "archive clone",
                "archive clone",
                "archive clone",
                "clone"
            ]
        );
        let held = Circumstances { held: true, ..usual };
        assert_eq!(words(Sms, Running, held), "stop release clone");
        let calls_up = Circumstances { calls_up: true, ..usual };
        let hang_up: Vec<_> =
            Status::ALL.iter().map(|s| words(Voice, *s, calls_up).contains("hang_up")).collect();
        // A Running one is stopped with "hang up now".
        assert_eq!(hang_up, [false, false, false, true, true, false, true]);
    }

    #[test]
    fn what_is_offered_is_what_is_accepted() {
        for channel in [Sms, Voice] {
            for status in Status::ALL {
                let offered =
                    available_actions(channel, status, Circumstances { held: true, calls_up: true });
                for action in Action::ALL {
                    assert_eq!(transition(channel, status, Act(action)).is_ok(), offered.contains(&action));
                }
            }
        }
    }

    #[test]
    fn the_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lifecycle.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(page, markdown(), "run the tests once with UPDATE_DOCS=1");
    }

    proptest! {
        /// Whatever is tried, in whatever order, a campaign only follows the document's edges.
        #[test]
        fn any_sequence_of_actions_walks_the_documents_edges(
            voice in any::<bool>(),
            tries in prop::collection::vec(0..CAUSES.len(), 0..60),
        ) {
            let channel = if voice { Voice } else { Sms };
            let edges = document(channel);
            let mut status = Defined;
            for cause in tries.into_iter().map(|i| CAUSES[i]) {
                if let Ok(t) = transition(channel, status, cause) {
                    prop_assert_eq!(t.from(), status);
                    prop_assert!(t.to() == status || edges.contains(&(status.word(), t.to().word())));
                    status = t.to();
                }
            }
        }
    }
}
