//! Two live pages: the Campaign Index and Campaign Details. They look and change nothing; a token in a cookie
//! opens them.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use campaign::{CampaignId, Totals};
use jiff::Timestamp;
use serde::Deserialize;
use store::{CampaignFilter, TimelineEntry};

use crate::{App, api::view::CampaignView, auth, problem::Problem};

/// Campaigns on the Index.
const SHOWN: u32 = 100;
/// What a page may load: itself, nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(index))
        .route("/campaigns/{id}", get(details))
        .route("/sign-in", get(sign_in).post(signed_in))
        .route("/assets/page.css", get(async || asset("text/css", include_str!("../assets/page.css"))))
        .route("/assets/live.js", get(async || asset("text/javascript", include_str!("../assets/live.js"))))
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=300")], text)
}

/// A bar of outcomes: its parts in per cent of all.
struct Progress {
    totals: Totals,
}

impl Progress {
    fn parts(&self) -> [(&'static str, i64); 9] {
        let t = &self.totals;
        [
            ("delivered", t.delivered),
            ("sent", t.sent),
            ("undelivered", t.undelivered),
            ("failed", t.failed),
            ("in doubt", t.in_doubt),
            ("skipped", t.skipped),
            ("cancelled", t.cancelled),
            ("sending", t.sending),
            ("pending", t.pending),
        ]
    }

    fn settled(&self) -> i64 {
        let t = &self.totals;
        t.sum() - t.pending - t.sending
    }

    fn percent(&self) -> i64 {
        if self.totals.sum() == 0 { 0 } else { self.settled() * 100 / self.totals.sum() }
    }
}

struct Row {
    campaign: CampaignView,
    progress: Progress,
}

impl Row {
    fn of(app: &App, c: store::Campaign) -> Self {
        let campaign = CampaignView::of(app, c);
        let progress = Progress { totals: campaign.totals };
        Self { campaign, progress }
    }
}

#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "details.html")]
struct Details {
    row: Row,
    timeline: Vec<TimelineEntry>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    wrong: bool,
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response(),
        Err(e) => Problem::from(store::StoreError::Database(e.to_string())).into_response(),
    }
}

/// Whether the request's cookie opens pages.
async fn opens(app: &App, headers: &HeaderMap) -> bool {
    auth::caller(app, auth::cookie(headers)).await.is_ok()
}

fn keep(token: &str) -> Option<HeaderValue> {
    let plain = token.bytes().all(|b| b.is_ascii_alphanumeric());
    let cookie = format!("{}={token}; HttpOnly; SameSite=Strict; Path=/", auth::COOKIE);
    plain.then(|| HeaderValue::from_str(&cookie).ok()).flatten()
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
}

async fn index(State(app): State<App>, Query(query): Query<Token>, headers: HeaderMap) -> Response {
    // The link that the command line prints.
    if let Some(cookie) = query.token.as_deref().and_then(keep) {
        return ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response();
    }
    if !opens(&app, &headers).await {
        return Redirect::to("/sign-in").into_response();
    }
    match app.store.campaigns(CampaignFilter::default(), SHOWN).await {
        Ok(found) => page(&Index { rows: found.into_iter().map(|c| Row::of(&app, c)).collect() }),
        Err(e) => Problem::from(e).into_response(),
    }
}

async fn details(
    State(app): State<App>,
    axum::extract::Path(id): axum::extract::Path<String>,
    headers: HeaderMap,
) -> Response {
    if !opens(&app, &headers).await {
        return Redirect::to("/sign-in").into_response();
    }
    let Ok(id) = id.parse::<CampaignId>() else {
        return Problem::not_found("there is no such campaign").into_response();
    };
    let read = async { Ok((app.store.campaign(id).await?, app.store.timeline(id).await?)) };
    match read.await {
        Ok((campaign, timeline)) => page(&Details { row: Row::of(&app, campaign), timeline }),
        Err::<_, store::StoreError>(e) => Problem::from(e).into_response(),
    }
}

async fn sign_in() -> Response {
    page(&SignIn { wrong: false })
}

async fn signed_in(State(app): State<App>, Form(form): Form<Token>) -> Response {
    let token = form.token.unwrap_or_default().trim().to_owned();
    let known = auth::caller(&app, Some(token.clone())).await.is_ok();
    match keep(&token).filter(|_| known) {
        Some(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
        None => (StatusCode::UNAUTHORIZED, page(&SignIn { wrong: true })).into_response(),
    }
}

/// An instant as a page shows it; the script makes it the reader's own time.
fn shown(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
