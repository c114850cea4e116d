//! Secrets are shown once and kept only where they are used, and an actor is known by more than a name.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use store::{ActorId, Role};
use world::World;

/// Every text in the database except those in the column that keeps the secrets of webhooks.
fn texts(w: &World) -> String {
    let c = rusqlite::Connection::open(w.store.folder().join("carillon.db")).unwrap();
    let mut tables = c.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = String::new();
    for table in tables {
        let mut rows = c.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns: Vec<String> = rows.column_names().map(str::to_owned).collect();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for (at, column) in
                columns.iter().enumerate().filter(|(_, c)| table != "webhook" || *c != "secret")
            {
                if let Ok(text) = row.get::<_, String>(at) {
                    all.extend([&table, ".", column, ": ", &text, "\n"]);
                }
            }
        }
    }
    all
}

#[tokio::test]
async fn a_remembered_answer_keeps_no_secret_and_is_given_again_as_it_was() {
    let w = World::start().await;
    let hook = json!({"url": "https://crm.example/hooks", "levels": ["person"]});
    let keyed = || w.request(Method::POST, "/webhooks").header("Idempotency-Key", "one").json(&hook);
    let made = w.answer(keyed()).await.created();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let texts = texts(&w);
    assert!(texts.contains("idempotency.answer") && texts.contains("\"secret\":null"), "{texts}");
    assert!(!texts.contains(secret), "{texts}");
    assert_eq!(w.answer(keyed()).await.created(), made);
    assert_eq!(w.get("/webhooks").await.ok()["items"].as_array().unwrap().len(), 1);
    // A secret that is no longer kept is not shown again.
    w.answer(w.request(Method::DELETE, "/webhooks/whk_1")).await;
    assert_eq!(w.answer(keyed()).await.created()["secret"], Value::Null);
}

#[tokio::test]
async fn neither_a_token_of_the_same_name_nor_one_called_as_a_person_is_taken_for_another() {
    let w = World::start().await;
    let now = Timestamp::now();
    let ana = "ana@clinic.example";
    w.store.add_user(ana, Role::Admin, "a hash".into(), fixture::by(now)).await.unwrap();
    for secret in ["first", "second"] {
        w.store.add_token(ana.into(), Role::Admin, secret, fixture::by(now)).await.unwrap();
    }
    let mut made = Vec::new();
    for secret in ["first", "second"] {
        let request =
            w.anonymous(Method::POST, "/lists").bearer_auth(secret).header("Idempotency-Key", "one");
        made.push(w.answer(request.json(&json!({"name": format!("Of {secret}")}))).await.created());
        let account = w.anonymous(Method::GET, "//account").bearer_auth(secret);
        assert_eq!(w.answer(account).await.status, 404, "the account is the person's");
    }
    assert_ne!(made[0]["id"], made[1]["id"], "keys are each caller's own");
    let tokens = w.store.tokens().await.unwrap();
    let of = |secret: &str| tokens[usize::from(secret == "first")].id;
    let log = w.store.audit_log(None, 2).await.unwrap();
    let log: Vec<_> = log.into_iter().map(|e| (e.actor, e.actor_id.unwrap(), e.object)).collect();
    let expected = [("second", "lst_2"), ("first", "lst_1")]
        .map(|(secret, list)| (ana.to_owned(), ActorId::Token(of(secret)).to_string(), list.to_owned()));
    assert_eq!(log, expected);
    assert!(log[0].1.starts_with("token:"));
}

#[tokio::test]
async fn passwords_and_secrets_stand_in_no_answer_but_the_first() {
    const PASSWORD: &str = "hunter2!";
    let w = World::start().await;
    let route = w.route(json!({"password": PASSWORD, "disabled": true})).await;
    let hook = json!({"url": "https://crm.example/hooks", "levels": ["person"]});
    let secret = w.post("/webhooks", &hook).await.created()["secret"].as_str().unwrap().to_owned();
    w.patch(&format!("/routes/{route}"), &json!({"window": 7})).await.ok();
    w.post("/webhooks/whk_1/test", &json!({})).await;
    for rule in server::permission::TABLE
        .iter()
        .filter(|rule| rule.method == "GET" && !rule.path.ends_with("/events"))
    {
        let path =
            rule.path.replace("/routes/{id}", "/routes/rte_1").replace("/webhooks/{id}", "/webhooks/whk_1");
        let path = world::address(&server::permission::Rule { path: path.leak(), ..*rule });
        let answer = w.get(&format!("/{path}")).await;
        assert!(!answer.text.contains(PASSWORD) && !answer.text.contains(&secret), "{path}: {}", answer.text);
    }
}
