//! The API's description and its live events.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::time::Duration;

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use simulator::{PhoneProfile, Phones};
use world::{Response, World};

/// The addresses that scripts and other systems rely on.
const PROMISED: [(&str, &str); 29] = [
    ("post", "/routes"),
    ("get", "/routes"),
    ("get", "/routes/{id}"),
    ("post", "/lists"),
    ("get", "/lists"),
    ("post", "/lists/{id}/contacts"),
    ("get", "/imports/{id}"),
    ("get", "/imports/{id}/errors.csv"),
    ("post", "/campaigns"),
    ("get", "/campaigns"),
    ("get", "/campaigns/{id}"),
    ("patch", "/campaigns/{id}"),
    ("patch", "/campaigns/{id}/messages/{n}/send"),
    ("post", "/campaigns/{id}/schedule"),
    ("post", "/campaigns/{id}/stop"),
    ("post", "/campaigns/{id}/restart"),
    ("post", "/campaigns/{id}/archive"),
    ("post", "/campaigns/{id}/clone"),
    ("post", "/campaigns/{id}/release"),
    ("get", "/campaigns/{id}/deliveries"),
    ("get", "/campaigns/{id}/deliveries.csv"),
    ("post", "/campaigns/{id}/deliveries/{delivery}/settle"),
    ("post", "/campaigns/{id}/test"),
    ("get", "/campaigns/{id}/timeline"),
    ("get", "/campaigns/{id}/replies"),
    ("get", "/settings"),
    ("put", "/settings"),
    ("post", "/suppressions"),
    ("delete", "/suppressions/{channel}/{number}"),
];

/// A query in which every value is wrong.
const NONSENSE: &str =
    "?limit=none&cursor=none&status=none&channel=none&outcome=none&message=none&matched=none&country=none";

/// A described address with ids that name nothing, and text of a kind that fits each other part.
fn nowhere(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{n}" | "{event}" => "1",
        "{delivery}" => "1-0",
        part if part.starts_with('{') => "none",
        part => part,
    });
    // Two slashes: it is whole.
    format!("/{}", parts.collect::<Vec<_>>().join("/"))
}

#[tokio::test]
async fn what_is_promised_is_described_and_answers_as_it_is_described() {
    let w = World::start().await;
    let document = w.get("/openapi.json").await.ok();
    let paths = document["paths"].as_object().unwrap();
    let mut wrong = Vec::new();
    for (path, methods) in paths {
        for (method, described) in methods.as_object().unwrap() {
            let verb: Method = method.to_uppercase().parse().unwrap();
            let at = nowhere(path);
            let ask = |token: &str, query: &str| {
                w.anonymous(verb.clone(), &format!("{at}{query}")).bearer_auth(token)
            };
            // A stream of events has no end: only its refusals are asked for.
            let mut asked = vec![("as nobody", ask("nobody", ""))];
            if !path.ends_with("/events") {
                asked.extend([
                    ("as a reader", ask("reader", "")),
                    ("as an admin", ask("secret", "")),
                    ("with a query of nonsense", ask("secret", NONSENSE)),
                    ("with half a body", ask("secret", "").body("{")),
                    ("with a body of nonsense", ask("secret", "").json(&json!({"nonsense": 1}))),
                ]);
            }
            for (how, request) in asked {
                let answer = w.answer(request).await;
                let response = &described["responses"][answer.status.to_string()];
                let kind = answer.kind.split(';').next().unwrap();
                let fits = match response["content"].as_object() {
                    Some(content) => content.contains_key(kind),
                    None => response.is_object() && answer.text.is_empty(),
                };
                if !fits {
                    wrong.push(format!("{method} {path} {how}: {} {kind}", answer.status));
                }
                assert_ne!(answer.body["detail"], "there is nothing at this address", "{method} {path}");
            }
        }
    }
    assert!(wrong.is_empty(), "not described:\n{}", wrong.join("\n"));
    for (method, path) in PROMISED {
        assert!(paths[&format!("/api/v1{path}")].get(method).is_some(), "{method} {path} is not described");
    }
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}

/// What an object's schema says of it: its properties, those that are required, and the schema of all others.
#[derive(Default)]
struct Shape<'d> {
    properties: Vec<(&'d str, &'d Value)>,
    required: Vec<&'d str>,
    others: Option<&'d Value>,
}

/// The OpenAPI document, which answers are held against.
struct Document(Value);

impl Document {
    fn resolved<'d>(&'d self, schema: &'d Value) -> &'d Value {
        match schema["$ref"].as_str() {
            Some(name) => self.resolved(self.0.pointer(name.trim_start_matches('#')).unwrap()),
            None => schema,
        }
    }

    fn gather<'d>(&'d self, schema: &'d Value, shape: &mut Shape<'d>) {
        let schema = self.resolved(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.gather(part, shape);
        }
        let properties = schema["properties"].as_object().into_iter().flatten();
        shape.properties.extend(properties.map(|(name, schema)| (name.as_str(), schema)));
        shape.required.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str));
        shape.others = shape.others.or(schema.get("additionalProperties"));
    }

    /// Where `value`, which is at `at`, is not what `schema` describes.
    fn findings(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let schema = self.resolved(schema);
        if let Some(one_of) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            let each = one_of.iter().map(|schema| self.findings(schema, value, at));
            return each.min_by_key(Vec::len).unwrap();
        }
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(n) if n.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is = |named: &Value| *named == kind || *named == "number" && kind == "integer";
        let types = &schema["type"];
        if !(types.is_null() || is(types) || types.as_array().is_some_and(|all| all.iter().any(is))) {
            return vec![format!("{at} is {kind}, not {types}")];
        }
        match value {
            Value::Array(items) => {
                let each = items.iter().enumerate();
                each.flat_map(|(i, item)| self.findings(&schema["items"], item, &format!("{at}[{i}]")))
                    .collect()
            }
            // A schema without any word stands for anything.
            Value::Object(_) if types.is_null() && schema.get("allOf").is_none() => Vec::new(),
            Value::Object(fields) => {
                let mut shape = Shape::default();
                self.gather(schema, &mut shape);
                let missing = shape.required.iter().filter(|name| !fields.contains_key(**name));
                let mut findings: Vec<_> = missing.map(|name| format!("{at}.{name} is not there")).collect();
                for (name, value) in fields {
                    let own = shape.properties.iter().find(|(property, _)| property == name).map(|one| one.1);
                    let at = format!("{at}.{name}");
                    findings.extend(match own.or(shape.others) {
                        Some(schema) => self.findings(schema, value, &at),
                        None => vec![format!("{at} is not described")],
                    });
                }
                findings
            }
            _ => Vec::new(),
        }
    }

    /// Asserts that an answer is what is described of the method and the path.
    fn holds(&self, method: &str, path: &str, answer: &Response) {
        let operation = &self.0["paths"][format!("/api/v1{path}")][method];
        let response = &operation["responses"][answer.status.to_string()];
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path} answers {}: {}", answer.status, answer.text);
        let findings = self.findings(schema, &answer.body, "");
        assert!(findings.is_empty(), "{method} {path}:\n{}\n{}", findings.join("\n"), answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_is_described_to_its_last_property() {
    let w = World::start().await;
    let document = Document(w.get("/openapi.json").await.ok());
    let create = async |path: &str, body: &Value| {
        let answer = w.post(path, body).await;
        document.holds("post", path, &answer);
        answer.body["id"].as_str().unwrap_or_default().to_owned()
    };
    let look = async |path: &str, id: &str| {
        let answer = w.get(&path.replace("{id}", id)).await;
        document.holds("get", path, &answer);
        answer.body
    };
    // Lists, with contacts as JSON.
    let list = create("/lists", &json!({"name": "Patients"})).await;
    let rows =
        json!([{"phone": "+12025550001", "email": "none"}, {"phone": "+12025550002"}, {"phone": "nobody"}]);
    let begun = w.post(&format!("/lists/{list}/contacts"), &rows).await;
    document.holds("post", "/lists/{id}/contacts", &begun);
    let import = begun.body["id"].as_str().unwrap();
    w.until(&format!("/imports/{import}"), |i| i["state"] == "done").await;
    let ended = look("/imports/{id}", import).await;
    assert_eq!(
        (&ended["rejected"], ended["left_out"].as_array().map(Vec::len)),
        (&json!(1), Some(1)),
        "{ended}"
    );
    look("/lists/{id}", &list).await;
    look("/lists", "").await;
    // Routes of both kinds, pools, settings, webhooks.
    let route = create("/routes", &json!({"name": "Carrier", "kind": "smpp", "host": "127.0.0.1", "port": w.smsc.port,
        "system_id": "us", "password": fixture::smsc::PASSWORD, "price_per_segment": "0.01", "refusals": {"69": "route"},
        "tlvs": {"0x1400": "1101"}, "hosts": ["127.0.0.2"]}))
    .await;
    let phones = Phones::start(([127, 0, 0, 1], 0).into(), PhoneProfile::default()).await.unwrap();
    let trunk = create(
        "/routes",
        &json!({"name": "Trunk", "kind": "sip", "host": "127.0.0.1",
        "port": phones.address().port(), "numbers": ["+12025550100"], "price_per_minute": "0.01"}),
    )
    .await;
    let senders = json!([{"sender": "+12025550190", "rate_per_second": 50}]);
    let pool = create("/pools", &json!({"name": "Numbers", "senders": senders})).await;
    let hook =
        create("/webhooks", &json!({"url": "http://127.0.0.1:9/", "levels": ["campaign", "person"]})).await;
    let settings = json!({"answers": {"en": {"opt_out": "Out", "help": "Help"}}, "limit": {"messages": 9, "per": "P1D"},
        "keywords_off": {"+12025550100": ["YES"]}, "blackout_dates": ["2099-12-25"], "country": "US"});
    document.holds("put", "/settings", &w.put("/settings", &settings).await);
    look("/settings", "").await;
    // A campaign of messages, from its draft to its end.
    let sms = create("/campaigns", &json!({"channel": "sms", "name": "Messages", "owner": "Ana", "route_id": route,
        "sender": {"pool": pool}, "list_ids": [list], "opt_in_acknowledged": true, "window": {"from": "00:00", "to": "24:00"},
        "validity": "P1D", "pilot": 1, "max_cost": "9", "purpose": "care", "tlvs": {"0x1400": "1"},
        "time_zone": "America/New_York", "messages": [{"text": "Hi [name]", "send": {"now": true}}]}))
    .await;
    let at = format!("/campaigns/{sms}");
    let act = async |what: &str, query: &str| {
        let answer = w.post(&format!("{at}/{what}{query}"), &json!({})).await;
        document.holds("post", &format!("/campaigns/{{id}}/{what}"), &answer);
        answer.body
    };
    let forecast = act("schedule", "?dry_run=true").await;
    assert_eq!(forecast["recipients"], 2, "{forecast}");
    act("schedule", "").await;
    w.until(&at, |c| c["totals"]["delivered"] == 1 && !c["waiting"].as_array().unwrap().is_empty()).await;
    look("/campaigns/{id}", &sms).await;
    act("stop", "").await;
    let plan = act("restart", "?dry_run=true").await;
    assert_eq!(plan["messages"][0]["remaining"], 1, "{plan}");
    act("restart", "").await;
    w.until(&at, |c| c["totals"]["delivered"] == 2).await;
    let first = w.smsc.got().remove(0);
    w.smsc.reply(&first.destination_addr, &first.source_addr, "HELP").await;
    w.until(&format!("{at}/replies"), |r| r["items"][0]["answer"].is_object()).await;
    let deliveries = look("/campaigns/{id}/deliveries", &sms).await;
    let one = deliveries["items"][0]["id"].as_str().unwrap();
    let delivery = w.get(&format!("{at}/deliveries/{one}")).await;
    document.holds("get", "/campaigns/{id}/deliveries/{delivery}", &delivery);
    // A campaign of calls.
    let script = json!({"first": "bye", "steps": {"bye": {"hang_up": true}}});
    let voice = create("/campaigns", &json!({"channel": "voice", "name": "Calls", "route_id": trunk, "caller_id": "+12025550100",
        "list_ids": [list], "opt_in_acknowledged": true, "window": null, "start": {"now": true}, "ring_time": "PT5S",
        "until": "2099-01-01T00:00:00Z", "max_calls": 5, "goal": "bye",
        "retry": {"most": 2, "busy": {"after": "PT1S", "times": 1}}, "script": script}))
    .await;
    let calls = format!("/campaigns/{voice}");
    document.holds(
        "post",
        "/campaigns/{id}/schedule",
        &w.post(&format!("{calls}/schedule"), &json!({})).await,
    );
    w.until(&calls, |c| c["status"] == "completed").await;
    let called = look("/campaigns/{id}/deliveries", &voice).await;
    assert!(called["items"][0]["calls"][0]["events"][0].is_object(), "{called}");
    for id in [&sms, &voice] {
        for path in ["/campaigns/{id}", "/campaigns/{id}/timeline", "/campaigns/{id}/replies"] {
            look(path, id).await;
        }
    }
    w.until(&format!("/webhooks/{hook}/events"), |log| log["items"][0]["tries"][0].is_object()).await;
    for path in ["/routes", "/pools", "/webhooks", "/campaigns", "/replies", "/audio"] {
        look(path, "").await;
    }
    for (path, id) in [
        ("/routes/{id}", &route),
        ("/routes/{id}", &trunk),
        ("/pools/{id}", &pool),
        ("/webhooks/{id}", &hook),
        ("/webhooks/{id}/events", &hook),
    ] {
        look(path, id).await;
    }
}

#[tokio::test]
async fn a_change_reaches_whoever_listens() {
    let w = World::start().await;
    let response = w.request(Method::GET, "/events").send().await.unwrap();
    let mut stream = response.bytes_stream();
    let made = w.post("/campaigns", &json!({"channel": "sms", "name": "Live"})).await.created();
    let mut heard = String::new();
    while !heard.contains("event: campaign") || !heard.ends_with("\n\n") {
        let bytes = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap();
        heard.push_str(std::str::from_utf8(&bytes.unwrap().unwrap()).unwrap());
    }
    let data = heard.split("event: campaign\ndata: ").nth(1).unwrap().lines().next().unwrap();
    let campaign: Value = serde_json::from_str(data).unwrap();
    assert_eq!(campaign, w.get(&format!("/campaigns/{}", made["id"].as_str().unwrap())).await.ok());
}
