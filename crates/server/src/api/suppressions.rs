//! Do-not-contact lists.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
};
use campaign::{Msisdn, SkipReason};
use serde::{Deserialize, Serialize};
use store::{Barred, ImportPlan, ImportState, ImportTarget};
use utoipa::ToSchema;

use crate::{
    App,
    auth::Caller,
    body::{Body, Query},
    problem::{Answer, Problem},
    shapes, uploads,
};

/// A number on a do-not-contact list.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Suppression {
    #[schema(value_type = String)]
    channel: Barred,
    /// The number in E.164.
    number: String,
}

fn read(number: &str) -> Answer<Msisdn> {
    Msisdn::parse(number, None).map_err(|e| Problem::field("number", e))
}

/// Puts a number on a do-not-contact list. Once this answers, nothing more is written to the number.
#[utoipa::path(post, path = "/suppressions", request_body = Suppression, responses((status = 201, body = Suppression), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(s): Body<Suppression>,
) -> Answer<(StatusCode, Json<Suppression>)> {
    let number = read(&s.number)?;
    app.store.suppress(number, s.channel, SkipReason::Blocked.word(), caller.by()).await?;
    Ok((StatusCode::CREATED, Json(Suppression { channel: s.channel, number: number.to_string() })))
}

/// Lifts a block: takes a number off a do-not-contact list. An opt-out by the person stays until they write START.
#[utoipa::path(delete, path = "/suppressions/{channel}/{number}", params(("channel" = String, Path), ("number" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((channel, number)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let barred = Barred::from_word(&channel);
    let barred = barred.ok_or_else(|| Problem::not_found("channels are sms, voice and all"))?;
    let number = read(&number)?;
    if app.store.unsuppress(number, barred, SkipReason::Blocked.word(), caller.by()).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let theirs = app.store.contact(number).await?.suppressed;
    if theirs.iter().any(|s| s.channel == barred.word() && s.reason == SkipReason::OptedOut.word()) {
        return Err(Problem::conflict(
            "the person opted out themselves: only they can lift that, by writing START",
        ));
    }
    Err(Problem::not_found("the number is not on this list"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportQuery {
    channel: Barred,
    country: Option<String>,
}

/// Imports a do-not-contact list: CSV with a header row and a column `phone`; other columns are ignored.
#[utoipa::path(post, path = "/suppressions/import", params(("channel" = String, Query), ("country" = Option<String>, Query)), request_body = String, responses((status = 202, body = shapes::Import), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn import(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ImportQuery>,
    request: Request,
) -> Answer<(StatusCode, Json<ImportState>)> {
    let by = caller.by();
    let plan = ImportPlan { country: query.country, by: caller.name, ..ImportPlan::default() };
    let into = ImportTarget::DoNotContact(query.channel);
    Ok((StatusCode::ACCEPTED, Json(uploads::take_in(&app.store, into, plan, by, request).await?)))
}
