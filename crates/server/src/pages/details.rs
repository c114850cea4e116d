//! Campaign Details: where a campaign stands, what became of it, what can be done with it.

use std::collections::HashMap;

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use campaign::{Action, CampaignId, Outcome, Status};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Deserialize;
use store::{AttemptRow, Cursor, Definition, DeliveryRow, Place, ReplyRow, StoreError, TimelineEntry};

use super::{
    Me, Posted, Refused, Shown,
    index::{Row, list_names},
    page, shown,
    words::{self, Given},
};
use crate::{
    App,
    api::{
        deliveries::ListQuery,
        view::{self, WaitingView},
    },
    auth::Caller,
    chart,
    problem::Problem,
};

/// Recipients on a page.
const RECIPIENTS: usize = 50;
/// What has no receipt by then is not waited for any more.
const RECEIPT_WITHIN: SignedDuration = SignedDuration::from_hours(72);
/// Replies on a page.
const REPLIES: u32 = 500;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/campaigns/{id}", get(details))
        .route("/campaigns/{id}/recipients", get(recipients))
        .route("/campaigns/{id}/recipients/{delivery}/settle", post(settle))
        .route("/campaigns/{id}/replies", get(replies))
        .route("/campaigns/{id}/stop", post(stop))
        .route("/campaigns/{id}/archive", post(archive))
        .route("/campaigns/{id}/clone", post(clone))
        .route("/campaigns/{id}/release", post(release))
}

/// The campaign of an address.
pub(super) fn id(path: &str) -> Result<CampaignId, Refused> {
    path.parse().map_err(|_| Problem::not_found("there is no such campaign").into())
}

/// The zone that a campaign's own instants are meant and shown in: its own, else the account's.
pub(super) async fn zone(app: &App, d: &Definition) -> store::Result<TimeZone> {
    let name = match &d.time_zone {
        Some(name) => name.clone(),
        None => app.store.settings().await?.time_zone,
    };
    Ok(TimeZone::get(&name).unwrap_or(TimeZone::UTC))
}

#[derive(Template)]
#[template(path = "details.html")]
struct Details {
    me: Me,
    row: Row,
    timeline: Vec<TimelineEntry>,
    waiting: Vec<WaitingView>,
    sends: Vec<String>,
    skips: Vec<(String, i64)>,
    chart: Option<String>,
    time_left: Option<String>,
    route: Option<String>,
    replies: i64,
    /// What was just done, in words.
    done: Option<String>,
    /// What could not be done, and why.
    refused: Option<String>,
}

impl Details {
    fn outcomes(&self) -> [(&'static str, &'static str, i64); 9] {
        let t = &self.row.totals;
        [
            ("delivered", "Delivered", t.delivered),
            ("sent", "Sent", t.sent),
            ("undelivered", "Undelivered", t.undelivered),
            ("failed", "Failed", t.failed),
            ("in_doubt", "In doubt", t.in_doubt),
            ("skipped", "Skipped", t.skipped),
            ("cancelled", "Cancelled", t.cancelled),
            ("sending", "Sending", t.sending),
            ("pending", "Pending", t.pending),
        ]
    }
}

#[derive(Deserialize)]
struct Did {
    #[serde(default)]
    did: String,
}

async fn details(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Query(did): Query<Did>,
) -> Shown {
    let details = read(&app, caller, id(&path)?, &did.did).await?;
    Ok(page(&details))
}

async fn read(app: &App, caller: Caller, id: CampaignId, did: &str) -> Result<Details, Refused> {
    let campaign = app.store.campaign(id).await?;
    let waiting = app.engine.get().map(|e| view::waiting(e, &campaign)).unwrap_or_default();
    let route = match campaign.definition.route_id {
        Some(route) => Some(app.store.route(route).await?),
        None => None,
    };
    let zone = zone(app, &campaign.definition).await?;
    let row = Row::of(campaign, &list_names(app).await?);
    let rate = route.as_ref().map_or(1, |r| r.config.rate_per_second.max(1));
    let flows = row.campaign.status == Status::Running && waiting.is_empty() && row.totals.pending > 0;
    let time_left = flows
        .then(|| SignedDuration::from_secs(row.totals.pending / i64::from(rate)))
        .map(|span| format!("about {} left at the route's rate", words::span(span)));
    Ok(Details {
        me: Me::new(caller, "campaigns"),
        timeline: app.store.timeline(id).await?,
        sends: row.campaign.definition.messages.iter().map(|m| words::send(&m.send, &zone)).collect(),
        skips: app.store.skips(id).await?,
        chart: chart::outcomes(&app.store.course(id).await?),
        replies: app.store.reply_count(id).await?,
        done: done(did, &row),
        refused: None,
        route: route.map(|r| r.config.name),
        time_left,
        waiting,
        row,
    })
}

/// What an action brought, with its figures.
fn done(did: &str, row: &Row) -> Option<String> {
    let t = &row.totals;
    let left = t.sum() - t.pending - t.sending - t.cancelled - t.skipped;
    Some(match did {
        "stop" => {
            let (left, cancelled) = (words::number(left), words::number(t.cancelled));
            format!("Stopped; {left} had left, {cancelled} cancelled.")
        }
        "schedule" => format!("Scheduled for {} recipients.", words::number(row.campaign.audience)),
        "restart" => format!("Restarted; {} are planned anew.", words::number(t.pending)),
        "adjust" => "The schedule is adjusted.".to_owned(),
        "archive" => "Archived. It is hidden from the index; the filter 'Archived' shows it.".to_owned(),
        "clone" => {
            "This is the copy. Acknowledge the opt-in approval and schedule it when it is ready.".to_owned()
        }
        "release" => "Released: what was held goes now.".to_owned(),
        "saved" => "Saved.".to_owned(),
        _ => return None,
    })
}

/// Goes to a campaign's page, where it says what was done.
pub(super) fn went(id: CampaignId, did: &str) -> Response {
    Redirect::to(&format!("/campaigns/{id}?did={did}")).into_response()
}

/// The page of an action: what it brought, or the campaign as it is with why it could not be done.
pub(super) async fn acted(
    app: &App,
    caller: Caller,
    id: CampaignId,
    action: Action,
    result: store::Result<CampaignId>,
) -> Shown {
    match result {
        Ok(to) => Ok(went(to, action.word())),
        Err(e @ (StoreError::NotAllowed(_) | StoreError::Busy | StoreError::Stale { .. })) => {
            let refused = Some(refusal(&e, action));
            let details = Details { refused, ..read(app, caller, id, "").await? };
            Ok((StatusCode::CONFLICT, page(&details)).into_response())
        }
        Err(e) => Err(e.into()),
    }
}

/// Why an action could not be done, for people.
pub(super) fn refusal(e: &StoreError, action: Action) -> String {
    match e {
        StoreError::NotAllowed(no) => format!(
            "{} is not possible now: the campaign is {}. Somebody else may have acted on it; what is shown is how it stands.",
            words::action(action),
            words::status(no.status)
        ),
        other => other.to_string(),
    }
}

async fn stop(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    let stopped = app.stop(id, caller.by()).await;
    acted(&app, caller, id, Action::Stop, stopped.map(|()| id)).await
}

async fn archive(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    let archived = app.store.archive(id, caller.by()).await;
    acted(&app, caller, id, Action::Archive, archived.map(|c| c.id)).await
}

async fn clone(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    let copy = app.store.clone_campaign(id, None, caller.by()).await;
    acted(&app, caller, id, Action::Clone, copy.map(|c| c.id)).await
}

async fn release(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    let released = app.store.release(id, caller.by()).await;
    acted(&app, caller, id, Action::Release, released.map(|c| c.id)).await
}

#[derive(Template)]
#[template(path = "recipients.html")]
struct Recipients {
    me: Me,
    row: Row,
    items: Vec<DeliveryRow>,
    attempts: HashMap<Cursor, Vec<AttemptRow>>,
    q: String,
    outcome: String,
    message: Option<u32>,
    next: Option<String>,
}

impl Recipients {
    fn places(&self) -> [&'static str; 9] {
        [
            "pending",
            "sending",
            "sent",
            "delivered",
            "undelivered",
            "failed",
            "skipped",
            "cancelled",
            "in_doubt",
        ]
    }

    fn is_message(&self, n: impl Given<usize>) -> bool {
        self.message.is_some_and(|message| message as usize == n.given())
    }

    /// The attempts before the last, where there were any.
    fn history(&self, item: &DeliveryRow) -> Option<&Vec<AttemptRow>> {
        self.attempts.get(&item.id)
    }

    /// Why, in words: the reason of a skip, else what the carrier said, or did not say in time.
    fn why(&self, item: &DeliveryRow) -> String {
        let waited = item.sent_at.map(|at| Timestamp::now().duration_since(at));
        if item.outcome == Place::Settled(Outcome::Sent) && waited.is_some_and(|w| w > RECEIPT_WITHIN) {
            return "no receipt".to_owned();
        }
        match (&item.reason, &item.detail) {
            (Some(reason), _) => words::skipped(reason).to_owned(),
            (None, Some(detail)) => detail.clone(),
            (None, None) => String::new(),
        }
    }
}

async fn recipients(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Query(query): Query<ListQuery>,
) -> Shown {
    let id = id(&path)?;
    let (q, outcome, message) =
        (query.q.clone().unwrap_or_default(), query.outcome.clone().unwrap_or_default(), query.message);
    let filter = query.filter()?;
    let (items, next): (Vec<DeliveryRow>, Option<Cursor>) =
        app.store.deliveries(id, filter, RECIPIENTS).await?;
    let row = Row::of(app.store.campaign(id).await?, &list_names(&app).await?);
    let next = next.map(|c| {
        let message = message.map(|m| m.to_string()).unwrap_or_default();
        let asked = [("q", &q), ("outcome", &outcome), ("message", &message)];
        let kept: Vec<(&str, &String)> = asked.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let kept = serde_html_form::to_string(&kept).unwrap_or_default();
        format!("?{kept}&cursor={c}")
    });
    let attempts = app.store.attempts(id, items.iter().map(|item| item.id).collect()).await?;
    Ok(page(&Recipients {
        me: Me::new(caller, "campaigns"),
        row,
        items,
        attempts,
        q,
        outcome,
        message,
        next,
    }))
}

#[derive(Deserialize)]
struct Settle {
    #[serde(default)]
    outcome: String,
}

async fn settle(
    State(app): State<App>,
    caller: Caller,
    Path((path, delivery)): Path<(String, String)>,
    Posted(form): Posted<Settle>,
) -> Shown {
    let id = id(&path)?;
    let delivery = delivery.parse().map_err(|()| Problem::not_found("there is no such delivery"))?;
    let outcome = if form.outcome == "sent" { Outcome::Sent } else { Outcome::Failed };
    app.store.settle_doubt(id, delivery, outcome, caller.by()).await?;
    Ok(Redirect::to(&format!("/campaigns/{id}/recipients?outcome=in_doubt")).into_response())
}

/// An outcome as people read it.
fn outcome(place: impl Given<Place>) -> String {
    place_words(place.given().word())
}

fn place_words(word: &str) -> String {
    let mut words = word.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

#[derive(Template)]
#[template(path = "replies.html")]
struct Replies {
    me: Me,
    row: Row,
    items: Vec<ReplyRow>,
    only: bool,
}

#[derive(Deserialize)]
struct Only {
    #[serde(default)]
    only: String,
}

async fn replies(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Query(only): Query<Only>,
) -> Shown {
    let id = id(&path)?;
    let row = Row::of(app.store.campaign(id).await?, &list_names(&app).await?);
    let only = only.only == "refusal";
    let mut items = app.store.replies(id, REPLIES).await?;
    items.retain(|r| !only || r.keyword.as_deref() == Some("refusal"));
    Ok(page(&Replies { me: Me::new(caller, "campaigns"), row, items, only }))
}

/// What a reply was taken for.
fn keyword(word: &str) -> &'static str {
    match word {
        "opt_out" => "opted out",
        "opt_in" => "opted in",
        "help" => "asked for help",
        "refusal" => "reads like a refusal",
        _ => "",
    }
}
