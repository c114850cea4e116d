//! `Idempotency-Key`: the same POST gets the same answer, and is done once.
//!
//! Keeps: a stored answer holds no secret. A secret that an answer shows is put back from where it is kept, for as long
//! as it is kept there.

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use campaign::WebhookId;
use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use store::{KeyInUse, Stored};

use crate::{App, auth::Caller, limits::LARGEST_JSON, problem::Problem};

/// The longest key.
const LONGEST_KEY: usize = 200;

/// Answers a repeated request like the first one.
pub(crate) async fn keyed(State(app): State<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let key = request.headers().get("idempotency-key").cloned();
    let (Some(key), &Method::POST) = (key, request.method()) else { return Ok(next.run(request).await) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY);
    let key = key.ok_or_else(|| {
        Problem::field("Idempotency-Key", format!("must be 1 to {LONGEST_KEY} ASCII characters"))
    })?;
    let (parts, body) = request.into_parts();
    // A request with a key is compared whole; a file too large for that needs no key: importing the same file again
    // changes nothing.
    let bytes = to_bytes(body, LARGEST_JSON)
        .await
        .map_err(|_| Problem::too_large("a request with an Idempotency-Key may have at most 16 MB"))?;
    let caller = parts.extensions.get::<Caller>().map(|c| c.id.to_string()).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(parts.uri.to_string().as_bytes());
    hash.update([0]);
    hash.update(&bytes);
    let print: [u8; 32] = hash.finalize().into();
    // Each caller has its own keys.
    let held = match app.store.begin_keyed(format!("{caller}\n{key}"), print, Timestamp::now()).await? {
        Stored::Fresh(held) => held,
        Stored::Answer { status, answer } => return Ok(replay(status, with_secret(&app, answer).await)),
        Stored::OtherRequest => {
            return Err(Problem::field(
                "Idempotency-Key",
                "the key was used for another request; use a new one",
            ));
        }
        Stored::InUse => {
            return Err(Problem::conflict("the first request with this key is being answered; ask again"));
        }
        Stored::Unknown => {
            return Err(Problem::conflict(
                "the server was stopped while it worked on the first request with this key: look whether it was done, \
                 then use a new key",
            ));
        }
    };
    let request = Request::from_parts(parts, Body::from(bytes));
    // The client may hang up: what was begun is finished, and its answer stored.
    tokio::spawn(answer(app, held, request, next)).await.map_err(Problem::broken)?
}

async fn answer(app: App, held: KeyInUse, request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = next.run(request).await.into_parts();
    let bytes = to_bytes(body, LARGEST_JSON).await.map_err(Problem::broken)?;
    if parts.status.is_server_error() {
        app.store.drop_keyed(held).await?;
    } else {
        let answer = without_secret(&bytes);
        app.store.end_keyed(held, parts.status.as_u16(), answer).await?;
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// The field that shows a secret once: that of a new webhook.
const SECRET: &str = "secret";

/// The answer in the form that is stored.
fn without_secret(answer: &[u8]) -> String {
    if let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(answer)
        && let Some(secret) = object.get_mut(SECRET)
    {
        *secret = Value::Null;
        return Value::Object(object).to_string();
    }
    String::from_utf8_lossy(answer).into_owned()
}

/// A stored answer in the form that was given.
async fn with_secret(app: &App, answer: String) -> String {
    let Ok(mut object) = serde_json::from_str::<Map<String, Value>>(&answer) else { return answer };
    let webhook = object.get("id").and_then(|id| id.as_str()?.parse::<WebhookId>().ok());
    let (Some(webhook), Some(secret)) = (webhook, object.get_mut(SECRET)) else { return answer };
    // A webhook that was removed since has none.
    let Ok(kept) = app.store.webhook_secret(webhook).await else { return answer };
    *secret = kept.expose().into();
    Value::Object(object).to_string()
}

fn replay(status: u16, answer: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(kind))], answer).into_response()
}
