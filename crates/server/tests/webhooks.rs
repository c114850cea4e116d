//! Webhooks against receivers that verify, refuse, hang and go away.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::HeaderMap, http::StatusCode, routing::post};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::{Value, json};
use server::{App, config::Config, reach::Reach, webhook::Courier};
use standardwebhooks::Webhook as Verifier;
use store::{Level, Store};
use world::World;

/// Far more than any step here needs.
const PATIENCE: Duration = Duration::from_secs(60);
/// 32 bytes in base64.
const SECRET: &str = "whsec_eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=";

/// Allows the test's own receivers.
fn inside() -> Config {
    Config { webhooks: Reach::Anywhere, ..Config::default() }
}

/// Events received: the id, the event, and whether the signature was right.
type Came = Arc<Mutex<Vec<(String, Value, bool)>>>;

/// A receiver that answers the nth request with what `answer` returns for n.
async fn receiver(
    secret: &str,
    answer: impl Fn(usize) -> u16 + Clone + Send + Sync + 'static,
) -> (String, Came) {
    let came: Came = Arc::default();
    let verifier = Arc::new(Verifier::new(secret).unwrap());
    let theirs = came.clone();
    let take = async move |headers: HeaderMap, body: Bytes| {
        let fits = verifier.verify(&body, &headers).is_ok();
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        let mut came = theirs.lock().unwrap();
        came.push((id, serde_json::from_slice(&body).unwrap(), fits));
        StatusCode::from_u16(answer(came.len())).unwrap()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new().route("/hook", post(take))).await });
    (url, came)
}

async fn until(came: &Came, done: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let end = Instant::now() + PATIENCE;
    loop {
        let seen: Vec<Value> = came.lock().unwrap().iter().map(|(_, event, _)| event.clone()).collect();
        if done(&seen) {
            return seen;
        }
        assert!(Instant::now() < end, "{seen:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn of_kind<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|e| e["type"] == kind).map(|e| &e["data"]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_level_is_told_what_it_asks_for_and_a_receiver_that_hangs_holds_nobody() {
    let w = World::start().await;
    // Accepts connections and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = format!("http://{}/", silent.local_addr().unwrap());
    w.post("/webhooks", &json!({"url": hangs, "levels": ["campaign"]})).await.created();
    let (all_url, all) = receiver(SECRET, |_| 200).await;
    let (campaign_url, campaign) = receiver(SECRET, |_| 204).await;
    for (url, levels) in [(all_url, Level::ALL.to_vec()), (campaign_url, vec![Level::Campaign])] {
        w.store.add_webhook(url, levels, SECRET.into(), fixture::by(Timestamp::now())).await.unwrap();
    }
    let list = w.list_of("phone\n+12025550001\n+12025550002\n+12025550003\n").await;
    let route = w.route(json!({})).await;
    let at = w
        .start_campaign(&json!({"channel": "sms", "name": "Storm", "route_id": route, "sender": "+12025550100",
            "list_ids": [list], "opt_in_acknowledged": true, "window": null,
            "messages": [{"text": "Storm.", "send": {"now": true}}, {"text": "Still.", "send": {"after": "PT1H"}}]}))
        .await;
    w.until(&at, |c| c["totals"]["delivered"] == 3).await;
    w.smsc.reply("12025550002", "12025550100", "Stop").await;
    w.post("/suppressions", &json!({"channel": "all", "number": "+12025550003"})).await.created();
    until(&all, |events| of_kind(events, "person.opted_out").len() == 1).await;
    w.post(&format!("{at}/stop"), &json!({})).await.ok();
    let statuses = until(&campaign, |events| !of_kind(events, "campaign.stopped").is_empty()).await;
    // They may arrive in another order than they happened in.
    let mut kinds: Vec<&str> = statuses.iter().filter_map(|e| e["type"].as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["campaign.running", "campaign.scheduled", "campaign.stopped"]);
    assert_eq!(of_kind(&statuses, "campaign.stopped")[0]["by"], "secret");

    // The state that was reported for each message to each number.
    let delivered = |events: &[Value]| {
        let changed = of_kind(events, "deliveries.changed");
        let all = changed.iter().flat_map(|data| data["deliveries"].as_array().unwrap().clone());
        let mut all: Vec<_> =
            all.map(|d| (d["number"].clone(), d["outcome"].clone(), d["message"].clone())).collect();
        all.sort_by_key(|(number, outcome, _)| format!("{number}{outcome}"));
        all
    };
    let events = until(&all, |events| of_kind(events, "campaign.stopped").len() == 1).await;
    let expected: Vec<_> = ["+12025550001", "+12025550002", "+12025550003"]
        .iter()
        .flat_map(|n| ["delivered", "sent"].map(|outcome| (json!(n), json!(outcome), json!(1))))
        .collect();
    // If a receipt came with its result, one event reports both.
    let told = delivered(&events);
    assert!(told.iter().all(|t| expected.contains(t)), "{told:?}");
    assert_eq!(told.iter().filter(|t| t.1 == "delivered").count(), 3, "{told:?}");
    assert_eq!(of_kind(&events, "person.opted_out")[0]["number"], "+12025550002");
    assert_eq!(of_kind(&events, "person.blocked")[0]["number"], "+12025550003");
    // The second message was still to come: the campaign is not over for anybody.
    assert!(of_kind(&events, "people.settled").is_empty());
    assert!(all.lock().unwrap().iter().all(|(_, _, fits)| *fits));
    let mut ids: Vec<String> = all.lock().unwrap().iter().map(|(id, ..)| id.clone()).collect();
    let told = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), told, "no event twice while its receiver takes it");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_got_the_last_message_is_told_of_once_with_every_outcome() {
    let w = World::start().await;
    let (url, came) = receiver(SECRET, |_| 200).await;
    w.store
        .add_webhook(url, vec![Level::Person], SECRET.into(), fixture::by(Timestamp::now()))
        .await
        .unwrap();
    let people: Vec<String> = (0..250).map(|i| format!("+1202555{i:04}")).collect();
    let list = w.list_of(&format!("phone\n{}\n", people.join("\n"))).await;
    let route = w.route(json!({})).await;
    let at = w
        .start_campaign(&json!({"channel": "sms", "name": "Twice", "route_id": route, "sender": "+12025550100",
            "list_ids": [list], "opt_in_acknowledged": true, "window": null,
            "messages": [{"text": "One.", "send": {"now": true}}, {"text": "Two.", "send": {"after": "PT0S"}}]}))
        .await;
    w.until(&at, |c| c["status"] == "completed").await;
    let people = |events: &[Value]| -> Vec<Value> {
        let settled = of_kind(events, "people.settled");
        settled.iter().flat_map(|data| data["people"].as_array().unwrap().clone()).collect()
    };
    let events = until(&came, |events| people(events).len() >= 250).await;
    let mut numbers: Vec<String> = Vec::new();
    for person in people(&events) {
        let deliveries = person["deliveries"].as_array().unwrap();
        assert_eq!(deliveries.len(), 2, "{person}");
        numbers.push(deliveries[0]["number"].to_string());
    }
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 250);
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_by_the_clock_and_given_up_at_last() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let begin: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let (url, came) = receiver(SECRET, |n| if n <= 10 { 503 } else { 200 }).await;
    let hook = store.add_webhook(url, vec![Level::Person], SECRET.into(), fixture::by(begin)).await.unwrap();
    let courier = Courier::new(&App::with(store.clone(), inside())).unwrap();
    store.test_webhook(hook.id, fixture::by(begin)).await.unwrap();
    let due = format!("{:?}", store.webhooks_due(begin).await.unwrap());
    assert!(due.contains("Secret(***)") && !due.contains("whsec_"), "{due}");
    let mut now = begin;
    for tries in 1..=10 {
        courier.tell(now).await.unwrap();
        assert_eq!(came.lock().unwrap().len(), tries);
        let event = store.webhook_log(hook.id, None, 1).await.unwrap().pop().unwrap();
        assert_eq!(event.tries.last().unwrap().status, Some(503));
        assert_eq!(event.state, if tries == 10 { "given_up" } else { "queued" });
        // Nothing is sent before its time.
        courier.tell(event.due_at.max(now + SignedDuration::from_secs(1)) - 1.second()).await.unwrap();
        assert_eq!(came.lock().unwrap().len(), tries);
        now = event.due_at;
    }
    let lasted = now.duration_since(begin);
    assert!(lasted > SignedDuration::from_hours(48) && lasted < SignedDuration::from_hours(72), "{lasted}");
    let event = store.webhook_log(hook.id, None, 1).await.unwrap().pop().unwrap();
    store.tell_again(hook.id, event.id, fixture::by(now)).await.unwrap();
    courier.tell(now + SignedDuration::from_secs(1)).await.unwrap();
    let event = store.webhook_log(hook.id, None, 1).await.unwrap().pop().unwrap();
    assert_eq!((event.state.as_str(), event.tries.len()), ("delivered", 11));
    // Always the same id, so that a receiver that had accepted it recognises it.
    assert!(came.lock().unwrap().windows(2).all(|two| two[0].0 == two[1].0));
    // A month later it is dropped from the log.
    store.prune(now + SignedDuration::from_hours(31 * 24)).await.unwrap();
    assert!(store.webhook_log(hook.id, None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_no_more_and_one_that_is_not_there_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let now = Timestamp::now();
    let courier = Courier::new(&App::with(store.clone(), inside())).unwrap();
    let (url, came) = receiver(SECRET, |_| 410).await;
    let gone = store.add_webhook(url, vec![Level::Person], SECRET.into(), fixture::by(now)).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let absent =
        store.add_webhook(nobody, vec![Level::Person], SECRET.into(), fixture::by(now)).await.unwrap();
    for id in [gone.id, absent.id] {
        store.test_webhook(id, fixture::by(now)).await.unwrap();
    }
    courier.tell(now).await.unwrap();
    let off = store.webhook(gone.id).await.unwrap().off;
    assert!(off.is_some_and(|why| why.contains("410")));
    store.test_webhook(gone.id, fixture::by(now)).await.unwrap();
    courier.tell(now).await.unwrap();
    assert_eq!(came.lock().unwrap().len(), 1);
    let event = store.webhook_log(absent.id, None, 1).await.unwrap().pop().unwrap();
    let detail = event.tries[0].detail.clone().unwrap();
    assert!(detail.starts_with("cannot connect: "), "{detail}");
}

#[tokio::test]
async fn a_webhook_that_leads_inside_is_refused_when_it_is_made_and_when_it_is_told() {
    let w = World::with(Config::default()).await;
    let (url, came) = receiver(SECRET, |_| 200).await;
    for inside in [
        url.as_str(),
        "http://localhost:9/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://0/",
    ] {
        let refused = w.post("/webhooks", &json!({"url": inside, "levels": ["person"]})).await;
        assert_eq!(refused.refused(), (422, vec!["url"]), "{inside}");
        assert!(refused.text.contains("webhooks_inside"), "{}", refused.text);
    }
    // A webhook made earlier, and a name that leads inside by the time something is sent.
    let now = Timestamp::now();
    let by_name = url.replace("127.0.0.1", "localhost");
    for url in [&url, &by_name] {
        let hook = w
            .store
            .add_webhook(url.clone(), vec![Level::Person], SECRET.into(), fixture::by(now))
            .await
            .unwrap();
        w.store.test_webhook(hook.id, fixture::by(now)).await.unwrap();
        let end = Instant::now() + PATIENCE;
        let told = loop {
            let event = w.store.webhook_log(hook.id, None, 1).await.unwrap().pop().unwrap();
            if let Some(told) = event.tries.first() {
                break told.detail.clone().unwrap();
            }
            assert!(Instant::now() < end);
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert!(told.contains("leads inside"), "{told}");
    }
    assert!(came.lock().unwrap().is_empty());
    // A network that is allowed.
    let folder = tempfile::tempdir().unwrap();
    let here = Config { webhooks: "127.0.0.0/8, ::1".parse().unwrap(), ..Config::default() };
    let app = App::with(Store::open(folder.path()).unwrap(), here);
    let hook =
        app.store.add_webhook(by_name, vec![Level::Person], SECRET.into(), fixture::by(now)).await.unwrap();
    app.store.test_webhook(hook.id, fixture::by(now)).await.unwrap();
    Courier::new(&app).unwrap().tell(now).await.unwrap();
    assert_eq!(came.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_address_that_is_none_and_no_level_are_refused_by_field() {
    let w = World::start().await;
    let refused = w.post("/webhooks", &json!({"url": "file:///etc/passwd", "levels": []})).await;
    assert_eq!(refused.refused(), (422, vec!["url", "levels"]));
    let refused =
        w.post("/webhooks", &json!({"url": "https://crm.example/", "levels": ["everything"]})).await;
    assert_eq!(refused.refused(), (422, vec!["levels[0]"]));
    let made =
        w.post("/webhooks", &json!({"url": "https://crm.example/", "levels": ["person"]})).await.created();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let listed = w.get("/webhooks").await.ok();
    assert_eq!(listed["items"][0]["url"], "https://crm.example/");
    assert!(listed["items"][0].get("secret").is_none(), "shown once");
}
