//! Answers by `Idempotency-Key`: the same request gets the same answer for a day.

use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};
use rusqlite::OptionalExtension;

use super::{Store, ms};
use crate::{Result, Stored};

/// How long an answer is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The status of a request that was begun and not yet answered.
const UNANSWERED: u16 = 0;

/// The right to answer a key; other requests with the same key are told to wait until it is dropped.
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
    /// Takes `key` for a request with this fingerprint, and drops answers older than a day.
    pub async fn begin_keyed(&self, key: String, request: [u8; 32], now: Timestamp) -> Result<Stored> {
        if !self.inner.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            return Ok(Stored::InUse);
        }
        let held = KeyInUse { store: self.clone(), key: key.clone() };
        // Stored before anything is done, so that a request that was begun is never begun again.
        let known: Option<(Vec<u8>, u16, String)> = self
            .write(move |c| {
                let known = c
                    .prepare_cached("SELECT request, status, answer FROM idempotency WHERE key = ?1")?
                    .query_row([&key], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
                    .optional()?;
                if known.is_none() {
                    c.execute("DELETE FROM idempotency WHERE at < ?1", [ms(now) - KEPT.as_millis() as i64])?;
                    c.execute(
                        "INSERT INTO idempotency (key, request, status, answer, at) VALUES (?1, ?2, ?3, '', ?4)",
                        (key, request, UNANSWERED, ms(now)),
                    )?;
                }
                Ok(known)
            })
            .await?;
        Ok(match known {
            None => Stored::Fresh(held),
            Some((before, ..)) if before != request => Stored::OtherRequest,
            Some((_, UNANSWERED, _)) => Stored::Unknown,
            Some((_, status, answer)) => Stored::Answer { status, answer },
        })
    }

    /// Releases a key whose request failed on our side: the next attempt may succeed.
    pub async fn drop_keyed(&self, held: KeyInUse) -> Result<()> {
        let key = held.key.clone();
        self.write(move |c| {
            c.execute("DELETE FROM idempotency WHERE key = ?1", [key])?;
            Ok(())
        })
        .await
    }

    /// Stores the answer to a key.
    pub async fn end_keyed(&self, held: KeyInUse, status: u16, answer: String) -> Result<()> {
        let key = held.key.clone();
        self.write(move |c| {
            c.execute(
                "UPDATE idempotency SET status = ?2, answer = ?3 WHERE key = ?1",
                (key, status, answer),
            )?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::MIGRATIONS;

    #[test]
    fn answers_that_an_older_version_remembered_are_found_by_their_callers_and_lose_their_secrets() {
        let c = rusqlite::Connection::open_in_memory().unwrap();
        for migration in &MIGRATIONS[..6] {
            c.execute_batch(migration).unwrap();
        }
        c.execute_batch(
            "INSERT INTO user (id, email, role, password, created_at) VALUES (3, 'ana@clinic.example', 'admin', 'h', 0);
             INSERT INTO token (id, name, scope, hash, created_at) VALUES (7, 'crm', 'write', x'01', 0);
             INSERT INTO idempotency VALUES
                ('ana@clinic.example' || char(10) || 'one', x'00', 201, '{\"id\":\"whk_1\",\"secret\":\"whsec_x\"}', 0),
                ('crm' || char(10) || 'one', x'00', 201, '{\"id\":\"lst_1\"}', 0),
                ('gone' || char(10) || 'one', x'00', 409, 'no JSON', 0);",
        )
        .unwrap();
        c.execute_batch(MIGRATIONS[6]).unwrap();
        let mut rows = c.prepare("SELECT key, answer FROM idempotency ORDER BY key").unwrap();
        let rows: Vec<(String, String)> =
            rows.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(Result::unwrap).collect();
        let expected = [
            ("gone\none", "no JSON"),
            ("token:7\none", r#"{"id":"lst_1"}"#),
            ("user:3\none", r#"{"id":"whk_1","secret":null}"#),
        ];
        assert_eq!(rows, expected.map(|(key, answer)| (key.to_owned(), answer.to_owned())));
        // A number is never used again.
        c.execute_batch("DELETE FROM token; INSERT INTO token (name, scope, hash, created_at) VALUES ('b', 'read', x'02', 0)")
            .unwrap();
        assert_eq!(c.query_row("SELECT id FROM token", [], |r| r.get::<_, i64>(0)).unwrap(), 8);
    }
}
