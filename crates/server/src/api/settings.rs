//! The settings of the whole account.

use axum::{Json, extract::State};
use store::Settings;

use crate::{
    App,
    auth::Caller,
    body::Body,
    problem::{Answer, Problem},
    shapes,
};

/// The account's settings.
#[utoipa::path(get, path = "/settings", responses((status = 200, body = shapes::Settings)))]
pub(super) async fn get(State(app): State<App>) -> Answer<Json<Settings>> {
    Ok(Json(app.store.settings().await?))
}

/// Replaces the account's settings; settings that are left out return to their defaults.
#[utoipa::path(put, path = "/settings", request_body = Object, responses((status = 200, body = shapes::Settings), (status = 422, body = Problem)))]
pub(super) async fn put(
    State(app): State<App>,
    caller: Caller,
    Body(settings): Body<Settings>,
) -> Answer<Json<Settings>> {
    Ok(Json(app.store.change_settings(settings, caller.by()).await?))
}
