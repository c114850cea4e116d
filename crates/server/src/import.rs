//! Contacts out of a file: header, rows, numbers. What is wrong with a row is said with its place and value and
//! keeps no other row out; what is wrong with the file keeps all of it out.

mod decode;
mod look;

use std::{collections::BTreeMap, fs::File, sync::mpsc};

use campaign::{Msisdn, ZoneGroup, msisdn::Country, zone};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use store::{Consent, ImportChunk, ImportPlan, NewContact, Problem, RowError, Store, StoreError};

pub use look::{Look, guesses, look, read_as};

/// Rows that are stored together: bulk work in steps of some milliseconds.
const CHUNK: usize = 2_000;
/// The longest value that a contact keeps, in characters.
const LONGEST_VALUE: usize = 2_000;
/// The longest part of a refused value that is shown again.
const SHOWN: usize = 60;
/// The column of the number.
const PHONE: &str = "phone";
/// The column of the recipient's own time zone.
const TIME_ZONE: &str = "time_zone";

/// Columns that say that somebody agreed to be written to, and when.
const CONSENT_SOURCE: &str = "consent_source";
const CONSENT_AT: &str = "consent_at";
/// What a column can be, beside a field of its own name.
pub const COLUMNS: [&str; 8] =
    [PHONE, "first_name", "last_name", "email", "language", TIME_ZONE, CONSENT_SOURCE, CONSENT_AT];
/// How the rows of a file are to be read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What each column is.
    pub plan: ImportPlan,
    /// Rows that were read before.
    pub skip: i64,
    /// Whether only the number of each row is wanted.
    pub numbers_only: bool,
    /// When it is read: the time of a consent that names none.
    pub now: Timestamp,
}

impl Reading {
    /// As the header says, from the first row on.
    pub fn plain(country: Option<String>, by: &str, now: Timestamp) -> Self {
        Self {
            plan: ImportPlan { country, by: by.to_owned(), ..ImportPlan::default() },
            skip: 0,
            numbers_only: false,
            now,
        }
    }

    fn country(&self) -> Option<Country> {
        // Checked when the import was begun.
        self.plan.country.as_deref().and_then(|code| code.parse().ok())
    }
}

/// The columns of a file, and what everybody in it has in common.
struct Header {
    /// What each column is, in the file's order; none: left out.
    names: Vec<Option<String>>,
    phone: usize,
    time_zone: Option<usize>,
    consent_source: Option<usize>,
    consent_at: Option<usize>,
    country: Option<Country>,
    consent: Option<Consent>,
    /// When a consent was given that names no time.
    now: Timestamp,
}

/// A column's name as a field's.
fn normal(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

impl Header {
    fn read(names: impl Iterator<Item = String>, reading: &Reading) -> Result<Self, String> {
        let plan = &reading.plan;
        let mut names: Vec<Option<String>> = if plan.columns.is_empty() {
            names.map(|name| Some(normal(&name))).collect()
        } else {
            plan.columns.clone()
        };
        if reading.numbers_only {
            for name in &mut names {
                name.take_if(|name| name != PHONE);
            }
        }
        let place = |wanted: &str| names.iter().position(|name| name.as_deref() == Some(wanted));
        let Some(phone) = place(PHONE) else {
            let found: Vec<String> = names.iter().flatten().take(12).map(|name| shown(name)).collect();
            return Err(format!(
                "the header has no column 'phone'; it has {}. The first row must name the columns",
                if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
            ));
        };
        for (at, name) in names.iter().enumerate() {
            let Some(name) = name else { continue };
            if names[..at].iter().flatten().any(|before| before == name) {
                return Err(format!("the header has the column {} twice", shown(name)));
            }
            let mut letters = name.chars();
            let usable = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !usable {
                return Err(format!(
                    "column {} of the header is {}: use letters, digits and _, beginning with a letter",
                    at + 1,
                    shown(name)
                ));
            }
        }
        let consent = plan.consent.clone().filter(|source| !source.trim().is_empty());
        Ok(Self {
            phone,
            time_zone: place(TIME_ZONE),
            consent_source: place(CONSENT_SOURCE),
            consent_at: place(CONSENT_AT),
            country: reading.country(),
            consent: consent.map(|source| Consent { source, at: reading.now, by: plan.by.clone() }),
            now: reading.now,
            names,
        })
    }

    /// Whether a column is no field of the contact.
    fn is_apart(&self, at: usize) -> bool {
        at == self.phone || Some(at) == self.consent_source || Some(at) == self.consent_at
    }

    /// Names of fields beyond the known ones.
    fn custom(&self) -> Vec<String> {
        let fields = self.names.iter().enumerate().filter(|(at, _)| !self.is_apart(*at));
        let names = fields.filter_map(|(_, name)| name.clone());
        names.filter(|name| !store::KNOWN_FIELDS.contains(&name.as_str())).collect()
    }

    /// A contact out of a row's values, which stand in the order of the names.
    fn contact<'v>(&self, row: i64, values: impl Fn(usize) -> &'v str) -> Result<NewContact, RowError> {
        let refuse = |at: usize, value: &str, message: String| RowError {
            row,
            field: self.names[at].clone().unwrap_or_default(),
            value: value.chars().take(SHOWN).collect(),
            message,
        };
        let phone = values(self.phone);
        let number =
            Msisdn::parse(phone, self.country).map_err(|e| refuse(self.phone, phone, e.to_string()))?;
        let mut zones = zone::of_number(number).map(str::to_owned);
        if let Some(at) = self.time_zone
            && let name = values(at).trim()
            && !name.is_empty()
        {
            let own = ZoneGroup::parse(name).map_err(|e| refuse(at, name, e.to_string()))?;
            zones = Some(own.name().to_owned());
        }
        let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
        for (at, name) in self.names.iter().enumerate() {
            let Some(name) = name.as_deref().filter(|_| !self.is_apart(at)) else { continue };
            let value = values(at).trim();
            if value.len() > LONGEST_VALUE && value.chars().count() > LONGEST_VALUE {
                return Err(refuse(at, value, format!("longer than {LONGEST_VALUE} characters")));
            }
            if !value.is_empty() {
                fields.insert(name, value);
            }
        }
        let fields = if fields.is_empty() { None } else { serde_json::to_string(&fields).ok() };
        let mut consent = self.consent.clone();
        let said = |column: Option<usize>| {
            let at = column?;
            Some((at, values(at).trim())).filter(|(_, value)| !value.is_empty())
        };
        if let Some((_, source)) = said(self.consent_source) {
            let by = consent.take().map(|c| c.by).unwrap_or_default();
            consent =
                Some(Consent { source: source.chars().take(LONGEST_VALUE).collect(), at: self.now, by });
        }
        if let (Some(consent), Some((at, time))) = (&mut consent, said(self.consent_at)) {
            consent.at = instant(time).ok_or_else(|| {
                refuse(at, time, "no time; write 2026-01-31 or 2026-01-31T10:00:00Z".to_owned())
            })?;
        }
        Ok(NewContact { number, zones, fields, consent })
    }
}

/// An instant, or the beginning of a day in UTC.
fn instant(text: &str) -> Option<Timestamp> {
    let day = || TimeZone::UTC.to_timestamp(text.parse::<Date>().ok()?.at(0, 0, 0, 0)).ok();
    text.parse().ok().or_else(day)
}

fn shown(value: &str) -> String {
    format!("'{}'", value.chars().take(SHOWN).collect::<String>())
}

fn take(chunk: &mut ImportChunk, row: Result<NewContact, RowError>) {
    match row {
        Ok(contact) => chunk.contacts.push(contact),
        Err(error) => chunk.errors.push(error),
    }
}

/// Runs one import to its end, on this thread: reads while the chunk before is stored. `progress` hears
/// how many bytes of the file have been read. The import's state says how it went.
pub fn csv(
    store: &Store,
    import: campaign::ImportId,
    file: File,
    reading: &Reading,
    progress: impl Fn(u64),
) -> store::Result<store::ImportState> {
    let (chunks, stored) = mpsc::sync_channel::<ImportChunk>(2);
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
    let mut reader = decode::open(file, reading.plan.header)?;
    let bad = |e: csv::Error| format!("the file is no CSV: {e}");
    let names: Vec<String> = if reading.plan.header {
        reader.headers().map_err(bad)?.iter().map(str::to_owned).collect()
    } else {
        Vec::new()
    };
    let header = Header::read(names.into_iter(), reading)?;
    let mut record = csv::StringRecord::new();
    let mut chunk = ImportChunk::default();
    // The header is row 1.
    let mut row = i64::from(reading.plan.header);
    let first = row + reading.skip;
    while reader.read_record(&mut record).map_err(bad)? {
        row += 1;
        if row <= first {
            continue;
        }
        let extra = record.len().saturating_sub(header.names.len());
        let contact = if extra > 0 {
            Err(RowError {
                row,
                field: String::new(),
                value: record.iter().next_back().unwrap_or_default().chars().take(SHOWN).collect(),
                message: format!("the row has {extra} values more than the header has columns"),
            })
        } else {
            header.contact(row, |at| record.get(at).unwrap_or_default())
        };
        take(&mut chunk, contact);
        if chunk.contacts.len() + chunk.errors.len() == CHUNK {
            let read = record.position().map_or(0, csv::Position::byte);
            progress(read);
            chunk.read = read as i64;
            if !send(std::mem::take(&mut chunk)) {
                return Ok(header.custom());
            }
        }
    }
    chunk.read = reader.position().byte() as i64;
    send(chunk);
    Ok(header.custom())
}

/// Runs an import of JSON objects of texts.
pub fn json(
    store: &Store,
    import: campaign::ImportId,
    rows: &[BTreeMap<String, String>],
    reading: &Reading,
) -> store::Result<store::ImportState> {
    let mut names: Vec<String> = rows.iter().flat_map(|row| row.keys().cloned()).collect();
    names.push(PHONE.to_owned());
    names.sort();
    names.dedup();
    let read = match Header::read(names.iter().cloned(), reading) {
        Ok(header) => {
            for (at, rows) in rows.chunks(CHUNK).enumerate() {
                let mut chunk = ImportChunk::default();
                for (i, values) in rows.iter().enumerate() {
                    let row = (at * CHUNK + i + 1) as i64;
                    let value = |at: usize| values.get(&names[at]).map_or("", String::as_str);
                    take(&mut chunk, header.contact(row, value));
                }
                store.import_chunk(import, chunk, reading.now)?;
            }
            Ok(header.custom())
        }
        Err(why) => Err(why),
    };
    finish(store, import, Ok(read))
}

fn finish(
    store: &Store,
    import: campaign::ImportId,
    read: store::Result<Result<Vec<String>, String>>,
) -> store::Result<store::ImportState> {
    let (fields, failed) = match read {
        Ok(Ok(fields)) => (fields, None),
        Ok(Err(why)) => (Vec::new(), Some(why)),
        Err(e) => (Vec::new(), Some(e.to_string())),
    };
    store.end_import(import, fields, failed)
}

/// The country of numbers that name none: the one that was given, else the account's.
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

/// The refused rows as CSV.
pub fn errors_csv(errors: &[RowError]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["row", "field", "value", "message"])?;
    for e in errors {
        writer.write_record([&e.row.to_string(), &e.field, &e.value, &e.message])?;
    }
    writer.into_inner().map_err(|e| csv::Error::from(e.into_error()))
}
