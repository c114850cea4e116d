//! Who did what: the audit log.

use std::fmt;

use campaign::{Action, UserId};
use jiff::Timestamp;
use serde::Serialize;

/// Who asks for a change, and when. Every change to the store by people and programs carries it, and the store writes
/// the audit log in the same transaction as the change: neither exists without the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The name in histories: a person's address, a token's name, `command line`.
    pub actor: String,
    /// The account or token; none for the program itself and its commands.
    pub id: Option<ActorId>,
    /// When the change is asked for.
    pub at: Timestamp,
}

impl By {
    /// The program itself, or a command of it, at `at`.
    pub fn new(actor: impl Into<String>, at: Timestamp) -> Self {
        Self { actor: actor.into(), id: None, at }
    }

    /// An account or a token, called `actor`, at `at`.
    pub fn known(id: ActorId, actor: impl Into<String>, at: Timestamp) -> Self {
        Self { actor: actor.into(), id: Some(id), at }
    }
}

/// The account or token that acts. Names may be alike, and a token may have a person's name; this identifies one actor,
/// and is never given to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActorId {
    /// A person's account.
    User(UserId),
    /// An API token.
    Token(i64),
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{}", id.0),
            Self::Token(id) => write!(f, "token:{id}"),
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Deed {
    /// A person signed in.
    SignedIn,
    /// A person signed out.
    SignedOut,
    /// An invitation was taken up.
    AccountMade,
    /// A campaign was made.
    CampaignMade,
    /// A campaign was edited.
    CampaignEdited,
    /// A campaign was cloned; the object is the copy.
    CampaignCloned,
    /// A campaign was scheduled.
    CampaignScheduled,
    /// A campaign was given other send times.
    CampaignAdjusted,
    /// A campaign was stopped.
    CampaignStopped,
    /// A campaign was restarted.
    CampaignRestarted,
    /// What was held of a campaign was released.
    CampaignReleased,
    /// A campaign was archived.
    CampaignArchived,
    /// A delivery in doubt was settled by hand.
    DoubtSettled,
    /// A contact list was made.
    ListMade,
    /// A contact list was renamed.
    ListRenamed,
    /// A contact list was deleted; its contacts stay.
    ListDeleted,
    /// A contact was added to a list by hand.
    ContactAdded,
    /// What is known of a contact was edited.
    ContactEdited,
    /// A contact was taken off a list.
    ContactTakenOff,
    /// A file was uploaded, to be looked at.
    FileSent,
    /// The import of a file, or of rows without a file, was begun.
    ImportBegun,
    /// A number was put on a do-not-contact list.
    NumberBlocked,
    /// A number was taken off a do-not-contact list.
    BlockLifted,
    /// A consent was noted.
    ConsentNoted,
    /// A consent was withdrawn.
    ConsentWithdrawn,
    /// A contact was deleted.
    ContactDeleted,
    /// A route was added.
    RouteAdded,
    /// A route was changed.
    RouteChanged,
    /// A route was tested with one message.
    RouteTried,
    /// Audio was uploaded.
    AudioAdded,
    /// An upload was deleted.
    AudioDeleted,
    /// Calls that were up were ended by hand.
    CallsHungUp,
    /// A pool of senders was added.
    PoolAdded,
    /// A pool of senders was changed.
    PoolChanged,
    /// A pool of senders was removed.
    PoolRemoved,
    /// The account's settings were changed.
    SettingsChanged,
    /// A person was invited.
    PersonInvited,
    /// A person was added.
    PersonAdded,
    /// A person was given a password.
    PasswordSet,
    /// A person was given a role.
    RoleChanged,
    /// A person was removed.
    PersonRemoved,
    /// A token was made.
    TokenMade,
    /// A token was ended.
    TokenEnded,
    /// A webhook was added.
    WebhookAdded,
    /// A webhook was switched on or off.
    WebhookSwitched,
    /// A webhook was tested.
    WebhookTried,
    /// A webhook was removed.
    WebhookRemoved,
    /// An event was sent to a webhook once more.
    EventToldAgain,
    /// The data was adopted where it lies.
    DataAdopted,
}

impl Deed {
    /// The word that is stored, and that names its text.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

impl From<Action> for Deed {
    fn from(action: Action) -> Self {
        match action {
            Action::Edit => Self::CampaignEdited,
            Action::Schedule => Self::CampaignScheduled,
            Action::Adjust => Self::CampaignAdjusted,
            Action::Stop => Self::CampaignStopped,
            Action::Restart => Self::CampaignRestarted,
            Action::Archive => Self::CampaignArchived,
            Action::Clone => Self::CampaignCloned,
            Action::Release => Self::CampaignReleased,
            Action::HangUp => Self::CallsHungUp,
        }
    }
}

/// A line of the audit log.
#[derive(Debug, Clone, Serialize)]
pub struct AuditEntry {
    /// The line's place in the log.
    pub id: i64,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it, by the name of that time.
    pub actor: String,
    /// The [`ActorId`]; none for the program itself and its commands, and for lines from before it was stored.
    pub actor_id: Option<String>,
    /// What was done: [`Deed::word`].
    pub action: String,
    /// The object: the id of a campaign, a list, a route; a number; a name.
    pub object: String,
}
