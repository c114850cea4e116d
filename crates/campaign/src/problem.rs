//! What is wrong with an input, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where it is: `messages[0].text`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem with `field`.
    pub fn new(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { field: field.into(), message: format!("{message}") }
    }

    /// Fails if there are any problems.
    ///
    /// # Errors
    /// The problems themselves.
    pub fn none(problems: Vec<Self>) -> Result<(), Vec<Self>> {
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}
