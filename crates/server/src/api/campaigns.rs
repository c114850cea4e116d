//! Campaigns and their actions.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use campaign::{CampaignId, Channel, Send, Status};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Campaign, CampaignError, ReplyFilter, ReplyRow, StoreError, TimelineEntry};
use utoipa::ToSchema;

use super::{CampaignPath, Page, limit};
use crate::{
    App,
    auth::Caller,
    body::{Body, Query, definition, merged},
    problem::{Answer, Problem},
    shapes,
    view::CampaignView,
};

/// The answer to an action: the campaign after it. A refusal names what can be done instead.
async fn acted(app: &App, id: CampaignId, result: store::Result<Campaign>) -> Answer<Json<CampaignView>> {
    match result {
        Ok(campaign) => Ok(Json(CampaignView::of(app, campaign))),
        Err(e @ StoreError::NotAllowed(_)) => {
            let campaign = app.store.campaign(id).await?;
            Err(Problem::from(e).with_actions(&campaign))
        }
        Err(e) => Err(e.into()),
    }
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    status: Option<String>,
    channel: Option<String>,
    q: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Campaigns, newest first; Archived ones only on request.
#[utoipa::path(get, path = "/campaigns", params(("status" = Option<String>, Query), ("channel" = Option<String>, Query), ("q" = Option<String>, Query), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = Page<CampaignView>), (status = 422, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Answer<Json<Page<CampaignView>>> {
    let limit = limit(query.limit)?;
    let archived = query.status.as_deref() == Some("all");
    let status = match query.status.as_deref() {
        None | Some("" | "all") => None,
        Some(word) => Some(
            Status::from_word(word)
                .ok_or_else(|| Problem::field("status", format!("'{word}' is no status; use one, or all")))?,
        ),
    };
    let channel = match query.channel.as_deref() {
        None | Some("") => None,
        Some(word) => {
            let words = || Channel::ALL.map(Channel::word).join(" or ");
            let channel = Channel::from_word(word);
            Some(channel.ok_or_else(|| Problem::field("channel", format!("use {}", words())))?)
        }
    };
    let before = match query.cursor {
        None => None,
        Some(cursor) => {
            Some(cursor.parse().map_err(|_| Problem::field("cursor", "use the 'next' of the page before"))?)
        }
    };
    let filter = store::CampaignFilter {
        status,
        archived,
        channel,
        search: query.q,
        before,
        ..store::CampaignFilter::default()
    };
    let mut found = app.store.campaigns(filter, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = if more { found.last().map(|c| c.id.to_string()) } else { None };
    let items = found.into_iter().map(|c| CampaignView::of(&app, c)).collect();
    Ok(Json(Page { items, next }))
}

/// Saves a new campaign; it may be incomplete.
#[utoipa::path(post, path = "/campaigns", request_body = Object, responses((status = 201, body = CampaignView), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<Value>,
) -> Answer<(StatusCode, Json<CampaignView>)> {
    let campaign = app.store.create_campaign(definition(body)?, caller.by()).await?;
    Ok((StatusCode::CREATED, Json(CampaignView::of(&app, campaign))))
}

/// One campaign.
#[utoipa::path(get, path = "/campaigns/{id}", params(("id" = String, Path)), responses((status = 200, body = CampaignView), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
) -> Answer<Json<CampaignView>> {
    Ok(Json(CampaignView::of(&app, app.store.campaign(id).await?)))
}

/// Changes what the body names; the body carries the `version` that was read.
#[utoipa::path(patch, path = "/campaigns/{id}", params(("id" = String, Path)), request_body = Object, responses((status = 200, body = CampaignView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn edit(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    caller: Caller,
    Body(mut change): Body<Value>,
) -> Answer<Json<CampaignView>> {
    let version = change
        .as_object_mut()
        .and_then(|change| change.remove("version"))
        .and_then(|version| version.as_i64())
        .ok_or_else(|| Problem::field("version", "say which version you read"))?;
    let current = app.store.campaign(id).await?;
    ask_again(&current, &mut change);
    let definition = definition(merged(&app.store.written(id).await?, change)?)?;
    let edited = app.store.edit_campaign(id, version, definition, caller.by()).await;
    acted(&app, id, edited).await
}

/// A changed audience of a scheduled campaign must be acknowledged again.
fn ask_again(current: &Campaign, change: &mut Value) {
    let Some(change) = change.as_object_mut() else { return };
    let lists = serde_json::to_value(&current.definition.list_ids).ok();
    if current.status == Status::Scheduled
        && change.get("list_ids").is_some_and(|changed| Some(changed) != lists.as_ref())
    {
        change.entry("opt_in_acknowledged").or_insert(Value::Bool(false));
    }
}

/// Replaces the send schedule of one message of a Scheduled campaign.
#[utoipa::path(patch, path = "/campaigns/{id}/messages/{n}/send", params(("id" = String, Path), ("n" = u32, Path)), request_body = Object, responses((status = 200, body = CampaignView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn adjust(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    Path(path): Path<(String, String)>,
    caller: Caller,
    Body(send): Body<Send>,
) -> Answer<Json<CampaignView>> {
    let n = path.1.parse().map_err(|_| Problem::not_found("there is no such message"))?;
    let adjusted = app.store.adjust(id, n, send, caller.by()).await;
    acted(&app, id, adjusted).await
}

#[derive(Deserialize)]
pub(super) struct DryRun {
    #[serde(default)]
    dry_run: bool,
}

/// Reads an action without a body: nothing in a body is silently ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A campaign that was scheduled, or with `dry_run` what scheduling it would do.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only the document is made from it")]
pub(super) enum Scheduled {
    Campaign(Box<CampaignView>),
    Forecast(Box<shapes::Forecast>),
}

/// A campaign that was restarted, or with `dry_run` how it would go on.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only the document is made from it")]
pub(super) enum Restarted {
    Campaign(Box<CampaignView>),
    Plan(Box<shapes::RestartPlan>),
}

/// Freezes the audience and queues the campaign; with `dry_run`, reports what that would do.
#[utoipa::path(post, path = "/campaigns/{id}/schedule", params(("id" = String, Path), ("dry_run" = Option<bool>, Query)), responses((status = 200, body = Scheduled), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn schedule(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    caller: Caller,
    Query(query): Query<DryRun>,
    Body(Nothing {}): Body<Nothing>,
) -> Answer<Response> {
    if query.dry_run {
        return match app.store.forecast(id, app.pace(), Timestamp::now()).await {
            Ok(forecast) => Ok(Json(forecast).into_response()),
            Err(e) => Ok(acted(&app, id, Err(e)).await.into_response()),
        };
    }
    let scheduled = app.store.schedule(id, caller.by()).await;
    Ok(acted(&app, id, scheduled).await.into_response())
}

/// How to stop.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StopHow {
    /// Whether calls that are up end now.
    #[serde(default)]
    hang_up: bool,
}

/// Stops a campaign. Nothing of it leaves after the first byte of this answer.
#[utoipa::path(post, path = "/campaigns/{id}/stop", params(("id" = String, Path)), request_body = StopHow, responses((status = 200, body = CampaignView), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn stop(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    caller: Caller,
    Body(StopHow { hang_up }): Body<StopHow>,
) -> Answer<Json<CampaignView>> {
    if hang_up && app.store.campaign(id).await?.definition.content.calls().is_none() {
        return Err(Problem::field("hang_up", "the campaign makes no calls"));
    }
    let campaign = match app.stop(id, hang_up, caller.by()).await {
        Ok(()) => app.store.campaign(id).await,
        Err(e) => Err(e),
    };
    acted(&app, id, campaign).await
}

/// What a restart includes.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Include {
    Cancelled,
    Failed,
}

/// New times for one message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTime {
    n: u32,
    #[schema(value_type = Object)]
    send: Send,
}

/// How to restart; all fields are optional.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restart {
    #[serde(default)]
    messages: Vec<NewTime>,
    #[serde(default)]
    include: Vec<Include>,
}

/// Plans anew what a stop left unsent, and goes on; with `dry_run`, reports how.
#[utoipa::path(post, path = "/campaigns/{id}/restart", params(("id" = String, Path), ("dry_run" = Option<bool>, Query)), request_body = Restart, responses((status = 200, body = Restarted), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn restart(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    caller: Caller,
    Query(query): Query<DryRun>,
    Body(body): Body<Restart>,
) -> Answer<Response> {
    let mut changed = BTreeMap::new();
    for (i, m) in body.messages.into_iter().enumerate() {
        if changed.insert(m.n, m.send).is_some() {
            return Err(Problem::field(&format!("messages[{i}].n"), format!("message {} comes twice", m.n)));
        }
    }
    let now = Timestamp::now();
    if query.dry_run {
        return match app.store.restart_plan(id, changed, now).await {
            Ok(messages) => Ok(Json(json!({"messages": messages})).into_response()),
            Err(e) => Ok(acted(&app, id, Err(e)).await.into_response()),
        };
    }
    let failed = body.include.contains(&Include::Failed);
    let restarted = app.store.restart(id, changed, failed, caller.by()).await;
    Ok(acted(&app, id, restarted).await.into_response())
}

/// Archives a campaign; its unsent messages are cancelled.
#[utoipa::path(post, path = "/campaigns/{id}/archive", params(("id" = String, Path)), responses((status = 200, body = CampaignView), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn archive(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    caller: Caller,
    Body(Nothing {}): Body<Nothing>,
) -> Answer<Json<CampaignView>> {
    let archived = app.store.archive(id, caller.by()).await;
    acted(&app, id, archived).await
}

/// The name of the copy.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CloneAs {
    name: Option<String>,
    audience: Option<CloneAudience>,
}

/// Whom a copy is for.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CloneAudience {
    /// Those whom a voice campaign that ended early did not come to.
    Remaining,
}

/// Copies a campaign into a new Defined one; the acknowledgement is not copied.
#[utoipa::path(post, path = "/campaigns/{id}/clone", params(("id" = String, Path)), request_body = CloneAs, responses((status = 201, body = CampaignView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn clone(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    caller: Caller,
    Body(body): Body<CloneAs>,
) -> Answer<(StatusCode, Json<CampaignView>)> {
    let copy = match body.audience {
        None => app.store.clone_campaign(id, body.name, caller.by()).await,
        Some(CloneAudience::Remaining) => app.store.clone_remaining(id, body.name, caller.by()).await,
    };
    Ok((StatusCode::CREATED, acted(&app, id, copy).await?))
}

/// Releases what is held.
#[utoipa::path(post, path = "/campaigns/{id}/release", params(("id" = String, Path)), responses((status = 200, body = CampaignView), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn release(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    caller: Caller,
    Body(Nothing {}): Body<Nothing>,
) -> Answer<Json<CampaignView>> {
    let released = app.store.release(id, caller.by()).await;
    acted(&app, id, released).await
}

/// Ends the calls of a campaign that are up, once it is stopped or has errored.
#[utoipa::path(post, path = "/campaigns/{id}/hang_up", params(("id" = String, Path)), responses((status = 200, body = CampaignView), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn hang_up(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    caller: Caller,
    Body(Nothing {}): Body<Nothing>,
) -> Answer<Json<CampaignView>> {
    let hung_up = app.hang_up(id, caller.by()).await;
    acted(&app, id, hung_up).await
}

/// Why a voice campaign could not go on.
#[utoipa::path(get, path = "/campaigns/{id}/error", params(("id" = String, Path)), responses((status = 200, body = shapes::CampaignError), (status = 404, body = Problem)))]
pub(super) async fn error(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
) -> Answer<Json<CampaignError>> {
    let error = app.store.campaign_error(id).await?;
    Ok(Json(error.ok_or_else(|| Problem::not_found("the campaign has no error"))?))
}

/// The history of its statuses, with who changed them.
#[utoipa::path(get, path = "/campaigns/{id}/timeline", params(("id" = String, Path)), responses((status = 200, body = Page<shapes::TimelineEntry>), (status = 404, body = Problem)))]
pub(super) async fn timeline(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
) -> Answer<Json<Page<TimelineEntry>>> {
    Ok(Json(Page { items: app.store.timeline(id).await?, next: None }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepliesQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Replies from recipients, newest first.
#[utoipa::path(get, path = "/campaigns/{id}/replies", params(("id" = String, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = Page<shapes::Reply>), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn replies(
    State(app): State<App>,
    CampaignPath(id): CampaignPath,
    Query(query): Query<RepliesQuery>,
) -> Answer<Json<Page<ReplyRow>>> {
    app.store.campaign(id).await?;
    let limit = limit(query.limit)?;
    let filter = ReplyFilter { before: before(query.cursor)?, ..ReplyFilter::default() };
    Ok(Json(page_of(app.store.replies(id, filter, limit).await?, limit)))
}

fn before(cursor: Option<String>) -> Result<Option<i64>, Problem> {
    let before = cursor.map(|cursor| cursor.parse()).transpose();
    before.map_err(|_| Problem::field("cursor", "use the 'next' of the page before"))
}

fn page_of(items: Vec<ReplyRow>, limit: u32) -> Page<ReplyRow> {
    let next = items.last().filter(|_| items.len() == limit as usize).map(|reply| reply.id.to_string());
    Page { items, next }
}

/// Which replies to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllRepliesQuery {
    limit: Option<u32>,
    cursor: Option<String>,
    /// `false`: only those that answer no campaign.
    matched: Option<bool>,
}

/// Replies to any campaign, and to none, newest first.
#[utoipa::path(get, path = "/replies", params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query), ("matched" = Option<bool>, Query)), responses((status = 200, body = Page<shapes::Reply>), (status = 422, body = Problem)))]
pub(super) async fn all_replies(
    State(app): State<App>,
    Query(query): Query<AllRepliesQuery>,
) -> Answer<Json<Page<ReplyRow>>> {
    if query.matched == Some(true) {
        return Err(Problem::field("matched", "use false, or leave it out"));
    }
    let limit = limit(query.limit)?;
    let unmatched = query.matched == Some(false);
    let filter = ReplyFilter { before: before(query.cursor)?, unmatched, ..ReplyFilter::default() };
    Ok(Json(page_of(app.store.replies(None, filter, limit).await?, limit)))
}
