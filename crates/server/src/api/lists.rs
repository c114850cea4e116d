//! Contact lists and imports into them.

use axum::{
    Json,
    body::Body as RawBody,
    extract::{FromRequest, Request, State},
    http::{StatusCode, header},
    response::IntoResponse,
};
use campaign::ListId;
use serde::{Deserialize, Serialize};
use store::{ImportPlan, ImportState, ImportTarget};
use utoipa::ToSchema;

use super::{ImportPath, ListPath, Page};
use crate::{
    App,
    auth::Caller,
    body::{Body, Query},
    import::{self, Reading},
    problem::{Answer, Problem},
    shapes, uploads,
};

/// A contact list.
#[derive(Serialize, ToSchema)]
pub(super) struct ListView {
    #[schema(value_type = String)]
    id: ListId,
    name: String,
    contacts: i64,
}

/// A new list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewList {
    name: String,
}

/// Every list.
#[utoipa::path(get, path = "/lists", responses((status = 200, body = Page<ListView>)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Page<ListView>>> {
    let items = app.store.lists().await?;
    let items = items.into_iter().map(|(id, name, contacts)| ListView { id, name, contacts }).collect();
    Ok(Json(Page { items, next: None }))
}

/// Creates a list.
#[utoipa::path(post, path = "/lists", request_body = NewList, responses((status = 201, body = ListView), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewList>,
) -> Answer<(StatusCode, Json<ListView>)> {
    let id = app.store.create_list(new.name, caller.by()).await?;
    // Names are tidied when they are stored.
    let (name, contacts) = app.store.list(id).await?;
    Ok((StatusCode::CREATED, Json(ListView { id, name, contacts })))
}

/// One list.
#[utoipa::path(get, path = "/lists/{id}", params(("id" = String, Path)), responses((status = 200, body = ListView), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<App>, ListPath(id): ListPath) -> Answer<Json<ListView>> {
    let (name, contacts) = app.store.list(id).await?;
    Ok(Json(ListView { id, name, contacts }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportQuery {
    country: Option<String>,
}

/// Imports contacts: a JSON array of objects, or CSV with a header row. Column names may be spelt in any way; a value
/// that cannot be read is left out and counted in `left_out`, and only a row without a number is refused.
#[utoipa::path(post, path = "/lists/{id}/contacts", params(("id" = String, Path), ("country" = Option<String>, Query)), request_body = Object, responses((status = 202, body = shapes::Import), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn import(
    State(app): State<App>,
    ListPath(list): ListPath,
    caller: Caller,
    Query(query): Query<ImportQuery>,
    request: Request,
) -> Answer<(StatusCode, Json<ImportState>)> {
    let by = caller.by();
    let plan = ImportPlan { country: query.country, by: caller.name, ..ImportPlan::default() };
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.get(..8).is_some_and(|kind| kind.eq_ignore_ascii_case("text/csv")) {
        let state = uploads::take_in(&app.store, ImportTarget::List(list), plan, by, request).await?;
        return Ok((StatusCode::ACCEPTED, Json(state)));
    }
    let reading = Reading::plain(import::country(&app.store, plan.country).await?, &plan.by, by.at);
    let Body(rows) = Body::<Vec<import::Row>>::from_request(request, &()).await?;
    if let Some((field, why)) = import::number_of_no_kind(&rows) {
        return Err(Problem::field(&field, why));
    }
    let id = app.store.begin_import(list, by).await?;
    let store = app.store.clone();
    // Nobody takes the import for an interrupted one before it has ended.
    let hold = store.hold();
    tokio::task::spawn_blocking(move || {
        let _hold = hold;
        if let Err(e) = import::json(&store, id, &rows, &reading) {
            tracing::error!(import = %id, error = %e, "the import could not be stored");
        }
        uploads::index_names(&store);
    });
    Ok((StatusCode::ACCEPTED, Json(app.store.import(id).await?)))
}

/// The state of an import.
#[utoipa::path(get, path = "/imports/{id}", params(("id" = String, Path)), responses((status = 200, body = shapes::Import), (status = 404, body = Problem)))]
pub(super) async fn import_state(
    State(app): State<App>,
    ImportPath(id): ImportPath,
) -> Answer<Json<ImportState>> {
    Ok(Json(app.store.import(id).await?))
}

/// The rows that an import refused, as CSV: the reason, then the row. Once corrected, the file can be sent again.
#[utoipa::path(get, path = "/imports/{id}/errors.csv", params(("id" = String, Path)), responses((status = 200, content_type = "text/csv", body = String), (status = 404, body = Problem)))]
pub(super) async fn import_errors(
    State(app): State<App>,
    ImportPath(id): ImportPath,
) -> Answer<impl IntoResponse> {
    let import = app.store.import(id).await?;
    let kind = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}-errors.csv\"")),
    ];
    Ok((kind, RawBody::from_stream(import::refused_rows(app.store.clone(), import))))
}
