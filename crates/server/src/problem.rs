//! Every refusal as `application/problem+json` (RFC 9457), made in this one place.

use axum::{
    Json,
    extract::rejection::BytesRejection,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use campaign::{Action, Status, lifecycle};
use serde::Serialize;
use store::{Problem as FieldProblem, StoreError};
use tower_http::timeout::TimeoutError;
use utoipa::ToSchema;

/// How long a client should wait before it asks again when the database is gone, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// How a refusal is told to whoever asked: to programs as it is, to people as a page.
#[derive(Clone, Copy)]
pub(crate) struct Telling {
    /// Draws the page.
    pub(crate) page: fn(Problem) -> Response,
}

impl Telling {
    /// How it is told to whoever asked for `path`.
    pub(crate) fn at(self, path: &str) -> impl Fn(Problem) -> Response + Copy + use<> {
        let api = path.starts_with("/api/");
        move |problem| if api { problem.into_response() } else { (self.page)(problem) }
    }
}

/// A refusal. Nothing was changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The kind of refusal.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong here and what to do.
    detail: String,
    /// What is wrong in the input, each with its field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<crate::shapes::FieldProblem>)]
    errors: Vec<FieldProblem>,
    /// The campaign's status, if an action was not allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    campaign_status: Option<Status>,
    /// What can be done with the campaign, if an action was not allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    available_actions: Option<Vec<Action>>,
}

/// What a handler returns.
pub type Answer<T> = Result<T, Problem>;

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            campaign_status: None,
            available_actions: None,
        }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The kind of refusal, in words.
    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    /// What is wrong and what to do.
    pub(crate) fn into_detail(self) -> String {
        self.detail
    }

    /// What is wrong with which field; the detail itself if it is about no field.
    pub(crate) fn into_fields(self) -> Result<Vec<FieldProblem>, Self> {
        if self.errors.is_empty() { Err(self) } else { Ok(self.errors) }
    }

    /// 400: not JSON or CSV at all.
    pub(crate) fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "/problems/unreadable", "The request cannot be read", detail)
    }

    /// 401.
    pub(crate) fn unauthorized() -> Self {
        let detail =
            "send 'Authorization: Bearer TOKEN' with a token made by `carillon token create`, or sign in";
        Self::new(StatusCode::UNAUTHORIZED, "/problems/unauthorized", "No or unknown token", detail)
    }

    /// 403.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "/problems/forbidden", "This is not allowed", detail)
    }

    /// 404.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "/problems/not-found", "Not found", detail)
    }

    /// 409.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "/problems/conflict", "Not possible at this moment", detail)
    }

    /// 405.
    pub(crate) fn no_such_method(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "/problems/no-such-method",
            "Not done to this address",
            detail,
        )
    }

    /// 500. The cause goes to the log alone: it may name files, statements and values.
    pub(crate) fn broken(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        let detail = "this failed for a reason of the server's own; see the server's log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "/problems/internal", "Something failed here", detail)
    }

    /// The answer to a body that could not be read to its end.
    pub(crate) fn of_body(e: &BytesRejection) -> Self {
        if e.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::too_large("the body is larger than this address takes");
        }
        let mut cause: Option<&dyn std::error::Error> = Some(e);
        while let Some(e) = cause {
            if e.is::<TimeoutError>() {
                let detail = "the body came to a halt; send it again";
                return Self::new(StatusCode::REQUEST_TIMEOUT, "/problems/too-slow", "Too slow", detail);
            }
            cause = e.source();
        }
        Self::unreadable(e.body_text())
    }

    /// 413.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "/problems/too-large", "Too large", detail)
    }

    /// 429.
    pub(crate) fn too_many(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "/problems/too-many", "Too many", detail)
    }

    /// 503: others are served.
    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "/problems/busy", "Busy at this moment", detail)
    }

    /// 503: nothing more can be accepted.
    pub(crate) fn no_room(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "/problems/disk-full", "The disk is nearly full", detail)
    }

    /// 503: the process that dispatches from the same data would have to do it.
    pub(crate) fn elsewhere(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "/problems/elsewhere",
            "Another process sends from this data",
            detail,
        )
    }

    /// 422, each problem with its field.
    pub(crate) fn invalid(errors: Vec<FieldProblem>) -> Self {
        let detail = errors.iter().map(|e| e.message.as_str()).collect::<Vec<_>>().join("; ");
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { errors, ..Self::new(status, "/problems/invalid", "Something is missing or wrong", detail) }
    }

    /// 422 for one field.
    pub(crate) fn field(field: &str, message: impl std::fmt::Display) -> Self {
        Self::invalid(vec![FieldProblem::new(field, message)])
    }

    /// What can be done with a campaign in its present status, if an action was not allowed.
    pub(crate) fn with_actions(mut self, campaign: &store::Campaign) -> Self {
        if self.available_actions.is_some() {
            self.campaign_status = Some(campaign.status);
            self.available_actions = Some(campaign.available_actions());
        }
        self
    }
}

impl From<StoreError> for Problem {
    fn from(e: StoreError) -> Self {
        let detail = e.told();
        match e {
            StoreError::NotFound(_) => Self::not_found(detail),
            StoreError::NameTaken(_) => Self::field("name", detail),
            StoreError::Stale { .. } | StoreError::Busy | StoreError::InUse(_) => Self::conflict(detail),
            StoreError::NotAllowed(no) => Self {
                campaign_status: Some(no.status),
                available_actions: Some(lifecycle::available_actions(
                    no.channel,
                    no.status,
                    lifecycle::Circumstances::default(),
                )),
                ..Self::new(
                    StatusCode::CONFLICT,
                    "/problems/not-allowed",
                    "The campaign's status does not allow it",
                    detail,
                )
            },
            StoreError::Invalid(errors) => Self::invalid(errors),
            StoreError::DiskFull
            | StoreError::Locked
            | StoreError::MayNotDispatch(_)
            | StoreError::Database(_)
            | StoreError::Folder(_) => {
                tracing::error!(cause = %e, "a request met a database that cannot be used");
                let title = "The database cannot be used at this moment";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "/problems/unavailable", title, detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        retry_later(&mut response);
        response
    }
}

/// Adds to a 503 when to ask again.
pub(crate) fn retry_later(response: &mut Response) {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
}
