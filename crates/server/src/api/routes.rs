//! Routes: SMSCs.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::Value;

use super::{Page, RoutePath};
use crate::{
    App,
    auth::Caller,
    body::{Body, changed_route, route},
    problem::{Answer, Problem},
    view::RouteView,
};

/// Every route.
#[utoipa::path(get, path = "/routes", responses((status = 200, body = Page<RouteView>)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Page<RouteView>>> {
    let items = app.store.routes().await?.into_iter().map(|r| RouteView::of(&app, r)).collect();
    Ok(Json(Page { items, next: None }))
}

/// Adds a route; the engine connects it at once.
#[utoipa::path(post, path = "/routes", request_body = Object, responses((status = 201, body = RouteView), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<Value>,
) -> Answer<(StatusCode, Json<RouteView>)> {
    let route = app.store.create_route(route(body)?, caller.by()).await?;
    app.routes_changed();
    Ok((StatusCode::CREATED, Json(RouteView::of(&app, route))))
}

/// Changes what the body names. The engine reconnects once everything it had handed over is answered.
#[utoipa::path(patch, path = "/routes/{id}", params(("id" = String, Path)), request_body = Object, responses((status = 200, body = RouteView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn edit(
    State(app): State<App>,
    RoutePath(id): RoutePath,
    caller: Caller,
    Body(change): Body<Value>,
) -> Answer<Json<RouteView>> {
    let current = app.store.route(id).await?;
    let config = changed_route(&current, change)?;
    let route = app.store.edit_route(id, config, caller.by()).await?;
    app.routes_changed();
    Ok(Json(RouteView::of(&app, route)))
}

/// One route with its live state.
#[utoipa::path(get, path = "/routes/{id}", params(("id" = String, Path)), responses((status = 200, body = RouteView), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<App>, RoutePath(id): RoutePath) -> Answer<Json<RouteView>> {
    let route = app.store.route(id).await?;
    Ok(Json(RouteView::of(&app, route)))
}
