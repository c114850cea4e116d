//! Pools of senders: campaigns are sent from one of many senders, each with its own rate.

use std::num::NonZeroU32;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use campaign::{PoolId, PoolSender, Sender};
use serde::Deserialize;
use store::{Pool, PoolConfig, Problem as FieldProblem};

use super::{Me, Posted, Refused, Shown, Wrong, again, page, t};
use crate::{App, auth::Caller, problem::Problem};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/routes/pools", get(all))
        .route("/routes/pools/new", get(new).post(create))
        .route("/routes/pools/{id}", get(edit).post(change))
        .route("/routes/pools/{id}/remove", post(remove))
}

#[derive(Template)]
#[template(path = "pools.html")]
struct PoolsPage {
    me: Me,
    pools: Vec<Pool>,
}

async fn all(State(app): State<App>, caller: Caller) -> Shown {
    Ok(page(&PoolsPage { me: Me::new(caller, "routes"), pools: app.store.pools().await? }))
}

/// A pool as typed: one sender and its rate per line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PoolForm {
    name: String,
    senders: String,
}

impl PoolForm {
    fn of(pool: &Pool) -> Self {
        let lines = pool.config.senders.iter().map(|one| format!("{}, {}", one.sender, one.rate_per_second));
        Self { name: pool.config.name.clone(), senders: lines.collect::<Vec<_>>().join("\n") }
    }

    fn read(&self) -> Result<PoolConfig, Problem> {
        let mut problems = Vec::new();
        let mut senders = Vec::new();
        for line in self.senders.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match sender(line) {
                Ok(sender) => senders.push(sender),
                Err(why) => problems.push(FieldProblem::new("senders", why)),
            }
        }
        if problems.is_empty() {
            Ok(PoolConfig { name: self.name.trim().to_owned(), senders })
        } else {
            Err(Problem::invalid(problems))
        }
    }
}

/// A sender and its rate, which follows the last comma.
fn sender(line: &str) -> Result<PoolSender, String> {
    let (sender, rate) = line.rsplit_once(',').unwrap_or((line, ""));
    let sender = Sender::try_from(sender.trim().to_owned()).map_err(|e| e.to_string())?;
    let rate = rate.trim().parse::<NonZeroU32>();
    let rate = rate.map_err(|_| t::with("pool-line-wrong", ("line", line)).into_owned())?;
    Ok(PoolSender { sender, rate_per_second: rate })
}

#[derive(Template)]
#[template(path = "pool.html")]
struct EditPool {
    me: Me,
    id: Option<PoolId>,
    form: PoolForm,
    wrong: Wrong,
}

impl EditPool {
    fn new(caller: Caller, id: Option<PoolId>, form: PoolForm) -> Self {
        Self { me: Me::new(caller, "routes"), id, form, wrong: Wrong::default() }
    }

    /// The address that removes the pool.
    fn remove(&self) -> String {
        self.id.map(|id| format!("/routes/pools/{id}/remove")).unwrap_or_default()
    }

    /// Shows the form again with its errors.
    fn again(self, problem: Problem) -> Shown {
        let wrong = Wrong(problem.into_fields()?);
        Ok(again(&Self { wrong, ..self }, StatusCode::UNPROCESSABLE_ENTITY))
    }
}

fn id(path: &str) -> Result<PoolId, Refused> {
    path.parse().map_err(|_| Problem::not_found("there is no such pool of senders").into())
}

async fn new(caller: Caller) -> Shown {
    Ok(page(&EditPool::new(caller, None, PoolForm::default())))
}

async fn create(State(app): State<App>, caller: Caller, Posted(form): Posted<PoolForm>) -> Shown {
    let made = async { Ok::<_, Problem>(app.store.create_pool(form.read()?, caller.by()).await?) };
    match made.await {
        Ok(_) => Ok(Redirect::to("/routes/pools").into_response()),
        Err(problem) => EditPool::new(caller, None, form).again(problem),
    }
}

async fn edit(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let pool = app.store.pool(id(&path)?).await?;
    Ok(page(&EditPool::new(caller, Some(pool.id), PoolForm::of(&pool))))
}

async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(form): Posted<PoolForm>,
) -> Shown {
    let id = id(&path)?;
    let saved = async { Ok::<_, Problem>(app.store.edit_pool(id, form.read()?, caller.by()).await?) };
    match saved.await {
        Ok(_) => Ok(Redirect::to("/routes/pools").into_response()),
        Err(problem) => EditPool::new(caller, Some(id), form).again(problem),
    }
}

async fn remove(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    match app.store.remove_pool(id, caller.by()).await {
        Ok(()) => Ok(Redirect::to("/routes/pools").into_response()),
        Err(e) => {
            let pool = app.store.pool(id).await?;
            EditPool::new(caller, Some(id), PoolForm::of(&pool)).again(e.into())
        }
    }
}
