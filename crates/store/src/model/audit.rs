//! Who did what: the audit log.

use std::fmt;

use campaign::{Action, UserId};
use jiff::Timestamp;
use serde::Serialize;

/// Who asks for a change, and when. Whatever people and programs change in the store carries it, and the store writes
/// the audit log in the very transaction of the change: neither stands without the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// As it stands in histories: a person's address, a token's name, `command line`.
    pub actor: String,
    /// Which account or token that is; none for the program itself and its commands.
    pub id: Option<ActorId>,
    /// When.
    pub at: Timestamp,
}

impl By {
    /// The program itself, or a command of it, at `at`.
    pub fn new(actor: impl Into<String>, at: Timestamp) -> Self {
        Self { actor: actor.into(), id: None, at }
    }

    /// An account or a token, which is called `actor`, at `at`.
    pub fn known(id: ActorId, actor: impl Into<String>, at: Timestamp) -> Self {
        Self { actor: actor.into(), id: Some(id), at }
    }
}

/// Which account or token acts. Names may be alike, a token may be called as a person is; this is one's own, and is
/// never given to another.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A person signed in.
    SignedIn,
    /// A person signed out.
    SignedOut,
    /// An invitation was taken up.
    AccountMade,
    /// A campaign was made,
    CampaignMade,
    /// edited,
    CampaignEdited,
    /// cloned (its object is the copy),
    CampaignCloned,
    /// scheduled,
    CampaignScheduled,
    /// given other times,
    CampaignAdjusted,
    /// stopped,
    CampaignStopped,
    /// restarted,
    CampaignRestarted,
    /// released,
    CampaignReleased,
    /// archived.
    CampaignArchived,
    /// A delivery in doubt was settled by hand.
    DoubtSettled,
    /// A contact list was made.
    ListMade,
    /// A file was sent, to be looked at.
    FileSent,
    /// Its import, or one without a file, was begun.
    ImportBegun,
    /// A number was put on a do-not-contact list,
    NumberBlocked,
    /// and taken off it.
    BlockLifted,
    /// A consent was noted,
    ConsentNoted,
    /// and withdrawn.
    ConsentWithdrawn,
    /// A contact was deleted.
    ContactDeleted,
    /// A route was added,
    RouteAdded,
    /// changed,
    RouteChanged,
    /// tried with one message.
    RouteTried,
    /// A pool of senders was added,
    PoolAdded,
    /// changed,
    PoolChanged,
    /// removed.
    PoolRemoved,
    /// The account's settings were changed.
    SettingsChanged,
    /// A person was invited,
    PersonInvited,
    /// added,
    PersonAdded,
    /// given a password,
    PasswordSet,
    /// given a role,
    RoleChanged,
    /// removed.
    PersonRemoved,
    /// A token was made,
    TokenMade,
    /// and ended.
    TokenEnded,
    /// A webhook was added,
    WebhookAdded,
    /// switched on or off,
    WebhookSwitched,
    /// tried,
    WebhookTried,
    /// removed.
    WebhookRemoved,
    /// An event was told to a webhook once more.
    EventToldAgain,
    /// The data was adopted where it lies.
    DataAdopted,
}

impl Deed {
    /// As stored, and what its text goes by.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::SignedOut => "signed_out",
            Self::AccountMade => "account_made",
            Self::CampaignMade => "campaign_made",
            Self::CampaignEdited => "campaign_edited",
            Self::CampaignCloned => "campaign_cloned",
            Self::CampaignScheduled => "campaign_scheduled",
            Self::CampaignAdjusted => "campaign_adjusted",
            Self::CampaignStopped => "campaign_stopped",
            Self::CampaignRestarted => "campaign_restarted",
            Self::CampaignReleased => "campaign_released",
            Self::CampaignArchived => "campaign_archived",
            Self::DoubtSettled => "doubt_settled",
            Self::ListMade => "list_made",
            Self::FileSent => "file_sent",
            Self::ImportBegun => "import_begun",
            Self::NumberBlocked => "number_blocked",
            Self::BlockLifted => "block_lifted",
            Self::ConsentNoted => "consent_noted",
            Self::ConsentWithdrawn => "consent_withdrawn",
            Self::ContactDeleted => "contact_deleted",
            Self::RouteAdded => "route_added",
            Self::RouteChanged => "route_changed",
            Self::RouteTried => "route_tried",
            Self::PoolAdded => "pool_added",
            Self::PoolChanged => "pool_changed",
            Self::PoolRemoved => "pool_removed",
            Self::SettingsChanged => "settings_changed",
            Self::PersonInvited => "person_invited",
            Self::PersonAdded => "person_added",
            Self::PasswordSet => "password_set",
            Self::RoleChanged => "role_changed",
            Self::PersonRemoved => "person_removed",
            Self::TokenMade => "token_made",
            Self::TokenEnded => "token_ended",
            Self::WebhookAdded => "webhook_added",
            Self::WebhookSwitched => "webhook_switched",
            Self::WebhookTried => "webhook_tried",
            Self::WebhookRemoved => "webhook_removed",
            Self::EventToldAgain => "event_told_again",
            Self::DataAdopted => "data_adopted",
        }
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
        }
    }
}

/// A line of the audit log.
#[derive(Debug, Clone, Serialize)]
pub struct AuditEntry {
    /// Its place in the log.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who, as they were called then.
    pub actor: String,
    /// [`ActorId`]; none for the program itself and its commands, and before these were kept.
    pub actor_id: Option<String>,
    /// What they did: [`Deed::word`].
    pub action: String,
    /// To what: the id of a campaign, a list, a route; a number; a name.
    pub object: String,
}
