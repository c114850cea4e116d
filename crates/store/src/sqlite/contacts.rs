//! One person: what is known about a number, and forgetting it.

use std::{collections::HashMap, time::Duration};

use campaign::{CampaignId, ListId, Msisdn, Sender};
use rusqlite::{Connection, OptionalExtension};

use super::{Store, audience, audit, imports, ms, names, time};
use crate::{By, Consent, Contact, Deed, LastContact, NewContact, Result, StoreError, Suppressed};

impl Store {
    /// What is known about a number: only its suppressions if it is not a contact.
    pub async fn contact(&self, number: Msisdn) -> Result<Contact> {
        self.read(move |c| read(c, number)).await
    }

    /// A page of a list's numbers, in order, after `after`.
    pub async fn members(&self, list: ListId, after: Option<Msisdn>, limit: u32) -> Result<Vec<Contact>> {
        self.read(move |c| {
            let numbers: Vec<i64> = c
                .prepare_cached(
                    "SELECT number FROM list_member WHERE list_id = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
                )?
                .query_map((list.0, after.map_or(0, Msisdn::digits), limit), |r| r.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            numbers.into_iter().map(|number| brief(c, Msisdn::from_digits(number))).collect()
        })
        .await
    }

    /// Contacts whose number, first or last name or e-mail address begins with `text`, at most `limit`, and whether
    /// there may be more. Two words are two names. A contact stored just now may be missing ([`Store::names_are_due`]).
    pub async fn find_contacts(&self, text: String, limit: usize) -> Result<(Vec<Contact>, bool)> {
        self.read(move |c| {
            let (numbers, more) = find(c, text.trim(), limit)?;
            let people = numbers.into_iter().map(|number| brief(c, Msisdn::from_digits(number)));
            Ok((people.collect::<Result<_>>()?, more))
        })
        .await
    }

    /// The names of those of these numbers that are contacts and have one.
    pub async fn names_of(&self, numbers: Vec<Msisdn>) -> Result<HashMap<String, String>> {
        self.read(move |c| {
            let mut names = HashMap::new();
            for number in numbers {
                names.extend(brief(c, number)?.name().map(|name| (number.to_string(), name)));
            }
            Ok(names)
        })
        .await
    }

    /// Puts one contact into a list. What is known of a contact already stays, unless it is given anew.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such list.
    pub async fn add_contact(&self, list: ListId, contact: NewContact, by: By) -> Result<()> {
        self.write(move |c| {
            if !c.prepare_cached("SELECT 1 FROM list WHERE id = ?1")?.exists([list.0])? {
                return Err(StoreError::NotFound("list"));
            }
            audit::note(c, &by, Deed::ContactAdded, contact.number)?;
            imports::join(c, list, &[contact])
        })
        .await
    }

    /// Replaces the fields and the zone of a contact; its consent, its lists and what it was sent stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the number is no contact.
    pub async fn edit_contact(&self, contact: NewContact, by: By) -> Result<()> {
        self.write(move |c| {
            let zone = imports::zone_id(c, contact.zones.as_deref())?;
            let changed = c
                .prepare_cached("UPDATE contact SET zone_id = ?2, fields = ?3 WHERE number = ?1")?
                .execute((contact.number.digits(), zone, &contact.fields))?;
            if changed == 0 {
                return Err(StoreError::NotFound("contact"));
            }
            audit::note(c, &by, Deed::ContactEdited, contact.number)?;
            names::wait(c, std::iter::once(contact.number))
        })
        .await
    }

    /// Takes a contact off a list; returns whether it was on it. Campaigns that are scheduled keep their audience.
    pub async fn leave_list(&self, list: ListId, contact: Msisdn, by: By) -> Result<bool> {
        self.write(move |c| {
            let left = c
                .prepare_cached("DELETE FROM list_member WHERE list_id = ?1 AND number = ?2")?
                .execute((list.0, contact.digits()))?;
            if left > 0 {
                c.execute("UPDATE list SET size = size - 1 WHERE id = ?1", [list.0])?;
                audit::note(c, &by, Deed::ContactTakenOff, format!("{list} {contact}"))?;
            }
            Ok(left > 0)
        })
        .await
    }

    /// Records a person's consent to receive messages, or removes it if none is given.
    pub async fn set_consent(&self, number: Msisdn, consent: Option<Consent>, by: By) -> Result<()> {
        self.write(move |c| {
            let deed = if consent.is_some() { Deed::ConsentNoted } else { Deed::ConsentWithdrawn };
            audit::note(c, &by, deed, number)?;
            c.execute("DELETE FROM consent WHERE number = ?1", [number.digits()])?;
            consent.map_or(Ok(()), |consent| imports::agree(c, number.digits(), &consent, ms(by.at)))
        })
        .await
    }

    /// A page of the do-not-contact lists, in the order of numbers, after `after`.
    pub async fn suppressions(&self, after: Option<Msisdn>, limit: u32) -> Result<Vec<(Msisdn, Suppressed)>> {
        self.read(move |c| {
            Ok(c.prepare_cached(
                "SELECT number, channel, purpose, reason, at FROM suppression WHERE number > ?1
                 ORDER BY number LIMIT ?2",
            )?
            .query_map((after.map_or(0, Msisdn::digits), limit), |r| {
                let held = Suppressed {
                    channel: r.get(1)?,
                    purpose: r.get(2)?,
                    reason: r.get(3)?,
                    at: time(r.get(4)?),
                };
                Ok((Msisdn::from_digits(r.get(0)?), held))
            })?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Forgets a contact on request: what is known about it, what it wrote and what it was answered are deleted, and
    /// what campaigns froze of it is blanked, so that campaigns scheduled before send it nothing more; its suppressions
    /// and the counts stay. Returns once nothing is under way to it.
    pub async fn delete_contact(&self, contact: Msisdn, by: By) -> Result<bool> {
        let number = contact.digits();
        if !self
            .read(move |c| {
                Ok(c.prepare_cached("SELECT 1 FROM contact WHERE number = ?1")?.exists([number])?)
            })
            .await?
        {
            return Ok(false);
        }
        self.blank_in_audiences(contact).await?;
        self.blank_import_errors(contact).await?;
        let there = self
            .write(move |c| {
                c.execute(
                    "UPDATE list SET size = size - 1
                     WHERE id IN (SELECT list_id FROM list_member WHERE number = ?1)",
                    [number],
                )?;
                for forget in FORGET {
                    c.execute(forget, [number])?;
                }
                let there = c.execute("DELETE FROM contact WHERE number = ?1", [number])? > 0;
                if there {
                    audit::note(c, &by, Deed::ContactDeleted, contact)?;
                }
                Ok(there)
            })
            .await?;
        // A campaign scheduled meanwhile read the contact before it was deleted.
        for (campaign, seq) in self.blank_in_audiences(contact).await? {
            self.settled_for(campaign, seq).await?;
        }
        Ok(there)
    }

    /// Blanks a number in every audience that it is frozen into; returns its places there.
    async fn blank_in_audiences(&self, number: Msisdn) -> Result<Vec<(CampaignId, i64)>> {
        let places: Vec<(CampaignId, i64)> = self
            .read(move |c| {
                let frozen: Vec<CampaignId> = c
                    .prepare_cached("SELECT id FROM campaign WHERE audience > 0 ORDER BY id")?
                    .query_map([], |r| Ok(CampaignId(r.get(0)?)))?
                    .collect::<rusqlite::Result<_>>()?;
                let mut places = Vec::new();
                for id in frozen {
                    places.extend(audience::place(c, id, number)?.map(|seq| (id, seq)));
                }
                Ok(places)
            })
            .await?;
        let found = places.clone();
        self.write(move |c| found.iter().try_for_each(|(id, seq)| blank(c, *id, *seq))).await?;
        Ok(places)
    }

    /// Waits until nothing that was claimed for this recipient is under way, as long as a claim lives.
    async fn settled_for(&self, id: CampaignId, seq: i64) -> Result<()> {
        for _ in 0..LONGEST_CLAIM.as_millis() / LOOK_EVERY.as_millis() {
            let under_way = self
                .read(move |c| {
                    Ok(c.prepare_cached(
                        "SELECT 1 FROM claim k WHERE k.campaign_id = ?1 AND k.low <= ?2 AND k.to_seq > ?2 AND NOT EXISTS
                             (SELECT 1 FROM delivery d WHERE d.campaign_id = ?1 AND d.message_no = k.message_no AND d.seq = ?2)",
                    )?
                    .exists((id.0, seq))?)
                })
                .await?;
            if !under_way {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Blanks the refused rows of files that contain this number, however it is spelt there.
    async fn blank_import_errors(&self, number: Msisdn) -> Result<()> {
        let found: Vec<(i64, i64)> = self
            .read(move |c| {
                let digits = number.digits().to_string();
                let is_it = |text: &str| {
                    let own: String = text.chars().filter(char::is_ascii_digit).collect();
                    let own = own.trim_start_matches('0');
                    own.len() >= SHORTEST_MATCH && digits.ends_with(own)
                };
                let mut statement =
                    c.prepare_cached("SELECT import_id, row, value, original FROM import_error")?;
                let mut rows = statement.query([])?;
                let mut found = Vec::new();
                while let Some(r) = rows.next()? {
                    let original: Option<String> = r.get(3)?;
                    let cells: Vec<String> =
                        original.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
                    if is_it(r.get_ref(2)?.as_str().unwrap_or_default())
                        || cells.iter().any(|cell| is_it(cell))
                    {
                        found.push((r.get(0)?, r.get(1)?));
                    }
                }
                Ok(found)
            })
            .await?;
        self.write(move |c| {
            let mut blank = c.prepare_cached(
                "UPDATE import_error SET value = '', message = 'deleted on request', original = NULL
                 WHERE import_id = ?1 AND row = ?2",
            )?;
            found.into_iter().try_for_each(|key| blank.execute(key).map(drop).map_err(Into::into))
        })
        .await
    }
}

/// Stands for the fields of a person in a frozen audience who was deleted on request.
pub(super) const DELETED: &str = "deleted";
/// The fewest digits in a refused value that identify a number: fewer could be many people's.
const SHORTEST_MATCH: usize = 7;
/// How long a claim may be under way, and how often to look.
const LONGEST_CLAIM: Duration = Duration::from_secs(12);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is deleted with a contact, each by its number. An automatic answer that still waits is not sent any more.
const FORGET: [&str; 8] = [
    "DELETE FROM list_member WHERE number = ?1",
    "DELETE FROM consent WHERE number = ?1",
    "DELETE FROM last_contact WHERE number = ?1",
    "DELETE FROM contact_log WHERE number = ?1",
    "DELETE FROM reply_part WHERE number = ?1",
    "UPDATE reply SET text = '' WHERE number = ?1",
    "UPDATE answer SET state = 'expired' WHERE number = ?1 AND state = 'queued'",
    "UPDATE answer SET text = '' WHERE number = ?1 AND state <> 'taken'",
];

/// Blanks a person's frozen fields in a campaign, and what the person entered in calls; nothing more goes to them.
pub(super) fn blank(c: &Connection, id: CampaignId, seq: i64) -> Result<()> {
    c.prepare_cached(
        "UPDATE call SET row = json_replace(row, '$.digits', json('[]'), '$.events', json('[]'))
         WHERE campaign_id = ?1 AND seq = ?2",
    )?
    .execute((id.0, seq))?;
    c.prepare_cached("UPDATE audience SET fields = ?3 WHERE campaign_id = ?1 AND seq = ?2")?
        .execute((id.0, seq, DELETED))?;
    Ok(())
}

/// A sender as people write it, from its address.
fn sender(address: String) -> String {
    Sender::try_from(address.clone()).map_or(address, String::from)
}

/// The numbers of contacts that `text` means: by the beginning of their number, name or e-mail address.
fn find(c: &Connection, text: &str, limit: usize) -> Result<(Vec<i64>, bool)> {
    let digits: String = text.chars().filter(|ch| !" +-()".contains(*ch)).collect();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return by_number(c, &digits, limit);
    }
    names::beginning(c, text, limit)
}

/// Contacts whose number begins with these digits: one range for each length that numbers have.
fn by_number(c: &Connection, digits: &str, limit: usize) -> Result<(Vec<i64>, bool)> {
    let mut found: Vec<i64> = Vec::new();
    for (from, to) in Msisdn::beginning(digits) {
        let mut statement =
            c.prepare_cached("SELECT number FROM contact WHERE number >= ?1 AND number < ?2 LIMIT ?3")?;
        let left = limit + 1 - found.len();
        let rows = statement.query_map((from, to, left as i64), |r| r.get(0))?;
        found.extend(rows.collect::<rusqlite::Result<Vec<i64>>>()?);
    }
    let more = found.len() > limit;
    found.truncate(limit);
    Ok((found, more))
}

/// The contact's own row, as a list shows it.
fn brief(c: &Connection, number: Msisdn) -> Result<Contact> {
    let row: Option<(Option<String>, Option<String>)> = c
        .prepare_cached(
            "SELECT z.name, c.fields FROM contact c LEFT JOIN zone z ON z.id = c.zone_id WHERE c.number = ?1",
        )?
        .query_row([number.digits()], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let known = row.is_some();
    let (zone, json) = row.unwrap_or_default();
    let fields: std::collections::BTreeMap<String, String> =
        json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    Ok(Contact {
        number,
        known,
        zone,
        fields: fields.into_iter().collect(),
        lists: Vec::new(),
        consent: None,
        suppressed: Vec::new(),
        last: Vec::new(),
        replies: Vec::new(),
    })
}

fn read(c: &Connection, number: Msisdn) -> Result<Contact> {
    let digits = number.digits();
    let lists = c
        .prepare_cached(
            "SELECT l.id, l.name FROM list_member m JOIN list l ON l.id = m.list_id WHERE m.number = ?1 ORDER BY l.name",
        )?
        .query_map([digits], |r| Ok((ListId(r.get(0)?), r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let suppressed = c
        .prepare_cached("SELECT channel, purpose, reason, at FROM suppression WHERE number = ?1 ORDER BY at")?
        .query_map([digits], |r| {
            Ok(Suppressed { channel: r.get(0)?, purpose: r.get(1)?, reason: r.get(2)?, at: time(r.get(3)?) })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let last = c
        .prepare_cached(
            "SELECT k.campaign_id, c.name, k.sender, k.at FROM last_contact k JOIN campaign c ON c.id = k.campaign_id
             WHERE k.number = ?1 ORDER BY k.at DESC",
        )?
        .query_map([digits], |r| {
            Ok(LastContact {
                campaign: CampaignId(r.get(0)?),
                name: r.get(1)?,
                sender: sender(r.get(2)?),
                at: time(r.get(3)?),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let replies = c
        .prepare_cached("SELECT text, at FROM reply WHERE number = ?1 ORDER BY id DESC LIMIT 100")?
        .query_map([digits], |r| Ok((r.get(0)?, time(r.get(1)?))))?
        .collect::<rusqlite::Result<_>>()?;
    let consent = c
        .prepare_cached("SELECT source, at, noted_by FROM consent WHERE number = ?1")?
        .query_row([digits], |r| Ok(Consent { source: r.get(0)?, at: time(r.get(1)?), by: r.get(2)? }))
        .optional()?;
    Ok(Contact { lists, consent, suppressed, last, replies, ..brief(c, number)? })
}
