//! Contact lists and the fields of contacts.

use campaign::{CampaignId, ListId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{Store, audit, campaigns, ms};
use crate::{By, Deed, Problem, Result, StoreError, save};

/// Makes the list of those whom a campaign that ended early did not come to; contacts that were deleted are left out.
pub(super) fn remaining(c: &Connection, campaign: CampaignId, name: &str, now: Timestamp) -> Result<ListId> {
    let wanted = format!("Remaining of {name}");
    let (mut name, mut n) = (wanted.clone(), 1);
    while c.prepare_cached("SELECT 1 FROM list WHERE name_key = ?1")?.exists([save::name_key(&name)])? {
        n += 1;
        name = format!("{wanted} ({n})");
    }
    let key = save::name_key(&name);
    c.execute("INSERT INTO list (name, name_key, created_at) VALUES (?1, ?2, ?3)", (&name, key, ms(now)))?;
    let list = ListId(c.last_insert_rowid());
    let size = c.execute(include_str!("sql/list_remaining.sql"), (list.0, campaign.0))?;
    c.execute("UPDATE list SET size = ?2 WHERE id = ?1", (list.0, size as i64))?;
    Ok(list)
}

impl Store {
    /// Creates a list.
    pub async fn create_list(&self, name: String, by: By) -> Result<ListId> {
        Problem::none(save::name_problems(&name))?;
        let name = save::tidy(&name);
        self.write(move |c| {
            let key = save::name_key(&name);
            if c.prepare_cached("SELECT 1 FROM list WHERE name_key = ?1")?.exists([&key])? {
                return Err(StoreError::NameTaken(name));
            }
            c.execute(
                "INSERT INTO list (name, name_key, created_at) VALUES (?1, ?2, ?3)",
                (&name, key, ms(by.at)),
            )
            .map_err(|e| campaigns::taken(e, &name))?;
            let id = ListId(c.last_insert_rowid());
            audit::note(c, &by, Deed::ListMade, id)?;
            Ok(id)
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

    /// The list of this name, created if there is none.
    pub async fn list_named(&self, name: String, by: By) -> Result<ListId> {
        let wanted = save::name_key(&name);
        let known: Option<i64> = self
            .read(move |c| {
                Ok(c.prepare_cached("SELECT id FROM list WHERE name_key = ?1")?
                    .query_row([wanted], |r| r.get(0))
                    .optional()?)
            })
            .await?;
        match known {
            Some(id) => Ok(ListId(id)),
            None => self.create_list(name, by).await,
        }
    }

    /// The names of the fields that contacts may have, in order.
    pub async fn fields(&self) -> Result<Vec<String>> {
        self.read(fields).await
    }
}

/// The names of the fields that contacts may have, in order.
pub(super) fn fields(c: &Connection) -> Result<Vec<String>> {
    let mut fields = save::KNOWN_FIELDS.map(str::to_owned).to_vec();
    let mut own = c.prepare_cached("SELECT name FROM field")?;
    for name in own.query_map([], |r| r.get(0))? {
        fields.push(name?);
    }
    fields.sort_unstable();
    fields.dedup();
    Ok(fields)
}
