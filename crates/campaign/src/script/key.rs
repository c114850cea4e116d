//! Keys of a telephone.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A key: 0–9, `*` or `#`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(char);

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no key: use one of 0 to 9, * and #")]
pub struct BadKey(String);

impl Key {
    /// The key that ends an entry of several digits.
    pub const HASH: Self = Self('#');

    /// The key that bears `c`.
    pub fn new(c: char) -> Option<Self> {
        (c.is_ascii_digit() || c == '*' || c == '#').then_some(Self(c))
    }

    /// What the key bears.
    pub const fn char(self) -> char {
        self.0
    }
}

impl TryFrom<String> for Key {
    type Error = BadKey;

    fn try_from(text: String) -> Result<Self, BadKey> {
        let mut chars = text.chars();
        match (chars.next().and_then(Self::new), chars.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(BadKey(text)),
        }
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0.to_string()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
