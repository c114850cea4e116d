//! The database: campaigns, contacts, waves, claims, deliveries, tallies.
//!
//! Keeps: one submission per recipient and message (a claim moves `next_seq` in one statement, the delivery has a
//! primary key); tally = count(*) (changed in the same transaction that changes the deliveries); no change of status
//! except by a [`campaign::Transition`]. Leaves to the engine when and how fast.

pub mod model;
mod provider_id;
mod save;
pub mod sqlite;

pub use model::*;
pub use save::KNOWN_FIELDS;
pub use sqlite::{
    BY_ITSELF, Grant, Hold, KeyInUse, OptOuts, Store, Unsent,
    check::{Finding, Submitted},
};

/// What can go wrong in the store, in words for the user.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The object does not exist.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The name is taken.
    #[error("the name '{0}' is taken; choose another")]
    NameTaken(String),
    /// A campaign of this name uses it.
    #[error("the campaign '{0}' uses it; delete it once no campaign does")]
    InUse(String),
    /// Somebody has changed it meanwhile.
    #[error("it was changed meanwhile (it is at version {now}); load it again")]
    Stale {
        /// The version that it is at now.
        now: i64,
    },
    /// The campaign's status does not allow it.
    #[error(transparent)]
    NotAllowed(#[from] campaign::lifecycle::NotAllowed),
    /// The campaign is being scheduled at this moment.
    #[error("the campaign is being scheduled at this moment; wait for it to finish")]
    Busy,
    /// Something is missing or wrong; each problem names its field.
    #[error("{}", .0.iter().map(|p| p.message.as_str()).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Problem>),
    /// This process may not dispatch from this data.
    #[error("{0}")]
    MayNotDispatch(&'static str),
    /// The data folder cannot be used as it is.
    #[error("{0}")]
    Folder(String),
    /// Another process has been writing to the data for longer than this one waits.
    #[error("another process keeps the data busy: nothing was done; try again in a moment")]
    Locked,
    /// The disk is full.
    #[error("the disk is full: sending waits; free some space and it goes on by itself")]
    DiskFull,
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(String),
}

impl StoreError {
    /// What a client of the server is told: nothing about this machine's files, statements and values.
    pub fn told(&self) -> String {
        match self {
            Self::Database(_) | Self::Folder(_) => {
                "the database cannot be used at this moment; if it stays so, see the server's log".to_owned()
            }
            said => said.to_string(),
        }
    }
}

impl From<Vec<Problem>> for StoreError {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Invalid(problems)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        match (e.sqlite_error_code(), e) {
            (Some(rusqlite::ErrorCode::DiskFull), _) => Self::DiskFull,
            (Some(rusqlite::ErrorCode::DatabaseBusy), _) => Self::Locked,
            // The statement that the error quotes helps nobody, and may hold values.
            (_, rusqlite::Error::SqlInputError { msg, .. }) => Self::Database(msg),
            (_, e) => Self::Database(e.to_string()),
        }
    }
}

/// The result of a call to the store.
pub type Result<T> = std::result::Result<T, StoreError>;
