//! Imports: rows of files, in chunks of bulk work, into contact lists or onto do-not-contact lists.
//!
//! A part of a file is stored in the order of its numbers, in steps of some milliseconds: in the file's own order,
//! which is often random, each row would touch pages of its own. Keeps: a step counts its rows in the transaction that
//! stores them; an interrupted import goes on after the last part that was stored whole, and rows already stored from
//! the next part are stored again, which changes nothing.

use super::writer::Effect;
use std::collections::{HashMap, HashSet};

use campaign::{ImportId, ListId, SkipReason};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Store, audit, ms, names, opt_out, writer::Lane};
use crate::{
    Barred, By, Change, Consent, Deed, ImportChunk, ImportPlan, ImportStage, ImportState, ImportTarget,
    LeftOut, NewContact, Result, RowError, StoreError,
};

/// Rows to store in one go: some milliseconds.
const STEP: usize = 2_000;
/// Bytes of refused rows to read together.
const PAGE_BYTES: usize = 1024 * 1024;
/// How long a file waits for a person to look at it.
const LOOKED_AT_WITHIN: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(super) fn zone_id(c: &Connection, name: Option<&str>) -> Result<i64> {
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

/// Puts contacts into a list.
pub(super) fn join(c: &Connection, list: ListId, contacts: &[NewContact]) -> Result<()> {
    // Two statements of one row each: one that inserts or updates keeps its own journal, which costs more than both.
    let mut new =
        c.prepare_cached("INSERT OR IGNORE INTO contact (number, zone_id, fields) VALUES (?1, ?2, ?3)")?;
    let mut known = c.prepare_cached(
        "UPDATE contact SET zone_id = CASE ?2 WHEN 0 THEN zone_id ELSE ?2 END,
             fields = CASE WHEN ?3 IS NULL THEN fields WHEN fields IS NULL THEN ?3 ELSE json_patch(fields, ?3) END
         WHERE number = ?1",
    )?;
    let mut member = c.prepare_cached("INSERT OR IGNORE INTO list_member VALUES (?1, ?2)")?;
    let mut zones: HashMap<Option<&str>, i64> = HashMap::new();
    let mut joined = 0;
    for n in contacts {
        let name = n.zones.as_deref();
        let zone = if let Some(id) = zones.get(&name) {
            *id
        } else {
            let id = zone_id(c, name)?;
            zones.insert(name, id);
            id
        };
        if new.execute((n.number.digits(), zone, &n.fields))? == 0 {
            known.execute((n.number.digits(), zone, &n.fields))?;
        }
        joined += member.execute((list.0, n.number.digits()))? as i64;
        if let Some(consent) = &n.consent {
            agree(c, n.number.digits(), consent, ms(consent.at))?;
        }
    }
    c.execute("UPDATE list SET size = size + ?2 WHERE id = ?1", (list.0, joined))?;
    names::wait(c, contacts.iter().filter(|n| n.fields.is_some()).map(|n| n.number))?;
    Ok(())
}

/// Records consents to receive messages; the latest statement stands.
pub(super) fn agree(c: &Connection, number: i64, consent: &Consent, noted_at: i64) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO consent VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET source = excluded.source,
             at = excluded.at, noted_by = excluded.noted_by, noted_at = excluded.noted_at WHERE excluded.at >= at",
    )?
    .execute((number, &consent.source, ms(consent.at), &consent.by, noted_at))?;
    Ok(())
}

/// Puts numbers onto a do-not-contact list. Returns those that are claimed at this moment, with what they are barred
/// from now: later claims see it by themselves.
fn bar(c: &Connection, barred: Barred, contacts: &[NewContact], now: i64) -> Result<Vec<opt_out::Held>> {
    for n in contacts {
        opt_out::add(c, n.number, (barred.word(), ""), SkipReason::Blocked.word(), now)?;
    }
    let claimed: HashSet<i64> = c
        .prepare_cached(
            "SELECT a.number FROM claim k JOIN audience a
                 ON a.campaign_id = k.campaign_id AND a.seq >= k.low AND a.seq < k.to_seq",
        )?
        .query_map([], |r| r.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let hit = contacts.iter().filter(|n| claimed.contains(&n.number.digits()));
    hit.map(|n| Ok((n.number, opt_out::bars(c, n.number)?))).collect()
}

const STATE: &str =
    "SELECT id, list_id, channel, state, rows, accepted, rejected, error, size, read, header FROM import";

fn state(r: &Row<'_>) -> rusqlite::Result<ImportState> {
    let (list, channel): (Option<i64>, Option<String>) = (r.get(1)?, r.get(2)?);
    let stage: String = r.get(3)?;
    let into = match (list, channel.as_deref().and_then(Barred::from_word)) {
        (Some(list), _) => ImportTarget::List(ListId(list)),
        (None, Some(barred)) => ImportTarget::DoNotContact(barred),
        (None, None) => return Err(rusqlite::Error::InvalidQuery),
    };
    Ok(ImportState {
        id: ImportId(r.get(0)?),
        into,
        state: ImportStage::from_word(&stage).ok_or(rusqlite::Error::InvalidQuery)?,
        rows: r.get(4)?,
        accepted: r.get(5)?,
        rejected: r.get(6)?,
        error: r.get(7)?,
        size: r.get(8)?,
        read: r.get(9)?,
        left_out: Vec::new(),
        header: serde_json::from_str(r.get_ref(10)?.as_str()?).unwrap_or_default(),
    })
}

fn find(c: &Connection, id: ImportId) -> Result<ImportState> {
    let found = c.prepare_cached(&format!("{STATE} WHERE id = ?1"))?.query_row([id.0], state).optional()?;
    let left_out = c
        .prepare_cached(
            "SELECT field, reason, count FROM import_left_out WHERE import_id = ?1 ORDER BY count DESC, field, reason",
        )?
        .query_map([id.0], |r| Ok(LeftOut { field: r.get(0)?, reason: r.get(1)?, count: r.get(2)? }))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(ImportState { left_out, ..found.ok_or(StoreError::NotFound("import"))? })
}

fn begin(
    c: &Connection,
    into: ImportTarget,
    stage: ImportStage,
    size: Option<i64>,
    now: i64,
) -> Result<ImportId> {
    let (list, channel) = match into {
        ImportTarget::List(list) => {
            if !c.prepare_cached("SELECT 1 FROM list WHERE id = ?1")?.exists([list.0])? {
                return Err(StoreError::NotFound("list"));
            }
            (Some(list.0), None)
        }
        ImportTarget::DoNotContact(barred) => (None, Some(barred.word())),
    };
    c.execute(
        "INSERT INTO import (list_id, channel, state, size, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (list, channel, stage.word(), size, now),
    )?;
    Ok(ImportId(c.last_insert_rowid()))
}

impl Store {
    /// Begins an import into a list whose rows are handed over chunk by chunk, from no file that is kept.
    pub async fn begin_import(&self, list: ListId, by: By) -> Result<ImportId> {
        self.write(move |c| {
            let id = begin(c, ImportTarget::List(list), ImportStage::Running, None, ms(by.at))?;
            audit::note(c, &by, Deed::ImportBegun, id)?;
            Ok(id)
        })
        .await
    }

    /// Records a file of `size` bytes that waits to be imported.
    pub async fn queue_import(&self, into: ImportTarget, size: i64, by: By) -> Result<ImportId> {
        self.write(move |c| {
            let id = begin(c, into, ImportStage::Queued, Some(size), ms(by.at))?;
            audit::note(c, &by, Deed::FileSent, id)?;
            Ok(id)
        })
        .await
    }

    /// Begins the import of a file that waits.
    pub async fn start_import(&self, id: ImportId, plan: ImportPlan, by: By) -> Result<ImportState> {
        let json = serde_json::to_string(&plan).map_err(|e| StoreError::Database(e.to_string()))?;
        self.write(move |c| {
            let begun = c.execute(
                "UPDATE import SET state = 'running', plan = ?2 WHERE id = ?1 AND state = 'queued'",
                (id.0, json),
            )?;
            if begun == 0 {
                return Err(StoreError::NotFound("file that waits to be imported"));
            }
            audit::note(c, &by, Deed::ImportBegun, id)?;
            find(c, id)
        })
        .await
    }

    /// Stores one part of an import, in steps. For a thread that may block; some tens of thousands of rows at a time.
    pub fn import_chunk(&self, import: ImportId, chunk: ImportChunk, now: Timestamp) -> Result<()> {
        let ImportChunk { header, mut contacts, errors, left_out, read } = chunk;
        // Rows of one number stay in the file's order: the last one counts.
        contacts.sort_by_key(|n| n.number);
        let mut contacts = contacts.into_iter();
        loop {
            let step: Vec<NewContact> = contacts.by_ref().take(STEP).collect();
            if step.is_empty() {
                break;
            }
            self.inner.writer.run_now(Lane::Bulk, move |c, effects| {
                let held = match find(c, import)?.into {
                    ImportTarget::List(list) => {
                        join(c, list, &step)?;
                        Vec::new()
                    }
                    ImportTarget::DoNotContact(barred) => bar(c, barred, &step, ms(now))?,
                };
                c.prepare_cached(
                    "UPDATE import SET rows = rows + ?2, accepted = accepted + ?2 WHERE id = ?1",
                )?
                .execute((import.0, step.len() as i64))?;
                effects.extend(held.into_iter().map(|(number, purposes)| Effect::OptOuts(number, purposes)));
                effects.push(Effect::Told(Change::Import(import)));
                Ok(())
            })?;
        }
        let mut errors = errors.into_iter();
        loop {
            let step: Vec<RowError> = errors.by_ref().take(STEP).collect();
            if step.is_empty() {
                break;
            }
            self.inner.writer.run_now(Lane::Bulk, move |c, effects| {
                effects.push(Effect::Told(Change::Import(import)));
                refuse(c, import, &step)
            })?;
        }
        self.inner.writer.run_now(Lane::Bulk, move |c, effects| {
            effects.push(Effect::Told(Change::Import(import)));
            for left in &left_out {
                c.prepare_cached(
                    "INSERT INTO import_left_out VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET count = count + excluded.count",
                )?
                .execute((import.0, &left.field, &left.reason, left.count))?;
            }
            if !header.is_empty() {
                c.prepare_cached("UPDATE import SET header = ?2 WHERE id = ?1")?
                    .execute((import.0, as_json(&header)?))?;
            }
            c.prepare_cached(
                "UPDATE import SET read = ?2, whole_rows = rows, whole_accepted = accepted, whole_rejected = rejected
                 WHERE id = ?1",
            )?
            .execute((import.0, read))?;
            Ok(())
        })
    }

    /// Ends an import: done, or failed with a reason. For a thread that may block.
    pub fn end_import(
        &self,
        import: ImportId,
        fields: Vec<String>,
        failed: Option<String>,
    ) -> Result<ImportState> {
        self.inner.writer.run_now(Lane::Bulk, move |c, effects| {
            effects.push(Effect::Told(Change::Import(import)));
            let stage = if failed.is_some() { ImportStage::Failed } else { ImportStage::Done };
            c.execute(
                "UPDATE import SET state = ?2, error = ?3 WHERE id = ?1",
                (import.0, stage.word(), failed),
            )?;
            for field in fields {
                c.execute("INSERT INTO field VALUES (?1) ON CONFLICT DO NOTHING", [field])?;
            }
            find(c, import)
        })
    }

    /// Imports that were interrupted when the program ended and can go on, each with its plan; those without a file are
    /// marked as failed.
    pub async fn interrupted_imports(&self) -> Result<Vec<(ImportState, ImportPlan)>> {
        self.write(|c| {
            c.execute(
                "UPDATE import SET state = 'failed', error = 'the program ended before all rows were read; send them again'
                 WHERE state = 'running' AND size IS NULL",
                [],
            )?;
            // Rows already stored of an unfinished part are stored again.
            c.execute(
                "UPDATE import SET rows = whole_rows, accepted = whole_accepted, rejected = whole_rejected
                 WHERE state = 'running'",
                [],
            )?;
            let running: Vec<ImportState> = c
                .prepare_cached(&format!("{STATE} WHERE state = 'running'"))?
                .query_map([], state)?
                .collect::<rusqlite::Result<_>>()?;
            running
                .into_iter()
                .map(|import| {
                    let plan: String = c
                        .prepare_cached("SELECT plan FROM import WHERE id = ?1")?
                        .query_row([import.id.0], |r| r.get(0))?;
                    let plan = serde_json::from_str(&plan).map_err(|e| StoreError::Database(e.to_string()))?;
                    Ok((import, plan))
                })
                .collect()
        })
        .await
    }

    /// Gives up files that nobody looked at for too long; returns which.
    pub async fn give_up_imports(&self, now: Timestamp) -> Result<Vec<ImportId>> {
        let before = ms(now) - LOOKED_AT_WITHIN.as_millis() as i64;
        self.write(move |c| {
            Ok(c.prepare(
                "UPDATE import SET state = 'failed', error = 'nobody began the import within a week'
                 WHERE state = 'queued' AND at < ?1 RETURNING id",
            )?
            .query_map([before], |r| Ok(ImportId(r.get(0)?)))?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The latest files that wait for somebody to say what their columns are.
    pub async fn imports_waiting(&self, limit: u32) -> Result<Vec<ImportId>> {
        self.read(move |c| {
            Ok(c.prepare_cached("SELECT id FROM import WHERE state = 'queued' ORDER BY id DESC LIMIT ?1")?
                .query_map([limit], |r| Ok(ImportId(r.get(0)?)))?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The last imports into a list, or onto do-not-contact lists, newest first.
    pub async fn imports(&self, list: Option<ListId>, limit: u32) -> Result<Vec<ImportState>> {
        self.read(move |c| {
            Ok(c.prepare_cached(&format!("{STATE} WHERE list_id IS ?1 ORDER BY id DESC LIMIT ?2"))?
                .query_map((list.map(|l| l.0), limit), state)?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The state of an import.
    pub async fn import(&self, import: ImportId) -> Result<ImportState> {
        self.read(move |c| find(c, import)).await
    }

    /// The rows that an import refused, in the file's order, after the row `after`: at most `most`, and fewer if they
    /// are large. None: there are no more.
    pub async fn import_errors(&self, import: ImportId, after: i64, most: usize) -> Result<Vec<RowError>> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT row, field, value, message, original FROM import_error
                 WHERE import_id = ?1 AND row > ?2 ORDER BY row LIMIT ?3",
            )?;
            let mut rows = statement.query((import.0, after, most as i64))?;
            let (mut errors, mut bytes) = (Vec::new(), 0);
            while let Some(r) = rows.next()? {
                let original: Option<String> = r.get(4)?;
                bytes += original.as_ref().map_or(0, String::len);
                let original = original.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
                errors.push(RowError {
                    row: r.get(0)?,
                    field: r.get(1)?,
                    value: r.get(2)?,
                    message: r.get(3)?,
                    original,
                });
                if bytes > PAGE_BYTES {
                    break;
                }
            }
            Ok(errors)
        })
        .await
    }
}

fn as_json(values: &[String]) -> Result<String> {
    serde_json::to_string(values).map_err(|e| StoreError::Database(e.to_string()))
}

/// Stores rows that are refused.
fn refuse(c: &Connection, import: ImportId, errors: &[RowError]) -> Result<()> {
    let mut error = c.prepare_cached(
        "INSERT INTO import_error (import_id, row, field, value, message, original) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
    )?;
    for e in errors {
        error.execute((import.0, e.row, &e.field, &e.value, &e.message, as_json(&e.original)?))?;
    }
    c.prepare_cached("UPDATE import SET rows = rows + ?2, rejected = rejected + ?2 WHERE id = ?1")?
        .execute((import.0, errors.len() as i64))?;
    Ok(())
}
