//! The screens: rendered on the server, usable without JavaScript, and kept up to date by live events if it runs.
//!
//! A form is sent to its own address; its errors come back on the same page, by field, with what was typed. A
//! successful action answers with another address, so that a reload does nothing twice.

mod access;
mod calls;
mod chart;
mod contacts;
mod delivery;
mod details;
mod editor;
mod hours;
mod imports;
mod index;
mod overview;
mod person_form;
mod planning;
mod pools;
mod preview;
mod routes;
mod script;
mod send;
mod series;
mod session;
mod settings;
mod texts;
mod trunks;
mod webhooks;
mod words;

use askama::Template;
use axum::{
    Router,
    body::Bytes,
    extract::{FromRequest, Path, Request},
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::de::DeserializeOwned;
use store::{Role, StoreError};

use texts as t;

use crate::{
    App,
    auth::Caller,
    problem::{self, Problem},
};

/// What a page may load: only from its own server.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; media-src 'self'; font-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/assets/{name}", get(asset))
        .merge(session::routes())
        .merge(index::routes())
        .merge(overview::routes())
        .merge(details::routes())
        .merge(delivery::routes())
        .merge(editor::routes())
        .merge(calls::routes())
        .merge(preview::routes())
        .merge(planning::routes())
        .merge(contacts::routes())
        .merge(person_form::routes())
        .merge(imports::routes())
        .merge(routes::routes())
        .merge(pools::routes())
        .merge(settings::routes())
        .merge(access::routes())
        .merge(webhooks::routes())
}

/// The stylesheet, the script and the pictures, compiled in.
async fn asset(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "design.css" => ("text/css", include_str!("../../assets/design.css")),
        "page.js" => ("text/javascript", include_str!("../../assets/page.js")),
        "icons.svg" => ("image/svg+xml", include_str!("../../assets/icons.svg")),
        "favicon.svg" => ("image/svg+xml", include_str!("../../assets/favicon.svg")),
        _ => return refused(Problem::not_found("there is no such file")),
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=300")], text).into_response()
}

/// The person who looks at a page, and where in the product the page is.
struct Me {
    name: String,
    role: Role,
    /// The part of the product whose link is marked.
    at: &'static str,
}

impl Me {
    fn new(caller: Caller, at: &'static str) -> Self {
        Self { name: caller.name, role: caller.role, at }
    }

    fn may_manage(&self) -> bool {
        self.role >= Role::Manager
    }

    fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}

/// What a page's handler returns; an error becomes a page of its own.
type Shown = Result<Response, Refused>;

/// Why there is no page.
struct Refused(Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<StoreError> for Refused {
    fn from(e: StoreError) -> Self {
        Self(e.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        refused(self.0)
    }
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage {
    title: &'static str,
    detail: String,
}

/// A refusal as a page.
pub(crate) fn refused(problem: Problem) -> Response {
    let status = problem.status();
    let (title, detail) = (problem.title(), problem.into_detail());
    let mut response = (status, page(&RefusedPage { title, detail })).into_response();
    problem::retry_later(&mut response);
    response
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response(),
        Err(e) => Problem::from(StoreError::Database(e.to_string())).into_response(),
    }
}

/// A page that shows a form again, with its errors.
fn again(template: &impl Template, status: StatusCode) -> Response {
    (status, page(template)).into_response()
}

/// The data of a form. Names may repeat: each value of a list comes under the list's name.
struct Posted<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Posted<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let bytes = form(request, state).await?;
        read(&bytes).map(Self)
    }
}

/// A form that is read in two parts, each of which takes the fields that it knows.
struct PostedTwo<T, U>(T, U);

impl<S: Send + Sync, T: DeserializeOwned, U: DeserializeOwned> FromRequest<S> for PostedTwo<T, U> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let bytes = form(request, state).await?;
        Ok(Self(read(&bytes)?, read(&bytes)?))
    }
}

async fn form<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Refused> {
    let bytes = Bytes::from_request(request, state).await;
    bytes.map_err(|e| Problem::of_body(&e).into())
}

fn read<T: DeserializeOwned>(form: &[u8]) -> Result<T, Refused> {
    serde_html_form::from_bytes(form)
        .map_err(|e| Problem::unreadable(format!("the form cannot be read: {e}")).into())
}

/// The errors in a form, by field.
#[derive(Default)]
struct Wrong(Vec<store::Problem>);

impl Wrong {
    /// The error in this field.
    fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|p| p.field == field).map(|p| p.message.as_str())
    }

    /// The errors in anything inside this field.
    fn within(&self, field: &str) -> Option<&str> {
        let inside = |p: &&store::Problem| {
            p.field.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.0.iter().find(inside).map(|p| p.message.as_str())
    }

    /// The errors for the top of the page: all of them, as a field may be on another page.
    fn all(&self) -> &[store::Problem] {
        &self.0
    }
}
