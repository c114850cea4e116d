//! Who calls: people by a session in a cookie, programs by an API token in a header. What each may do is the table of
//! [`crate::permission`]; here each request is checked against it.
//!
//! A page of another site cannot act with a person's cookie: every request that changes something must show that it
//! comes from here, in headers that only the browser itself can set (see docs/decisions/0002-cross-site-requests.md).

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use jiff::Timestamp;
use store::{ActorId, By, Grant, Role};

use crate::{
    App, permission,
    place::Came,
    problem::{Problem, Telling},
};

/// The cookie that holds a session's secret.
const COOKIE: &str = "carillon_session";

/// The caller of a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account or token.
    pub id: ActorId,
    /// What lets the caller in.
    pub(crate) grant: Grant,
    /// The name in histories: a person's address, a token's name.
    pub name: String,
    /// What the caller may do.
    pub role: Role,
}

impl Caller {
    /// The caller, as the author of a change made now.
    pub(crate) fn by(&self) -> By {
        By::known(self.id, self.name.as_str(), Timestamp::now())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::unauthorized)
    }
}

/// The secret of a request's session.
pub(crate) fn session(headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers).get(COOKIE).map(|cookie| cookie.value().to_owned())
}

/// Sets the session's cookie; an empty secret removes it. Marked for TLS only if the request came over TLS.
pub(crate) fn set_session(secret: String, came: &Came) -> CookieJar {
    let ends = secret.is_empty();
    let cookie = Cookie::build((COOKIE, secret)).http_only(true).same_site(SameSite::Lax).path("/");
    let cookie = cookie.secure(came.over_tls);
    CookieJar::new().add(if ends { cookie.removal() } else { cookie })
}

/// Whether the browser says that a request comes from a page of this server; none if nothing says it, as with programs.
fn from_here(headers: &HeaderMap, came: &Came) -> Option<bool> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => Some(site == "same-origin"),
        // Browsers omit the first header over plain http.
        (None, Some(origin)) => Some(came.is_to(origin)),
        (None, None) => None,
    }
}

fn from_elsewhere() -> Problem {
    Problem::forbidden(
        "this request does not come from a page of this server; behind a proxy, hand on the Host that people type or name \
         the proxy in trusted_proxies",
    )
}

/// Who a request comes from, if that is known.
async fn caller(app: &App, parts: &Parts) -> Result<Option<Caller>, Problem> {
    let Parts { method, headers, .. } = parts;
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if let Some((_, token)) = bearer {
        let known = app.store.token(token.trim()).await?;
        return Ok(known.map(|token| Caller {
            id: ActorId::Token(token.id),
            grant: Grant::Token(token.id),
            name: token.name,
            role: token.role,
        }));
    }
    let Some(secret) = session(headers) else { return Ok(None) };
    let Some(user) = app.store.session(&secret, Timestamp::now()).await? else { return Ok(None) };
    if !method.is_safe() && from_here(headers, &Came::of(parts, app)) != Some(true) {
        return Err(from_elsewhere());
    }
    Ok(Some(Caller {
        id: ActorId::User(user.id),
        grant: Grant::of_session(&secret),
        name: user.email,
        role: user.role,
    }))
}

/// Names the methods of an address that was asked for another one.
fn refuse_method(methods: &[&str], refuse: impl Fn(Problem) -> Response) -> Response {
    if methods.is_empty() {
        return refuse(Problem::forbidden(
            "There is nothing here that anybody may do. Go back and try again.",
        ));
    }
    let methods = methods.join(", ");
    let mut response = refuse(Problem::no_such_method(format!("this address takes {methods}")));
    if let Ok(methods) = HeaderValue::from_str(&methods) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

/// The page that signs in, and goes on to the page that was asked for.
fn sign_in(parts: &Parts) -> Redirect {
    let wanted = parts.uri.path_and_query().map_or("/", |wanted| wanted.as_str());
    if parts.method != Method::GET || wanted == "/" {
        return Redirect::to("/sign-in");
    }
    // A text always makes a query.
    Redirect::to(&format!("/sign-in?{}", serde_html_form::to_string([("to", wanted)]).unwrap_or_default()))
}

/// Lets requests through that the caller may make.
pub(crate) async fn guard(
    State((app, telling)): State<(App, Telling)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(matched) = request.extensions().get::<MatchedPath>().cloned() else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let refuse = telling.at(&path);
    let Some(rule) = permission::of(&parts.method, matched.as_str()) else {
        return refuse_method(&permission::methods(matched.as_str()), refuse);
    };
    let Some(needed) = rule.role else {
        // Otherwise another site could sign a visitor in to an account of its choice.
        if !parts.method.is_safe() && from_here(&parts.headers, &Came::of(&parts, &app)) == Some(false) {
            return refuse(from_elsewhere());
        }
        return next.run(Request::from_parts(parts, body)).await;
    };
    let caller = match caller(&app, &parts).await {
        Ok(Some(caller)) => caller,
        Ok(None) if path.starts_with("/api/") => return Problem::unauthorized().into_response(),
        Ok(None) => return sign_in(&parts).into_response(),
        Err(problem) => return refuse(problem),
    };
    if caller.role < needed {
        return refuse(Problem::forbidden(format!(
            "You are signed in as {} and need the {} role. Ask an admin.",
            caller.name,
            needed.word()
        )));
    }
    parts.extensions.insert(caller);
    next.run(Request::from_parts(parts, body)).await
}
