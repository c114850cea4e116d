//! The agenda: what the engine must know of the campaigns at work, read anew each turn.
//!
//! Keeps: only what is due or held is read, so a campaign of next year costs one look at an index; a campaign that
//! cannot be read is reported separately and holds up no other. Retries are counted up to 1,000, as no claim takes
//! more; the limit is a literal, since SQLite prepares a statement anew whenever a bound limit changes.

use std::{collections::HashMap, sync::Arc};

use campaign::{CampaignId, Senders, Status, WaveId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{
    Store, answer,
    campaigns::{active, load},
    claim, freeze, ms, pools, spending, time,
};
use crate::{Agenda, COMING, Definition, Fault, Held, Parked, Result, StoreError, Wave, Work};

/// A frozen definition, with what belongs to it.
#[derive(Clone)]
pub(super) struct Frozen {
    version: i64,
    definition: Arc<Definition>,
    senders: Arc<Senders>,
    fields: Arc<[String]>,
}

impl Store {
    /// Everything that the engine may have to do at `now`.
    pub async fn agenda(&self, now: Timestamp) -> Result<Agenda> {
        let store = self.clone();
        self.read(move |c| {
            let mut agenda = Agenda { answers: answer::waiting(c)?, ..Agenda::default() };
            let active = active(c)?;
            store.frozen().retain(|id, _| active.contains(id));
            for id in active {
                match store.work_of(c, id, now) {
                    Ok(work) => agenda.campaigns.push(work),
                    Err(StoreError::DiskFull) => return Err(StoreError::DiskFull),
                    Err(e) => agenda.faults.push(Fault { campaign: id, words: e.to_string(), ended: false }),
                }
            }
            Ok(agenda)
        })
        .await
    }

    fn frozen(&self) -> std::sync::MutexGuard<'_, HashMap<CampaignId, Frozen>> {
        self.inner.frozen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The definition of a campaign at `version`, read once per version.
    fn frozen_at(&self, c: &Connection, id: CampaignId, version: i64) -> Result<Frozen> {
        if let Some(known) = self.frozen().get(&id).filter(|f| f.version == version) {
            return Ok(known.clone());
        }
        let row = load(c, id)?;
        let senders = pools::of(c, id, &row.definition)?.ok_or(StoreError::NotFound("sender"))?;
        let frozen = Frozen {
            version,
            definition: Arc::new(row.definition),
            senders: Arc::new(senders),
            fields: row.fields.into(),
        };
        self.frozen().insert(id, frozen.clone());
        Ok(frozen)
    }

    fn work_of(&self, c: &Connection, id: CampaignId, now: Timestamp) -> Result<Work> {
        let (version, epoch, status, restarted_at): (i64, i64, String, Option<i64>) = c
            .prepare_cached("SELECT version, epoch, status, restarted_at FROM campaign WHERE id = ?1")?
            .query_row([id.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
        let frozen = self.frozen_at(c, id, version)?;
        let next_due: Option<i64> = c
            .prepare_cached(
                "SELECT min(due_at) FROM wave
                 WHERE campaign_id = ?1 AND open AND next_seq < to_seq AND due_at > ?2 AND NOT held",
            )?
            .query_row((id.0, ms(now)), |r| r.get(0))?;
        let retries_due = c
            .prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM retry WHERE campaign_id = ?1 AND due_at <= ?2 AND open
                     AND claim_id IS NULL AND parked IS NULL AND NOT held LIMIT 1000)",
            )?
            .query_row((id.0, ms(now)), |r| r.get(0))?;
        let next_retry: Option<i64> = c
            .prepare_cached(
                "SELECT min(due_at) FROM retry WHERE campaign_id = ?1 AND due_at > ?2 AND open AND claim_id IS NULL
                     AND parked IS NULL AND NOT held",
            )?
            .query_row((id.0, ms(now)), |r| r.get(0))?;
        let retries_held = c
            .prepare_cached("SELECT 1 FROM retry WHERE campaign_id = ?1 AND open AND held")?
            .exists([id.0])?;
        let until = if frozen.definition.content.calls().is_some() { now + COMING } else { now };
        let waves = waves(c, id, &frozen.definition, now, until)?;
        let (due, coming) = waves.into_iter().partition(|w| w.held.is_some() || w.due_at <= now);
        Ok(Work {
            id,
            epoch,
            status: Status::from_word(&status).ok_or(StoreError::NotFound("status"))?,
            restarted_at: restarted_at.map(time),
            waves: due,
            coming,
            next_due: next_due.map(time),
            retries_due,
            next_retry: next_retry.map(time),
            retries_held,
            affordable: spending::affordable(c, id)?,
            parked: parked(c, id, &frozen.senders)?,
            definition: frozen.definition,
            senders: frozen.senders,
            fields: frozen.fields,
        })
    }
}

/// The waves that are due by `until` or held, with how far each may be claimed.
fn waves(
    c: &Connection,
    id: CampaignId,
    definition: &Definition,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<Wave>> {
    let mut waves: Vec<Wave> = c
        .prepare_cached(include_str!("sql/waves_due.sql"))?
        .query_map((id.0, ms(until)), |r| {
            let zones: String = r.get(2)?;
            Ok(Wave {
                id: WaveId(r.get(0)?),
                message_no: r.get(1)?,
                zones: Arc::from(zones),
                due_at: time(r.get(3)?),
                held: Held::from_code(r.get(4)?),
                next_seq: r.get(5)?,
                bound: r.get(6)?,
                bound_moves_at: None,
                to_seq: r.get(6)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    for wave in waves.iter_mut().filter(|w| w.message_no > 1 && w.held.is_none()) {
        let settled_before = definition.settled_before(wave.message_no, &wave.zones, now);
        wave.bound = claim::bound(c, wave.id, settled_before)?.unwrap_or(wave.to_seq);
        if let Some(since) = settled_before
            && wave.bound <= wave.next_seq
            && let Some(settled_at) = claim::next_mark(c, id, wave, since)?
            && let Some(send) = definition.content.send(wave.message_no)
        {
            wave.bound_moves_at = Some(send.due_after(&freeze::zone(&wave.zones)?, settled_at));
        }
    }
    Ok(waves)
}

/// The retries that are set aside, by sender.
fn parked(c: &Connection, id: CampaignId, senders: &Senders) -> Result<Vec<Parked>> {
    let some: Option<i64> = c
        .prepare_cached(
            "SELECT 1 FROM retry WHERE campaign_id = ?1 AND parked IS NOT NULL AND open AND claim_id IS NULL AND NOT held
             LIMIT 1",
        )?
        .query_row([id.0], |r| r.get(0))
        .optional()?;
    if some.is_none() {
        return Ok(Vec::new());
    }
    let mut parked = Vec::new();
    for (sender, _) in senders.all() {
        let count: u32 = c
            .prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM retry WHERE campaign_id = ?1 AND parked = ?2 AND open
                     AND claim_id IS NULL AND NOT held LIMIT 1000)",
            )?
            .query_row((id.0, sender.to_string()), |r| r.get(0))?;
        if count > 0 {
            parked.push(Parked { sender: sender.clone(), count });
        }
    }
    Ok(parked)
}
