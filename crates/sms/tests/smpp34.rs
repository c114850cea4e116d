//! A whole campaign over real SMPP against an independent SMSC: store, engine and bind together.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::{collections::BTreeMap, time::Duration};

use campaign::Status;
use engine::RouteState;
use fixture::smsc::Smsc;
use jiff::Timestamp;
use serde_json::json;
use world::World;

async fn with(people: i64, password: &str) -> (World, Smsc) {
    let smsc = Smsc::start().await;
    let route = json!({"port": smsc.port, "password": password, "window": 20, "rate_per_second": 2_000});
    (World::with(people, route).await, smsc)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_stops_restarts_and_completes_over_smpp_with_nobody_written_to_twice() {
    let (mut w, smsc) = with(2_000, "secret").await;
    let id = w.schedule("Hello from Carillon").await;
    w.turn_until(id, |_, t| fixture::count(t, "sent") + fixture::count(t, "delivered") >= 300).await;
    w.stop(id).await;
    let written = smsc.count();
    let totals = w.data.store.campaign(id).await.unwrap().sum();
    assert!((300..2_000).contains(&written), "{written}");
    assert_eq!(fixture::count(totals, "sent") + fixture::count(totals, "delivered"), written);
    assert_eq!(fixture::count(totals, "cancelled"), 2_000 - written);
    // Receipts of what was written still come; not one more message does.
    w.turn_until(id, |_, t| fixture::count(t, "delivered") == written).await;
    assert_eq!(smsc.count(), written);
    w.data.store.restart(id, BTreeMap::new(), false, fixture::by(Timestamp::now())).await.unwrap();
    w.turn_until(id, |status, t| status == Status::Completed && fixture::count(t, "delivered") == 2_000)
        .await;
    let per_number = smsc.per_number();
    assert_eq!((per_number.len(), per_number.values().max()), (2_000, Some(&1)));
    w.data.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_text_with_emoji_arrives_as_it_was_written() {
    let (mut w, smsc) = with(1, "secret").await;
    let text = "Грозовое предупреждение ⚡ ".repeat(8);
    let id = w.schedule(&text).await;
    w.turn_until(id, |status, t| status == Status::Completed && fixture::count(t, "delivered") == 1).await;
    assert!(smsc.count() > 1);
    assert!(smsc.got().iter().all(|sm| sm.esm_class == 0x40 && sm.data_coding == 8));
    assert_eq!(smsc.texts().into_values().collect::<Vec<_>>(), [text]);
    w.data.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_shows_the_smscs_words_and_sends_nothing() {
    let (mut w, _smsc) = with(1, "wrong").await;
    let id = w.schedule("Hello").await;
    let refused = RouteState::Refused("the password is wrong".into());
    let route = w.data.route;
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while w.engine.handle().route_state(route).as_ref() != Some(&refused) {
        assert!(std::time::Instant::now() < end);
        w.turn().await;
    }
    w.turn().await;
    assert_eq!(w.data.store.campaign(id).await.unwrap().sum(), fixture::totals([("pending", 1)]));
}
