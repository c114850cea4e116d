//! Contacts out of a file: encodings, header, rows, numbers. What is wrong with a row is said with its
//! place and value and keeps no other row out; what is wrong with the file keeps all of it out.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    sync::mpsc,
};

use campaign::{Msisdn, ZoneGroup, msisdn::Country, zone};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use encoding_rs_io::DecodeReaderBytesBuilder;
use store::{NewContact, RowError, Store};

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

/// The columns of a file.
struct Header {
    /// Names, in the file's order.
    names: Vec<String>,
    phone: usize,
    time_zone: Option<usize>,
}

impl Header {
    fn read(names: impl Iterator<Item = String>) -> Result<Self, String> {
        let names: Vec<String> =
            names.map(|name| name.trim().to_lowercase().replace([' ', '-'], "_")).collect();
        let Some(phone) = names.iter().position(|name| name == PHONE) else {
            let found: Vec<String> = names.iter().take(12).map(|name| shown(name)).collect();
            return Err(format!(
                "the header has no column 'phone'; it has {}. The first row must name the columns",
                if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
            ));
        };
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(format!("the header has the column {} twice", shown(name)));
            }
            let mut letters = name.chars();
            let plain = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !plain {
                return Err(format!(
                    "column {} of the header is {}: use letters, digits and _, beginning with a letter",
                    at + 1,
                    shown(name)
                ));
            }
        }
        let time_zone = names.iter().position(|name| name == TIME_ZONE);
        Ok(Self { names, phone, time_zone })
    }

    /// Names of fields beyond the known ones.
    fn custom(&self) -> Vec<String> {
        let known = |name: &&String| *name != PHONE && !store::KNOWN_FIELDS.contains(&name.as_str());
        self.names.iter().filter(known).cloned().collect()
    }

    /// A contact out of a row's values, which stand in the order of the names.
    fn contact<'v>(
        &self,
        row: i64,
        values: impl Fn(usize) -> &'v str,
        country: Option<Country>,
    ) -> Result<NewContact, RowError> {
        let refuse = |at: usize, value: &str, message: String| RowError {
            row,
            field: self.names[at].clone(),
            value: value.chars().take(SHOWN).collect(),
            message,
        };
        let phone = values(self.phone);
        let number = Msisdn::parse(phone, country).map_err(|e| refuse(self.phone, phone, e.to_string()))?;
        let mut zones = zone::of_number(number).map(str::to_owned);
        if let Some(at) = self.time_zone
            && let name = values(at).trim()
            && !name.is_empty()
        {
            let own = ZoneGroup::parse(name).map_err(|e| refuse(at, name, e.to_string()))?;
            zones = Some(own.name().to_owned());
        }
        let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
        for (at, name) in self.names.iter().enumerate().filter(|(at, _)| *at != self.phone) {
            let value = values(at).trim();
            if value.len() > LONGEST_VALUE && value.chars().count() > LONGEST_VALUE {
                return Err(refuse(at, value, format!("longer than {LONGEST_VALUE} characters")));
            }
            if !value.is_empty() {
                fields.insert(name, value);
            }
        }
        let fields = if fields.is_empty() { None } else { serde_json::to_string(&fields).ok() };
        Ok(NewContact { number, zones, fields })
    }
}

fn shown(value: &str) -> String {
    format!("'{}'", value.chars().take(SHOWN).collect::<String>())
}

/// The encoding of a file: by its mark, by the zeros of UTF-16, else UTF-8 where all of it is, else the
/// Latin-1 of spreadsheets.
fn encoding(file: &mut File) -> std::io::Result<&'static Encoding> {
    let mut buffer = vec![0; 64 * 1024];
    file.seek(SeekFrom::Start(0))?;
    let mut filled = file.read(&mut buffer)?;
    let first = &buffer[..filled];
    if let Some((marked, _)) = Encoding::for_bom(first) {
        return Ok(marked);
    }
    match first {
        [0, c, ..] if *c != 0 => return Ok(UTF_16BE),
        [c, 0, ..] if *c != 0 => return Ok(UTF_16LE),
        _ => {}
    }
    // A character may lie across two reads: what is cut off is looked at with the next.
    let mut kept = 0;
    while filled > 0 {
        let there = kept + filled;
        kept = match std::str::from_utf8(&buffer[..there]) {
            Ok(_) => 0,
            Err(e) if e.error_len().is_none() => {
                buffer.copy_within(e.valid_up_to()..there, 0);
                there - e.valid_up_to()
            }
            Err(_) => return Ok(WINDOWS_1252),
        };
        filled = file.read(&mut buffer[kept..])?;
    }
    Ok(if kept == 0 { UTF_8 } else { WINDOWS_1252 })
}

/// What separates the columns: the one of comma, semicolon and tab that the header has most of.
fn delimiter(header: &str) -> u8 {
    let count = |c: &u8| header.bytes().filter(|b| b == c).count();
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// A file's contents as UTF-8, and what separates its columns.
fn open(mut file: File) -> Result<csv::Reader<impl Read>, String> {
    let broken = |e: std::io::Error| format!("the file cannot be read: {e}");
    let encoding = encoding(&mut file).map_err(broken)?;
    let decode =
        |file: File| DecodeReaderBytesBuilder::new().encoding(Some(encoding)).bom_override(true).build(file);
    file.seek(SeekFrom::Start(0)).map_err(broken)?;
    let again = file.try_clone().map_err(broken)?;
    // Enough for a header of hundreds of columns.
    let mut bytes = Vec::new();
    decode(again).take(64 * 1024).read_to_end(&mut bytes).map_err(broken)?;
    let head = String::from_utf8_lossy(&bytes);
    file.seek(SeekFrom::Start(0)).map_err(broken)?;
    Ok(csv::ReaderBuilder::new()
        .flexible(true)
        .delimiter(delimiter(head.lines().next().unwrap_or_default()))
        .buffer_capacity(64 * 1024)
        .from_reader(decode(file)))
}

/// A chunk on its way to the store.
#[derive(Default)]
struct Chunk {
    contacts: Vec<NewContact>,
    errors: Vec<RowError>,
}

impl Chunk {
    fn take(&mut self, row: Result<NewContact, RowError>) {
        match row {
            Ok(contact) => self.contacts.push(contact),
            Err(error) => self.errors.push(error),
        }
    }

    fn len(&self) -> usize {
        self.contacts.len() + self.errors.len()
    }
}

/// Runs one import to its end, on this thread: reads while the chunk before is stored. `progress` hears
/// how many bytes of the file have been read. The import's state says how it went.
pub fn csv(
    store: &Store,
    import: campaign::ImportId,
    file: File,
    country: Option<Country>,
    progress: impl Fn(u64),
) -> store::Result<store::ImportState> {
    let (chunks, stored) = mpsc::sync_channel::<Chunk>(2);
    let read = std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            stored.into_iter().try_for_each(|c| store.import_chunk(import, c.contacts, c.errors))
        });
        let read = read_all(file, country, &progress, |chunk| chunks.send(chunk).is_ok());
        drop(chunks);
        // A panic of the writer was reported by its own thread.
        writer.join().unwrap_or(Ok(())).map(|()| read)
    });
    finish(store, import, read)
}

fn read_all(
    file: File,
    country: Option<Country>,
    progress: impl Fn(u64),
    mut send: impl FnMut(Chunk) -> bool,
) -> Result<Vec<String>, String> {
    let mut reader = open(file)?;
    let bad = |e: csv::Error| format!("the file is no CSV: {e}");
    let header = Header::read(reader.headers().map_err(bad)?.iter().map(str::to_owned))?;
    let mut record = csv::StringRecord::new();
    let mut chunk = Chunk::default();
    // The header is row 1.
    let mut row = 1;
    while reader.read_record(&mut record).map_err(bad)? {
        row += 1;
        let extra = record.len().saturating_sub(header.names.len());
        chunk.take(if extra > 0 {
            Err(RowError {
                row,
                field: String::new(),
                value: record.iter().next_back().unwrap_or_default().chars().take(SHOWN).collect(),
                message: format!("the row has {extra} values more than the header has columns"),
            })
        } else {
            header.contact(row, |at| record.get(at).unwrap_or_default(), country)
        });
        if chunk.len() == CHUNK {
            progress(record.position().map_or(0, csv::Position::byte));
            if !send(std::mem::take(&mut chunk)) {
                return Ok(header.custom());
            }
        }
    }
    send(chunk);
    Ok(header.custom())
}

/// Runs an import of JSON objects of texts.
pub fn json(
    store: &Store,
    import: campaign::ImportId,
    rows: &[BTreeMap<String, String>],
    country: Option<Country>,
) -> store::Result<store::ImportState> {
    let mut names: Vec<String> = rows.iter().flat_map(|row| row.keys().cloned()).collect();
    names.push(PHONE.to_owned());
    names.sort();
    names.dedup();
    let read = match Header::read(names.iter().cloned()) {
        Ok(header) => {
            for (at, rows) in rows.chunks(CHUNK).enumerate() {
                let mut chunk = Chunk::default();
                for (i, values) in rows.iter().enumerate() {
                    let row = (at * CHUNK + i + 1) as i64;
                    chunk.take(header.contact(
                        row,
                        |at| values.get(&names[at]).map_or("", String::as_str),
                        country,
                    ));
                }
                store.import_chunk(import, chunk.contacts, chunk.errors)?;
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
pub async fn country(store: &Store, given: Option<Country>) -> store::Result<Option<Country>> {
    match given {
        Some(country) => Ok(Some(country)),
        // Checked when it was saved.
        None => Ok(store.settings().await?.country.and_then(|code| code.parse().ok())),
    }
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
