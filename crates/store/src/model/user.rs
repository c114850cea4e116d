//! People who sign in, and programs with tokens.

use campaign::UserId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a person or a token may do; each includes those before it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// May look.
    Viewer,
    /// May create and run campaigns.
    Manager,
    /// May do everything: routes, settings, people.
    Admin,
}

impl Role {
    /// All roles, the weakest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Manager, Self::Admin];

    /// The word that is stored and shown.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// The scope of a token with the same rights.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Viewer => "read",
            Self::Manager => "write",
            Self::Admin => "admin",
        }
    }

    /// Reads [`Role::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }

    /// Reads [`Role::scope`] back.
    pub fn from_scope(scope: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.scope() == scope)
    }
}

/// A person who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// The address with which they sign in and appear in histories.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Since when the account exists.
    pub created_at: Timestamp,
    /// When they last did something.
    pub seen_at: Option<Timestamp>,
}

/// An invitation that can be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invitation {
    /// What the person will be.
    pub role: Role,
    /// Whether it is for the first admin: nobody has an account yet.
    pub is_first: bool,
}

/// An API token, without its secret.
#[derive(Debug, Clone, Serialize)]
pub struct TokenRow {
    /// Its number.
    pub id: i64,
    /// The name by which it appears in histories.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Since when it exists.
    pub created_at: Timestamp,
}
