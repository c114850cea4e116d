//! Signing in and out; the one-time link that makes an account; changing one's own password.

use std::{borrow::Cow, time::Instant};

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde::Deserialize;
use store::{ActorId, Invitation, Problem as FieldProblem, Role, StoreError, User};

use super::{Me, Posted, Refused, Shown, Wrong, again, page, t};
use crate::{
    App,
    auth::{self, Caller},
    place::Came,
    problem::Problem,
    secret,
};

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
    /// The page that was asked for.
    to: String,
    wrong: Option<Cow<'static, str>>,
}

/// Where to go on to.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    to: String,
}

/// A page of ours: an address elsewhere is not gone on to.
fn own_page(to: &str) -> &str {
    let is_own = to.strip_prefix('/').is_some_and(|rest| !rest.starts_with(['/', '\\']));
    if is_own && !to.contains(char::is_control) { to } else { "/" }
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    to: String,
}

async fn sign_in(Query(wanted): Query<Wanted>) -> Response {
    page(&SignIn { email: String::new(), to: wanted.to, wrong: None })
}

async fn signed_in(State(app): State<App>, came: Came, Posted(form): Posted<Credentials>) -> Shown {
    if !app.tries.begin(&form.email, came.place, Instant::now()) {
        let wrong = Some(t::say("sign-in-too-often"));
        return Ok(again(&SignIn { email: form.email, to: form.to, wrong }, StatusCode::TOO_MANY_REQUESTS));
    }
    let known = app.store.user_by_email(&form.email).await?;
    let (user, hash) = known.map_or((None, None), |(user, hash)| (Some(user), Some(hash)));
    let fits = secret::fits(form.password, hash).await?;
    if let Some(user) = user.filter(|_| fits) {
        app.tries.forgive(&form.email, came.place);
        Ok(begin(&app, user.id, &came, own_page(&form.to)).await?)
    } else {
        let wrong = Some(t::say("sign-in-wrong"));
        Ok(again(&SignIn { email: form.email, to: form.to, wrong }, StatusCode::UNAUTHORIZED))
    }
}

/// Begins a session and goes to the page `to`.
async fn begin(app: &App, user: campaign::UserId, came: &Came, to: &str) -> Result<Response, Refused> {
    let secret = secret::new();
    app.store.begin_session(user, &secret, Timestamp::now()).await?;
    Ok((auth::set_session(secret, came), Redirect::to(to)).into_response())
}

async fn sign_out(State(app): State<App>, caller: Caller, came: Came, headers: HeaderMap) -> Shown {
    if let Some(secret) = auth::session(&headers) {
        app.store.end_session(&secret, caller.by()).await?;
    }
    Ok((auth::set_session(String::new(), &came), Redirect::to("/sign-in")).into_response())
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    me: Me,
    saved: bool,
    wrong: Wrong,
}

/// The account of the caller, and the hash of its password; a token has none.
async fn own(app: &App, caller: &Caller) -> Result<(User, String), Refused> {
    let user = match caller.id {
        ActorId::User(_) => app.store.user_by_email(&caller.name).await?,
        // A token has none, whatever its name.
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

/// Changes the caller's password. All other sessions end.
async fn new_password(
    State(app): State<App>,
    caller: Caller,
    came: Came,
    Posted(form): Posted<NewPassword>,
) -> Shown {
    let (user, hash) = own(&app, &caller).await?;
    let changed = async {
        let refuse = |text| StoreError::Invalid(vec![FieldProblem::new("current", text)]);
        if !app.tries.begin(&user.email, came.place, Instant::now()) {
            return Err(refuse(t::say("sign-in-too-often")));
        }
        if !secret::fits(form.current, Some(hash)).await? {
            return Err(refuse(t::say("password-wrong")));
        }
        app.tries.forgive(&user.email, came.place);
        let fresh = secret::hash(form.password).await?;
        app.store.set_password(user.id, fresh, caller.by()).await
    };
    match changed.await {
        Ok(()) => Ok(begin(&app, user.id, &came, "/account?saved=yes").await?),
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
    /// The account's time zone, if this is the first person, who is asked for it; empty: as the browser has it.
    time_zone: Option<String>,
    wrong: Wrong,
}

async fn invited(app: &App, secret: &str) -> Result<Invitation, Refused> {
    let invitation = app.store.invitation(secret, Timestamp::now()).await?;
    invitation.ok_or_else(|| {
        Problem::not_found("this link was used or is too old; ask an admin for another").into()
    })
}

async fn welcome(State(app): State<App>, Path(secret): Path<String>) -> Shown {
    let Invitation { role, is_first } = invited(&app, &secret).await?;
    let time_zone = is_first.then(String::new);
    Ok(page(&Welcome { role, email: String::new(), time_zone, wrong: Wrong::default() }))
}

#[derive(Deserialize)]
struct Acceptance {
    #[serde(flatten)]
    credentials: Credentials,
    #[serde(default)]
    time_zone: String,
}

async fn welcomed(
    State(app): State<App>,
    Path(link): Path<String>,
    came: Came,
    Posted(form): Posted<Acceptance>,
) -> Shown {
    let Invitation { role, is_first } = invited(&app, &link).await?;
    let Credentials { email, password, .. } = form.credentials;
    let time_zone = is_first.then(|| form.time_zone.trim().to_owned());
    let made = async {
        let hash = secret::hash(password).await?;
        app.store.accept_invitation(&link, &email, hash, time_zone.clone(), Timestamp::now()).await
    };
    match made.await {
        Ok(user) => begin(&app, user, &came, "/").await,
        Err(StoreError::Invalid(wrong)) => {
            let form = Welcome { role, email, time_zone, wrong: Wrong(wrong) };
            Ok(again(&form, StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::own_page;

    #[test]
    fn only_pages_of_ours_are_gone_on_to() {
        for page in ["/", "/campaigns/cmp_1", "/?q=a//b", "/contacts/+12025550001"] {
            assert_eq!(own_page(page), page);
        }
        for elsewhere in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a\r\nb", "\t/"]
        {
            assert_eq!(own_page(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
