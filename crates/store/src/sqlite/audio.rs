//! Uploads that calls play, as they were uploaded.

use campaign::AudioId;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Store, audit, ms, time};
use crate::{Audio, By, Deed, Problem, Result, StoreError};

/// The most uploads of an account.
const MOST: i64 = 10_000;

fn row(r: &Row<'_>) -> rusqlite::Result<Audio> {
    Ok(Audio { id: AudioId(r.get(0)?), name: r.get(1)?, seconds: r.get(2)?, created_at: time(r.get(3)?) })
}

/// Whether an upload is there.
pub(super) fn exists(c: &Connection, id: AudioId) -> Result<bool> {
    Ok(c.prepare_cached("SELECT 1 FROM audio WHERE id = ?1")?.exists([id.0])?)
}

impl Store {
    /// Keeps an upload of `seconds` seconds.
    pub async fn add_audio(&self, name: String, seconds: f64, bytes: Vec<u8>, by: By) -> Result<Audio> {
        self.write(move |c| {
            let count: i64 = c.query_row("SELECT count(*) FROM audio", [], |r| r.get(0))?;
            if count >= MOST {
                let message = format!("{MOST} uploads are kept at most; delete some that nobody uses");
                return Err(StoreError::Invalid(vec![Problem::new("audio", message)]));
            }
            c.prepare_cached("INSERT INTO audio (name, seconds, bytes, created_at) VALUES (?1, ?2, ?3, ?4)")?
                .execute((&name, seconds, bytes, ms(by.at)))?;
            let id = AudioId(c.last_insert_rowid());
            audit::note(c, &by, Deed::AudioAdded, id)?;
            Ok(Audio { id, name, seconds, created_at: by.at })
        })
        .await
    }

    /// Every upload, newest first.
    pub async fn audio(&self) -> Result<Vec<Audio>> {
        self.read(|c| {
            Ok(c.prepare_cached("SELECT id, name, seconds, created_at FROM audio ORDER BY id DESC")?
                .query_map([], row)?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The bytes of an upload.
    pub async fn audio_bytes(&self, id: AudioId) -> Result<Vec<u8>> {
        self.read(move |c| {
            c.prepare_cached("SELECT bytes FROM audio WHERE id = ?1")?
                .query_row([id.0], |r| r.get(0))
                .optional()?
                .ok_or(StoreError::NotFound("audio"))
        })
        .await
    }

    /// Deletes an upload that no campaign uses, archived ones aside.
    ///
    /// # Errors
    /// [`StoreError::InUse`] with the name of a campaign that uses it.
    pub async fn delete_audio(&self, id: AudioId, by: By) -> Result<()> {
        self.write(move |c| {
            if !exists(c, id)? {
                return Err(StoreError::NotFound("audio"));
            }
            // Ids are written as texts of their own, so that no other id contains them.
            let user: Option<String> = c
                .prepare_cached(
                    "SELECT name FROM campaign WHERE status <> 'archived' AND instr(definition, ?1) > 0
                     ORDER BY id LIMIT 1",
                )?
                .query_row([format!("\"{id}\"")], |r| r.get(0))
                .optional()?;
            if let Some(name) = user {
                return Err(StoreError::InUse(name));
            }
            c.prepare_cached("DELETE FROM audio WHERE id = ?1")?.execute([id.0])?;
            audit::note(c, &by, Deed::AudioDeleted, id)?;
            Ok(())
        })
        .await
    }
}
