//! Bad input is refused with its field, and changes nothing.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use fixture::with;
use reqwest::Method;
use serde_json::{Value, json};
use world::World;

fn campaign(more: Value) -> Value {
    with(
        json!({"channel": "sms", "name": "Bad", "messages": [{"text": "Hello", "send": {"now": true}}]}),
        more,
    )
}

#[tokio::test]
async fn what_is_wrong_in_itself_is_refused_at_save_with_its_field() {
    let w = World::start().await;
    let cases = [
        (json!({"channel": "fax"}), "channel"),
        (json!({"channel": "voice"}), "messages"),
        (json!({"name": " "}), "name"),
        (json!({"nmae": "typo"}), "nmae"),
        (json!({"time_zone": "Mars/Olympus"}), "time_zone"),
        (json!({"sender": "far too long a name"}), "sender"),
        (json!({"list_ids": ["lst_99"]}), "list_ids[0]"),
        (json!({"route_id": "rte_99"}), "route_id"),
        (json!({"lateness_limit": "soon"}), "lateness_limit"),
        (json!({"pilot": 0}), "pilot"),
        (json!({"max_cost": "cheap"}), "max_cost"),
        (json!({"window": {"from": "21:00", "to": "08:00"}}), "window"),
        (json!({"messages": [{"text": "Hello {{ nobody }}", "send": {"now": true}}]}), "messages[0].text"),
        (json!({"messages": [{"text": "Hello {{", "send": {"now": true}}]}), "messages[0].text"),
        (
            json!({"messages": [{"text": "{% for i in range(9999999) %}x{% endfor %}", "send": {"now": true}}]}),
            "messages[0].text",
        ),
        (json!({"messages": [{"text": "Hello", "send": {"after": "P2D"}}]}), "messages[0].send"),
        (json!({"messages": [{"text": "Hello", "send": {"after": "P1M"}}]}), "messages[0].send"),
    ];
    for (wrong, field) in cases {
        let refused = w.post("/campaigns", &campaign(wrong.clone())).await;
        assert_eq!(refused.refused(), (422, vec![field]), "{wrong}: {}", refused.text);
    }
    assert_eq!(w.get("/campaigns").await.ok()["items"], json!([]));
    for (wrong, field) in [
        (json!({"password": "x".repeat(65)}), "password"),
        (json!({"password": "Zürich"}), "password"),
        (json!({"binds": 0}), "binds"),
        (json!({"binds": 101}), "binds"),
        (json!({"window": 2_147_483_648_u32}), "window"),
        (json!({"rate_per_second": 0}), "rate_per_second"),
        (json!({"claim_budget": 2_000_000}), "claim_budget"),
        (json!({"system_type": "longer than 12"}), "system_type"),
        (json!({"service_type": "SERVICE"}), "service_type"),
        (json!({"address_range": "x".repeat(41)}), "address_range"),
        (json!({"hosts": ["smsc:0"]}), "hosts[0]"),
        (json!({"source_ton": 7}), "source_ton"),
        (json!({"dest_npi": 19}), "dest_npi"),
        (json!({"bind_mode": "receiver"}), "bind_mode"),
        (json!({"number_form": "0"}), "number_form"),
        (json!({"default_alphabet": "utf-8"}), "default_alphabet"),
        (json!({"long_text": "udh"}), "long_text"),
        (json!({"tlvs": {"x": "1"}}), "tlvs"),
        (json!({"enquire_interval": "PT0S"}), "enquire_interval"),
        (json!({"answer_timeout": "P1D"}), "answer_timeout"),
        (json!({"country": "Atlantis"}), "country"),
        (json!({"kind": "fax"}), "kind"),
        (json!({"kind": "sip"}), "system_id"),
        (json!({"name": ""}), "name"),
    ] {
        let route =
            with(json!({"name": "R", "kind": "smpp", "host": "h", "port": 1, "system_id": "us"}), wrong);
        let refused = w.post("/routes", &route).await;
        assert_eq!(refused.refused(), (422, vec![field]), "{}", refused.text);
    }
}

#[tokio::test]
async fn what_is_missing_is_named_at_schedule_and_a_past_time_with_the_nearest_possible() {
    let w = World::start().await;
    let c = w.post("/campaigns", &campaign(json!({}))).await.created();
    let at = format!("/campaigns/{}", c["id"].as_str().unwrap());
    let refused = w.post(&format!("{at}/schedule"), &json!({})).await;
    assert_eq!(refused.refused(), (422, vec!["opt_in_acknowledged", "route_id", "sender", "list_ids"]));

    let route = w.route(json!({})).await;
    let empty = w.post("/lists", &json!({"name": "Empty"})).await.created()["id"].clone();
    let full = w.list_of("phone,time_zone\n+12025550001,America/New_York\n+4930901820,Europe/Berlin\n").await;
    let complete = |list: Value, send: Value| {
        json!({"version": 1, "opt_in_acknowledged": true, "route_id": route, "sender": "CLINIC", "list_ids": [list],
            "messages": [{"text": "Hello", "send": send}]})
    };
    let edited = w.patch(&at, &complete(empty, json!({"now": true}))).await.ok();
    let refused = w.post(&format!("{at}/schedule"), &json!({})).await;
    assert_eq!(refused.refused(), (422, vec!["list_ids"]));
    assert!(refused.text.contains("the audience is empty"), "{}", refused.text);

    let mut change = complete(json!(full), json!({"local": "2020-01-01T10:00"}));
    assert_eq!(w.patch(&at, &change).await.refused().0, 409);
    change["version"] = edited["version"].clone();
    w.patch(&at, &change).await.ok();
    for path in [format!("{at}/schedule"), format!("{at}/schedule?dry_run=true")] {
        let refused = w.post(&path, &json!({})).await;
        assert_eq!(refused.refused().0, 422);
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains("Europe/Berlin") && detail.contains("America/New_York"), "{detail}");
    }
    assert_eq!(w.get(&at).await.ok()["status"], "defined");
}

#[tokio::test]
async fn each_kind_of_refusal_has_its_status() {
    let w = World::start().await;
    let stranger = World::start().await.with_token("unknown");
    let no_token = stranger.get("/campaigns").await;
    assert_eq!((no_token.refused().0, no_token.body["type"].as_str()), (401, Some("/problems/unauthorized")));
    assert_eq!(w.get("/campaigns/cmp_99").await.refused().0, 404);
    assert_eq!(w.get("/campaigns/nothing").await.refused().0, 404);
    assert_eq!(w.get("/nowhere").await.refused().0, 404);
    assert_eq!(w.get("/campaigns?limit=501").await.refused(), (422, vec!["limit"]));
    assert_eq!(w.get("/campaigns?status=asleep").await.refused(), (422, vec!["status"]));
    let broken = w.answer(w.request(Method::POST, "/lists").body("{")).await;
    assert_eq!(broken.refused().0, 400);
    let empty = w.answer(w.request(Method::POST, "/lists").body("")).await;
    assert_eq!(empty.refused().0, 422);
    let large = w.answer(w.request(Method::POST, "/lists").body(vec![b' '; 17 * 1024 * 1024])).await;
    assert_eq!(large.refused().0, 413);
    w.post("/lists", &json!({"name": "One"})).await.created();
    assert_eq!(w.post("/lists", &json!({"name": "One"})).await.refused(), (422, vec!["name"]));
}

#[tokio::test]
async fn a_token_reads_or_writes_as_its_scope_says() {
    let w = World::start().await.with_token("reader");
    w.get("/lists").await.ok();
    let refused = w.post("/lists", &json!({"name": "Mine"})).await;
    assert_eq!((refused.refused().0, w.get("/lists").await.ok()["items"].clone()), (403, json!([])));
}

#[tokio::test]
async fn a_key_gets_one_answer_and_one_doing() {
    let w = World::start().await;
    let keyed = async |key: &str, name: &str| {
        let request = w.request(Method::POST, "/lists").header("Idempotency-Key", key);
        w.answer(request.json(&json!({"name": name}))).await
    };
    let first = keyed("one", "Members").await;
    let again = keyed("one", "Members").await;
    assert_eq!((first.status, &first.text), (201, &again.text));
    assert_eq!(again.status, 201);
    assert_eq!(keyed("one", "Others").await.refused(), (422, vec!["Idempotency-Key"]));
    assert_eq!(w.get("/lists").await.ok()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_action_that_the_status_does_not_allow_says_what_is_possible() {
    let w = World::start().await;
    let c = w.post("/campaigns", &campaign(json!({}))).await.created();
    let at = format!("/campaigns/{}", c["id"].as_str().unwrap());
    for action in ["stop", "restart", "release"] {
        let refused = w.post(&format!("{at}/{action}"), &json!({})).await;
        assert_eq!(refused.refused().0, 409, "{action}");
        assert_eq!(
            (&refused.body["campaign_status"], &refused.body["available_actions"]),
            (&json!("defined"), &json!(["edit", "schedule", "archive", "clone"]))
        );
    }
    assert_eq!(
        w.post(&format!("{at}/stop"), &json!({"hang_up": true})).await.refused(),
        (422, vec!["hang_up"])
    );
    assert_eq!(w.get(&at).await.ok()["version"], 1);
}
