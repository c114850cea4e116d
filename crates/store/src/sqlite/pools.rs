//! Pools of senders, and the senders that each frozen audience gets.
//!
//! Keeps: a recipient keeps its sender for as long as the pool does; a sender that is removed from its pool is replaced
//! wherever it was dealt, with a line in the campaign's history.

use super::writer::Effect;
use crate::Change;
use std::num::NonZeroU32;

use campaign::{CampaignId, PoolId, PoolSender, SendAs, Sender, Senders, Status, pool};
use rusqlite::{Connection, OptionalExtension};

use super::{Store, audit, campaigns, operate};
use crate::{By, Deed, Definition, Pool, PoolConfig, Problem, Result, StoreError};

fn sender((sender, rate): (String, u32)) -> Result<PoolSender> {
    let sender = Sender::try_from(sender).map_err(|e| StoreError::Database(e.to_string()))?;
    Ok(PoolSender { sender, rate_per_second: NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN) })
}

/// Reads senders in order from a table of them.
fn senders(c: &Connection, sql: &str, id: i64) -> Result<Vec<PoolSender>> {
    c.prepare_cached(sql)?.query_map([id], |r| Ok((r.get(0)?, r.get(1)?)))?.map(|row| sender(row?)).collect()
}

pub(super) fn find(c: &Connection, id: PoolId) -> Result<Pool> {
    let name: Option<String> = c
        .prepare_cached("SELECT name FROM pool WHERE id = ?1")?
        .query_row([id.0], |r| r.get(0))
        .optional()?;
    let name = name.ok_or(StoreError::NotFound("pool of senders"))?;
    let senders = senders(c, "SELECT sender, rate FROM pool_sender WHERE pool_id = ?1 ORDER BY place", id.0)?;
    Ok(Pool { id, config: PoolConfig { name, senders } })
}

fn put(c: &Connection, id: PoolId, senders: &[PoolSender]) -> Result<()> {
    c.execute("DELETE FROM pool_sender WHERE pool_id = ?1", [id.0])?;
    for (place, one) in senders.iter().enumerate() {
        c.prepare_cached("INSERT INTO pool_sender VALUES (?1, ?2, ?3, ?4)")?.execute((
            id.0,
            place as i64,
            one.sender.to_string(),
            one.rate_per_second,
        ))?;
    }
    Ok(())
}

/// Deals the senders of a campaign's pool to the places of its audience.
pub(super) fn freeze(c: &Connection, id: CampaignId, d: &Definition) -> Result<()> {
    let Some(SendAs::Pool(pool)) = d.content.send_as() else { return Ok(()) };
    let senders = find(c, *pool)?.config.senders;
    let rates: Vec<NonZeroU32> = senders.iter().map(|one| one.rate_per_second).collect();
    for (slot, at) in pool::deal(&rates).into_iter().enumerate() {
        let one = &senders[at];
        c.prepare_cached("INSERT INTO campaign_slot VALUES (?1, ?2, ?3, ?4)")?.execute((
            id.0,
            slot as i64,
            one.sender.to_string(),
            one.rate_per_second,
        ))?;
    }
    Ok(())
}

/// The senders of a campaign; none until they are known.
pub(super) fn of(c: &Connection, id: CampaignId, d: &Definition) -> Result<Option<Senders>> {
    match d.content.send_as() {
        Some(SendAs::One(sender)) => Ok(Some(Senders::one(sender.clone()))),
        Some(SendAs::Pool(_)) => {
            let places = senders(
                c,
                "SELECT sender, rate FROM campaign_slot WHERE campaign_id = ?1 ORDER BY slot",
                id.0,
            )?;
            Ok(Senders::dealt(places))
        }
        None => Ok(None),
    }
}

/// The senders of a pool; none where there is no such pool.
pub(super) fn senders_of(c: &Connection, id: PoolId) -> Result<Vec<Sender>> {
    let sql = "SELECT sender, rate FROM pool_sender WHERE pool_id = ?1 ORDER BY place";
    Ok(senders(c, sql, id.0)?.into_iter().map(|one| one.sender).collect())
}

/// Segments a second that a pool carries in total; none where a campaign has no pool.
pub(super) fn rate(c: &Connection, d: &Definition) -> Result<Option<u32>> {
    let Some(SendAs::Pool(pool)) = d.content.send_as() else { return Ok(None) };
    Ok(Some(find(c, *pool)?.config.rate_per_second()))
}

/// The form in which a campaign stores this pool as its sender.
fn saved(id: PoolId) -> Result<String> {
    serde_json::to_string(&SendAs::Pool(id)).map_err(|e| StoreError::Database(e.to_string()))
}

/// The stored forms of every campaign sender that means `sender`, by itself or within a pool: a JSON array.
pub(super) fn sent_as(c: &Connection, sender: String) -> Result<String> {
    let pools: Vec<i64> = c
        .prepare_cached("SELECT pool_id FROM pool_sender WHERE sender = ?1")?
        .query_map([&sender], |r| r.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut all = vec![sender];
    for pool in pools {
        all.push(saved(PoolId(pool))?);
    }
    serde_json::to_string(&all).map_err(|e| StoreError::Database(e.to_string()))
}

/// A pool's name, or its id if it was removed.
pub(super) fn name(c: &Connection, id: PoolId) -> Result<String> {
    let name = c
        .prepare_cached("SELECT name FROM pool WHERE id = ?1")?
        .query_row([id.0], |r| r.get(0))
        .optional()?;
    Ok(name.unwrap_or_else(|| id.to_string()))
}

/// Campaigns that use a pool and may still send, with their statuses.
fn users(c: &Connection, id: PoolId) -> Result<Vec<(CampaignId, Status)>> {
    let rows: Vec<(i64, String)> = c
        .prepare_cached(
            "SELECT id, status FROM campaign WHERE sender = ?1 AND status NOT IN ('completed', 'archived') ORDER BY id",
        )?
        .query_map([saved(id)?], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(rows
        .into_iter()
        .filter_map(|(id, status)| Some((CampaignId(id), Status::from_word(&status)?)))
        .collect())
}

/// Replaces the senders dealt to a campaign that are not among `numbers`, of which there is at least one; one has the
/// same replacement wherever it was dealt. Returns each with its replacement.
pub(super) fn show_others(
    c: &Connection,
    id: CampaignId,
    numbers: &[Sender],
) -> Result<Vec<(Sender, Sender)>> {
    let places =
        senders(c, "SELECT sender, rate FROM campaign_slot WHERE campaign_id = ?1 ORDER BY slot", id.0)?;
    let mut gone: Vec<(Sender, Sender)> = Vec::new();
    for place in places.into_iter().filter(|place| !numbers.contains(&place.sender)) {
        if !gone.iter().any(|(sender, _)| *sender == place.sender) {
            let now = numbers[gone.len() % numbers.len()].clone();
            c.prepare_cached("UPDATE campaign_slot SET sender = ?3 WHERE campaign_id = ?1 AND sender = ?2")?
                .execute((id.0, place.sender.to_string(), now.to_string()))?;
            gone.push((place.sender, now));
        }
    }
    Ok(gone)
}

/// Records which senders of a campaign were replaced.
pub(super) fn note_replaced(
    c: &Connection,
    id: CampaignId,
    status: Status,
    replaced: &[(Sender, Sender)],
    by: &By,
) -> Result<()> {
    for (gone, now) in replaced {
        operate::note(c, id, by, &format!("{gone} replaced by {now}"), status)?;
    }
    // Anyone who read the campaign before reads it anew.
    c.execute("UPDATE campaign SET version = version + 1 WHERE id = ?1", [id.0])?;
    operate::reshape(c, id)
}

/// Brings the senders dealt to a campaign up to date with its pool.
fn replace(c: &Connection, id: CampaignId, status: Status, pool: &[PoolSender], by: &By) -> Result<()> {
    let now: Vec<Sender> = pool.iter().map(|one| one.sender.clone()).collect();
    let replaced = show_others(c, id, &now)?;
    for one in pool {
        c.prepare_cached("UPDATE campaign_slot SET rate = ?3 WHERE campaign_id = ?1 AND sender = ?2")?
            .execute((id.0, one.sender.to_string(), one.rate_per_second))?;
    }
    note_replaced(c, id, status, &replaced, by)
}

/// Whether the trunk of a campaign at work may show every number of its pool.
fn may_show(c: &Connection, id: CampaignId, status: Status) -> Result<()> {
    if !matches!(status, Status::Scheduled | Status::Running) {
        return Ok(());
    }
    let d = campaigns::load(c, id)?.definition;
    let named = |problem: Problem| {
        Problem::new("senders", format!("{}; '{}' calls over it", problem.message, d.name))
    };
    Ok(Problem::none(campaigns::shown(c, &d)?.into_iter().map(named).collect())?)
}

impl Store {
    /// Every pool, by name.
    pub async fn pools(&self) -> Result<Vec<Pool>> {
        self.read(|c| {
            let ids: Vec<i64> = c
                .prepare_cached("SELECT id FROM pool ORDER BY name COLLATE NOCASE")?
                .query_map([], |r| r.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            ids.into_iter().map(|id| find(c, PoolId(id))).collect()
        })
        .await
    }

    /// One pool.
    pub async fn pool(&self, id: PoolId) -> Result<Pool> {
        self.read(move |c| find(c, id)).await
    }

    /// Saves a new pool.
    pub async fn create_pool(&self, config: PoolConfig, by: By) -> Result<Pool> {
        Problem::none(config.problems())?;
        self.write(move |c| {
            c.execute("INSERT INTO pool (name) VALUES (?1)", [&config.name])
                .map_err(|e| campaigns::taken(e, &config.name))?;
            let id = PoolId(c.last_insert_rowid());
            put(c, id, &config.senders)?;
            audit::note(c, &by, Deed::PoolAdded, id)?;
            Ok(Pool { id, config })
        })
        .await
    }

    /// Replaces a pool. New senders are dealt to campaigns scheduled from now on; a removed sender is replaced in
    /// campaigns scheduled before.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where a campaign of calls is Scheduled or Running whose trunk may not show a new number.
    pub async fn edit_pool(&self, id: PoolId, config: PoolConfig, by: By) -> Result<Pool> {
        Problem::none(config.problems())?;
        self.write_begun(move |c, effects| {
            let known = c
                .execute("UPDATE pool SET name = ?2 WHERE id = ?1", (id.0, &config.name))
                .map_err(|e| campaigns::taken(e, &config.name))?;
            if known == 0 {
                return Err(StoreError::NotFound("pool of senders"));
            }
            put(c, id, &config.senders)?;
            for (campaign, status) in users(c, id)? {
                may_show(c, campaign, status)?;
                replace(c, campaign, status, &config.senders, &by)?;
                effects.push(Effect::Told(Change::Campaign(campaign)));
            }
            audit::note(c, &by, Deed::PoolChanged, id)?;
            Ok(Pool { id, config })
        })
        .await
    }

    /// Removes a pool.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where a campaign that may still send uses it.
    pub async fn remove_pool(&self, id: PoolId, by: By) -> Result<()> {
        self.write(move |c| {
            find(c, id)?;
            if let Some((campaign, _)) = users(c, id)?.first() {
                let name = campaigns::load(c, *campaign)?.definition.name;
                let words =
                    format!("the campaign '{name}' is sent as this pool; choose another sender there first");
                return Err(StoreError::Invalid(vec![Problem::new("pool", words)]));
            }
            c.execute("DELETE FROM pool_sender WHERE pool_id = ?1", [id.0])?;
            c.execute("DELETE FROM pool WHERE id = ?1", [id.0])?;
            audit::note(c, &by, Deed::PoolRemoved, id)
        })
        .await
    }
}
