//! A file before it is imported: its columns, their meanings, and how its first rows would be read.

use std::fs::File;

use campaign::{
    Msisdn,
    field::{self, PHONE},
};
use store::RowError;

use super::{
    Reading,
    columns::{Columns, is_number, ours},
    decode,
    records::{Next, Record},
    row::Taker,
};

/// What a file looks like, before it is imported.
pub struct Look {
    /// Whether its first row names the columns.
    pub header: bool,
    /// The names in the first row, or the columns' places where it names none.
    pub names: Vec<String>,
    /// The meaning of each column.
    pub columns: Vec<Option<String>>,
    /// The first rows.
    pub rows: Vec<Vec<String>>,
}

/// How many rows are looked at.
const LOOKED_AT: usize = 5;

/// Looks at the beginning of a file. `columns` are what a person has chosen so far; none: they are guessed.
pub fn look(
    file: File,
    country: Option<&str>,
    columns: &[Option<String>],
    header: Option<bool>,
) -> Result<Look, String> {
    let mut records = decode::open(file, country)?;
    let mut record = Record::default();
    let mut rows: Vec<Vec<String>> = Vec::new();
    while rows.len() <= LOOKED_AT {
        let is_row = |record: &Record| (0..record.len()).any(|at| is_number(record.get(at)));
        if matches!(records.next(&mut record, is_row).map_err(|e| e.to_string())?, Next::End) {
            break;
        }
        rows.push(record.values());
    }
    let first = rows.first().ok_or("the file is empty")?.clone();
    // A row that contains a telephone number does not name columns.
    let header = header.unwrap_or_else(|| !first.iter().any(|value| is_number(value)));
    let names: Vec<String> =
        if header { rows.remove(0) } else { (1..=first.len()).map(|n| format!("column {n}")).collect() };
    rows.truncate(LOOKED_AT);
    let columns = if columns.len() == names.len() { columns.to_vec() } else { guess(&names, &rows, header) };
    Ok(Look { header, names, columns, rows })
}

/// What the columns would be guessed to mean.
pub fn guesses(look: &Look) -> Vec<Option<String>> {
    guess(&look.names, &look.rows, look.header)
}

fn guess(names: &[String], rows: &[Vec<String>], header: bool) -> Vec<Option<String>> {
    let mut columns: Vec<Option<String>> = Vec::new();
    let ours = ours(names);
    columns.resize(ours, None);
    for name in &names[ours..] {
        let known =
            field::meant(name).map(str::to_owned).filter(|known| !columns.contains(&Some(known.clone())));
        let column = known.or_else(|| field::spelt(name));
        columns.push(column.filter(|column| header && !columns.contains(&Some(column.clone()))));
    }
    if !columns.contains(&Some(PHONE.to_owned())) {
        let numbers = |at: usize| rows.iter().any(|row| row.get(at).is_some_and(|value| is_number(value)));
        if let Some(at) = (0..columns.len()).find(|at| numbers(*at)) {
            columns[at] = Some(PHONE.to_owned());
        }
    }
    columns
}

/// How these rows would be read: the number, or why they would be refused.
pub fn read_as(look: &Look, reading: &Reading) -> Result<Vec<Result<Msisdn, RowError>>, String> {
    let columns = Columns::new(look.names.clone(), reading.plan.columns.clone(), reading)?;
    let read = |(row, n): (&Vec<String>, i64)| {
        let mut taker = Taker::new(reading);
        taker.take(&columns, n, row.len(), |at| row.get(at).map_or("", String::as_str));
        match (taker.part.contacts.pop(), taker.part.errors.pop()) {
            (Some(contact), _) => Some(Ok(contact.number)),
            (None, error) => error.map(Err),
        }
    };
    Ok(look.rows.iter().zip(1 + i64::from(look.header)..).filter_map(read).collect())
}
