//! Webhooks: where other systems are notified of events.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use campaign::WebhookId;
use serde::{Deserialize, Serialize};
use store::{EventRow, Level, Secret, Webhook};
use utoipa::ToSchema;

use super::{Page, WebhookPath, limit};
use crate::{
    App,
    auth::Caller,
    body::{Body, Query},
    problem::{Answer, Problem},
    shapes, webhook,
};

/// Every webhook.
#[utoipa::path(get, path = "/webhooks", responses((status = 200, body = Page<shapes::Webhook>)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Page<Webhook>>> {
    Ok(Json(Page { items: app.store.webhooks().await?, next: None }))
}

/// A new webhook.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWebhook {
    /// Where events are posted.
    url: String,
    /// `attempt`: each delivery as it changes; `person`: replies, opt-outs and the end of a campaign for a person;
    /// `campaign`: changes of status.
    #[schema(value_type = Vec<String>)]
    levels: Vec<Level>,
}

/// A webhook that was just created.
#[derive(Serialize)]
pub(super) struct MadeWebhook {
    #[serde(flatten)]
    webhook: Webhook,
    secret: Secret,
}

/// Adds a webhook. Its secret, which signs what is posted, is shown only in this answer.
#[utoipa::path(post, path = "/webhooks", request_body = NewWebhook, responses((status = 201, body = shapes::MadeWebhook), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewWebhook>,
) -> Answer<(StatusCode, Json<MadeWebhook>)> {
    let (webhook, secret) = webhook::add(&app, &new.url, new.levels, caller.by()).await?;
    Ok((StatusCode::CREATED, Json(MadeWebhook { webhook, secret })))
}

/// One webhook.
#[utoipa::path(get, path = "/webhooks/{id}", params(("id" = String, Path)), responses((status = 200, body = shapes::Webhook), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<App>, WebhookPath(id): WebhookPath) -> Answer<Json<Webhook>> {
    Ok(Json(app.store.webhook(id).await?))
}

/// Removes a webhook and its log.
#[utoipa::path(delete, path = "/webhooks/{id}", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    WebhookPath(id): WebhookPath,
) -> Answer<StatusCode> {
    app.store.remove_webhook(id, caller.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

/// The events of a webhook, newest first, each with its attempts.
#[utoipa::path(get, path = "/webhooks/{id}/events", params(("id" = String, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = Page<shapes::WebhookEvent>), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn log(
    State(app): State<App>,
    WebhookPath(id): WebhookPath,
    Query(query): Query<LogQuery>,
) -> Answer<Json<Page<EventRow>>> {
    let most = limit(query.limit)?;
    let before = query.cursor.map(|c| c.parse().map_err(|_| Problem::field("cursor", "not one of ours")));
    let items = app.store.webhook_log(id, before.transpose()?, most).await?;
    let full = items.len() == most as usize;
    let next = items.last().filter(|_| full).map(|event| event.id.to_string());
    Ok(Json(Page { items, next }))
}

/// Sends the receiver an event without meaning, to test whether it arrives.
#[utoipa::path(post, path = "/webhooks/{id}/test", params(("id" = String, Path)), responses((status = 202), (status = 404, body = Problem)))]
pub(super) async fn test(
    State(app): State<App>,
    caller: Caller,
    WebhookPath(id): WebhookPath,
) -> Answer<StatusCode> {
    app.store.test_webhook(id, caller.by()).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Sends an event once more, with all its attempts again.
#[utoipa::path(post, path = "/webhooks/{id}/events/{event}/again", params(("id" = String, Path), ("event" = i64, Path)), responses((status = 202), (status = 404, body = Problem)))]
pub(super) async fn again(
    State(app): State<App>,
    caller: Caller,
    Path((id, event)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let none = || Problem::not_found("there is no such event");
    let id: WebhookId = id.parse().map_err(|_| none())?;
    app.store.tell_again(id, event.parse().map_err(|_| none())?, caller.by()).await?;
    Ok(StatusCode::ACCEPTED)
}
