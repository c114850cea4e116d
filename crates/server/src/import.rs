//! Contacts from a file: header, rows, numbers. A problem with a row is reported with its place and value and affects
//! no other row; an optional value that cannot be read is left out and counted; a problem with the file refuses the
//! whole file.

mod columns;
mod decode;
mod json;
mod look;
mod records;
mod refused;
mod row;

use std::{fs::File, sync::mpsc};

use campaign::msisdn::Country;
use jiff::Timestamp;
use store::{ImportChunk, ImportPlan, Problem, Store, StoreError};

use self::{
    columns::{Columns, is_number},
    records::{Next, Record},
    row::Taker,
};
use crate::limits::{PART_BYTES, PART_ROWS, SHOWN};

pub(crate) use json::{Row, json, number_of_no_kind};
pub use look::{Look, guesses, look, read_as};
pub use refused::file as refused_rows;

/// What a column can be, besides a field of its own name.
pub const COLUMNS: [&str; 8] = [
    campaign::field::PHONE,
    "first_name",
    "last_name",
    "email",
    "language",
    campaign::field::TIME_ZONE,
    campaign::field::CONSENT_SOURCE,
    campaign::field::CONSENT_AT,
];

/// How to read the rows of a file.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The meaning of each column.
    pub plan: ImportPlan,
    /// How many rows were read before.
    pub skip: i64,
    /// Whether only the number of each row is wanted.
    pub numbers_only: bool,
    /// When it is read: the time of consents that give none.
    pub now: Timestamp,
}

impl Reading {
    /// Reads as the header says, from the first row on.
    pub fn plain(country: Option<String>, by: &str, now: Timestamp) -> Self {
        Self {
            plan: ImportPlan { country, by: by.to_owned(), ..ImportPlan::default() },
            skip: 0,
            numbers_only: false,
            now,
        }
    }

    fn country(&self) -> Option<Country> {
        // It was checked when the import was begun.
        self.plan.country.as_deref().and_then(|code| code.parse().ok())
    }
}

fn shown(value: &str) -> String {
    format!("'{}'", value.chars().take(SHOWN).collect::<String>())
}

/// Runs one import to its end, on this thread: reads while the previous chunk is stored. `progress` is told how many
/// bytes of the file have been read. The import's state says how it went.
pub fn csv(
    store: &Store,
    import: campaign::ImportId,
    file: File,
    reading: &Reading,
    progress: impl Fn(u64),
) -> store::Result<store::ImportState> {
    let (chunks, stored) = mpsc::sync_channel::<ImportChunk>(0);
    let read = std::thread::scope(|scope| {
        let writer = scope
            .spawn(move || stored.into_iter().try_for_each(|c| store.import_chunk(import, c, reading.now)));
        let read = read_all(file, reading, &progress, |chunk| chunks.send(chunk).is_ok());
        drop(chunks);
        // A panic of the writer was reported by its own thread.
        writer.join().unwrap_or(Ok(())).map(|()| read)
    });
    finish(store, import, read)
}

fn read_all(
    file: File,
    reading: &Reading,
    progress: impl Fn(u64),
    mut send: impl FnMut(ImportChunk) -> bool,
) -> Result<Vec<String>, String> {
    let mut records = decode::open(file, reading.plan.country.as_deref())?;
    let mut record = Record::default();
    let bad = |e: records::BadFile| e.to_string();
    // A quote that is not closed in the row of names must not make it one with the rows after it.
    let has_number = |record: &Record| (0..record.len()).any(|at| is_number(record.get(at)));
    let first = match records.next(&mut record, has_number).map_err(bad)? {
        Next::End => Vec::new(),
        Next::Row | Next::Broken => record.values(),
    };
    let (columns, names) = Columns::of_first_row(&first, reading)?;
    let is_row = |record: &Record| columns.number(|at| record.get(at)).is_ok();
    let mut taker = Taker::new(reading);
    taker.part.header.clone_from(&columns.written);
    let mut next = if names || first.is_empty() {
        records.next(&mut record, is_row).map_err(bad)
    } else {
        Ok(Next::Row)
    };
    let mut rows = 0;
    loop {
        let failed = match next {
            Ok(Next::End) => None,
            Err(why) => Some(why),
            Ok(row) => {
                rows += 1;
                if rows > reading.skip {
                    match row {
                        Next::Broken => taker.refuse(
                            records.row,
                            "",
                            record.get(columns.phone),
                            "a quotation mark (\") is opened and not closed in this line".to_owned(),
                            record.values(),
                        ),
                        _ => taker.take(&columns, records.row, record.len(), |at| record.get(at)),
                    }
                }
                if taker.rows() == PART_ROWS || taker.bytes > PART_BYTES {
                    taker.part.read = records.taken as i64;
                    progress(records.taken);
                    if !send(std::mem::replace(&mut taker, Taker::new(reading)).part) {
                        return Ok(columns.custom());
                    }
                }
                next = records.next(&mut record, is_row).map_err(bad);
                continue;
            }
        };
        taker.part.read = records.taken as i64;
        // Rows already read are stored, whatever comes after them.
        send(taker.part);
        return failed.map_or_else(|| Ok(columns.custom()), Err);
    }
}

fn finish(
    store: &Store,
    import: campaign::ImportId,
    read: store::Result<Result<Vec<String>, String>>,
) -> store::Result<store::ImportState> {
    let (fields, failed) = match read {
        Ok(Ok(fields)) => (fields, None),
        Ok(Err(why)) => (Vec::new(), Some(why)),
        Err(e) => {
            tracing::error!(%import, error = %e, "the import could not be stored");
            (Vec::new(), Some(e.told()))
        }
    };
    store.end_import(import, fields, failed)
}

/// The country of numbers that name none: the given one, otherwise the account's.
///
/// # Errors
/// [`StoreError::Invalid`] where there is no such country.
pub async fn country(store: &Store, given: Option<String>) -> store::Result<Option<String>> {
    let given = given.map(|code| code.trim().to_uppercase()).filter(|code| !code.is_empty());
    if let Some(Err(e)) = given.as_deref().map(str::parse::<Country>) {
        return Err(StoreError::Invalid(vec![Problem::new("country", e)]));
    }
    Ok(given.or(store.settings().await?.country))
}
