//! Headers of every answer, whatever made it.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::json;
use server::permission::TABLE;
use world::World;

/// Asks for `path` exactly as written, as an admin.
fn ask(w: &World, method: &str, path: &str) -> RequestBuilder {
    w.request(method.parse::<Method>().unwrap(), &format!("/{path}"))
}

#[track_caller]
fn assert_taken_as_declared(answer: &Response, what: &str) {
    assert_eq!(answer.headers().get("x-content-type-options").unwrap(), "nosniff", "{what}");
}

#[tokio::test]
async fn no_browser_takes_an_answer_for_anything_but_what_it_says_it_is() {
    let w = World::start().await;
    let stranger = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for rule in TABLE {
        let path = world::address(rule);
        let what = format!("{} {path}", rule.method);
        let known = ask(&w, rule.method, &path).send().await.unwrap();
        assert_taken_as_declared(&known, &what);
        let unknown = stranger.request(rule.method.parse().unwrap(), format!("{}{path}", w.base()));
        assert_taken_as_declared(&unknown.send().await.unwrap(), &what);
    }
    let (import, list) = w.import("phone\n+12025550001\nnobody\n", "").await;
    let route = w.route(json!({})).await;
    let campaign = json!({"channel": "sms", "name": "Storm", "route_id": route, "sender": "CLINIC", "list_ids": [list],
        "opt_in_acknowledged": true, "window": null, "messages": [{"text": "Hello", "send": {"now": true}}]});
    let campaign = w.start_campaign(&campaign).await;
    let refused = format!("/api/v1/imports/{}/errors.csv", import["id"].as_str().unwrap());
    let sent = format!("/api/v1{campaign}/deliveries.csv");
    let large = vec![b' '; 17 * 1024 * 1024];
    let kinds: Vec<(u16, RequestBuilder)> = vec![
        (200, ask(&w, "GET", "/")),
        (200, ask(&w, "HEAD", "/")),
        (200, ask(&w, "GET", "/health")),
        (200, ask(&w, "GET", "/api/v1/openapi.json")),
        (200, ask(&w, "GET", "/api/v1/events")),
        (200, ask(&w, "GET", "/assets/design.css")),
        (200, ask(&w, "GET", "/assets/page.js")),
        (200, ask(&w, "GET", "/sign-in")),
        (200, ask(&w, "GET", &refused)),
        (200, ask(&w, "GET", &sent)),
        (400, ask(&w, "POST", "/api/v1/lists").body("{")),
        (400, ask(&w, "GET", "/contacts/lists/%FF")),
        (400, ask(&w, "GET", "/settings/webhooks/whk_1?before=yesterday")),
        (401, stranger.get(format!("{}/api/v1/lists", w.base()))),
        (404, ask(&w, "GET", "/assets/none.css")),
        (404, ask(&w, "GET", "/nothing/here")),
        (404, ask(&w, "GET", "/api/v1/campaigns/none")),
        (405, ask(&w, "PUT", "/health")),
        (405, ask(&w, "DELETE", "/")),
        (405, ask(&w, "OPTIONS", "/api/v1/lists")),
        (413, ask(&w, "POST", "/api/v1/lists").body(large.clone())),
        (413, ask(&w, "POST", "/contacts").body(large)),
        (422, ask(&w, "POST", "/api/v1/lists").body("{}")),
        (422, ask(&w, "GET", "/api/v1/campaigns?limit=many")),
    ];
    for (status, request) in kinds {
        let request = request.build().unwrap();
        let what = format!("{} {}", request.method(), request.url().path());
        let answer = stranger.execute(request).await.unwrap();
        assert_eq!(answer.status(), status, "{what}");
        assert_taken_as_declared(&answer, &what);
    }
}

#[tokio::test]
async fn what_can_be_done_at_an_address_is_said_where_something_else_was_asked() {
    let w = World::start().await;
    for (method, path, allowed) in [
        ("PUT", "/health", "GET"),
        ("DELETE", "/api/v1/lists", "GET, POST"),
        ("PATCH", "/sign-in", "GET, POST"),
    ] {
        let answer = ask(&w, method, path).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[header::ALLOW]),
            (405, &allowed.parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_answered_in_words_that_tell_nothing_of_it() {
    let w = World::start().await;
    let (_, list) = w.import("phone\n+12025550001\n", "").await;
    let elsewhere = rusqlite::Connection::open(w.store.folder().join("carillon.db")).unwrap();
    let tables: Vec<String> = elsewhere
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('token', 'user', 'session')")
        .unwrap()
        .query_map([], |r| r.get(0))
        .unwrap()
        .map(Result::unwrap)
        .filter(|name: &String| !name.starts_with("sqlite_") && !name.contains("name_"))
        .collect();
    elsewhere.pragma_update(None, "legacy_alter_table", true).unwrap();
    for table in tables {
        // A table that cannot be renamed is part of another.
        let _ = elsewhere.execute_batch(&format!("ALTER TABLE \"{table}\" RENAME TO \"gone_{table}\""));
    }
    let folder = w.store.folder().display().to_string();
    let mut failed = 0;
    let gets =
        TABLE.iter().filter(|rule| rule.method == "GET").map(|rule| (rule.method, world::address(rule)));
    let posts = [("POST", "/api/v1/lists".to_owned()), ("POST", format!("/api/v1/lists/{list}/contacts"))];
    for (method, path) in gets.filter(|(_, path)| !path.ends_with("/events")).chain(posts) {
        let answer = ask(&w, method, &path).json(&json!({"name": "Members"})).send().await.unwrap();
        failed += usize::from(answer.status().is_server_error());
        let text = answer.text().await.unwrap();
        for inner in ["no such table", "SELECT", "INSERT", "gone_", "rusqlite", folder.as_str()] {
            assert!(!text.contains(inner), "{method} {path}: {text}");
        }
    }
    assert!(failed > 20, "{failed}");
}
