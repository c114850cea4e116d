//! Who calls: API tokens with scopes, in a header, or for pages in a cookie. What a scope may do is the one
//! table here.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::Next,
    response::Response,
};

use crate::{App, problem::Problem};

/// The cookie that pages carry a token in.
pub(crate) const COOKIE: &str = "carillon_token";

/// What a token may do; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Look.
    Read,
    /// Change.
    Write,
    /// Everything.
    Admin,
}

impl Scope {
    /// As stored and typed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// Reads [`Scope::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Admin].into_iter().find(|scope| scope.word() == word)
    }

    /// What a request needs.
    fn needed(method: &Method) -> Self {
        if method.is_safe() { Self::Read } else { Self::Write }
    }
}

/// The token's holder.
#[derive(Debug, Clone)]
pub struct Caller {
    /// As it stands in histories.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::unauthorized)
    }
}

/// The token of a cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('=').map(str::to_owned))
}

/// Who a token belongs to.
pub(crate) async fn caller(app: &App, token: Option<String>) -> Result<Caller, Problem> {
    let token = token.ok_or_else(Problem::unauthorized)?;
    let (name, scope) = app.store.token(token).await?.ok_or_else(Problem::unauthorized)?;
    let scope = Scope::from_word(&scope).ok_or_else(Problem::unauthorized)?;
    Ok(Caller { name, scope })
}

/// Lets through who may.
pub(crate) async fn check(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let headers = request.headers();
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned());
    // A page's cookie reads and changes nothing: another site cannot act through it.
    let token = bearer.or_else(|| request.method().is_safe().then(|| cookie(headers)).flatten());
    let caller = caller(&app, token).await?;
    let needed = Scope::needed(request.method());
    if caller.scope < needed {
        return Err(Problem::forbidden(format!(
            "the token '{}' has the scope {}; this needs {}",
            caller.name,
            caller.scope.word(),
            needed.word()
        )));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}
