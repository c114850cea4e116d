//! The names and e-mail addresses that contacts are found by.
//!
//! They are in a table of their own, sorted, and are brought up to date after the contacts are stored, in large sorted
//! pieces: written with each contact, each would touch a page of its own, which made an import six times slower. Keeps:
//! a name that its contact no longer has is never written (it is compared with the contact when it is stored); a name
//! that a contact loses is removed in the transaction that changes the contact (triggers of the schema).

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
};

use campaign::Msisdn;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, writer::Lane};
use crate::Result;

/// Chunks of contacts whose names are sorted together: a few hundred thousand contacts at most.
const PIECE: i64 = 50;
/// Names stored in one go: some milliseconds, as they lie side by side.
const SLICE: usize = 4_000;
/// The most contacts with each of two names to compare with each other.
const MOST_LOOKED_AT: usize = 30_000;

/// A name, its contact's number, and the fields that it was read from.
type Entry = (String, i64, Arc<str>);

impl Store {
    /// Brings the names up to date with the contacts. For a thread that may block.
    pub fn index_names(&self) -> Result<()> {
        // One at a time: two would sort the same contacts.
        let _turn = self.inner.naming.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (last, mut entries) = self.read_now(due)?;
            let Some(last) = last else { return Ok(()) };
            // In the order in which the table compares them.
            entries.sort_by_cached_key(|(name, number, _)| (name.to_ascii_lowercase(), *number));
            let mut slices = Vec::new();
            while !entries.is_empty() {
                slices.push(entries.split_off(entries.len().saturating_sub(SLICE)));
            }
            for slice in slices.into_iter().rev() {
                self.inner.writer.run_now(Lane::Bulk, move |c, _| {
                    let mut insert = c.prepare_cached(
                        "INSERT INTO contact_name SELECT ?1, number FROM contact WHERE number = ?2 AND fields = ?3
                         ON CONFLICT DO NOTHING",
                    )?;
                    for (name, number, fields) in &slice {
                        insert.execute(params![name, number, fields])?;
                    }
                    Ok(())
                })?;
            }
            self.inner.writer.run_now(Lane::Bulk, move |c, _| {
                Ok(c.execute("DELETE FROM name_due WHERE id <= ?1", [last])?)
            })?;
        }
    }

    /// Whether contacts were stored whose names are not up to date yet.
    pub async fn names_are_due(&self) -> Result<bool> {
        self.read(|c| Ok(c.prepare_cached("SELECT 1 FROM name_due")?.exists([])?)).await
    }
}

/// Records that contacts were stored whose names are still to be sorted in.
pub(super) fn wait(c: &Connection, numbers: impl Iterator<Item = Msisdn>) -> Result<()> {
    let numbers: Vec<String> = numbers.map(|number| number.digits().to_string()).collect();
    if !numbers.is_empty() {
        c.prepare_cached("INSERT INTO name_due (numbers) VALUES (?1)")?
            .execute([format!("[{}]", numbers.join(","))])?;
    }
    Ok(())
}

/// The names of the next waiting contacts, and the last entry that they come from.
fn due(c: &Connection) -> Result<(Option<i64>, Vec<Entry>)> {
    let last: Option<i64> = c
        .prepare_cached("SELECT max(id) FROM (SELECT id FROM name_due ORDER BY id LIMIT ?1)")?
        .query_row([PIECE], |r| r.get(0))
        .optional()?
        .flatten();
    let mut entries = Vec::new();
    let Some(last) = last else { return Ok((None, entries)) };
    let mut statement = c.prepare_cached(
        "SELECT c.number, c.fields, c.fields ->> '$.first_name', c.fields ->> '$.last_name', c.fields ->> '$.email'
         FROM name_due d JOIN json_each(d.numbers) n CROSS JOIN contact c ON c.number = n.value WHERE d.id <= ?1",
    )?;
    let mut rows = statement.query([last])?;
    while let Some(r) = rows.next()? {
        let number = r.get(0)?;
        let Some(fields) = r.get::<_, Option<Arc<str>>>(1)? else { continue };
        for at in 2..=4 {
            if let Some(name) = r.get::<_, Option<String>>(at)? {
                entries.push((name, number, fields.clone()));
            }
        }
    }
    Ok((Some(last), entries))
}

/// The numbers of contacts with a name or address that begins with `text`; two words are two names. At most `limit`,
/// and whether there may be more.
pub(super) fn beginning(c: &Connection, text: &str, limit: usize) -> Result<(Vec<i64>, bool)> {
    let mut words = text.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (None, ..) => Ok((Vec::new(), false)),
        (Some(name), None, _) => named(c, name, limit),
        (Some(first), Some(last), None) => {
            let (mut numbers, firsts) = (named(c, last, MOST_LOOKED_AT)?, named(c, first, MOST_LOOKED_AT)?);
            let known: HashSet<i64> = firsts.0.into_iter().collect();
            numbers.0.retain(|number| known.contains(number));
            let more = numbers.1 || firsts.1 || numbers.0.len() > limit;
            numbers.0.truncate(limit);
            // A single name may consist of two words.
            if numbers.0.is_empty() { named(c, text, limit) } else { Ok((numbers.0, more)) }
        }
        _ => named(c, text, limit),
    }
}

fn named(c: &Connection, name: &str, limit: usize) -> Result<(Vec<i64>, bool)> {
    let (mut seen, mut numbers) = (HashSet::new(), Vec::new());
    let mut statement = c.prepare_cached(
        "SELECT number FROM contact_name WHERE name BETWEEN ?1 AND ?2 ORDER BY name, number",
    )?;
    let mut rows = statement.query((name, end(name)))?;
    while let Some(r) = rows.next()? {
        let number = r.get(0)?;
        if seen.insert(number) {
            if numbers.len() == limit {
                return Ok((numbers, true));
            }
            numbers.push(number);
        }
    }
    Ok((numbers, false))
}

/// The upper bound of everything that begins with `text`.
fn end(text: &str) -> String {
    format!("{text}{}", char::MAX)
}
