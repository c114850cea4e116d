//! Bodies and queries of requests, read strictly: 400 what is no JSON, 422 what is wrong, with its field.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use store::{Definition, StoreError};

use crate::problem::Problem;

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

/// Reads a value strictly; what is wrong is named by its path.
pub(crate) fn decode<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = e.path().to_string();
        let field = if path == "." { String::new() } else { path };
        Problem::field(&field, e.into_inner())
    })
}

/// `current` with what `change` names in the place of its own.
pub(crate) fn merged<T: Serialize>(current: &T, change: Value) -> Result<Value, Problem> {
    let Value::Object(change) = change else {
        return Err(Problem::field("", "the body must be an object"));
    };
    let whole = serde_json::to_value(current).map_err(|e| StoreError::Database(e.to_string()))?;
    let mut whole = match whole {
        Value::Object(whole) => whole,
        // What is kept is an object.
        _ => Map::new(),
    };
    whole.extend(change);
    Ok(Value::Object(whole))
}

/// [`merged`], read.
pub(crate) fn changed<T: Serialize + DeserializeOwned>(current: &T, change: Value) -> Result<T, Problem> {
    decode(merged(current, change)?)
}

/// A campaign's definition; each field that is wrong is named.
pub(crate) fn definition(value: Value) -> Result<Definition, Problem> {
    Definition::read(value).map_err(|problem| Problem::field(&problem.field, problem.message))
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
