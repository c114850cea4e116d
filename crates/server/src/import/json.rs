//! Contacts as JSON objects, with keys spelt in any way, each object by itself.

use std::{collections::BTreeMap, fmt};

use campaign::field::{self, PHONE};
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

/// A value: a text, or a number or boolean as its text; `null` is no value. None: a list or an object, which no field
/// can hold.
#[derive(Debug)]
pub(crate) struct Value(Option<String>);

impl Value {
    fn text(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

const NO_TEXT: &str = "neither a text nor a number";
const NO_NAME: &str = "the key cannot name a field; use letters, digits and _";
const TWICE: &str = "another key has the same name";

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Plain;
        impl<'de> de::Visitor<'de> for Plain {
            type Value = Option<String>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, true, false or null")
            }
            fn visit_str<E>(self, text: &str) -> Result<Option<String>, E> {
                Ok(Some(text.to_owned()))
            }
            fn visit_bool<E>(self, yes: bool) -> Result<Option<String>, E> {
                Ok(Some(yes.to_string()))
            }
            fn visit_i64<E>(self, n: i64) -> Result<Option<String>, E> {
                Ok(Some(n.to_string()))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Option<String>, E> {
                Ok(Some(n.to_string()))
            }
            fn visit_f64<E>(self, n: f64) -> Result<Option<String>, E> {
                Ok(Some(n.to_string()))
            }
            fn visit_unit<E>(self) -> Result<Option<String>, E> {
                Ok(Some(String::new()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Option<String>, A::Error> {
                while list.next_element::<de::IgnoredAny>()?.is_some() {}
                Ok(None)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut object: A) -> Result<Option<String>, A::Error> {
                while object.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
                Ok(None)
            }
        }
        d.deserialize_any(Plain).map(Self)
    }
}

/// Where a number is neither a text nor a number: such a body is refused as a whole.
pub(crate) fn number_of_no_kind(rows: &[Row]) -> Option<(String, &'static str)> {
    rows.iter().enumerate().find_map(|(at, row)| {
        let (key, _) =
            row.iter().find(|(key, value)| value.0.is_none() && field::meant(key) == Some(PHONE))?;
        Some((format!("[{at}].{key}"), NO_TEXT))
    })
}

/// The keys of an object that a contact can have, with their values, and those that it cannot, with the reason.
struct Usable<'r> {
    given: Vec<(&'r String, &'r Value)>,
    left_out: Vec<(&'r str, &'static str)>,
}

/// Sorts out the keys of an object; one without a value counts as absent.
fn usable(row: &Row) -> Usable<'_> {
    let (mut given, mut left_out, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (key, value) in row {
        let name = field::spelt(key);
        match (&value.0, &name) {
            (Some(text), _) if text.trim().is_empty() => continue,
            (None, _) => left_out.push((key.as_str(), NO_TEXT)),
            (_, None) => left_out.push((key.as_str(), NO_NAME)),
            // Which of two numbers is meant is for the sender to say.
            (_, Some(name)) if names.contains(name) && name != PHONE => left_out.push((key.as_str(), TWICE)),
            _ => given.push((key, value)),
        }
        names.extend(name);
    }
    Usable { given, left_out }
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
        let Usable { given, left_out } = usable(row);
        for (name, why) in left_out {
            taker.leave_out(name, why);
        }
        let names: Vec<&String> = given.iter().map(|(name, _)| *name).collect();
        let columns = known.entry(names).or_insert_with_key(|names| {
            let written: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
            let columns = Columns::new(written.clone(), columns::mapped(&written)?, reading)?;
            fields.extend(columns.custom());
            Ok(columns)
        });
        let errors = taker.part.errors.len();
        match columns {
            Ok(columns) => {
                let value = |at: usize| given.get(at).map_or("", |(_, value)| value.text());
                taker.take(columns, n, given.len(), value);
            }
            Err(why) => taker.refuse(n, "phone", "", why.replace("the header", "the object"), Vec::new()),
        }
        if let Some(error) = taker.part.errors.get_mut(errors) {
            error.original = header
                .iter()
                .map(|name| row.get(name).map_or_else(String::new, |value| value.text().to_owned()))
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
