//! Contacts, lists, imports, suppressions, replies, tokens.

use campaign::{ImportId, ListId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{Store, campaigns, ms, writer::Lane};
use crate::{ImportState, NewContact, Problem, Result, RowError, StoreError, save};

fn zone_id(c: &Connection, name: Option<&str>) -> Result<i64> {
    let Some(name) = name else { return Ok(0) };
    let known: Option<i64> = c
        .prepare_cached("SELECT id FROM zone WHERE name = ?1")?
        .query_row([name], |r| r.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    c.execute("INSERT INTO zone (name) VALUES (?1)", [name])?;
    Ok(c.last_insert_rowid())
}

impl Store {
    /// Makes a list.
    pub async fn create_list(&self, name: String, now: Timestamp) -> Result<ListId> {
        Problem::none(save::list(&name))?;
        self.write(move |c| {
            c.execute("INSERT INTO list (name, created_at) VALUES (?1, ?2)", (&name, ms(now)))
                .map_err(|e| campaigns::taken(e, &name))?;
            Ok(ListId(c.last_insert_rowid()))
        })
        .await
    }

    /// The names of all lists, in order.
    pub async fn list_names(&self) -> Result<Vec<(ListId, String)>> {
        self.read(|c| {
            Ok(c.prepare_cached("SELECT id, name FROM list ORDER BY name COLLATE NOCASE")?
                .query_map([], |r| Ok((ListId(r.get(0)?), r.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Every list with its size.
    pub async fn lists(&self) -> Result<Vec<(ListId, String, i64)>> {
        self.read(|c| {
            Ok(c.prepare_cached("SELECT id, name, size FROM list ORDER BY id")?
                .query_map([], |r| Ok((ListId(r.get(0)?), r.get(1)?, r.get(2)?)))?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Begins an import into a list.
    pub async fn begin_import(&self, list: ListId) -> Result<ImportId> {
        self.write(move |c| {
            if !c.prepare_cached("SELECT 1 FROM list WHERE id = ?1")?.exists([list.0])? {
                return Err(StoreError::NotFound("list"));
            }
            c.execute("INSERT INTO import (list_id, state) VALUES (?1, 'running')", [list.0])?;
            Ok(ImportId(c.last_insert_rowid()))
        })
        .await
    }

    /// Stores one chunk of an import. For a thread that may block; a few thousand rows at a time.
    pub fn import_chunk(
        &self,
        import: ImportId,
        mut contacts: Vec<NewContact>,
        errors: Vec<RowError>,
    ) -> Result<()> {
        // In the order of the tables' keys, so that a chunk touches few pages.
        contacts.sort_by_key(|n| n.number);
        self.inner.writer.run_now(Lane::Bulk, move |c| {
            let list: i64 = c.query_row("SELECT list_id FROM import WHERE id = ?1", [import.0], |r| r.get(0))?;
            let mut contact = c.prepare_cached(
                "INSERT INTO contact (number, zone_id, fields) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET
                     zone_id = CASE excluded.zone_id WHEN 0 THEN zone_id ELSE excluded.zone_id END,
                     fields = CASE WHEN excluded.fields IS NULL THEN fields
                                   WHEN fields IS NULL THEN excluded.fields
                                   ELSE json_patch(fields, excluded.fields) END",
            )?;
            let mut member = c.prepare_cached("INSERT INTO list_member VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
            let mut zones: std::collections::HashMap<Option<String>, i64> = std::collections::HashMap::new();
            let accepted = contacts.len() as i64;
            let mut joined = 0;
            for n in contacts {
                let zone = if let Some(id) = zones.get(&n.zones) { *id } else {
                    let id = zone_id(c, n.zones.as_deref())?;
                    zones.insert(n.zones.clone(), id);
                    id
                };
                contact.execute((n.number.digits(), zone, n.fields))?;
                joined += member.execute((list, n.number.digits()))? as i64;
            }
            c.execute("UPDATE list SET size = size + ?2 WHERE id = ?1", (list, joined))?;
            let mut error = c.prepare_cached("INSERT INTO import_error VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?;
            for e in &errors {
                error.execute((import.0, e.row, &e.field, &e.value, &e.message))?;
            }
            c.execute(
                "UPDATE import SET rows = rows + ?2 + ?3, accepted = accepted + ?2, rejected = rejected + ?3 WHERE id = ?1",
                (import.0, accepted, errors.len() as i64),
            )?;
            Ok(())
        })
    }

    /// Ends an import: done, or failed with the reason. For a thread that may block.
    pub fn end_import(
        &self,
        import: ImportId,
        fields: Vec<String>,
        failed: Option<String>,
    ) -> Result<ImportState> {
        self.inner.writer.run_now(Lane::Bulk, move |c| {
            let state = if failed.is_some() { "failed" } else { "done" };
            c.execute("UPDATE import SET state = ?2, error = ?3 WHERE id = ?1", (import.0, state, failed))?;
            for field in fields {
                c.execute("INSERT INTO field VALUES (?1) ON CONFLICT DO NOTHING", [field])?;
            }
            import_state(c, import)
        })
    }

    /// Marks imports as failed that an end of the program interrupted.
    pub async fn end_interrupted_imports(&self) -> Result<()> {
        self.write(|c| {
            c.execute(
                "UPDATE import SET state = 'failed', error = 'the program ended before the file was read; send it again'
                 WHERE state = 'running'",
                [],
            )?;
            Ok(())
        })
        .await
    }

    /// A list's name and number of contacts.
    pub async fn list(&self, id: ListId) -> Result<(String, i64)> {
        self.read(move |c| {
            c.prepare_cached("SELECT name, size FROM list WHERE id = ?1")?
                .query_row([id.0], |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()?
                .ok_or(StoreError::NotFound("list"))
        })
        .await
    }

    /// The list of that name, made where there is none.
    pub async fn list_named(&self, name: String, now: Timestamp) -> Result<ListId> {
        let wanted = name.clone();
        let known: Option<i64> = self
            .read(move |c| {
                Ok(c.prepare_cached("SELECT id FROM list WHERE name = ?1")?
                    .query_row([wanted], |r| r.get(0))
                    .optional()?)
            })
            .await?;
        match known {
            Some(id) => Ok(ListId(id)),
            None => self.create_list(name, now).await,
        }
    }

    /// The imports into a list, newest first.
    pub async fn imports(&self, list: ListId, limit: u32) -> Result<Vec<ImportState>> {
        self.read(move |c| {
            let ids: Vec<i64> = c
                .prepare_cached("SELECT id FROM import WHERE list_id = ?1 ORDER BY id DESC LIMIT ?2")?
                .query_map((list.0, limit), |r| r.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            ids.into_iter().map(|id| import_state(c, ImportId(id))).collect()
        })
        .await
    }

    /// How an import stands.
    pub async fn import(&self, import: ImportId) -> Result<ImportState> {
        self.read(move |c| import_state(c, import)).await
    }

    /// The list that an import goes into.
    pub async fn list_of_import(&self, import: ImportId) -> Result<ListId> {
        self.read(move |c| {
            c.prepare_cached("SELECT list_id FROM import WHERE id = ?1")?
                .query_row([import.0], |r| Ok(ListId(r.get(0)?)))
                .optional()?
                .ok_or(StoreError::NotFound("import"))
        })
        .await
    }

    /// The rows that an import refused, in the file's order; the first so many, or all.
    pub async fn import_errors(&self, import: ImportId, most: Option<usize>) -> Result<Vec<RowError>> {
        self.read(move |c| {
            Ok(c.prepare_cached(
                "SELECT row, field, value, message FROM import_error WHERE import_id = ?1 ORDER BY row LIMIT ?2",
            )?
            .query_map((import.0, most.map_or(-1, |n| n as i64)), |r| {
                Ok(RowError { row: r.get(0)?, field: r.get(1)?, value: r.get(2)?, message: r.get(3)? })
            })?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Fields that contacts have beyond the known ones.
    pub async fn custom_fields(&self) -> Result<Vec<String>> {
        self.read(custom_fields).await
    }
}

fn import_state(c: &Connection, id: ImportId) -> Result<ImportState> {
    c.prepare_cached("SELECT state, rows, accepted, rejected, error FROM import WHERE id = ?1")?
        .query_row([id.0], |r| {
            Ok(ImportState {
                id,
                state: r.get(0)?,
                rows: r.get(1)?,
                accepted: r.get(2)?,
                rejected: r.get(3)?,
                error: r.get(4)?,
            })
        })
        .optional()?
        .ok_or(StoreError::NotFound("import"))
}

pub(super) fn custom_fields(c: &Connection) -> Result<Vec<String>> {
    Ok(c.prepare_cached("SELECT name FROM field ORDER BY name")?
        .query_map([], |r| r.get(0))?
        .collect::<rusqlite::Result<_>>()?)
}
