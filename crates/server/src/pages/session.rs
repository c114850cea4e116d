//! Signing in and out; the one-time link that makes an account; one's own password.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
};

use askama::Template;
use axum::{
    Router,
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use serde::Deserialize;
use store::{ActorId, Problem as FieldProblem, Role, StoreError, User};

use super::{Me, Posted, Refused, Shown, Wrong, again, page, t};
use crate::{
    App,
    auth::{self, Caller},
    problem::Problem,
    secret,
};

/// Tries to sign in with one address, and from one place: so many at once, then as many a minute.
const TRIES_PER_EMAIL: NonZeroU32 = NonZeroU32::new(5).unwrap();
const TRIES_PER_PLACE: NonZeroU32 = NonZeroU32::new(30).unwrap();

/// Tries to sign in, by address and by where they come from.
pub(crate) struct Tries {
    by_email: DefaultKeyedRateLimiter<String>,
    by_place: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            by_email: RateLimiter::keyed(Quota::per_minute(TRIES_PER_EMAIL)),
            by_place: RateLimiter::keyed(Quota::per_minute(TRIES_PER_PLACE)),
        }
    }
}

impl Tries {
    /// Whether another try is allowed; those that are long past are forgotten.
    fn may_try(&self, email: &str, place: IpAddr) -> bool {
        self.by_email.retain_recent();
        self.by_place.retain_recent();
        self.by_place.check_key(&place).is_ok()
            && self.by_email.check_key(&email.trim().to_lowercase()).is_ok()
    }
}

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/sign-in", get(sign_in).post(signed_in))
        .route("/sign-out", post(sign_out))
        .route("/account", get(account).post(new_password))
        .route("/welcome/{secret}", get(welcome).post(welcomed))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    email: String,
    wrong: Option<Cow<'static, str>>,
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

async fn sign_in() -> Response {
    page(&SignIn { email: String::new(), wrong: None })
}

async fn signed_in(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Posted(form): Posted<Credentials>,
) -> Shown {
    if !app.tries.may_try(&form.email, from.ip()) {
        let wrong = Some(t::say("sign-in-too-often"));
        return Ok(again(&SignIn { email: form.email, wrong }, StatusCode::TOO_MANY_REQUESTS));
    }
    let known = app.store.user_by_email(&form.email).await?;
    let (user, hash) = known.map_or((None, None), |(user, hash)| (Some(user), Some(hash)));
    let fits = secret::fits(form.password, hash).await?;
    if let Some(user) = user.filter(|_| fits) {
        Ok(begin(&app, user.id, &headers, "/").await?)
    } else {
        let wrong = Some(t::say("sign-in-wrong"));
        Ok(again(&SignIn { email: form.email, wrong }, StatusCode::UNAUTHORIZED))
    }
}

/// Begins a session and goes `to` a page.
async fn begin(
    app: &App,
    user: campaign::UserId,
    headers: &HeaderMap,
    to: &str,
) -> Result<Response, Refused> {
    let secret = secret::new();
    app.store.begin_session(user, &secret, Timestamp::now()).await?;
    let cookie = auth::set_session(&secret, headers);
    let cookie = cookie.ok_or_else(|| Problem::broken("the session could not be begun"))?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response())
}

async fn sign_out(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Shown {
    if let Some(secret) = auth::session(&headers) {
        app.store.end_session(secret, caller.by()).await?;
    }
    let cookie = auth::set_session("", &headers);
    let cookie = cookie.ok_or_else(|| Problem::broken("the session could not be ended"))?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response())
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    me: Me,
    saved: bool,
    wrong: Wrong,
}

/// Whose account it is, and the hash of their password; a token has none.
async fn own(app: &App, caller: &Caller) -> Result<(User, String), Refused> {
    let user = match caller.id {
        ActorId::User(_) => app.store.user_by_email(&caller.name).await?,
        // Whatever it is called.
        ActorId::Token(_) => None,
    };
    user.ok_or_else(|| Problem::not_found(t::say("no-account")).into())
}

#[derive(Deserialize)]
struct Saved {
    saved: Option<String>,
}

async fn account(State(app): State<App>, caller: Caller, Query(query): Query<Saved>) -> Shown {
    own(&app, &caller).await?;
    let saved = query.saved.is_some();
    Ok(page(&Account { me: Me::new(caller, "account"), saved, wrong: Wrong::default() }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewPassword {
    current: String,
    password: String,
}

/// Changes one's password. All other sessions end.
async fn new_password(
    State(app): State<App>,
    caller: Caller,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Posted(form): Posted<NewPassword>,
) -> Shown {
    let (user, hash) = own(&app, &caller).await?;
    let changed = async {
        let refuse = |text| StoreError::Invalid(vec![FieldProblem::new("current", text)]);
        if !app.tries.may_try(&user.email, from.ip()) {
            return Err(refuse(t::say("sign-in-too-often")));
        }
        if !secret::fits(form.current, Some(hash)).await? {
            return Err(refuse(t::say("password-wrong")));
        }
        let fresh = secret::hash(form.password).await?;
        app.store.set_password(user.id, fresh, caller.by()).await
    };
    match changed.await {
        Ok(()) => Ok(begin(&app, user.id, &headers, "/account?saved=yes").await?),
        Err(StoreError::Invalid(wrong)) => {
            let page = Account { me: Me::new(caller, "account"), saved: false, wrong: Wrong(wrong) };
            Ok(again(&page, StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(e) => Err(e.into()),
    }
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct Welcome {
    role: Role,
    email: String,
    wrong: Wrong,
}

async fn invited(app: &App, secret: &str) -> Result<Role, Refused> {
    let role = app.store.invitation(secret, Timestamp::now()).await?;
    role.ok_or_else(|| {
        Problem::not_found("this link was used or is too old; ask an admin for another").into()
    })
}

async fn welcome(State(app): State<App>, Path(secret): Path<String>) -> Shown {
    let role = invited(&app, &secret).await?;
    Ok(page(&Welcome { role, email: String::new(), wrong: Wrong::default() }))
}

async fn welcomed(
    State(app): State<App>,
    Path(link): Path<String>,
    headers: HeaderMap,
    Posted(form): Posted<Credentials>,
) -> Shown {
    let role = invited(&app, &link).await?;
    let made = async {
        let hash = secret::hash(form.password).await?;
        app.store.accept_invitation(&link, &form.email, hash, Timestamp::now()).await
    };
    match made.await {
        Ok(user) => begin(&app, user, &headers, "/").await,
        Err(StoreError::Invalid(wrong)) => {
            let form = Welcome { role, email: form.email, wrong: Wrong(wrong) };
            Ok(again(&form, StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(e) => Err(e.into()),
    }
}
