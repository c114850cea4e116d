//! Uploads that calls play.

use axum::{
    Json,
    body::Body as RawBody,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use store::Audio;

use super::{AudioPath, Page};
use crate::{
    App,
    auth::Caller,
    body::Query,
    problem::{Answer, Problem},
    shapes, sounds,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: Option<String>,
}

/// The uploads, newest first.
#[utoipa::path(get, path = "/audio", responses((status = 200, body = Page<shapes::Audio>)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Page<Audio>>> {
    Ok(Json(Page { items: app.store.audio().await?, next: None }))
}

/// Keeps a WAV or MP3 file that calls may play.
#[utoipa::path(post, path = "/audio", params(("name" = Option<String>, Query)), request_body(content = Vec<u8>, content_type = "audio/wav"), responses((status = 201, body = shapes::Audio), (status = 413, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Query(named): Query<Named>,
    body: RawBody,
) -> Answer<(StatusCode, Json<Audio>)> {
    let name = named.name.unwrap_or_else(|| "Upload".to_owned());
    Ok((StatusCode::CREATED, Json(sounds::keep(&app.store, caller.by(), &name, body).await?)))
}

/// An upload as it was uploaded.
#[utoipa::path(get, path = "/audio/{id}", params(("id" = String, Path)), responses((status = 200, content_type = "audio/wav", body = Vec<u8>), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<App>, AudioPath(id): AudioPath) -> Answer<Response> {
    let bytes = app.store.audio_bytes(id).await?;
    let kind = if bytes.starts_with(b"RIFF") { "audio/wav" } else { "audio/mpeg" };
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

/// Deletes an upload that no campaign uses.
#[utoipa::path(delete, path = "/audio/{id}", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn delete(
    State(app): State<App>,
    AudioPath(id): AudioPath,
    caller: Caller,
) -> Answer<StatusCode> {
    app.store.delete_audio(id, caller.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}
