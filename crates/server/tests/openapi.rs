//! The API's description and its live events.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::time::Duration;

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use world::World;

/// The addresses that scripts and other systems rely on.
const PROMISED: [(&str, &str); 28] = [
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
    ("get", "/campaigns/{id}/timeline"),
    ("get", "/campaigns/{id}/replies"),
    ("get", "/settings"),
    ("put", "/settings"),
    ("post", "/suppressions"),
    ("delete", "/suppressions/{channel}/{number}"),
];

#[tokio::test]
async fn what_is_promised_is_described_and_what_is_described_is_served() {
    let w = World::start().await;
    let document = w.get("/openapi.json").await.ok();
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            if path.ends_with("/events") {
                continue;
            }
            let path = path
                .replace("{id}", "none")
                .replace("{n}", "1")
                .replace("{channel}", "none")
                .replace("{delivery}", "1-0");
            let path = path.replace("{number}", "none");
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = w.answer(w.request(method.clone(), &format!("/{path}"))).await;
            // No address answers "no such address" or "no such method".
            assert_ne!(answer.status, 405, "{method} {path}");
            assert_ne!(answer.body["detail"], "there is nothing at this address", "{method} {path}");
        }
    }
    for (method, path) in PROMISED {
        assert!(paths[&format!("/api/v1{path}")].get(method).is_some(), "{method} {path} is not described");
    }
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
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
