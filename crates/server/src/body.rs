//! Bodies and queries of requests, read strictly: 400 for what is not JSON, 422 for what is wrong, with its field.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use store::{Definition, DeliveryFilter, Place, Route, RouteConfig, StoreError};

use crate::problem::{Answer, Problem};

/// A JSON body. An empty one stands for `{}`.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|e| Problem::of_body(&e))?;
        let text = if bytes.iter().all(u8::is_ascii_whitespace) { &b"{}"[..] } else { &bytes };
        let value: Value = serde_json::from_slice(text)
            .map_err(|e| Problem::unreadable(format!("the body is no JSON: {e}")))?;
        decode(value).map(Self)
    }
}

/// Reads a value strictly; problems are named by their path.
pub(crate) fn decode<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = e.path().to_string();
        let field = if path == "." { String::new() } else { path };
        Problem::field(&field, e.into_inner())
    })
}

/// `current` with the fields that `change` names replaced.
pub(crate) fn merged<T: Serialize>(current: &T, change: Value) -> Result<Value, Problem> {
    let Value::Object(change) = change else {
        return Err(Problem::field("", "the body must be an object"));
    };
    let whole = serde_json::to_value(current).map_err(|e| StoreError::Database(e.to_string()))?;
    let mut whole = match whole {
        Value::Object(whole) => whole,
        // The stored value is an object.
        _ => Map::new(),
    };
    whole.extend(change);
    Ok(Value::Object(whole))
}

/// As [`merged`], then read.
pub(crate) fn changed<T: Serialize + DeserializeOwned>(current: &T, change: Value) -> Result<T, Problem> {
    decode(merged(current, change)?)
}

/// Reads a campaign's definition; each field that is wrong is named.
pub(crate) fn definition(value: Value) -> Result<Definition, Problem> {
    Definition::read(value).map_err(|problem| Problem::field(&problem.field, problem.message))
}

/// Reads a route's settings; each field that is wrong is named.
pub(crate) fn route(value: Value) -> Result<RouteConfig, Problem> {
    RouteConfig::read(value).map_err(|problem| Problem::field(&problem.field, problem.message))
}

/// A route's settings with those that `change` names replaced. Where that leads elsewhere, the password must be given
/// again: whoever may change a route need not know it, and must not have it sent to a host of their own.
pub(crate) fn changed_route(now: &Route, change: Value) -> Result<RouteConfig, Problem> {
    let has_password = change.get("password").is_some();
    let next = route(merged(&now.config, change)?)?;
    if !has_password && now.config.leads_elsewhere(&next) {
        return Err(Problem::field("password", "the password goes to another place then: give it again"));
    }
    Ok(next)
}

/// The query of an address.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query.map(|q| Self(q.0)).map_err(|e| Problem::field("query", e.body_text()))
    }
}

/// Which deliveries of a campaign are looked at.
#[derive(Deserialize)]
pub(crate) struct DeliveryQuery {
    pub(crate) outcome: Option<String>,
    #[serde(default, deserialize_with = "empty_is_none")]
    pub(crate) message: Option<u32>,
    pub(crate) reason: Option<String>,
    #[serde(default, deserialize_with = "empty_is_none")]
    pub(crate) code: Option<u32>,
    pub(crate) q: Option<String>,
    pub(crate) limit: Option<u32>,
    pub(crate) cursor: Option<String>,
}

/// Reads an empty field as absent: a form sends one for a choice that was not made.
fn empty_is_none<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<u32>, D::Error> {
    let text = String::deserialize(d)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(serde::de::Error::custom) }
}

impl DeliveryQuery {
    pub(crate) fn filter(self) -> Answer<DeliveryFilter> {
        let outcome = match self.outcome.as_deref() {
            None | Some("") => None,
            Some(word) => Some(
                Place::from_word(word)
                    .ok_or_else(|| Problem::field("outcome", format!("'{word}' is no outcome")))?,
            ),
        };
        let from = match self.cursor {
            None => None,
            Some(cursor) => Some(
                cursor
                    .parse()
                    .ok()
                    .ok_or_else(|| Problem::field("cursor", "use the 'next' of the page before"))?,
            ),
        };
        // A text without digits is a name.
        let is_name =
            |q: &String| q.chars().any(char::is_alphabetic) && !q.chars().any(|c| c.is_ascii_digit());
        let name = self.q.clone().filter(is_name);
        let number = self.q.map(|q| q.chars().filter(char::is_ascii_digit).collect::<String>());
        let number = number.filter(|digits| !digits.is_empty());
        let reason = self.reason.filter(|reason| !reason.is_empty());
        let (message, code) = (self.message, self.code);
        Ok(DeliveryFilter { outcome, message, reason, code, number, name, from, longest_walk: None })
    }
}
