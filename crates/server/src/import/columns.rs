//! The meaning of a file's columns: by their names, however these are spelt, or as a person chose.

use campaign::{
    Msisdn,
    field::{self, AREA_CODE, CONSENT_AT, CONSENT_SOURCE, PHONE, TIME_ZONE},
    msisdn::{BadNumber, Country},
};

use super::{Reading, shown};

/// The columns before the rows themselves in our own file of refused rows; ignored when it is read again.
pub(super) const REFUSED: [&str; 4] = ["row", "field", "value", "message"];
/// The fewest digits of a value that may be a number.
const FEWEST_DIGITS: usize = 7;
/// The digits of a number that includes its area code.
const WITH_AREA: usize = 10;

/// The columns of a file; none: left out.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) names: Vec<Option<String>>,
    /// The names as they are in the file.
    pub(super) written: Vec<String>,
    pub(super) phone: usize,
    area: Option<usize>,
    pub(super) email: Option<usize>,
    pub(super) time_zone: Option<usize>,
    pub(super) consent_source: Option<usize>,
    pub(super) consent_at: Option<usize>,
    country: Option<Country>,
}

/// Whether a value looks like a telephone number: most of it is digits.
pub(super) fn is_number(value: &str) -> bool {
    value.chars().filter(|c| c.is_numeric()).count() >= FEWEST_DIGITS
        && !value.chars().any(char::is_alphabetic)
}

impl Columns {
    /// The columns that the first row names, or, if it holds a number, those of a file without such a row.
    pub(super) fn of_first_row(first: &[String], reading: &Reading) -> Result<(Self, bool), String> {
        if !reading.plan.columns.is_empty() {
            let is_wanted = |name: &String| !reading.numbers_only || name == PHONE || name == AREA_CODE;
            let names = reading.plan.columns.iter().map(|name| name.clone().filter(is_wanted)).collect();
            let written = if reading.plan.header { first.to_vec() } else { Vec::new() };
            return Self::new(written, names, reading).map(|columns| (columns, reading.plan.header));
        }
        let Some(at) = first.iter().position(|value| is_number(value)) else {
            let names = if reading.numbers_only { numbers(first) } else { mapped(first)? };
            return Self::new(first.to_vec(), names, reading).map(|columns| (columns, true));
        };
        let filled: Vec<&String> = first.iter().filter(|value| !value.trim().is_empty()).collect();
        if !reading.numbers_only && filled.len() > 1 {
            return Err(format!(
                "the first row names no columns but holds the number {}; put a row of names before it, such as phone,first_name",
                shown(&first[at])
            ));
        }
        let mut names = vec![None; first.len()];
        names[at] = Some(PHONE.to_owned());
        // National lists have the area code in a column of its own.
        if let [area, _] = first
            && at == 1
            && (2..=5).contains(&area.trim().len())
            && area.trim().bytes().all(|b| b.is_ascii_digit())
        {
            names[0] = Some(AREA_CODE.to_owned());
        }
        Self::new(Vec::new(), names, reading).map(|columns| (columns, false))
    }

    /// `names` are the meanings of the columns, `written` their names in the file.
    pub(super) fn new(
        written: Vec<String>,
        names: Vec<Option<String>>,
        reading: &Reading,
    ) -> Result<Self, String> {
        let place = |wanted: &str| names.iter().position(|name| name.as_deref() == Some(wanted));
        for (at, name) in names.iter().enumerate() {
            let Some(name) = name else { continue };
            if names[..at].iter().flatten().any(|before| before == name) {
                return Err(format!(
                    "the header has the column {} twice; give one of them another name",
                    shown(name)
                ));
            }
            if field::spelt(name).as_ref() != Some(name) {
                return Err(format!(
                    "column {} of the header is {}: use letters, digits and _, beginning with a letter",
                    at + 1,
                    shown(name)
                ));
            }
        }
        let Some(phone) = place(PHONE) else {
            let found: Vec<String> = written
                .iter()
                .filter(|name| !name.trim().is_empty())
                .take(12)
                .map(|name| shown(name))
                .collect();
            return Err(format!(
                "the header has no column 'phone'; it has {}. The first row must name the columns",
                if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
            ));
        };
        Ok(Self {
            phone,
            area: place(AREA_CODE),
            email: place("email"),
            time_zone: place(TIME_ZONE),
            consent_source: place(CONSENT_SOURCE),
            consent_at: place(CONSENT_AT),
            country: reading.country(),
            written,
            names,
        })
    }

    /// Whether a column is not a field of the contact.
    pub(super) fn is_apart(&self, at: usize) -> bool {
        at == self.phone || Some(at) == self.consent_source || Some(at) == self.consent_at
    }

    /// Names of fields besides the known ones.
    pub(super) fn custom(&self) -> Vec<String> {
        let fields = self.names.iter().enumerate().filter(|(at, _)| !self.is_apart(*at));
        let names = fields.filter_map(|(_, name)| name.clone());
        names.filter(|name| !store::KNOWN_FIELDS.contains(&name.as_str())).collect()
    }

    /// The columns that a row may fill: those after the last name hold nothing.
    pub(super) fn width(&self) -> usize {
        match self.written.iter().rposition(|name| !name.trim().is_empty()) {
            Some(last) => last + 1,
            None => self.names.len(),
        }
    }

    /// The number of a row, joined with its area code if that is separate.
    pub(super) fn number<'v>(&self, value: impl Fn(usize) -> &'v str) -> Result<Msisdn, BadNumber> {
        let phone = value(self.phone);
        let area = self.area.map(&value).map(str::trim).filter(|area| !area.is_empty());
        if let Some(area) = area {
            let digits = phone.chars().filter(|c| c.is_numeric()).count();
            if digits < WITH_AREA && !phone.trim_start().starts_with('+') {
                return Msisdn::parse(&format!("{area} {}", phone.trim()), self.country);
            }
        }
        Msisdn::parse(phone, self.country)
    }
}

/// What names mean: a field that we know by any of its names, otherwise a field of that name.
pub(super) fn mapped(written: &[String]) -> Result<Vec<Option<String>>, String> {
    let mut names: Vec<Option<String>> = vec![None; written.len()];
    let begin = ours(written);
    let spelt: Vec<Option<String>> = written.iter().map(|name| field::spelt(name)).collect();
    let exact = |known: &str| spelt[begin..].iter().any(|name| name.as_deref() == Some(known));
    for at in begin..written.len() {
        // A column without a name is left out.
        if written[at]
            .chars()
            .all(|c| c.is_whitespace() || c.is_control() || matches!(c, '\u{200B}'..='\u{200F}' | '\u{FEFF}'))
        {
            continue;
        }
        let known =
            field::meant(&written[at]).filter(|known| spelt[at].as_deref() == Some(known) || !exact(known));
        let name = match known {
            Some(known) => {
                let before = names.iter().position(|name| name.as_deref() == Some(known));
                match before {
                    Some(before) if known == PHONE && spelt[before].as_deref() != Some(PHONE) => {
                        return Err(format!(
                            "the columns {} and {} may both be the number; name the one that is 'phone'",
                            shown(&written[before]),
                            shown(&written[at])
                        ));
                    }
                    Some(_) if spelt[at].as_deref() != Some(known) => spelt[at].clone(),
                    _ => Some(known.to_owned()),
                }
            }
            None => spelt[at].clone(),
        };
        let name = name.ok_or_else(|| {
            format!(
                "column {} of the header is {}: write its name in Latin letters, digits and _",
                at + 1,
                shown(&written[at])
            )
        })?;
        names[at] = Some(name);
    }
    Ok(names)
}

/// How many columns precede the rows themselves, if the file is our own of refused rows.
pub(super) fn ours(written: &[String]) -> usize {
    let is_ours =
        written.len() > REFUSED.len() && written.iter().zip(REFUSED).all(|(name, ours)| name == ours);
    if is_ours { REFUSED.len() } else { 0 }
}

/// The number's columns alone, whatever the others are called.
fn numbers(written: &[String]) -> Vec<Option<String>> {
    let exact = written.iter().position(|name| field::spelt(name).as_deref() == Some(PHONE));
    let phone = exact.or_else(|| written.iter().position(|name| field::meant(name) == Some(PHONE)));
    let area = written.iter().position(|name| field::meant(name) == Some(AREA_CODE));
    let mut names = vec![None; written.len()];
    if let Some(at) = area {
        names[at] = Some(AREA_CODE.to_owned());
    }
    if let Some(at) = phone {
        names[at] = Some(PHONE.to_owned());
    }
    names
}
