//! What runs, what needs a person, what starts next, and how the routes are.

use std::borrow::Cow;

use askama::Template;
use axum::{Router, extract::State, routing::get};
use campaign::{Channel, Status};
use store::{CampaignFilter, CampaignSort};

use super::{
    Me, Shown,
    details::waits,
    index::{Row, list_names},
    page, t, words,
};
use crate::{
    App,
    auth::Caller,
    view::{self, RouteView},
};

/// The most campaigns of a kind, and the most imports, that are shown; the list of campaigns has all.
const SHOWN: u32 = 8;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/overview", get(overview))
}

/// Something that does not go on by itself.
struct Need {
    /// Its name and where it is.
    name: String,
    address: String,
    /// What is the matter, in words.
    why: t::Markup,
}

/// A step of the first run.
struct Step {
    word: &'static str,
    address: &'static str,
    done: bool,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    me: Me,
    running: Vec<Row>,
    next: Vec<Row>,
    needs: Vec<Need>,
    routes: Vec<RouteView>,
    steps: Vec<Step>,
    /// The count of changes before this was read.
    seen: u64,
}

impl Overview {
    /// Whether there is something left to do before the first campaign.
    fn is_new(&self) -> bool {
        self.steps.iter().any(|step| !step.done)
    }
}

async fn overview(State(app): State<App>, caller: Caller) -> Shown {
    let seen = app.store.change_count();
    let lists = list_names(&app).await?;
    let of = async |status, sort| {
        let filter = CampaignFilter { status: Some(status), sort, ..CampaignFilter::default() };
        let found = app.store.campaigns(filter, SHOWN).await?;
        Ok::<Vec<Row>, store::StoreError>(found.into_iter().map(|c| Row::of(&app, c, &lists)).collect())
    };
    let running = of(Status::Running, CampaignSort::Created).await?;
    let next = of(Status::Scheduled, CampaignSort::Start).await?;
    let errored = of(Status::Errored, CampaignSort::Created).await?;
    let routes: Vec<RouteView> =
        app.store.routes().await?.into_iter().map(|route| RouteView::of(&app, route)).collect();

    let mut needs = Vec::new();
    for row in &running {
        let waiting = app.engine.get().map(|engine| view::waiting(engine, &row.campaign)).unwrap_or_default();
        needs.extend(waiting.iter().filter(|w| w.needs_a_person).map(|w| Need::of_campaign(row, waits(w))));
    }
    for row in &errored {
        let error = app.store.campaign_error(row.campaign.id).await?;
        needs.extend(error.map(|error| Need::of_campaign(row, t::Markup::text(&error.cause))));
    }
    for route in routes.iter().filter(|route| route.state == "refused") {
        let why =
            route.last_error.clone().unwrap_or_else(|| t::word("route-state", route.state).into_owned());
        let address = format!("/routes/{}", route.id);
        needs.push(Need { name: route.name.clone(), address, why: t::Markup::text(&why) });
    }
    for import in app.store.imports_waiting(SHOWN).await? {
        let (name, address) = (
            t::with("import-n", ("id", import.to_string())).into_owned(),
            format!("/contacts/imports/{import}"),
        );
        needs.push(Need { name, address, why: t::Markup::text(&t::say("import-say-columns")) });
    }

    let zone_is_set = app.store.settings().await?.time_zone != "UTC";
    let any = CampaignFilter { archived: true, ..CampaignFilter::default() };
    let any_campaign = !app.store.campaigns(any, 1).await?.is_empty();
    let steps = vec![
        Step { word: "region", address: "/settings", done: zone_is_set || any_campaign },
        Step { word: "route", address: "/routes/new", done: !routes.is_empty() },
        Step { word: "contacts", address: "/contacts", done: !lists.is_empty() },
        Step { word: "campaign", address: "/campaigns/new", done: any_campaign },
    ];
    Ok(page(&Overview { me: Me::new(caller, "overview"), running, next, needs, routes, steps, seen }))
}

impl Need {
    fn of_campaign(row: &Row, why: t::Markup) -> Self {
        let campaign = &row.campaign;
        Self { name: campaign.definition.name.clone(), address: format!("/campaigns/{}", campaign.id), why }
    }
}

/// Its state in words.
fn state(route: &RouteView) -> Cow<'static, str> {
    t::word("route-state", route.state)
}
