//! The form of a trunk, as typed.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use store::{RouteConfig, SipConfig};

use super::{routes::plain, t};
use crate::problem::Problem;

/// Fields that are texts, as typed.
const TEXTS: [&str; 7] = ["name", "host", "transport", "username", "number_form", "prefix", "media_ports"];
/// Fields that are texts and may be empty.
const OPTIONAL_TEXTS: [&str; 6] =
    ["outbound_proxy", "domain", "country", "public_address", "tls_ca", "price_per_minute"];
/// Fields that are whole numbers.
const NUMBERS: [&str; 4] = ["max_calls", "calls_per_second", "register_expires", "increment_seconds"];
/// Fields that are boxes to tick.
const TICKS: [&str; 2] = ["register", "disabled"];

type Typed = BTreeMap<String, String>;

/// The settings as they are typed; the password is never shown.
pub(super) fn shown(config: &RouteConfig, trunk: &SipConfig) -> Typed {
    let mut fields: Typed = match serde_json::to_value(config) {
        Ok(Value::Object(all)) => {
            all.into_iter().filter_map(|(field, value)| Some((field, plain(&value)?))).collect()
        }
        _ => BTreeMap::new(),
    };
    let numbers: Vec<String> = trunk.numbers.iter().map(ToString::to_string).collect();
    let codecs: Vec<&str> = trunk.codecs.iter().map(|codec| codec.word()).collect();
    fields.insert("numbers".to_owned(), numbers.join("\n"));
    fields.insert("codecs".to_owned(), codecs.join(" "));
    fields.insert("error_after".to_owned(), (trunk.error_after.as_secs() / 60).max(1).to_string());
    fields.remove("password");
    fields
}

/// The value as the API takes it.
pub(super) fn change(typed: &Typed) -> Result<Value, Problem> {
    let of = |field: &str| typed.get(field).map_or("", |text| text.trim());
    let number = |field: &str| {
        let number = of(field).parse::<u32>();
        number.map(Value::from).map_err(|_| Problem::field(field, t::say("whole-number")))
    };
    let mut change = Map::new();
    for field in TEXTS {
        change.insert(field.to_owned(), of(field).into());
    }
    for field in OPTIONAL_TEXTS {
        let text = of(field);
        change.insert(field.to_owned(), if text.is_empty() { Value::Null } else { text.into() });
    }
    for field in NUMBERS {
        change.insert(field.to_owned(), number(field)?);
    }
    for field in TICKS {
        change.insert(field.to_owned(), (!of(field).is_empty()).into());
    }
    let port = if of("port").is_empty() { Value::Null } else { number("port")? };
    change.insert("port".to_owned(), port);
    let lines: Vec<&str> = of("numbers").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    change.insert("numbers".to_owned(), json!(lines));
    let codecs: Vec<&str> = of("codecs").split([' ', ',']).filter(|word| !word.is_empty()).collect();
    change.insert("codecs".to_owned(), json!(codecs));
    change.insert("error_after".to_owned(), format!("PT{}M", number("error_after")?).into());
    if !of("password").is_empty() {
        change.insert("password".to_owned(), typed.get("password").map_or("", String::as_str).into());
    }
    change.insert("kind".to_owned(), "sip".into());
    Ok(Value::Object(change))
}
