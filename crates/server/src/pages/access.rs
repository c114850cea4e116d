//! Settings: people, tokens, the audit log.

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use campaign::UserId;
use serde::Deserialize;
use store::{AuditEntry, Problem as FieldProblem, Role, StoreError, TokenRow, User};

use super::{Me, Posted, Refused, Shown, Wrong, again, page, t, words::Given};
use crate::{App, auth::Caller, place::Came, problem::Problem, secret};

/// Lines of the audit log on a page.
const LINES: u32 = 100;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/settings/users", get(users))
        .route("/settings/users/invite", post(invite))
        .route("/settings/users/{id}/role", post(role))
        .route("/settings/users/{id}/remove", post(remove_user))
        .route("/settings/tokens", get(tokens).post(new_token))
        .route("/settings/tokens/{id}/remove", post(remove_token))
        .route("/settings/audit", get(audit))
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    me: Me,
    users: Vec<User>,
    /// A link that was just created, shown once.
    link: Option<String>,
    wrong: Wrong,
}

impl UsersPage {
    async fn new(app: &App, caller: Caller) -> store::Result<Self> {
        let users = app.store.users().await?;
        Ok(Self { me: Me::new(caller, "settings"), users, link: None, wrong: Wrong::default() })
    }

    /// The address that removes the person.
    fn remove(&self, id: impl Given<UserId>) -> String {
        format!("/settings/users/{}/remove", id.given())
    }
}

async fn users(State(app): State<App>, caller: Caller) -> Shown {
    Ok(page(&UsersPage::new(&app, caller).await?))
}

#[derive(Deserialize)]
struct RoleForm {
    #[serde(default)]
    role: String,
}

impl RoleForm {
    fn role(&self) -> Result<Role, Problem> {
        Role::from_word(&self.role).ok_or_else(|| Problem::field("role", t::say("choose-role")))
    }
}

async fn invite(State(app): State<App>, caller: Caller, came: Came, Posted(form): Posted<RoleForm>) -> Shown {
    let secret = secret::new();
    app.store.invite(form.role()?, &secret, caller.by()).await?;
    let link = Some(format!("{}/welcome/{secret}", came.base()));
    Ok(page(&UsersPage { link, ..UsersPage::new(&app, caller).await? }))
}

fn user(path: &str) -> Result<UserId, Problem> {
    path.parse().map_err(|_| Problem::not_found("there is no such person"))
}

/// The page of people, with the reason if something could not be done.
async fn people(app: &App, caller: Caller, done: store::Result<()>) -> Shown {
    match done {
        Ok(()) => Ok(Redirect::to("/settings/users").into_response()),
        Err(StoreError::Invalid(problems)) => {
            let page = UsersPage { wrong: Wrong(problems), ..UsersPage::new(app, caller).await? };
            Ok(again(&page, StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(e) => Err(e.into()),
    }
}

async fn role(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(form): Posted<RoleForm>,
) -> Shown {
    let done = app.store.set_role(user(&path)?, form.role()?, caller.by()).await;
    people(&app, caller, done).await
}

async fn remove_user(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let done = app.store.remove_user(user(&path)?, caller.by()).await;
    people(&app, caller, done).await
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    me: Me,
    tokens: Vec<TokenRow>,
    /// The token that was just created, shown once.
    made: Option<String>,
    wrong: Wrong,
}

impl TokensPage {
    async fn new(app: &App, caller: Caller) -> Result<Self, Refused> {
        let tokens = app.store.tokens().await?;
        Ok(Self { me: Me::new(caller, "settings"), tokens, made: None, wrong: Wrong::default() })
    }

    /// The address that ends the token.
    fn end(&self, id: impl Given<i64>) -> String {
        format!("/settings/tokens/{}/remove", id.given())
    }
}

async fn tokens(State(app): State<App>, caller: Caller) -> Shown {
    Ok(page(&TokensPage::new(&app, caller).await?))
}

#[derive(Deserialize)]
struct TokenForm {
    #[serde(default)]
    name: String,
    #[serde(flatten)]
    role: RoleForm,
}

async fn new_token(State(app): State<App>, caller: Caller, Posted(form): Posted<TokenForm>) -> Shown {
    let name = form.name.trim().to_owned();
    if name.is_empty() {
        let wrong = Wrong(vec![FieldProblem::new("name", t::say("token-name-missing"))]);
        let page = TokensPage { wrong, ..TokensPage::new(&app, caller).await? };
        return Ok(again(&page, StatusCode::UNPROCESSABLE_ENTITY));
    }
    let secret = secret::new();
    app.store.add_token(name, form.role.role()?, &secret, caller.by()).await?;
    Ok(page(&TokensPage { made: Some(secret), ..TokensPage::new(&app, caller).await? }))
}

async fn remove_token(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = path.parse().map_err(|_| Problem::not_found("there is no such token"))?;
    app.store.remove_token(id, caller.by()).await?;
    Ok(Redirect::to("/settings/tokens").into_response())
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    me: Me,
    entries: Vec<AuditEntry>,
    next: Option<i64>,
}

impl Audit {
    /// The page of a line's object, if it has one.
    fn address(&self, entry: &AuditEntry) -> Option<String> {
        let object = entry.object.split(' ').next()?;
        let folder = match object.split_once('_') {
            Some(("cmp", _)) => "/campaigns",
            Some(("lst", _)) => "/contacts/lists",
            Some(("imp", _)) => "/contacts/imports",
            Some(("rte", _)) => "/routes",
            Some(("pol", _)) => "/routes/pools",
            Some(("whk", _)) => "/settings/webhooks",
            _ if object.starts_with('+') => "/contacts",
            _ => return None,
        };
        Some(format!("{folder}/{object}"))
    }
}

#[derive(Deserialize)]
struct Before {
    before: Option<i64>,
}

async fn audit(State(app): State<App>, caller: Caller, Query(query): Query<Before>) -> Shown {
    let entries = app.store.audit_log(query.before, LINES).await?;
    let next = if entries.len() == LINES as usize { entries.last().map(|e| e.id) } else { None };
    Ok(page(&Audit { me: Me::new(caller, "settings"), entries, next }))
}
