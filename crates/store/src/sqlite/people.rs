//! One person: what is known of a number, and forgetting it.

use campaign::{CampaignId, ListId, Msisdn, Sender};
use rusqlite::{Connection, OptionalExtension};

use super::{Store, audit, imports, ms, names, time};
use crate::{By, Consent, Contact, Deed, LastContact, Result, Suppressed};

impl Store {
    /// What is known of a number: nothing but its suppressions, where it is no contact.
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

    /// Contacts whose number, first or last name or e-mail address begins so, at most `limit`, and whether there
    /// may be more. Two words are two names. Who was stored a moment ago may be missing ([`Store::names_are_due`]).
    pub async fn find_contacts(&self, text: String, limit: usize) -> Result<(Vec<Contact>, bool)> {
        self.read(move |c| {
            let (numbers, more) = find(c, text.trim(), limit)?;
            let people = numbers.into_iter().map(|number| brief(c, Msisdn::from_digits(number)));
            Ok((people.collect::<Result<_>>()?, more))
        })
        .await
    }

    /// Notes that somebody agreed to be written to, or, without one, that they did not.
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

    /// Forgets a contact: its fields and lists go, its suppressions stay. What campaigns froze stays with them.
    pub async fn delete_contact(&self, contact: Msisdn, by: By) -> Result<bool> {
        let number = contact.digits();
        self.write(move |c| {
            c.execute(
                "UPDATE list SET size = size - 1
                 WHERE id IN (SELECT list_id FROM list_member WHERE number = ?1)",
                [number],
            )?;
            c.execute("DELETE FROM list_member WHERE number = ?1", [number])?;
            c.execute("DELETE FROM consent WHERE number = ?1", [number])?;
            let there = c.execute("DELETE FROM contact WHERE number = ?1", [number])? > 0;
            if there {
                audit::note(c, &by, Deed::ContactDeleted, contact)?;
            }
            Ok(there)
        })
        .await
    }
}

/// A sender as people write it, from its address.
fn sender(address: String) -> String {
    Sender::try_from(address.clone()).map_or(address, String::from)
}

/// The numbers of contacts that `text` names: by the beginning of their number, name or e-mail address.
fn find(c: &Connection, text: &str, limit: usize) -> Result<(Vec<i64>, bool)> {
    let digits: String = text.chars().filter(|ch| !" +-()".contains(*ch)).collect();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return by_number(c, &digits, limit);
    }
    names::beginning(c, text, limit)
}

/// Contacts whose number begins with these digits: a range of each length that numbers have.
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
