//! Contacts and imports.

use campaign::Msisdn;
use serde::Serialize;

/// How an import stands.
#[derive(Debug, Clone, Serialize)]
pub struct ImportState {
    /// Its id.
    pub id: campaign::ImportId,
    /// queued, running, done, failed.
    pub state: String,
    /// Rows read.
    pub rows: i64,
    /// Rows taken.
    pub accepted: i64,
    /// Rows refused.
    pub rejected: i64,
    /// Why it failed.
    pub error: Option<String>,
}

/// A row that an import refused.
#[derive(Debug, Clone)]
pub struct RowError {
    /// Row in the file, the header being 1.
    pub row: i64,
    /// Which column.
    pub field: String,
    /// What stood there.
    pub value: String,
    /// What is wrong.
    pub message: String,
}

/// A contact to store.
#[derive(Debug, Clone)]
pub struct NewContact {
    /// The number.
    pub number: Msisdn,
    /// Zones by name, if known.
    pub zones: Option<String>,
    /// Everything else, as a JSON object of texts; `None` when empty.
    pub fields: Option<String>,
}
