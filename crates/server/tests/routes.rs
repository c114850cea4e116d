//! Routes over the API and on their pages: what carriers ask for, who may change it, and where a password may go.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use fixture::smsc::PASSWORD;
use reqwest::Method;
use serde_json::{Value, json};
use world::World;

/// Every setting that a carrier may ask for, as it is sent and shown.
fn asked() -> Value {
    json!({"hosts": ["smsc2.example:2776"], "bind_mode": "transmitter_receiver", "system_type": "VMA",
        "address_range": "^1202", "service_type": "OTP", "source_ton": 5, "source_npi": 0, "dest_ton": 1, "dest_npi": 1,
        "number_form": "national", "country": "US", "default_alphabet": "latin1", "long_text": "payload",
        "tlvs": {"0x1400": "1101", "0x1401": {"hex": "00ff"}}, "enquire_interval": "PT20S", "answer_timeout": "PT1M",
        "bind_timeout": "PT5S", "refusals": {"69": "route", "1281": "throttled"}})
}

async fn page(w: &World, path: &str) -> String {
    w.answer(w.request(Method::GET, &format!("/{path}"))).await.text
}

/// Posts a page's form; returns the answer's status and text. Success redirects to another page.
async fn post(w: &World, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let answer = w.answer(w.request(Method::POST, &format!("/{path}")).form(fields)).await;
    (answer.status, answer.text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_is_shown_but_for_the_password() {
    let w = World::start().await;
    let route = w.route(asked()).await;
    let shown = w.get(&format!("/routes/{route}")).await.ok();
    for (field, value) in asked().as_object().unwrap() {
        assert_eq!(shown[field], *value, "{field}");
    }
    assert_eq!((&shown["kind"], shown.get("password")), (&json!("smpp"), None));
    assert!(!shown.to_string().contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_is_made_and_changed_by_an_admin_alone() {
    let w = World::start().await;
    let route = w.route(json!({})).await;
    let at = format!("/routes/{route}");
    let w = w.with_token("manager");
    let body = json!({"name": "Mine", "kind": "smpp", "host": "h", "port": 1, "system_id": "us"});
    assert_eq!(w.post("/routes", &body).await.status, 403);
    assert_eq!(w.patch(&at, &json!({"window": 1})).await.status, 403);
    assert_eq!(post(&w, "/routes/new", &[("name", "Mine")]).await.0, 403);
    assert_eq!(post(&w, &at, &[("name", "Mine")]).await.0, 403);
    // They see how it is doing, and test it.
    w.get(&at).await.ok();
    let seen = page(&w, &at).await;
    assert!(
        seen.contains("/test\"") && !seen.contains("name=\"password\"") && !seen.contains("name=\"host\"")
    );
    assert!(!page(&w, "/routes").await.contains("/routes/new"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_goes_elsewhere_only_with_whoever_knows_it() {
    let w = World::start().await;
    let route = w.route(json!({})).await;
    let at = format!("/routes/{route}");
    let before = w.store.routes().await.unwrap().remove(0).config;
    for change in [
        json!({"host": "127.0.0.2"}),
        json!({"port": 1}),
        json!({"hosts": ["127.0.0.2"]}),
        json!({"tls": true}),
        json!({"tls_ca": "-----BEGIN CERTIFICATE-----"}),
    ] {
        let refused = w.patch(&at, &change).await;
        assert_eq!(refused.refused(), (422, vec!["password"]), "{change}: {}", refused.text);
    }
    assert_eq!(w.store.routes().await.unwrap().remove(0).config, before);
    // A change that leads nowhere else asks for no password.
    w.patch(&at, &json!({"window": 7, "host": "127.0.0.1"})).await.ok();
    w.patch(&at, &json!({"hosts": ["127.0.0.1:9"], "password": PASSWORD})).await.ok();
    w.until(&at, |r| r["state"] == "connected").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_takes_what_carriers_ask_for_and_names_what_is_wrong() {
    let w = World::start().await;
    let port = w.smsc.port.to_string();
    let new = page(&w, "/routes/new").await;
    for field in asked().as_object().unwrap().keys() {
        assert!(new.contains(&format!("name=\"{field}\"")), "{field}");
    }
    // Each field has its line of help.
    assert!(!new.contains("<small>source ton</small>") && new.matches("<small>").count() >= 17, "{new}");
    let fields = [
        ("name", "Carrier"),
        ("host", "127.0.0.1"),
        ("port", &port),
        ("system_id", "us"),
        ("password", PASSWORD),
        ("binds", "1"),
        ("window", "10"),
        ("rate_per_second", "50"),
        ("hosts", "smsc2.example:2776\r\n"),
        ("bind_mode", "transceiver"),
        ("number_form", "plus"),
        ("source_ton", "5"),
        ("dest_ton", ""),
        ("country", "US"),
        ("answer_timeout", "60"),
        ("tlvs", "0x1400 1101\r\n0x1401 hex:00ff"),
        ("refusals", "69 route"),
    ];
    let (status, text) = post(&w, "/routes/new", &fields).await;
    assert_eq!(status, 200, "{text}");
    let shown = w.get("/routes/rte_1").await.ok();
    for (field, value) in [
        ("hosts", json!(["smsc2.example:2776"])),
        ("number_form", json!("plus")),
        ("source_ton", json!(5)),
        ("dest_ton", json!(null)),
        ("country", json!("US")),
        ("answer_timeout", json!("PT1M")),
        ("tlvs", json!({"0x1400": "1101", "0x1401": {"hex": "00ff"}})),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    let seen = page(&w, "/routes/rte_1").await;
    assert!(seen.contains("\n0x1401 hex:00ff</textarea>"), "{seen}");
    assert!(seen.contains("name=\"answer_timeout\" type=\"number\" value=\"60\""), "{seen}");
    assert!(!seen.contains(&format!("value=\"{PASSWORD}\"")), "{seen}");
    // Saved as shown, it stays as it is; another host asks for the password.
    let changed = |field: &'static str, value: &'static str| {
        let mut fields: Vec<_> = fields.iter().copied().filter(|(f, _)| *f != "password").collect();
        fields.retain(|(f, _)| *f != field);
        fields.push((field, value));
        fields
    };
    for (field, value, words) in [
        ("name", "Other", None),
        ("host", "127.0.0.2", Some("give it again")),
        ("tlvs", "entity 1", Some("'entity' is no tag")),
        ("tlvs", "0x1400", Some("write a tag and its value")),
        ("source_ton", "9", Some("must be from 0 to 6")),
        ("binds", "5000", Some("must be from 1 to 100")),
        ("country", "Atlantis", Some("is not a country")),
    ] {
        let (status, text) = post(&w, "/routes/rte_1", &changed(field, value)).await;
        match words {
            None => assert_eq!(status, 200, "{field} {value}"),
            Some(words) => {
                let text = text.replace("&#39;", "'");
                assert!(status == 422 && text.contains(words), "{field} {value}: {status} {text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_answers_nobody_is_shown_as_that() {
    let w = World::start().await;
    let route = w.route(json!({})).await;
    w.until(&format!("/routes/{route}"), |r| r["state"] == "connected").await;
    w.smsc.reply("447700900123", "12025550100", "STOP").await;
    let replies = w.until("/replies?matched=false", |r| r["items"][0].is_object()).await;
    let reply = &replies["items"][0];
    assert_eq!(
        (&reply["number"], &reply["matched"], &reply["campaign_id"], &reply["keyword"]),
        (&json!("+447700900123"), &json!(false), &json!(null), &json!("opt_out"))
    );
    assert_eq!(w.get("/replies").await.ok()["items"].as_array().unwrap().len(), 1);
    assert_eq!(w.get("/replies?matched=true").await.refused(), (422, vec!["matched"]));
    let seen = page(&w, "/routes/replies").await;
    assert!(seen.contains("+447700900123") && seen.contains("STOP"), "{seen}");
}
