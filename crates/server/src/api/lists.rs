//! Contact lists and imports into them.

use std::{collections::BTreeMap, io::Seek};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use campaign::{ListId, msisdn::Country};
use futures::{Stream, TryStreamExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::ImportState;
use tokio::io::AsyncWriteExt;
use utoipa::ToSchema;

use super::{ImportPath, ListPath, Page};
use crate::{
    App,
    body::{Body, Query},
    import,
    problem::{Answer, Problem},
};

/// The largest file of contacts, in bytes: some twenty million rows.
const LARGEST_FILE: u64 = 1_000_000_000;

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

/// Makes a list.
#[utoipa::path(post, path = "/lists", request_body = NewList, responses((status = 201, body = ListView), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    Body(new): Body<NewList>,
) -> Answer<(StatusCode, Json<ListView>)> {
    let id = app.store.create_list(new.name.clone(), Timestamp::now()).await?;
    Ok((StatusCode::CREATED, Json(ListView { id, name: new.name, contacts: 0 })))
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

/// Imports contacts: a JSON array of objects of texts, or CSV with a header row.
#[utoipa::path(post, path = "/lists/{id}/contacts", params(("id" = String, Path), ("country" = Option<String>, Query)), request_body = Object, responses((status = 202, body = Object), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn import(
    State(app): State<App>,
    ListPath(list): ListPath,
    Query(query): Query<ImportQuery>,
    request: Request,
) -> Answer<(StatusCode, Json<ImportState>)> {
    let country: Option<Country> =
        query.country.map(|code| code.parse().map_err(|e| Problem::field("country", e))).transpose()?;
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/csv") {
        fits(request.headers())?;
        let bytes = request.into_body().into_data_stream();
        let file = spool(&app, bytes.map_err(|e| Problem::unreadable(e.to_string()))).await?;
        return Ok((StatusCode::ACCEPTED, Json(begin_csv(&app, list, file, country).await?)));
    }
    let country = import::country(&app.store, country).await?;
    let Body(rows) = Body::<Vec<BTreeMap<String, String>>>::from_request(request, &()).await?;
    let id = app.store.begin_import(list).await?;
    let store = app.store.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(e) = import::json(&store, id, &rows, country) {
            tracing::error!(import = %id, error = %e, "the import could not be stored");
        }
    });
    Ok((StatusCode::ACCEPTED, Json(app.store.import(id).await?)))
}

/// Imports a CSV file into a list, beside everything else; its state says how it goes.
pub(crate) async fn begin_csv(
    app: &App,
    list: ListId,
    file: std::fs::File,
    country: Option<Country>,
) -> Answer<ImportState> {
    let country = import::country(&app.store, country).await?;
    let id = app.store.begin_import(list).await?;
    let store = app.store.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(e) = import::csv(&store, id, file, country, |_| {}) {
            tracing::error!(import = %id, error = %e, "the import could not be stored");
        }
    });
    Ok(app.store.import(id).await?)
}

fn too_large() -> Problem {
    Problem::too_large("a file of contacts may have at most 1 GB; cut it in parts")
}

/// Refuses a body that says of itself that it is too large, before it is read.
pub(crate) fn fits(headers: &HeaderMap) -> Answer<()> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > LARGEST_FILE) { Err(too_large()) } else { Ok(()) }
}

/// Writes a body to a file without a name beside the data: it may be larger than the memory.
pub(crate) async fn spool(
    app: &App,
    bytes: impl Stream<Item = Result<Bytes, Problem>>,
) -> Answer<std::fs::File> {
    let broken = |e: std::io::Error| Problem::from(store::StoreError::Database(e.to_string()));
    let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(app.store.folder()).map_err(broken)?);
    let mut bytes = std::pin::pin!(bytes);
    let mut size = 0;
    while let Some(bytes) = bytes.try_next().await? {
        size += bytes.len() as u64;
        if size > LARGEST_FILE {
            return Err(too_large());
        }
        file.write_all(&bytes).await.map_err(broken)?;
    }
    file.flush().await.map_err(broken)?;
    let mut file = file.into_std().await;
    file.rewind().map_err(broken)?;
    Ok(file)
}

/// How an import stands.
#[utoipa::path(get, path = "/imports/{id}", params(("id" = String, Path)), responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn import_state(
    State(app): State<App>,
    ImportPath(id): ImportPath,
) -> Answer<Json<ImportState>> {
    Ok(Json(app.store.import(id).await?))
}

/// The rows that an import refused, as CSV.
#[utoipa::path(get, path = "/imports/{id}/errors.csv", params(("id" = String, Path)), responses((status = 200, content_type = "text/csv", body = String), (status = 404, body = Problem)))]
pub(super) async fn import_errors(
    State(app): State<App>,
    ImportPath(id): ImportPath,
) -> Answer<impl IntoResponse> {
    app.store.import(id).await?;
    let errors = app.store.import_errors(id, None).await?;
    let csv = import::errors_csv(&errors).map_err(|e| store::StoreError::Database(e.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv))
}
