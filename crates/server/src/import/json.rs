//! Contacts as JSON objects, with keys spelt in any way, each object by itself.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};
use store::Store;

use super::{
    Reading,
    columns::{self, Columns},
    finish,
    row::Taker,
};
use crate::limits::{PART_BYTES, PART_ROWS};

/// A contact as it was sent: names and values.
pub(crate) type Row = BTreeMap<String, Value>;

/// A value: a text, or a number or boolean as its text; `null` is no value.
#[derive(Debug)]
pub(crate) struct Value(String);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Plain;
        impl de::Visitor<'_> for Plain {
            type Value = String;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, true, false or null")
            }
            fn visit_str<E>(self, text: &str) -> Result<String, E> {
                Ok(text.to_owned())
            }
            fn visit_bool<E>(self, yes: bool) -> Result<String, E> {
                Ok(yes.to_string())
            }
            fn visit_i64<E>(self, n: i64) -> Result<String, E> {
                Ok(n.to_string())
            }
            fn visit_u64<E>(self, n: u64) -> Result<String, E> {
                Ok(n.to_string())
            }
            fn visit_f64<E>(self, n: f64) -> Result<String, E> {
                Ok(n.to_string())
            }
            fn visit_unit<E>(self) -> Result<String, E> {
                Ok(String::new())
            }
        }
        d.deserialize_any(Plain).map(Self)
    }
}

/// Runs an import of JSON objects to its end, on this thread.
pub(crate) fn json(
    store: &Store,
    import: campaign::ImportId,
    rows: &[Row],
    reading: &Reading,
) -> store::Result<store::ImportState> {
    let mut header: Vec<String> = rows.iter().flat_map(|row| row.keys().cloned()).collect();
    header.sort();
    header.dedup();
    // Most objects have the same names.
    let mut known: BTreeMap<Vec<&String>, Result<Columns, String>> = BTreeMap::new();
    let mut fields = Vec::new();
    let mut taker = Taker::new(reading);
    taker.part.header.clone_from(&header);
    for (at, row) in rows.iter().enumerate() {
        let n = at as i64 + 1;
        // A key without a value counts as absent.
        let given: Vec<(&String, &Value)> = row.iter().filter(|(_, value)| !value.0.is_empty()).collect();
        let names: Vec<&String> = given.iter().map(|(name, _)| *name).collect();
        let columns = known.entry(names).or_insert_with_key(|names| {
            let written: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
            let columns = Columns::new(written.clone(), columns::mapped(&written)?, reading)?;
            fields.extend(columns.custom());
            Ok(columns)
        });
        let errors = taker.part.errors.len();
        match columns {
            Ok(columns) => taker
                .take(columns, n, given.len(), |at| given.get(at).map_or("", |(_, value)| value.0.as_str())),
            Err(why) => taker.refuse(n, "phone", "", why.replace("the header", "the object"), Vec::new()),
        }
        if let Some(error) = taker.part.errors.get_mut(errors) {
            error.original = header
                .iter()
                .map(|name| row.get(name).map_or_else(String::new, |value| value.0.clone()))
                .collect();
        }
        if taker.rows() == PART_ROWS || taker.bytes > PART_BYTES {
            let part = std::mem::replace(&mut taker, Taker::new(reading)).part;
            store.import_chunk(import, part, reading.now)?;
        }
    }
    store.import_chunk(import, taker.part, reading.now)?;
    fields.sort();
    fields.dedup();
    finish(store, import, Ok(Ok(fields)))
}
