//! Campaign Details: a campaign's status, its outcomes, and its actions.

use std::{borrow::Cow, collections::HashMap};

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use campaign::{
    Action, CampaignId, Msisdn, Outcome, RouteId, SendAs, Status,
    lifecycle::{self, Cause},
    outcome::{self, Kind, TABLE},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Deserialize;
use store::{
    AttemptRow, CallRow, CampaignError, Cursor, Definition, DeliveryRow, Failure, MessageTimes, Outlook,
    Place, ReplyFilter, ReplyRow, StoreError, TimelineEntry,
};

use super::{
    Me, Posted, Refused, Shown,
    chart::{self, Chart},
    index::{Row, list_names},
    page,
    series::{self, Share},
    t,
    words::{self, Given},
};
use crate::{
    App,
    auth::Caller,
    body::DeliveryQuery,
    problem::Problem,
    view::{self, WaitingView},
};

/// Recipients on one page.
const RECIPIENTS: usize = 50;
/// How long a receipt is waited for.
const RECEIPT_WITHIN: SignedDuration = SignedDuration::from_hours(72);
/// The longest remaining time that is shown as a span; later ends are shown as a time.
const AN_HOUR: SignedDuration = SignedDuration::from_hours(1);
/// For how long a page says what was done.
const NEWS: SignedDuration = SignedDuration::from_mins(5);
/// Replies on one page.
const REPLIES: u32 = 100;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/campaigns/{id}", get(details))
        .route("/campaigns/{id}/menu", get(menu))
        .route("/campaigns/{id}/recipients", get(recipients))
        .route("/campaigns/{id}/recipients/{delivery}/settle", post(settle))
        .route("/campaigns/{id}/replies", get(replies))
        .route("/campaigns/{id}/stop", get(ask_stop).post(stop))
        .route("/campaigns/{id}/archive", get(ask_archive).post(archive))
        .route("/campaigns/{id}/clone", post(clone))
        .route("/campaigns/{id}/hang_up", post(hang_up))
        .route("/campaigns/{id}/clone-remaining", post(clone_remaining))
        .route("/campaigns/{id}/error", get(error))
        .route("/campaigns/{id}/release", post(release))
}

/// The campaign in an address.
pub(super) fn id(path: &str) -> Result<CampaignId, Refused> {
    path.parse().map_err(|_| Problem::not_found("there is no such campaign").into())
}

/// The zone in which a campaign's own instants are meant and shown: its own, otherwise the account's.
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
    /// The count of changes before this was read.
    seen: u64,
    timeline: Vec<TimelineEntry>,
    waiting: Vec<WaitingView>,
    sends: Vec<t::Markup>,
    skips: Vec<(String, i64)>,
    failures: Vec<Failure>,
    chart: Option<Chart>,
    /// When it will be done, as far as can be told.
    left: Option<t::Markup>,
    /// What is still to come of it.
    outlook: Outlook,
    route: Option<(RouteId, String)>,
    /// The sender, or the pool's name.
    send_as: Option<String>,
    replies: i64,
    /// Why it could not go on.
    error: Option<CampaignError>,
    /// What was just done, in words.
    done: Option<Cow<'static, str>>,
    /// What could not be done, and why.
    refused: Option<String>,
}

impl Details {
    fn is_voice(&self) -> bool {
        self.row.campaign.definition.content.calls().is_some()
    }

    fn outcomes(&self) -> impl Iterator<Item = (&'static outcome::Row, i64)> {
        self.row.counts()
    }

    /// How many messages or calls came to an end, as the script keeps it up to date.
    fn settled(&self) -> t::Counted {
        t::counted("settled", self.row.totals.settled())
    }

    /// How many there are.
    fn all(&self) -> t::Counted {
        t::counted("total", self.row.totals.sum())
    }

    /// The figures at the top: what one wants to know first.
    fn figures(&self) -> Vec<Figure> {
        let (reached, failed) = (self.row.reached(), self.row.failed());
        let handed_over = reached + failed + self.row.at(Place::Settled(Outcome::Sent));
        let share = |n: i64| if handed_over == 0 { 0 } else { n * 100 / handed_over };
        let of_those = |n| t::with("percent-of-sent", ("n", share(n)));
        let words = |kind| {
            let rows = self.row.counts().filter(|(row, _)| row.kind == kind && row.place.is_settled());
            rows.map(|(row, _)| row.word).collect::<Vec<_>>().join(" ")
        };
        let channel = self.row.campaign.definition.channel().word();
        let figure = |name, words, count, note| Figure { name, words, count, note };
        // What was cancelled is not settled, and will not be sent either.
        let to_go: Vec<_> = self.row.counts().filter(|(row, _)| series::of(row).is_none()).collect();
        let left = to_go.iter().map(|(_, n)| n).sum();
        let to_go: Vec<&str> = to_go.iter().map(|(row, _)| row.word).collect();
        let still = self.left.clone().unwrap_or_else(|| t::Markup::text(""));
        vec![
            figure(
                t::word("reached", channel),
                words(Kind::Good),
                reached,
                t::Markup::text(&of_those(reached)),
            ),
            figure(
                t::word("not-reached", channel),
                words(Kind::Bad),
                failed,
                t::Markup::text(&of_those(failed)),
            ),
            figure(t::word("to-go", channel), to_go.join(" "), left, still),
            figure(t::say("replies"), String::new(), self.replies, t::Markup::text("")),
        ]
    }

    /// Whether it waits for something that does not come by itself.
    fn needs_a_person(&self) -> bool {
        self.waiting.iter().any(|w| w.needs_a_person)
    }

    /// What the button says that releases what is held.
    fn release(&self) -> Cow<'static, str> {
        let held = self.row.at(Place::Pending);
        if self.waiting.iter().any(|w| w.reason == "pilot") {
            return t::with("release-others", ("n", held));
        }
        words::action(Action::Release)
    }

    /// Why deliveries did not arrive, the most frequent reason first.
    fn reasons(&self) -> Vec<Reason> {
        let failed = self.failures.iter().map(|f| {
            let code = f.code.map(|code| t::with("code", ("code", code.to_string())));
            let why = why_failed(f);
            Reason {
                outcome: t::word("outcome", f.outcome.word()),
                series: series::or_left(Place::Settled(f.outcome).row()),
                why: code.map_or_else(|| why.clone(), |code| format!("{why} ({code})")),
                query: who_failed(f),
                count: f.count,
                most: 0,
            }
        });
        let skipped = self.skips.iter().map(|(reason, count)| Reason {
            outcome: t::word("outcome", Outcome::Skipped.word()),
            series: "skipped",
            why: t::word("skipped", reason).into_owned(),
            query: format!("outcome=skipped&reason={reason}"),
            count: *count,
            most: 0,
        });
        let mut all: Vec<Reason> = failed.chain(skipped).collect();
        all.sort_by_key(|reason| -reason.count);
        let most = all.first().map_or(1, |reason| reason.count);
        for reason in &mut all {
            reason.most = most;
        }
        all
    }

    fn why_not(&self) -> Cow<'static, str> {
        t::with("why-not", ("n", self.reasons().iter().map(|reason| reason.count).sum::<i64>()))
    }

    /// The outcomes that have a column in the table of messages: those that any message reached, and the usual ones.
    fn columns(&self) -> Vec<&'static str> {
        let counts = self.row.counts();
        counts.filter(|(row, n)| *n > 0 || row.usual).map(|(row, _)| row.word).collect()
    }

    /// A message's counts, in the order of the columns.
    fn of_message(&self, at: impl Given<usize>) -> Vec<(&'static str, i64)> {
        let columns = self.columns();
        let totals = self.row.campaign.totals.get(at.given()).copied().unwrap_or_default();
        let counts = totals.counts(self.row.campaign.definition.channel());
        counts.map(|(row, n)| (row.word, n)).filter(|(word, _)| columns.contains(word)).collect()
    }

    /// When a message goes, according to what is still to come.
    fn times(&self, n: impl Given<usize>) -> Option<&MessageTimes> {
        self.outlook.times.iter().find(|times| times.n as usize == n.given())
    }
}

/// A figure at the top of a campaign's page.
struct Figure {
    name: Cow<'static, str>,
    /// The words of the outcomes whose counts it is the sum of; the script keeps it up to date.
    words: String,
    count: i64,
    note: t::Markup,
}

/// Why deliveries did not arrive.
struct Reason {
    outcome: Cow<'static, str>,
    series: &'static str,
    why: String,
    /// The query that finds these recipients.
    query: String,
    count: i64,
    /// The count of the most frequent reason.
    most: i64,
}

impl Reason {
    /// The bar that compares it with the most frequent one.
    fn share(&self) -> Vec<Share> {
        let width = self.count as f64 * 100.0 / self.most.max(1) as f64;
        vec![Share { series: self.series, from: 0.0, width }]
    }
}

/// The recipients whose deliveries are counted together, as a query: by the code, where there is one.
fn who_failed(f: &Failure) -> String {
    let outcome = f.outcome.word();
    f.code.map_or_else(|| format!("outcome={outcome}"), |code| format!("outcome={outcome}&code={code}"))
}

fn why_failed(f: &Failure) -> String {
    words::why_failed(f.detail.as_deref(), f.code)
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
    let seen = app.store.change_count();
    let campaign = app.store.campaign(id).await?;
    let waiting = app.engine.get().map(|e| view::waiting(e, &campaign)).unwrap_or_default();
    let route = match campaign.definition.route_id {
        Some(route) => Some(app.store.route(route).await?),
        None => None,
    };
    let send_as = send_as(app, &campaign.definition).await?;
    let row = Row::of(app, campaign, &list_names(app).await?);
    let outlook = app.store.outlook(id, app.pace(), Timestamp::now()).await?;
    let mut waiting = waiting;
    for w in waiting.iter_mut().filter(|w| w.reason == "not_due") {
        // A message after another is due when that one has really gone.
        w.until = outlook.next.or(w.until);
    }
    let left = left(&row, &outlook, &waiting);
    let timeline = app.store.timeline(id).await?;
    let any_failed = row.at(Place::Settled(Outcome::InDoubt)) > 0
        || row.counts().any(|(row, n)| row.kind == Kind::Bad && n > 0);
    Ok(Details {
        me: Me::new(caller, "campaigns"),
        seen,
        done: done(did, &row).filter(|_| is_news(did, &timeline)),
        timeline,
        sends: row.campaign.definition.content.sends().iter().map(words::send).collect(),
        skips: app.store.skips(id).await?,
        failures: if any_failed { app.store.failures(id).await? } else { Vec::new() },
        chart: chart::outcomes(
            &app.store.course(id).await?,
            row.campaign.definition.content.calls().is_some(),
        ),
        replies: app.store.reply_count(id).await?,
        error: app.store.campaign_error(id).await?,
        refused: None,
        route: route.map(|r| (r.id, r.config.name)),
        send_as,
        left,
        outlook,
        waiting,
        row,
    })
}

/// A campaign's sender, or its pool's name.
async fn send_as(app: &App, d: &Definition) -> store::Result<Option<String>> {
    Ok(match d.content.send_as() {
        Some(SendAs::One(sender)) => Some(sender.to_string()),
        Some(SendAs::Pool(pool)) => match app.store.pool(*pool).await {
            Ok(pool) => Some(pool.config.name),
            // What was sent stays, whatever became of the pool.
            Err(StoreError::NotFound(_)) => Some(pool.to_string()),
            Err(e) => return Err(e),
        },
        None => None,
    })
}

/// How long a running campaign will still take, or when its last message goes.
fn left(row: &Row, outlook: &Outlook, waiting: &[WaitingView]) -> Option<t::Markup> {
    if row.campaign.status != Status::Running || row.at(Place::Pending) == 0 {
        return None;
    }
    let last = outlook.last?;
    let span = last.duration_since(Timestamp::now());
    if span < AN_HOUR && waiting.is_empty() {
        return Some(t::html("time-left", ("span", words::span(span))));
    }
    Some(t::html("last-due", ("at", t::time(last))))
}

/// Who did it: a person, or the program by itself.
fn actor(entry: &TimelineEntry) -> Cow<'_, str> {
    if entry.actor == store::BY_ITSELF { t::say("system") } else { entry.actor.as_str().into() }
}

/// Why a campaign waits, in words.
pub(super) fn waits(w: &WaitingView) -> t::Markup {
    if let ("not_due", Some(until)) = (w.reason, w.until) {
        return t::html("next-due", ("at", t::time(until)));
    }
    let why = t::word("waiting", w.reason);
    let why = match &w.detail {
        Some(detail) => t::with("why-detail", ("why", why, "detail", detail)),
        None => why,
    };
    match w.until {
        Some(until) => t::html("why-text-until", ("why", why, "until", t::time(until))),
        None => t::html("why-text", ("why", why)),
    }
}

/// The result of an action, with its figures.
fn done(did: &str, row: &Row) -> Option<Cow<'static, str>> {
    let n = &row.totals;
    let left = n.settled() - n[Place::Settled(Outcome::Skipped)];
    Some(match did {
        "stop" => t::with("done-stop", ("left", left, "cancelled", n[Place::Cancelled])),
        "schedule" => t::with("done-schedule", ("n", row.campaign.audience)),
        "restart" => t::with("done-restart", ("n", n[Place::Pending])),
        "adjust" => t::say("done-adjust"),
        "archive" => t::say("done-archive"),
        "clone" => t::say("done-clone"),
        "release" => t::say("done-release"),
        "hang_up" => t::say("done-hang-up"),
        "saved" => t::say("saved"),
        _ => return None,
    })
}

/// Whether what an address says was done was done lately: anybody can write or keep an address.
fn is_news(did: &str, timeline: &[TimelineEntry]) -> bool {
    let lately = |entry: &&TimelineEntry| Timestamp::now().duration_since(entry.at) < NEWS;
    let cause = if did == Action::Clone.word() { "created" } else { did };
    did == "saved" || timeline.iter().rev().take_while(lately).any(|entry| entry.cause == cause)
}

/// Goes to a campaign's page, which says what was done.
pub(super) fn went(id: CampaignId, did: &str) -> Response {
    Redirect::to(&format!("/campaigns/{id}?did={did}")).into_response()
}

/// The page after an action: its result, or the campaign unchanged with the reason for the refusal.
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
        StoreError::NotAllowed(no) => {
            let (action, status) = (words::action(action), words::status(no.status));
            t::with("not-possible", ("action", action, "status", status)).into_owned()
        }
        other => other.to_string(),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StopForm {
    /// Whether calls that are up end now.
    hang_up: bool,
}

async fn stop(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(how): Posted<StopForm>,
) -> Shown {
    let id = id(&path)?;
    let stopped = app.stop(id, how.hang_up, caller.by()).await;
    acted(&app, caller, id, Action::Stop, stopped.map(|()| id)).await
}

async fn hang_up(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    let ended = app.hang_up(id, caller.by()).await;
    acted(&app, caller, id, Action::HangUp, ended.map(|campaign| campaign.id)).await
}

async fn clone_remaining(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    let copy = app.store.clone_remaining(id, None, caller.by()).await;
    acted(&app, caller, id, Action::Clone, copy.map(|campaign| campaign.id)).await
}

/// The actions of a campaign, as a part of the page that lists it.
#[derive(Template)]
#[template(path = "menu_part.html")]
struct MenuPart {
    row: Row,
}

async fn menu(State(app): State<App>, _: Caller, Path(path): Path<String>) -> Shown {
    let row = Row::of(&app, app.store.campaign(id(&path)?).await?, &list_names(&app).await?);
    Ok(page(&MenuPart { row }))
}

/// Why a campaign could not go on.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    me: Me,
    row: Row,
    error: CampaignError,
}

async fn error(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id = id(&path)?;
    let error = app.store.campaign_error(id).await?;
    let error = error.ok_or_else(|| Problem::not_found("the campaign has no error"))?;
    let row = Row::of(&app, app.store.campaign(id).await?, &list_names(&app).await?);
    Ok(page(&ErrorPage { me: Me::new(caller, "campaigns"), row, error }))
}

/// Asks for confirmation of an action that cannot be undone, and shows what it would do.
#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm {
    me: Me,
    row: Row,
    action: Action,
    /// What the action would do, in words.
    warning: Cow<'static, str>,
}

async fn confirm(app: &App, caller: Caller, path: &str, action: Action) -> Shown {
    let id = id(path)?;
    let campaign = app.store.campaign(id).await?;
    let channel = campaign.definition.channel();
    if let Err(e) = lifecycle::transition(channel, campaign.status, Cause::Act(action)) {
        return acted(app, caller, id, action, Err(e.into())).await;
    }
    let row = Row::of(app, campaign, &list_names(app).await?);
    let pending = row.at(Place::Pending);
    let warning = match action {
        Action::Archive if pending > 0 => t::with("archive-sure-cancels", ("n", pending)),
        Action::Archive => t::say("archive-sure"),
        _ if row.campaign.definition.content.calls().is_some() => t::with("stop-sure-calls", ("n", pending)),
        _ => t::with("stop-sure", ("n", pending)),
    };
    Ok(page(&Confirm { me: Me::new(caller, "campaigns"), row, action, warning }))
}

async fn ask_stop(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    confirm(&app, caller, &path, Action::Stop).await
}

async fn ask_archive(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    confirm(&app, caller, &path, Action::Archive).await
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
    /// The names of those who have one, by number.
    names: HashMap<String, String>,
    attempts: HashMap<Cursor, Vec<AttemptRow>>,
    calls: HashMap<Cursor, Vec<CallRow>>,
    q: String,
    outcome: String,
    message: Option<u32>,
    next: Option<String>,
    replies: i64,
}

impl Recipients {
    fn is_voice(&self) -> bool {
        self.row.campaign.definition.content.calls().is_some()
    }

    fn calls_to(&self, item: &DeliveryRow) -> Option<&Vec<CallRow>> {
        self.calls.get(&item.id)
    }

    /// The words of what a doubt may be settled as.
    fn by_hand(&self) -> Vec<&'static str> {
        Outcome::by_hand(self.row.campaign.definition.channel()).map(Outcome::word).into()
    }

    /// The outcome to filter by.
    fn outcomes(&self) -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.word)
    }

    fn is_message(&self, n: impl Given<usize>) -> bool {
        self.message.is_some_and(|message| message as usize == n.given())
    }

    /// The attempts before the last, if there were any.
    fn history(&self, item: &DeliveryRow) -> Option<&Vec<AttemptRow>> {
        self.attempts.get(&item.id)
    }
}

/// Why a delivery has its outcome, in words: the reason of a skip, or what the carrier said, or did not say in time.
pub(super) fn why(item: &DeliveryRow) -> String {
    let waited = item.sent_at.map(|at| Timestamp::now().duration_since(at));
    if item.outcome == Place::Settled(Outcome::Sent) && waited.is_some_and(|w| w > RECEIPT_WITHIN) {
        return t::say("no-receipt").into_owned();
    }
    match (&item.reason, &item.detail) {
        (Some(reason), _) => t::word("skipped", reason).into_owned(),
        (None, detail) if matches!(item.outcome, Place::Settled(Outcome::Undelivered | Outcome::Failed)) => {
            words::why_failed(detail.as_deref(), item.code)
        }
        (None, Some(detail)) => detail.clone(),
        (None, None) => String::new(),
    }
}

/// Whether a person should say what became of the delivery.
fn is_in_doubt(item: &DeliveryRow) -> bool {
    item.outcome == Place::Settled(Outcome::InDoubt)
}

async fn recipients(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Query(query): Query<DeliveryQuery>,
) -> Shown {
    let id = id(&path)?;
    let (q, outcome, message) =
        (query.q.clone().unwrap_or_default(), query.outcome.clone().unwrap_or_default(), query.message);
    let (reason, code) = (query.reason.clone().unwrap_or_default(), query.code);
    let filter = query.filter()?;
    let (items, next): (Vec<DeliveryRow>, Option<Cursor>) = app.deliveries(id, filter, RECIPIENTS).await?;
    let row = Row::of(&app, app.store.campaign(id).await?, &list_names(&app).await?);
    let next = next.map(|c| {
        let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
        let (message, code) = (number(message), number(code));
        let asked =
            [("q", &q), ("outcome", &outcome), ("message", &message), ("reason", &reason), ("code", &code)];
        let kept: Vec<(&str, &String)> = asked.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let kept = serde_html_form::to_string(&kept).unwrap_or_default();
        format!("?{kept}&cursor={c}")
    });
    let ids: Vec<Cursor> = items.iter().map(|item| item.id).collect();
    let numbers = items.iter().filter_map(|item| Msisdn::from_address(&item.number)).collect();
    let names = app.store.names_of(numbers).await?;
    let attempts = app.store.attempts(id, ids.clone()).await?;
    let calls = app.store.calls(id, ids).await?.unwrap_or_default();
    Ok(page(&Recipients {
        me: Me::new(caller, "campaigns"),
        row,
        items,
        names,
        attempts,
        calls,
        q,
        outcome,
        message,
        next,
        replies: app.store.reply_count(id).await?,
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
    let outcome =
        Outcome::from_word(&form.outcome).ok_or_else(|| Problem::field("outcome", t::say("choose")))?;
    app.store.settle_doubt(id, delivery, outcome, caller.by()).await?;
    Ok(Redirect::to(&format!("/campaigns/{id}/recipients?outcome=in_doubt")).into_response())
}

#[derive(Template)]
#[template(path = "replies.html")]
struct Replies {
    me: Me,
    row: Row,
    items: Vec<ReplyRow>,
    /// Whether to show only replies that read like a refusal.
    only: bool,
    next: Option<i64>,
    /// How many there are in all.
    count: i64,
}

#[derive(Deserialize)]
struct Only {
    #[serde(default)]
    only: String,
    before: Option<i64>,
}

async fn replies(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Query(asked): Query<Only>,
) -> Shown {
    let id = id(&path)?;
    let row = Row::of(&app, app.store.campaign(id).await?, &list_names(&app).await?);
    let refusals = asked.only == "refusal";
    let filter = ReplyFilter { before: asked.before, refusals, ..ReplyFilter::default() };
    let only = filter.refusals;
    let items = app.store.replies(id, filter, REPLIES).await?;
    let next = items.last().filter(|_| items.len() == REPLIES as usize).map(|reply| reply.id);
    let count = app.store.reply_count(id).await?;
    Ok(page(&Replies { me: Me::new(caller, "campaigns"), row, items, only, next, count }))
}
