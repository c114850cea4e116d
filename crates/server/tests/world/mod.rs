//! A server with its engine, routes over real SMPP, and a client.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fixture::smsc::{PASSWORD, Smsc};
use jiff::Timestamp;
use serde_json::{Value, json};
use server::{App, config::Config, permission::Rule, reach::Reach, webhook::Courier};
use sms::SmppRoute;
use store::{Role, RouteKind, Store};
use voice::{Equipment, Prompts, SipRoute, media::Media};

/// Far more than any step here needs.
const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = "secret";

pub struct World {
    pub smsc: Smsc,
    pub store: Store,
    base: String,
    token: &'static str,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub kind: String,
    pub text: String,
    pub body: Value,
}

impl Response {
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.body
    }

    #[track_caller]
    pub fn created(self) -> Value {
        assert_eq!(self.status, 201, "{}", self.text);
        self.body
    }

    /// The problem's status and the fields that it names.
    pub fn refused(&self) -> (u16, Vec<&str>) {
        assert_eq!(self.kind, "application/problem+json", "{}", self.text);
        let errors = self.body["errors"].as_array();
        let fields = errors.into_iter().flatten().filter_map(|e| e["field"].as_str()).collect();
        (self.status, fields)
    }
}

impl World {
    /// With the usual settings, except that webhooks may lead to the test's own receivers.
    pub async fn start() -> Self {
        Self::with(Config { webhooks: Reach::Anywhere, ..Config::default() }).await
    }

    /// Served as `config` says.
    pub async fn with(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for (name, role) in [(SECRET, Role::Admin), ("manager", Role::Manager), ("reader", Role::Viewer)] {
            store.add_token(name.into(), role, name, fixture::by(Timestamp::now())).await.unwrap();
        }
        let library = Box::new(server::sounds::Uploads(store.clone()));
        let speech = Err("a test renders no speech".to_owned());
        let equipment = Equipment {
            media: Arc::new(Media::start(1).unwrap()),
            prompts: Arc::new(Prompts::new(speech, library)),
        };
        let prompts = equipment.prompts.clone();
        let connect: engine::Connect = Box::new(move |route, reports, opt_outs| match &route.config.kind {
            RouteKind::Smpp(smpp) => Arc::new(SmppRoute::start(route.id, smpp, reports, opt_outs)),
            RouteKind::Sip(trunk) => Arc::new(SipRoute::start(trunk, equipment.clone(), reports, opt_outs)),
        });
        let engine =
            engine::Engine::start(store.clone(), "one".into(), connect, Timestamp::now()).await.unwrap();
        let app = App::with(store.clone(), config);
        let _ = app.engine.set(engine.handle());
        let _ = app.prompts.set(prompts);
        tokio::spawn(engine.run());
        tokio::spawn(Courier::new(&app).unwrap().run());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(server::serve(listener, app));
        Self {
            smsc: Smsc::start().await,
            store,
            base,
            token: SECRET,
            client: reqwest::Client::new(),
            _folder: folder,
        }
    }

    /// The address of its pages.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same world with another token.
    pub fn with_token(mut self, token: &'static str) -> Self {
        self.token = token;
        self
    }

    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.token)
    }

    /// A request without a token, to an address of the API or, if it begins with two slashes, of the pages.
    pub fn anonymous(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let path = if path.starts_with("//") { path[1..].to_owned() } else { format!("/api/v1{path}") };
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub async fn answer(&self, request: reqwest::RequestBuilder) -> Response {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Response { status, kind: kind.unwrap_or_default(), text, body }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.answer(self.request(reqwest::Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.answer(self.request(reqwest::Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Response {
        self.answer(self.request(reqwest::Method::PATCH, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Response {
        self.answer(self.request(reqwest::Method::PUT, path).json(body)).await
    }

    /// Imports `file` into a list of its own; returns the finished import and the list's id.
    pub async fn import(&self, file: impl Into<reqwest::Body>, query: &str) -> (Value, String) {
        let name = format!("List {}", self.get("/lists").await.ok()["items"].as_array().unwrap().len());
        let list = self.post("/lists", &json!({"name": name})).await.created();
        let list = list["id"].as_str().unwrap().to_owned();
        let request = self.request(reqwest::Method::POST, &format!("/lists/{list}/contacts{query}"));
        let begun = self.answer(request.header("content-type", "text/csv").body(file)).await;
        assert_eq!(begun.status, 202, "{}", begun.text);
        let at = format!("/imports/{}", begun.body["id"].as_str().unwrap());
        (self.until(&at, |i| i["state"] != "running" && i["state"] != "queued").await, list)
    }

    /// A list of the contacts in a CSV file.
    pub async fn list_of(&self, csv: &str) -> String {
        let (import, list) = self.import(csv.to_owned(), "").await;
        assert_eq!((&import["state"], &import["rejected"]), (&json!("done"), &json!(0)), "{import}");
        list
    }

    /// A route to the far end; `more` adds to it.
    pub async fn route(&self, more: Value) -> String {
        let route = fixture::with(
            json!({"name": "Carrier", "kind": "smpp", "host": "127.0.0.1", "port": self.smsc.port, "system_id": "us",
                "password": PASSWORD}),
            more,
        );
        self.post("/routes", &route).await.created()["id"].as_str().unwrap().to_owned()
    }

    /// Saves and schedules a campaign; returns its address.
    pub async fn start_campaign(&self, definition: &Value) -> String {
        let c = self.post("/campaigns", definition).await.created();
        let at = format!("/campaigns/{}", c["id"].as_str().unwrap());
        self.post(&format!("{at}/schedule"), &json!({})).await.ok();
        at
    }

    /// Looks until `done` holds.
    pub async fn until(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.get(path).await.ok();
            if done(&seen) {
                return seen;
            }
            assert!(Instant::now() < end, "{path} came to no end: {seen}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Totals that are all zero.
    pub fn zero() -> Value {
        json!({"pending": 0, "sending": 0, "sent": 0, "delivered": 0, "undelivered": 0, "failed": 0, "skipped": 0,
            "cancelled": 0, "in_doubt": 0})
    }

    pub async fn assert_sound(&self) {
        fixture::assert_sound(&self.store).await;
    }
}

/// An address that fits a rule and names nothing that exists.
pub fn address(rule: &Rule) -> String {
    let part = |part: &str| match part {
        "{name}" => "design.css".to_owned(),
        "{number}" => "+12025559999".to_owned(),
        "{n}" => "1".to_owned(),
        part if part.starts_with('{') => "none".to_owned(),
        part => part.to_owned(),
    };
    rule.path.split('/').map(part).collect::<Vec<_>>().join("/")
}
