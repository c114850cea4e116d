//! `/api/v1`: one file per noun. The OpenAPI document is made from the handlers.

pub(crate) mod audio;
mod campaigns;
pub(crate) mod deliveries;
pub(crate) mod lists;
mod pools;
pub(crate) mod routes;
mod settings;
mod suppressions;
mod trial;
mod webhooks;

use axum::{Json, Router, extract::State, response::IntoResponse, routing::get};
use campaign::{CampaignId, ImportId, ListId};
use serde::Serialize;
use serde_json::json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, Ref, RefOr, Response,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, live,
    problem::{Answer, Problem},
};

/// The usual and the largest number of entries on a page.
const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 500;

#[derive(OpenApi)]
#[openapi(
    info(title = "Carillon", description = "SMS and voice campaigns, self-hosted."),
    modifiers(&Bearer),
    security(("token" = []))
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        openapi.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The API and its description.
pub(crate) fn routes() -> (Router<App>, utoipa::openapi::OpenApi) {
    let v1 = OpenApiRouter::new()
        .routes(routes!(campaigns::list, campaigns::create))
        .routes(routes!(campaigns::get, campaigns::edit))
        .routes(routes!(campaigns::adjust))
        .routes(routes!(campaigns::schedule))
        .routes(routes!(campaigns::stop))
        .routes(routes!(campaigns::restart))
        .routes(routes!(campaigns::archive))
        .routes(routes!(campaigns::clone))
        .routes(routes!(campaigns::release))
        .routes(routes!(campaigns::hang_up))
        .routes(routes!(trial::begin))
        .routes(routes!(campaigns::error))
        .routes(routes!(campaigns::timeline))
        .routes(routes!(campaigns::replies))
        .routes(routes!(campaigns::all_replies))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::csv))
        .routes(routes!(deliveries::get))
        .routes(routes!(deliveries::settle))
        .routes(routes!(audio::list, audio::create))
        .routes(routes!(audio::get, audio::delete))
        .routes(routes!(lists::list, lists::create))
        .routes(routes!(lists::get))
        .routes(routes!(lists::import))
        .routes(routes!(lists::import_state))
        .routes(routes!(lists::import_errors))
        .routes(routes!(routes::list, routes::create))
        .routes(routes!(routes::get, routes::edit))
        .routes(routes!(pools::list, pools::create))
        .routes(routes!(pools::get, pools::edit, pools::delete))
        .routes(routes!(settings::get, settings::put))
        .routes(routes!(suppressions::create))
        .routes(routes!(suppressions::delete))
        .routes(routes!(suppressions::import))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::get, webhooks::delete))
        .routes(routes!(webhooks::log))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::again))
        .routes(routes!(live::events));
    let (router, mut openapi) =
        OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", v1).split_for_parts();
    describe_refusals(&mut openapi);
    (router, openapi)
}

/// Refusals before a handler, and where the data cannot be used.
const ANYWHERE: [(&str, &str); 3] = [
    ("401", "No token, or one that is not known"),
    ("403", "The token's role may not do this"),
    ("503", "The data cannot be used at this moment, or another process sends from it"),
];
/// Refusals of a body.
const OF_BODIES: [(&str, &str); 3] = [
    ("400", "The body cannot be read"),
    ("413", "The body is larger than this address takes"),
    ("422", "Something in the body is missing or wrong"),
];

/// Describes the refusals that are the same everywhere, and gives every refusal its media type.
fn describe_refusals(openapi: &mut utoipa::openapi::OpenApi) {
    let problem = || RefOr::T(Content::new(Some(Ref::from_schema_name("Problem"))));
    for item in openapi.paths.paths.values_mut() {
        let with_bodies = [&mut item.post, &mut item.put, &mut item.patch].map(|operation| (operation, true));
        let others = [&mut item.get, &mut item.delete].map(|operation| (operation, false));
        for (operation, has_body) in with_bodies.into_iter().chain(others) {
            let Some(operation) = operation else { continue };
            let all = &mut operation.responses.responses;
            let of_bodies = OF_BODIES.into_iter().filter(|_| has_body);
            for (status, words) in ANYWHERE.into_iter().chain(of_bodies) {
                all.entry(status.to_owned()).or_insert_with(|| Response::new(words).into());
            }
            for (_, answer) in all.iter_mut().filter(|(status, _)| status.starts_with(['4', '5'])) {
                if let RefOr::T(answer) = answer {
                    answer.content =
                        [("application/problem+json".to_owned(), problem())].into_iter().collect();
                }
            }
        }
    }
}

/// The addresses that need no token.
pub(crate) fn open(openapi: utoipa::openapi::OpenApi) -> Router<App> {
    Router::new()
        .route("/api/v1/openapi.json", get(async move || Json(openapi)))
        .route("/health", get(health))
}

/// Whether the database answers.
async fn health(State(app): State<App>) -> Answer<impl IntoResponse> {
    app.store.fields().await?;
    Ok(Json(json!({"status": "ok", "dispatches": app.engine.get().is_some_and(engine::Handle::is_running)})))
}

pub(crate) async fn nothing_here() -> Problem {
    Problem::not_found("there is nothing at this address")
}

/// A page of a list.
#[derive(Serialize, utoipa::ToSchema)]
struct Page<T> {
    items: Vec<T>,
    /// Send it as `cursor` to get the next page.
    next: Option<String>,
}

fn limit(asked: Option<u32>) -> Answer<u32> {
    match asked {
        None => Ok(PAGE),
        Some(n @ 1..=LARGEST_PAGE) => Ok(n),
        Some(_) => Err(Problem::field("limit", format!("must be 1 to {LARGEST_PAGE}"))),
    }
}

/// An id from a path; a text that is not an id names nothing.
macro_rules! path_id {
    ($name:ident, $id:ty, $what:literal) => {
        #[derive(Clone, Copy)]
        struct $name($id);

        impl<S: Send + Sync> axum::extract::FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(
                parts: &mut axum::http::request::Parts,
                state: &S,
            ) -> Result<Self, Problem> {
                axum::extract::Path::<std::collections::HashMap<String, String>>::from_request_parts(
                    parts, state,
                )
                .await
                .ok()
                .and_then(|path| path.get("id")?.parse().ok())
                .map(Self)
                .ok_or_else(|| Problem::not_found(concat!("there is no such ", $what)))
            }
        }
    };
}

path_id!(CampaignPath, CampaignId, "campaign");
path_id!(ListPath, ListId, "list");
path_id!(ImportPath, ImportId, "import");
path_id!(AudioPath, campaign::AudioId, "audio");
path_id!(WebhookPath, campaign::WebhookId, "webhook");
path_id!(PoolPath, campaign::PoolId, "pool of senders");
path_id!(RoutePath, campaign::RouteId, "route");
