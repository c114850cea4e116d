//! Pools of senders.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::Value;
use store::{Pool, PoolConfig};

use super::{Page, PoolPath};
use crate::{
    App,
    auth::Caller,
    body::{Body, changed},
    problem::{Answer, Problem},
    shapes,
};

/// Every pool.
#[utoipa::path(get, path = "/pools", responses((status = 200, body = Page<shapes::Pool>)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Page<Pool>>> {
    Ok(Json(Page { items: app.store.pools().await?, next: None }))
}

/// Adds a pool: `{"name", "senders": [{"sender", "rate_per_second"}]}`.
#[utoipa::path(post, path = "/pools", request_body = Object, responses((status = 201, body = shapes::Pool), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(config): Body<PoolConfig>,
) -> Answer<(StatusCode, Json<Pool>)> {
    Ok((StatusCode::CREATED, Json(app.store.create_pool(config, caller.by()).await?)))
}

/// One pool.
#[utoipa::path(get, path = "/pools/{id}", params(("id" = String, Path)), responses((status = 200, body = shapes::Pool), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<App>, PoolPath(id): PoolPath) -> Answer<Json<Pool>> {
    Ok(Json(app.store.pool(id).await?))
}

/// Changes what the body names. A sender that is removed is replaced in campaigns that were scheduled before.
#[utoipa::path(patch, path = "/pools/{id}", params(("id" = String, Path)), request_body = Object, responses((status = 200, body = shapes::Pool), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn edit(
    State(app): State<App>,
    PoolPath(id): PoolPath,
    caller: Caller,
    Body(change): Body<Value>,
) -> Answer<Json<Pool>> {
    let config = changed(&app.store.pool(id).await?.config, change)?;
    Ok(Json(app.store.edit_pool(id, config, caller.by()).await?))
}

/// Removes a pool that no campaign uses any more.
#[utoipa::path(delete, path = "/pools/{id}", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn delete(
    State(app): State<App>,
    PoolPath(id): PoolPath,
    caller: Caller,
) -> Answer<StatusCode> {
    app.store.remove_pool(id, caller.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}
