//! Webhooks: who is notified of events, and the log of each.

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use campaign::WebhookId;
use serde::Deserialize;
use store::{EventRow, Level, StoreError, Webhook};

use super::{Me, Posted, Refused, Shown, Wrong, again, page, t, words};
use crate::{App, auth::Caller, problem::Problem, webhook};

/// Events on one page of a webhook's log.
const EVENTS: u32 = 50;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/settings/webhooks", get(all).post(add))
        .route("/settings/webhooks/{id}", get(log))
        .route("/settings/webhooks/{id}/test", post(test))
        .route("/settings/webhooks/{id}/switch", post(switch))
        .route("/settings/webhooks/{id}/remove", post(remove))
        .route("/settings/webhooks/{id}/events/{event}/again", post(tell_again))
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    me: Me,
    webhooks: Vec<Webhook>,
    /// The secret of the webhook that was just created, shown once.
    secret: Option<String>,
    form: NewWebhook,
    wrong: Wrong,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewWebhook {
    url: String,
    levels: Vec<Level>,
}

impl WebhooksPage {
    async fn new(app: &App, caller: Caller) -> store::Result<Self> {
        Ok(Self {
            me: Me::new(caller, "settings"),
            webhooks: app.store.webhooks().await?,
            secret: None,
            form: NewWebhook::default(),
            wrong: Wrong::default(),
        })
    }

    fn has(&self, level: Level) -> bool {
        self.form.levels.contains(&level)
    }
}

async fn all(State(app): State<App>, caller: Caller) -> Shown {
    Ok(page(&WebhooksPage::new(&app, caller).await?))
}

async fn add(State(app): State<App>, caller: Caller, Posted(form): Posted<NewWebhook>) -> Shown {
    match webhook::add(&app, &form.url, form.levels.clone(), caller.by()).await {
        Ok((_, secret)) => Ok(page(&WebhooksPage {
            secret: Some(secret.expose().to_owned()),
            ..WebhooksPage::new(&app, caller).await?
        })),
        Err(StoreError::Invalid(problems)) => {
            let page =
                WebhooksPage { form, wrong: Wrong(problems), ..WebhooksPage::new(&app, caller).await? };
            Ok(again(&page, StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(e) => Err(e.into()),
    }
}

fn id(path: &str) -> Result<WebhookId, Refused> {
    path.parse().map_err(|_| Problem::not_found("there is no such webhook").into())
}

fn back(id: WebhookId) -> Response {
    Redirect::to(&format!("/settings/webhooks/{id}")).into_response()
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct Log {
    me: Me,
    webhook: Webhook,
    /// The count of changes before this was read.
    seen: u64,
    events: Vec<EventRow>,
    next: Option<i64>,
}

impl Log {
    fn remove(&self) -> String {
        format!("/settings/webhooks/{}/remove", self.webhook.id)
    }
}

#[derive(Deserialize)]
struct Before {
    before: Option<i64>,
}

async fn log(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Query(query): Query<Before>,
) -> Shown {
    let id = id(&path)?;
    let seen = app.store.change_count();
    let webhook = app.store.webhook(id).await?;
    let events = app.store.webhook_log(id, query.before, EVENTS).await?;
    let full = events.len() == EVENTS as usize;
    let next = events.last().filter(|_| full).map(|event| event.id);
    Ok(page(&Log { me: Me::new(caller, "settings"), webhook, seen, events, next }))
}

async fn test(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    app.store.test_webhook(id, caller.by()).await?;
    Ok(back(id))
}

async fn switch(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    let on = app.store.webhook(id).await?.off.is_none();
    app.store
        .switch_webhook(
            id,
            on.then(|| t::with("webhook-off-by", ("who", &caller.name)).into_owned()),
            caller.by(),
        )
        .await?;
    Ok(back(id))
}

async fn remove(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    app.store.remove_webhook(id(&path)?, caller.by()).await?;
    Ok(Redirect::to("/settings/webhooks").into_response())
}

async fn tell_again(
    State(app): State<App>,
    caller: Caller,
    Path((path, event)): Path<(String, String)>,
) -> Shown {
    let id = id(&path)?;
    let event = event.parse().map_err(|_| Problem::not_found("there is no such event"))?;
    app.store.tell_again(id, event, caller.by()).await?;
    Ok(back(id))
}
