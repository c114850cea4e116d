//! A contact from a row. The number decides whether the row is accepted; an optional value that cannot be read is left
//! out, counted, and costs nobody their place.

use std::{borrow::Cow, collections::BTreeMap};

use campaign::{
    ZoneGroup, email,
    field::{CONSENT_AT, PHONE},
    zone,
};
use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use store::{Consent, ImportChunk, LeftOut, NewContact, RowError};

use super::{
    Reading,
    columns::{Columns, ours},
};
use crate::{
    limits::{LONGEST_VALUE, SHOWN},
    spreadsheet,
};

const NO_ZONE: &str = "not a time zone; use a name such as America/New_York";
const NO_TIME: &str = "not a date; write 2026-01-31 or 2026-01-31T10:00:00Z. No consent is recorded";
const NO_SOURCE: &str = "no source of the consent is given. No consent is recorded";
const NO_ADDRESS: &str = "not an e-mail address";
const NO_NAME: &str = "the column has no name";

/// Reads rows and gathers the results.
pub(super) struct Taker<'a> {
    reading: &'a Reading,
    consent: Option<Consent>,
    pub(super) part: ImportChunk,
    /// Approximate size of what was gathered, in bytes.
    pub(super) bytes: usize,
}

impl<'a> Taker<'a> {
    pub(super) fn new(reading: &'a Reading) -> Self {
        let source = reading.plan.consent.clone().filter(|source| !source.trim().is_empty());
        let consent = source.map(|source| Consent { source, at: reading.now, by: reading.plan.by.clone() });
        Self { reading, consent, part: ImportChunk::default(), bytes: 0 }
    }

    /// How many rows were gathered.
    pub(super) fn rows(&self) -> usize {
        self.part.contacts.len() + self.part.errors.len()
    }

    /// Reads a row of `len` values, or records why it is refused.
    pub(super) fn take<'v>(
        &mut self,
        columns: &Columns,
        row: i64,
        len: usize,
        value: impl Fn(usize) -> &'v str,
    ) {
        let extra = (columns.width()..len).filter(|at| !value(*at).trim().is_empty()).count();
        if extra > 0 {
            let last = value(len.saturating_sub(1)).to_owned();
            let message = format!("the row has {extra} values more than the header has columns");
            return self.refuse(row, "", &last, message, (0..len).map(|at| value(at).to_owned()).collect());
        }
        match self.contact(columns, &value) {
            Ok(contact) => {
                self.bytes += size_of::<NewContact>() + contact.fields.as_ref().map_or(0, String::len);
                self.part.contacts.push(contact);
            }
            Err(message) => {
                let original = (0..len).map(|at| value(at).to_owned()).collect();
                self.refuse(row, PHONE, value(columns.phone), message, original);
            }
        }
    }

    pub(super) fn refuse(
        &mut self,
        row: i64,
        field: &str,
        value: &str,
        message: String,
        original: Vec<String>,
    ) {
        self.bytes += size_of::<RowError>() + original.iter().map(String::len).sum::<usize>();
        let value = value.trim().chars().take(SHOWN).collect();
        self.part.errors.push(RowError { row, field: field.to_owned(), value, message, original });
    }

    /// Counts a value that is left out.
    pub(super) fn leave_out(&mut self, field: &str, reason: &str) {
        let known = self.part.left_out.iter_mut().find(|left| left.field == field && left.reason == reason);
        if let Some(left) = known {
            left.count += 1;
        } else {
            let (field, reason) = (field.to_owned(), reason.to_owned());
            self.part.left_out.push(LeftOut { field, reason, count: 1 });
        }
    }

    fn contact<'v>(
        &mut self,
        columns: &Columns,
        value: &impl Fn(usize) -> &'v str,
    ) -> Result<NewContact, String> {
        let number = columns.number(value).map_err(|e| e.to_string())?;
        let mut zones = zone::of_number(number).map(str::to_owned);
        let mut fields: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
        for at in 0..columns.names.len() {
            if columns.is_apart(at) {
                continue;
            }
            let text = clean(value(at));
            if text.is_empty() {
                continue;
            }
            let Some(name) = columns.names[at].as_deref() else {
                // A column that a person left out is no news; one without a name is.
                let named = at < ours(&columns.written);
                if self.reading.plan.columns.is_empty() && !self.reading.numbers_only && !named {
                    self.leave_out(&format!("column {}", at + 1), NO_NAME);
                }
                continue;
            };
            if text.len() > LONGEST_VALUE && text.chars().count() > LONGEST_VALUE {
                self.leave_out(name, &format!("longer than {LONGEST_VALUE} characters"));
                continue;
            }
            if Some(at) == columns.time_zone {
                let Ok(own) = ZoneGroup::parse(&text) else {
                    self.leave_out(name, NO_ZONE);
                    continue;
                };
                zones = Some(own.name().to_owned());
            }
            if Some(at) == columns.email && !email::is_address(&text) {
                self.leave_out(name, NO_ADDRESS);
                continue;
            }
            fields.insert(name, text);
        }
        let fields = if fields.is_empty() { None } else { serde_json::to_string(&fields).ok() };
        Ok(NewContact { number, zones, fields, consent: self.consent_of(columns, value) })
    }

    /// The consent of a contact, from the columns that give it, otherwise as for everybody in the file.
    fn consent_of<'v>(&mut self, columns: &Columns, value: &impl Fn(usize) -> &'v str) -> Option<Consent> {
        let said = |column: Option<usize>| column.map(|at| clean(value(at))).filter(|text| !text.is_empty());
        let mut consent = self.consent.clone();
        if let Some(source) = said(columns.consent_source) {
            let by = consent.take().map(|c| c.by).unwrap_or_default();
            let source = source.chars().take(LONGEST_VALUE).collect();
            consent = Some(Consent { source, at: self.reading.now, by });
        }
        let Some(time) = said(columns.consent_at) else { return consent };
        match (consent, instant(&time)) {
            (Some(given), Some(at)) => Some(Consent { at, ..given }),
            (None, Some(_)) => {
                self.leave_out(CONSENT_AT, NO_SOURCE);
                None
            }
            // A consent without a known time cannot be proven.
            (_, None) => {
                self.leave_out(CONSENT_AT, NO_TIME);
                None
            }
        }
    }
}

/// A value without the spaces around it, control characters in it, and the marks that spreadsheets put on texts.
fn clean(value: &str) -> Cow<'_, str> {
    let value = spreadsheet::plain(value.trim());
    let unseen = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if value.contains(unseen) {
        Cow::Owned(value.replace(unseen, "").trim().to_owned())
    } else {
        Cow::Borrowed(value)
    }
}

/// Reads an instant, or a time or the beginning of a day in UTC.
fn instant(text: &str) -> Option<Timestamp> {
    let in_utc = |at: DateTime| TimeZone::UTC.to_timestamp(at).ok();
    let day = || in_utc(text.parse::<Date>().ok()?.at(0, 0, 0, 0));
    text.parse().ok().or_else(|| in_utc(text.parse().ok()?)).or_else(day)
}
