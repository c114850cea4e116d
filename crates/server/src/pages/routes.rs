//! Routes: how carriers are reached, and whether they are.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use campaign::{Msisdn, RouteId, Sender};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::{RouteConfig, TestSend};

use super::{Me, Posted, Refused, Shown, Wrong, again, page, t, words};
use crate::{App, api::view::RouteView, auth::Caller, body, problem::Problem};

/// Tries shown with a route.
const TESTS: u32 = 5;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/routes", get(all))
        .route("/routes/new", get(new).post(create))
        .route("/routes/{id}", get(edit).post(change))
        .route("/routes/{id}/test", post(test))
}

#[derive(Template)]
#[template(path = "routes.html")]
struct Routes {
    me: Me,
    routes: Vec<RouteView>,
}

async fn all(State(app): State<App>, caller: Caller) -> Shown {
    let routes = app.store.routes().await?.into_iter().map(|r| RouteView::of(&app, r)).collect();
    Ok(page(&Routes { me: Me::new(caller, "routes"), routes }))
}

/// The fields of a route, as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct RouteForm {
    name: String,
    host: String,
    port: String,
    system_id: String,
    /// Left empty it stays as it is.
    password: String,
    tls: String,
    binds: String,
    window: String,
    rate_per_second: String,
    claim_budget: String,
    price_per_segment: String,
    /// One a line: `69 recipient`.
    refusals: String,
    disabled: String,
}

impl RouteForm {
    fn new() -> Self {
        let text = |n: u32| n.to_string();
        Self {
            port: text(2775),
            binds: text(1),
            window: text(100),
            rate_per_second: text(500),
            ..Self::default()
        }
    }

    fn of(c: &RouteConfig) -> Self {
        let word =
            |r: &store::Refusal| serde_json::to_value(r).ok().and_then(|v| Some(v.as_str()?.to_owned()));
        let refusals = c.refusals.iter().filter_map(|(code, r)| Some(format!("{code} {}", word(r)?)));
        let on = |yes: bool| if yes { "yes".to_owned() } else { String::new() };
        Self {
            name: c.name.clone(),
            host: c.host.clone(),
            port: c.port.to_string(),
            system_id: c.system_id.clone(),
            password: String::new(),
            tls: on(c.tls),
            binds: c.binds.to_string(),
            window: c.window.to_string(),
            rate_per_second: c.rate_per_second.to_string(),
            claim_budget: c.claim_budget.map(|n| n.to_string()).unwrap_or_default(),
            price_per_segment: c.price_per_segment.map(|p| p.to_string()).unwrap_or_default(),
            refusals: refusals.collect::<Vec<_>>().join("\n"),
            disabled: on(c.disabled),
        }
    }

    /// What the API would be sent.
    fn change(&self) -> Result<Value, Problem> {
        let number = |field: &str, text: &str| {
            let number = text.trim().parse::<u32>();
            number.map(Value::from).map_err(|_| Problem::field(field, t::say("whole-number")))
        };
        let mut change = Map::new();
        for (field, text) in [("name", &self.name), ("host", &self.host), ("system_id", &self.system_id)] {
            change.insert(field.to_owned(), text.trim().into());
        }
        let numbers = [
            ("port", &self.port),
            ("binds", &self.binds),
            ("window", &self.window),
            ("rate_per_second", &self.rate_per_second),
        ];
        for (field, text) in numbers {
            change.insert(field.to_owned(), number(field, text)?);
        }
        if !self.password.is_empty() {
            change.insert("password".to_owned(), self.password.clone().into());
        }
        let budget = if self.claim_budget.trim().is_empty() {
            Value::Null
        } else {
            number("claim_budget", &self.claim_budget)?
        };
        change.insert("claim_budget".to_owned(), budget);
        let price = self.price_per_segment.trim();
        change.insert(
            "price_per_segment".to_owned(),
            if price.is_empty() { Value::Null } else { price.into() },
        );
        let mut refusals = BTreeMap::new();
        for line in self.refusals.lines().filter(|line| !line.trim().is_empty()) {
            let wrong = || Problem::field("refusals", t::with("route-refusals-wrong", ("line", line)));
            let (code, kind) = line.trim().split_once(' ').ok_or_else(wrong)?;
            let kind: store::Refusal = body::decode(kind.trim().into()).map_err(|_| wrong())?;
            refusals.insert(code.parse::<u32>().map_err(|_| wrong())?, kind);
        }
        change.insert("refusals".to_owned(), json!(refusals));
        change.insert("kind".to_owned(), "smpp".into());
        change.insert("tls".to_owned(), (!self.tls.is_empty()).into());
        change.insert("disabled".to_owned(), (!self.disabled.is_empty()).into());
        Ok(Value::Object(change))
    }
}

#[derive(Template)]
#[template(path = "route.html")]
struct EditRoute {
    me: Me,
    id: Option<RouteId>,
    state: Option<RouteView>,
    form: RouteForm,
    test: TestForm,
    tests: Vec<TestSend>,
    wrong: Wrong,
}

/// A message that tries the route.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct TestForm {
    from: String,
    number: String,
    text: String,
}

impl TestForm {
    fn read(&self) -> Result<(Sender, Msisdn), Problem> {
        let sender = Sender::try_from(self.from.clone()).map_err(|e| Problem::field("from", e))?;
        let number = Msisdn::parse(&self.number, None).map_err(|e| Problem::field("number", e))?;
        Ok((sender, number))
    }
}

impl EditRoute {
    fn new(caller: Caller, form: RouteForm, wrong: Wrong) -> Self {
        let (test, tests) = (TestForm::default(), Vec::new());
        Self { me: Me::new(caller, "routes"), id: None, state: None, form, test, tests, wrong }
    }

    async fn of(app: &App, caller: Caller, route: store::Route) -> Result<Self, Refused> {
        let tests = app.store.test_sends(route.id, TESTS).await?;
        let (id, form) = (Some(route.id), RouteForm::of(&route.config));
        let state = Some(RouteView::of(app, route));
        Ok(Self { id, state, tests, ..Self::new(caller, form, Wrong::default()) })
    }
}

async fn new(caller: Caller) -> Shown {
    Ok(page(&EditRoute::new(caller, RouteForm::new(), Wrong::default())))
}

async fn create(State(app): State<App>, caller: Caller, Posted(form): Posted<RouteForm>) -> Shown {
    let made = async {
        let config: RouteConfig = body::decode(form.change()?)?;
        Ok::<_, Problem>(app.store.create_route(config, caller.by()).await?)
    };
    match made.await {
        Ok(_) => {
            app.routes_changed();
            Ok(Redirect::to("/routes").into_response())
        }
        Err(problem) => {
            let wrong = Wrong(problem.into_fields()?);
            Ok(again(&EditRoute::new(caller, form, wrong), StatusCode::UNPROCESSABLE_ENTITY))
        }
    }
}

async fn find(app: &App, path: &str) -> Result<store::Route, Refused> {
    let id = path.parse().map_err(|_| Problem::not_found("there is no such route"))?;
    Ok(app.store.route(id).await?)
}

async fn edit(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    Ok(page(&EditRoute::of(&app, caller, find(&app, &path).await?).await?))
}

async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(form): Posted<RouteForm>,
) -> Shown {
    let route = find(&app, &path).await?;
    let id = route.id;
    let saved = async {
        let config: RouteConfig = body::changed(&route.config, form.change()?)?;
        Ok::<_, Problem>(app.store.edit_route(id, config, caller.by()).await?)
    };
    match saved.await {
        Ok(_) => {
            app.routes_changed();
            Ok(Redirect::to("/routes").into_response())
        }
        Err(problem) => {
            let wrong = Wrong(problem.into_fields()?);
            let edit = EditRoute { form, wrong, ..EditRoute::of(&app, caller, route).await? };
            Ok(again(&edit, StatusCode::UNPROCESSABLE_ENTITY))
        }
    }
}

/// Sends one message by the route, to see whether it arrives.
async fn test(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(form): Posted<TestForm>,
) -> Shown {
    let route = find(&app, &path).await?;
    let sent = async {
        let (sender, number) = form.read()?;
        app.store.test_send(route.id, sender, number, form.text.clone(), caller.by()).await?;
        Ok::<_, Problem>(())
    };
    match sent.await {
        Ok(()) => {
            if let Some(engine) = app.engine.get() {
                engine.look();
            }
            Ok(Redirect::to(&format!("/routes/{path}")).into_response())
        }
        Err(problem) => {
            let wrong = Wrong(problem.into_fields()?);
            let edit = EditRoute { test: form, wrong, ..EditRoute::of(&app, caller, route).await? };
            Ok(again(&edit, StatusCode::UNPROCESSABLE_ENTITY))
        }
    }
}
