//! The audit log: a line for every change that somebody asked for, written by the change itself.

use std::fmt::Display;

use rusqlite::Connection;

use super::{Store, ms, time};
use crate::{AuditEntry, By, Deed, Result};

/// Logs that `by` did something to `object`, in the transaction that does it.
pub(super) fn note(c: &Connection, by: &By, deed: Deed, object: impl Display) -> Result<()> {
    c.prepare_cached("INSERT INTO audit (at, actor, actor_id, action, object) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((ms(by.at), &by.actor, by.id.map(|id| id.to_string()), deed.word(), object.to_string()))?;
    Ok(())
}

impl Store {
    /// The audit log, newest first, before the line `before`.
    pub async fn audit_log(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>> {
        self.read(move |c| {
            Ok(c.prepare_cached(
                "SELECT id, at, actor, actor_id, action, object FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
            )?
            .query_map((before.unwrap_or(i64::MAX), limit), |r| {
                Ok(AuditEntry {
                    id: r.get(0)?,
                    at: time(r.get(1)?),
                    actor: r.get(2)?,
                    actor_id: r.get(3)?,
                    action: r.get(4)?,
                    object: r.get(5)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
