//! The form of a message's send schedule, for the editor, Adjust and Restart.

use campaign::{Send, schedule::Delay};
use jiff::{civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};

use super::t;

/// When a message goes, as a form has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SendForm {
    /// Whether the present time may stay.
    pub(super) keeps: bool,
    pub(super) kind: String,
    pub(super) at: String,
    /// The zone in which `at` was typed; empty: the campaign's.
    pub(super) zone: String,
    /// The instant that `at` stands for, if it was not typed.
    pub(super) instant: String,
    pub(super) local: String,
    pub(super) late: bool,
    pub(super) number: String,
    pub(super) unit: String,
    pub(super) time: String,
}

impl SendForm {
    pub(super) fn of(send: &Send, zone: &TimeZone) -> Self {
        let mut form = Self { unit: "days".to_owned(), number: "1".to_owned(), ..Self::default() };
        let kind = match send {
            Send::Now => "now",
            Send::At(at) => {
                form.at = zone.to_datetime(*at).strftime("%Y-%m-%dT%H:%M").to_string();
                form.instant = at.to_string();
                "at"
            }
            Send::Local { at, next_day } => {
                form.local = at.strftime("%Y-%m-%dT%H:%M").to_string();
                form.late = *next_day;
                "local"
            }
            Send::After { delay, time } => {
                form.time = time.map(|time| time.strftime("%H:%M").to_string()).unwrap_or_default();
                let (number, unit) = match delay {
                    Delay::Days(days) => (i64::from(*days), "days"),
                    Delay::Exact(exact) if exact.as_mins() % 60 == 0 => (exact.as_hours(), "hours"),
                    Delay::Exact(exact) => (exact.as_mins(), "minutes"),
                };
                (form.number, form.unit) = (number.to_string(), unit.to_owned());
                "after"
            }
        };
        Self { kind: kind.to_owned(), ..form }
    }

    /// The value as the API takes it.
    pub(super) fn change(&self, zone: &TimeZone) -> Result<Value, String> {
        match self.kind.as_str() {
            "now" => Ok(json!({"now": true})),
            "at" => {
                let at: DateTime = self.at.parse().map_err(|_| t::say("choose-time").into_owned())?;
                let typed_in = TimeZone::get(&self.zone).ok().filter(|_| !self.zone.is_empty());
                let at = typed_in.as_ref().unwrap_or(zone).to_timestamp(at).map_err(|e| e.to_string())?;
                Ok(json!({"at": at}))
            }
            "local" if self.local.is_empty() => Err(t::say("choose-time").into_owned()),
            "local" if self.late => Ok(json!({"local": self.local, "late": "next_day"})),
            "local" => Ok(json!({"local": self.local})),
            "after" => {
                let number: u32 =
                    self.number.trim().parse().map_err(|_| t::say("whole-number").into_owned())?;
                let after = match self.unit.as_str() {
                    "hours" => format!("PT{number}H"),
                    "minutes" => format!("PT{number}M"),
                    _ => format!("P{number}D"),
                };
                if self.time.is_empty() {
                    Ok(json!({"after": after}))
                } else {
                    Ok(json!({"after": after, "time": self.time}))
                }
            }
            _ => Err(t::say("choose-when").into_owned()),
        }
    }
}

/// The fields of the send schedules, with one value of each per message.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sends {
    kind: Vec<String>,
    at: Vec<String>,
    zone: Vec<String>,
    local: Vec<String>,
    late: Vec<String>,
    number: Vec<String>,
    unit: Vec<String>,
    time: Vec<String>,
}

impl Sends {
    pub(super) fn of(&self, i: usize) -> SendForm {
        let get = |all: &Vec<String>| all.get(i).cloned().unwrap_or_default();
        SendForm {
            keeps: false,
            kind: get(&self.kind),
            at: get(&self.at),
            zone: get(&self.zone),
            instant: String::new(),
            local: get(&self.local),
            late: get(&self.late) == "next_day",
            number: get(&self.number),
            unit: get(&self.unit),
            time: get(&self.time),
        }
    }
}
