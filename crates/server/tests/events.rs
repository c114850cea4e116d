//! Live events: who listens, for how long, and how many at a time.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::time::Duration;

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use server::config::Config;
use store::Role;
use world::World;

/// Far more than any step here needs.
const PATIENCE: Duration = Duration::from_secs(60);
const ANA: &str = "ana@clinic.example";

fn by() -> store::By {
    fixture::by(Timestamp::now())
}

async fn listen(request: RequestBuilder) -> impl Stream<Item = String> + Unpin {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let texts = answer.bytes_stream().map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap());
    Box::pin(texts)
}

/// Reads a stream to its end; the test fails if it has none.
async fn ends(mut stream: impl Stream<Item = String> + Unpin, why: &str) {
    let end = async { while stream.next().await.is_some() {} };
    assert!(tokio::time::timeout(PATIENCE, end).await.is_ok(), "it goes on: {why}");
}

/// Reads until `what` comes.
async fn hears(stream: &mut (impl Stream<Item = String> + Unpin), what: &str) {
    let mut heard = String::new();
    while !heard.contains(what) {
        let next = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap();
        heard += &next.unwrap_or_else(|| panic!("it ended before {what}: {heard}"));
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_permission_and_no_other_with_it() {
    let w = World::start().await;
    let ana = w.store.add_user(ANA, Role::Manager, "a hash".into(), by()).await.unwrap();
    w.store.add_user("ben@clinic.example", Role::Admin, "a hash".into(), by()).await.unwrap();
    w.store.add_token("crm".into(), Role::Viewer, "crm", by()).await.unwrap();
    let mut stays = listen(w.request(Method::GET, "/events")).await;
    let of_session = async |secret: &str| {
        w.store.begin_session(ana, secret, Timestamp::now()).await.unwrap();
        let cookie = format!("carillon_session={secret}");
        listen(w.anonymous(Method::GET, "/events").header("cookie", cookie)).await
    };
    let of_token = listen(w.anonymous(Method::GET, "/events").bearer_auth("crm")).await;
    let id = w.store.tokens().await.unwrap().iter().find(|t| t.name == "crm").unwrap().id;
    w.store.remove_token(id, by()).await.unwrap();
    ends(of_token, "the token was removed").await;

    let (signed_out, other) = (of_session("one").await, of_session("two").await);
    w.store.end_session("one", by()).await.unwrap();
    ends(signed_out, "they signed out").await;
    w.store.set_password(ana, "another hash".into(), by()).await.unwrap();
    ends(other, "the password was changed").await;
    let demoted = of_session("three").await;
    w.store.set_role(ana, Role::Viewer, by()).await.unwrap();
    ends(demoted, "the role was changed").await;
    let idle = of_session("four").await;
    let c = rusqlite::Connection::open(w.store.folder().join("carillon.db")).unwrap();
    c.execute("UPDATE session SET seen_at = 0", []).unwrap();
    ends(idle, "the session was not used for long").await;
    let removed = of_session("five").await;
    w.store.remove_user(ana, by()).await.unwrap();
    ends(removed, "the account was removed").await;

    w.post("/campaigns", &json!({"channel": "sms", "name": "Still here"})).await.created();
    hears(&mut stays, "Still here").await;
}

#[tokio::test]
async fn so_many_listen_in_all_and_of_each_and_there_is_room_again_when_one_goes() {
    let w = World::with(Config { listeners: 3, listeners_of_one: 2, ..Config::default() }).await;
    let ask = |token: &str| w.anonymous(Method::GET, "/events").bearer_auth(token);
    let mut of_admin = vec![listen(ask("secret")).await, listen(ask("secret")).await];
    assert_eq!(w.answer(ask("secret")).await.refused().0, 429);
    let _of_reader = listen(ask("reader")).await;
    assert_eq!(w.answer(ask("manager")).await.refused().0, 503);
    w.post("/campaigns", &json!({"channel": "sms", "name": "Heard by all"})).await.created();
    for stream in &mut of_admin {
        hears(stream, "Heard by all").await;
    }
    drop(of_admin.pop());
    let room = async {
        while ask("manager").send().await.unwrap().status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, room).await.is_ok());
}
