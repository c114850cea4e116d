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
use campaign::{Msisdn, RouteId, Script, Sender};
use engine::{CallRow, TestCall};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::{ReplyFilter, ReplyRow, RouteConfig, RouteKind, TestSend};

use super::{Me, Posted, Refused, Shown, Wrong, again, page, t, trunks, words};
use crate::{
    App,
    auth::Caller,
    body::{self, Query},
    problem::Problem,
    view::RouteView,
};

/// How many test messages are shown with a route.
const TESTS: u32 = 5;
/// Replies on one page.
const REPLIES: u32 = 100;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/routes", get(all))
        .route("/routes/new", get(new).post(create))
        .route("/routes/replies", get(unmatched))
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

#[derive(Template)]
#[template(path = "unmatched.html")]
struct Unmatched {
    me: Me,
    items: Vec<ReplyRow>,
    next: Option<i64>,
}

#[derive(Deserialize)]
struct Before {
    before: Option<i64>,
}

/// Replies that answer no campaign.
async fn unmatched(State(app): State<App>, caller: Caller, Query(asked): Query<Before>) -> Shown {
    let filter = ReplyFilter { before: asked.before, unmatched: true, ..ReplyFilter::default() };
    let items = app.store.replies(None, filter, REPLIES).await?;
    let next = items.last().filter(|_| items.len() == REPLIES as usize).map(|reply| reply.id);
    Ok(page(&Unmatched { me: Me::new(caller, "routes"), items, next }))
}

/// Fields that are texts, as typed.
const TEXTS: [&str; 11] = [
    "name",
    "host",
    "system_id",
    "system_type",
    "address_range",
    "service_type",
    "bind_mode",
    "number_form",
    "default_alphabet",
    "long_text",
    "kind",
];
/// Fields that are whole numbers.
const NUMBERS: [&str; 4] = ["port", "binds", "window", "rate_per_second"];
/// Fields that are whole numbers and may be empty.
const OPTIONAL_NUMBERS: [&str; 5] = ["claim_budget", "source_ton", "source_npi", "dest_ton", "dest_npi"];
/// Fields that are texts and may be empty.
const OPTIONAL_TEXTS: [&str; 2] = ["price_per_segment", "country"];
/// Fields that are spans of time, in seconds.
const SECONDS: [&str; 3] = ["bind_timeout", "answer_timeout", "enquire_interval"];
/// Fields that are boxes to tick.
const TICKS: [&str; 2] = ["tls", "disabled"];

/// The fields of a route, as typed: a field that is not sent keeps its value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
struct RouteForm(BTreeMap<String, String>);

impl RouteForm {
    fn of(&self, field: &str) -> &str {
        self.0.get(field).map_or("", String::as_str)
    }

    fn is_trunk(&self) -> bool {
        self.of("kind") == "sip"
    }

    fn is_on(&self, field: &str) -> bool {
        !self.of(field).is_empty()
    }

    /// A new SMSC, or a new trunk.
    fn new(is_trunk: bool) -> Self {
        let usual = if is_trunk {
            json!({"name": "", "kind": "sip", "host": ""})
        } else {
            json!({"name": "", "kind": "smpp", "host": "", "port": 2775, "system_id": ""})
        };
        RouteConfig::read(usual).map(|config| Self::shown(&config)).unwrap_or_default()
    }

    /// The present settings. A password is never shown.
    fn shown(config: &RouteConfig) -> Self {
        let smpp = match &config.kind {
            RouteKind::Smpp(smpp) => smpp,
            RouteKind::Sip(trunk) => return Self(trunks::shown(config, trunk)),
        };
        let word =
            |r: &store::Refusal| serde_json::to_value(r).ok().and_then(|v| Some(v.as_str()?.to_owned()));
        let refusals = smpp.refusals.iter().filter_map(|(code, r)| Some(format!("{code} {}", word(r)?)));
        let mut fields: BTreeMap<String, String> = match serde_json::to_value(config) {
            Ok(Value::Object(all)) => {
                all.into_iter().filter_map(|(field, value)| Some((field, plain(&value)?))).collect()
            }
            _ => BTreeMap::new(),
        };
        let spans = [smpp.bind_timeout, smpp.answer_timeout, smpp.enquire_interval];
        fields.extend(
            SECONDS
                .into_iter()
                .zip(spans)
                .map(|(field, span)| (field.to_owned(), span.as_secs().to_string())),
        );
        fields.insert("hosts".to_owned(), smpp.hosts.join("\n"));
        fields.insert("tlvs".to_owned(), smpp.tlvs.to_string());
        fields.insert("refusals".to_owned(), refusals.collect::<Vec<_>>().join("\n"));
        fields.remove("password");
        Self(fields)
    }

    /// The value as the API takes it.
    fn change(&self) -> Result<Value, Problem> {
        if self.is_trunk() {
            return trunks::change(&self.0);
        }
        let number = |field: &str| {
            let number = self.of(field).trim().parse::<u32>();
            number.map(Value::from).map_err(|_| Problem::field(field, t::say("whole-number")))
        };
        let sent = |field: &&str| self.0.contains_key(*field);
        let mut change = Map::new();
        for field in TEXTS.into_iter().filter(sent) {
            change.insert(field.to_owned(), self.of(field).trim().into());
        }
        for field in NUMBERS {
            change.insert(field.to_owned(), number(field)?);
        }
        for field in OPTIONAL_NUMBERS.into_iter().filter(sent) {
            let empty = self.of(field).trim().is_empty();
            change.insert(field.to_owned(), if empty { Value::Null } else { number(field)? });
        }
        for field in OPTIONAL_TEXTS.into_iter().filter(sent) {
            let text = self.of(field).trim();
            change.insert(field.to_owned(), if text.is_empty() { Value::Null } else { text.into() });
        }
        for field in SECONDS.into_iter().filter(sent) {
            change.insert(field.to_owned(), format!("PT{}S", number(field)?).into());
        }
        for field in TICKS {
            change.insert(field.to_owned(), self.is_on(field).into());
        }
        if !self.of("password").is_empty() {
            change.insert("password".to_owned(), self.of("password").into());
        }
        let lines = |field| self.of(field).lines().map(str::trim).filter(|line| !line.is_empty());
        if sent(&"hosts") {
            change.insert("hosts".to_owned(), lines("hosts").collect());
        }
        if sent(&"tlvs") {
            let mut tlvs = Map::new();
            for line in lines("tlvs") {
                let wrong = || Problem::field("tlvs", t::with("route-tlvs-wrong", ("line", line)));
                let (tag, value) = line.split_once(char::is_whitespace).ok_or_else(wrong)?;
                let value = match value.trim().split_once("hex:") {
                    Some(("", hex)) => json!({"hex": hex}),
                    _ => value.trim().into(),
                };
                tlvs.insert(tag.to_owned(), value);
            }
            change.insert("tlvs".to_owned(), Value::Object(tlvs));
        }
        let mut refusals = BTreeMap::new();
        for line in lines("refusals") {
            let wrong = || Problem::field("refusals", t::with("route-refusals-wrong", ("line", line)));
            let (code, kind) = line.split_once(' ').ok_or_else(wrong)?;
            let kind: store::Refusal = body::decode(kind.trim().into()).map_err(|_| wrong())?;
            refusals.insert(code.parse::<u32>().map_err(|_| wrong())?, kind);
        }
        change.insert("refusals".to_owned(), json!(refusals));
        change.insert("kind".to_owned(), "smpp".into());
        Ok(Value::Object(change))
    }
}

/// A plain value in the form in which it is typed.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(on) => Some(if *on { "yes".to_owned() } else { String::new() }),
        _ => None,
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
    /// What became of a call that tested it.
    tried: Option<CallRow>,
    wrong: Wrong,
}

/// How long a phone rings that is called to test a trunk.
const RINGS: SignedDuration = SignedDuration::from_secs(30);

/// A message, or a call, that tests the route.
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

    /// The call that says the text, shown as one of these numbers.
    fn call(&self, numbers: &[Sender]) -> Result<TestCall, Problem> {
        let (sender, number) = self.read()?;
        if !numbers.contains(&sender) {
            return Err(Problem::field("from", t::say("test-caller-id")));
        }
        // Without a text it rings and hangs up, which needs no speech engine.
        let first = if self.text.trim().is_empty() { "end" } else { "say" };
        let mut steps = json!({"end": {"hang_up": true}});
        if first == "say" {
            steps["say"] = json!({"say": self.text, "next": "end"});
        }
        let script = json!({"first": first, "steps": steps});
        let script: Script = serde_json::from_value(script).map_err(|e| Problem::field("text", e))?;
        let said = script.said().map_err(|e| Problem::field("text", e))?;
        let script = said.render(&Vec::new().into(), &[]).map_err(|e| Problem::field("text", e))?;
        Ok(TestCall { number, caller_id: sender.into(), ring_time: RINGS, script })
    }
}

impl EditRoute {
    fn new(caller: Caller, form: RouteForm, wrong: Wrong) -> Self {
        let (test, tests) = (TestForm::default(), Vec::new());
        Self { me: Me::new(caller, "routes"), id: None, state: None, form, test, tests, tried: None, wrong }
    }

    async fn of(app: &App, caller: Caller, route: store::Route) -> Result<Self, Refused> {
        let tests = app.store.test_sends(route.id, TESTS).await?;
        let (id, form) = (Some(route.id), RouteForm::shown(&route.config));
        let state = Some(RouteView::of(app, route));
        Ok(Self { id, state, tests, ..Self::new(caller, form, Wrong::default()) })
    }
}

/// Which kind of route is added.
#[derive(Deserialize)]
struct NewKind {
    #[serde(default)]
    kind: String,
}

async fn new(caller: Caller, Query(new): Query<NewKind>) -> Shown {
    Ok(page(&EditRoute::new(caller, RouteForm::new(new.kind == "sip"), Wrong::default())))
}

async fn create(State(app): State<App>, caller: Caller, Posted(form): Posted<RouteForm>) -> Shown {
    let made = async {
        let config = body::route(form.change()?)?;
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
        let config = body::changed_route(&route, form.change()?)?;
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

/// Sends one message over the route, or makes one call, to test whether it arrives.
async fn test(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(form): Posted<TestForm>,
) -> Shown {
    let route = find(&app, &path).await?;
    let tried = async {
        if let RouteKind::Sip(trunk) = &route.config.kind {
            let call = form.call(&trunk.numbers)?;
            return app.try_call(&caller.name, route.id, call).await.map(Some);
        }
        let (sender, number) = form.read()?;
        app.store.test_send(route.id, sender, number, form.text.clone(), caller.by()).await?;
        Ok::<_, Problem>(None)
    };
    match tried.await {
        Ok(Some(call)) => {
            let edit =
                EditRoute { test: form, tried: Some(call), ..EditRoute::of(&app, caller, route).await? };
            Ok(page(&edit))
        }
        Ok(None) => {
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
