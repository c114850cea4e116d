//! Answers by `Idempotency-Key`: the same request gets the same answer for a day.

use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};
use rusqlite::OptionalExtension;

use super::{Store, ms};
use crate::{Result, Stored};

/// How long an answer is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The right to answer a key; others with the same key are told to wait until it is dropped.
pub struct KeyInUse {
    store: Store,
    key: String,
}

impl Drop for KeyInUse {
    fn drop(&mut self) {
        self.store.inner.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Store {
    /// Takes `key` for a request with this fingerprint.
    pub async fn begin_keyed(&self, key: String, request: [u8; 32]) -> Result<Stored> {
        if !self.inner.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            return Ok(Stored::InUse);
        }
        let held = KeyInUse { store: self.clone(), key: key.clone() };
        let known: Option<(Vec<u8>, u16, String)> = self
            .read(move |c| {
                Ok(c.prepare_cached("SELECT request, status, answer FROM idempotency WHERE key = ?1")?
                    .query_row([key], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
                    .optional()?)
            })
            .await?;
        Ok(match known {
            None => Stored::Fresh(held),
            Some((before, status, answer)) if before == request => Stored::Answer { status, answer },
            Some(_) => Stored::OtherRequest,
        })
    }

    /// Keeps the answer to a key, and drops those of yesterday.
    pub async fn end_keyed(
        &self,
        held: KeyInUse,
        request: [u8; 32],
        status: u16,
        answer: String,
        now: Timestamp,
    ) -> Result<()> {
        let key = held.key.clone();
        self.write(move |c| {
            c.execute("DELETE FROM idempotency WHERE at < ?1", [ms(now) - KEPT.as_millis() as i64])?;
            c.execute(
                "INSERT OR REPLACE INTO idempotency (key, request, status, answer, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                (key, request, status, answer, ms(now)),
            )?;
            Ok(())
        })
        .await
    }
}
