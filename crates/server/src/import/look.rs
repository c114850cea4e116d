//! A file before it is imported: its columns, what they are taken for, how its first rows would be read.

use std::fs::File;

use campaign::Msisdn;
use store::RowError;

use super::{Header, PHONE, Reading, TIME_ZONE, decode, normal};

/// How columns are often named that are something we know.
const ALSO_CALLED: [(&str, &[&str]); 5] = [
    (
        PHONE,
        &[
            "mobile",
            "msisdn",
            "number",
            "phone_number",
            "mobile_number",
            "cell",
            "cell_phone",
            "tel",
            "telephone",
        ],
    ),
    ("first_name", &["firstname", "given_name", "forename"]),
    ("last_name", &["lastname", "surname", "family_name"]),
    ("email", &["e_mail", "mail", "email_address"]),
    (TIME_ZONE, &["timezone", "tz"]),
];

/// What a file looks like, before it is imported.
pub struct Look {
    /// Whether its first row names the columns.
    pub header: bool,
    /// The names in the first row, or the columns' places where it names none.
    pub names: Vec<String>,
    /// What each column is taken for.
    pub columns: Vec<Option<String>>,
    /// The first rows.
    pub rows: Vec<Vec<String>>,
}

/// Rows that are looked at.
const LOOKED_AT: usize = 5;

/// Looks at the beginning of a file. `columns` are what a person chose so far; none: they are guessed.
pub fn look(file: File, columns: &[Option<String>], header: Option<bool>) -> Result<Look, String> {
    let mut reader = decode::open(file, false)?;
    let bad = |e: csv::Error| format!("the file is no CSV: {e}");
    let mut rows: Vec<Vec<String>> = Vec::new();
    for record in reader.records().take(LOOKED_AT + 1) {
        rows.push(record.map_err(bad)?.iter().map(str::to_owned).collect());
    }
    let first = rows.first().ok_or("the file is empty")?.clone();
    // A row with a telephone number in it names no columns.
    let has_number = || first.iter().any(|value| value.bytes().filter(u8::is_ascii_digit).count() >= 7);
    let header = header.unwrap_or_else(|| !has_number());
    let names: Vec<String> =
        if header { rows.remove(0) } else { (1..=first.len()).map(|n| format!("column {n}")).collect() };
    rows.truncate(LOOKED_AT);
    let columns = if columns.len() == names.len() { columns.to_vec() } else { guess(&names, &rows, header) };
    Ok(Look { header, names, columns, rows })
}

/// What the columns would be taken for by themselves.
pub fn guesses(look: &Look) -> Vec<Option<String>> {
    guess(&look.names, &look.rows, look.header)
}

fn guess(names: &[String], rows: &[Vec<String>], header: bool) -> Vec<Option<String>> {
    let mut columns: Vec<Option<String>> = Vec::new();
    for name in names {
        let name = normal(name);
        let known = ALSO_CALLED.iter().find(|(_, also)| also.contains(&name.as_str()));
        let field: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let starts = field.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let column = known.map_or(field, |(name, _)| (*name).to_owned());
        let usable = header && starts && !columns.contains(&Some(column.clone()));
        columns.push(usable.then_some(column));
    }
    if !columns.contains(&Some(PHONE.to_owned())) {
        let is_number = |at: usize| {
            rows.iter().any(|row| {
                row.get(at).is_some_and(|value| value.bytes().filter(u8::is_ascii_digit).count() >= 7)
            })
        };
        if let Some(at) = (0..columns.len()).find(|at| is_number(*at)) {
            columns[at] = Some(PHONE.to_owned());
        }
    }
    columns
}

/// How rows that were looked at would be read: the number, or why they would be refused.
pub fn read_as(look: &Look, reading: &Reading) -> Result<Vec<Result<Msisdn, RowError>>, String> {
    let header = Header::read(look.names.iter().cloned(), reading)?;
    let value = |row: &'_ Vec<String>, at: usize| row.get(at).cloned().unwrap_or_default();
    Ok(look
        .rows
        .iter()
        .zip(1 + i64::from(look.header)..)
        .map(|(row, n)| {
            let values: Vec<String> = (0..look.names.len()).map(|at| value(row, at)).collect();
            header.contact(n, |at| values.get(at).map_or("", String::as_str)).map(|contact| contact.number)
        })
        .collect())
}
