//! Contact lists and the fields of contacts.

use campaign::{CampaignId, ListId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{Store, audit, campaigns, ms};
use crate::{By, Deed, Problem, Result, StoreError, save};

/// The most contacts that leave a list in one transaction: some milliseconds.
const STEP: u32 = 5_000;

/// Whether nothing needs a list any more.
fn unused(c: &Connection, list: ListId) -> Result<()> {
    let campaign: Option<String> = c
        .prepare_cached(
            "SELECT name FROM campaign WHERE status IN ('defined', 'scheduled')
             AND EXISTS (SELECT 1 FROM json_each(definition, '$.list_ids') WHERE value = ?1) LIMIT 1",
        )?
        .query_row([list.to_string()], |r| r.get(0))
        .optional()?;
    let problem = if let Some(name) = campaign {
        format!("'{name}' goes to this list: choose another list for it, or archive it")
    } else if c
        .prepare_cached("SELECT 1 FROM import WHERE list_id = ?1 AND state IN ('queued', 'running')")?
        .exists([list.0])?
    {
        "a file is being imported into it: wait until it is done".to_owned()
    } else {
        return Ok(());
    };
    Err(StoreError::Invalid(vec![Problem::new("list", problem)]))
}

/// Stores a list under an id that none had before it.
fn insert(c: &Connection, name: &str, now: Timestamp) -> rusqlite::Result<ListId> {
    c.prepare_cached(
        "INSERT INTO list (id, name, name_key, created_at) VALUES (1 + max(
             (SELECT coalesce(max(id), 0) FROM list), (SELECT coalesce(max(id), 0) FROM deleted_list)), ?1, ?2, ?3)",
    )?
    .execute((name, save::name_key(name), ms(now)))?;
    Ok(ListId(c.last_insert_rowid()))
}

/// Makes the list of those whom a campaign that ended early did not come to; contacts that were deleted are left out.
pub(super) fn remaining(c: &Connection, campaign: CampaignId, name: &str, now: Timestamp) -> Result<ListId> {
    let wanted = format!("Remaining of {name}");
    let (mut name, mut n) = (wanted.clone(), 1);
    while c.prepare_cached("SELECT 1 FROM list WHERE name_key = ?1")?.exists([save::name_key(&name)])? {
        n += 1;
        name = format!("{wanted} ({n})");
    }
    let list = insert(c, &name, now)?;
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
            let id = insert(c, &name, by.at).map_err(|e| campaigns::taken(e, &name))?;
            audit::note(c, &by, Deed::ListMade, id)?;
            Ok(id)
        })
        .await
    }

    /// Gives a list another name.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] where another list has it.
    pub async fn rename_list(&self, list: ListId, name: String, by: By) -> Result<()> {
        Problem::none(save::name_problems(&name))?;
        let name = save::tidy(&name);
        self.write(move |c| {
            let key = save::name_key(&name);
            if c.prepare_cached("SELECT 1 FROM list WHERE name_key = ?1 AND id <> ?2")?
                .exists((&key, list.0))?
            {
                return Err(StoreError::NameTaken(name));
            }
            let renamed =
                c.execute("UPDATE list SET name = ?2, name_key = ?3 WHERE id = ?1", (list.0, &name, key))?;
            if renamed == 0 {
                return Err(StoreError::NotFound("list"));
            }
            audit::note(c, &by, Deed::ListRenamed, list)?;
            Ok(())
        })
        .await
    }

    /// Deletes a list; its contacts stay, and so do the audiences of campaigns that are scheduled. Its contacts leave it in steps
    /// before it goes: what a crash interrupts is a list that has fewer of them.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where a campaign may still be scheduled with it, or a file is being imported into it.
    pub async fn delete_list(&self, list: ListId, by: By) -> Result<()> {
        self.read(move |c| unused(c, list)).await?;
        loop {
            let left = self
                .write(move |c| {
                    let left = c
                        .prepare_cached(
                            "DELETE FROM list_member WHERE list_id = ?1 AND number IN
                                 (SELECT number FROM list_member WHERE list_id = ?1 LIMIT ?2)",
                        )?
                        .execute((list.0, STEP))?;
                    c.execute("UPDATE list SET size = size - ?2 WHERE id = ?1", (list.0, left as i64))?;
                    Ok(left)
                })
                .await?;
            if left < STEP as usize {
                break;
            }
        }
        self.write(move |c| {
            unused(c, list)?;
            // Somebody may have joined it meanwhile.
            c.execute("DELETE FROM list_member WHERE list_id = ?1", [list.0])?;
            if c.execute("DELETE FROM list WHERE id = ?1", [list.0])? == 0 {
                return Err(StoreError::NotFound("list"));
            }
            c.execute("INSERT INTO deleted_list VALUES (?1)", [list.0])?;
            audit::note(c, &by, Deed::ListDeleted, list)?;
            Ok(())
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
