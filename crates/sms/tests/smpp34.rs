//! A whole campaign over real SMPP against an independent SMSC: store, engine and bind together.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use campaign::{CampaignId, Status, Totals};
use engine::{Engine, RouteState};
use fixture::{Data, smsc::Smsc};
use jiff::Timestamp;
use serde_json::json;
use sms::SmppRoute;

const NOW: &str = r#"[{"now":true}]"#;

struct World {
    data: Data,
    engine: Engine,
    smsc: Smsc,
}

impl World {
    async fn with(people: i64, password: &str) -> Self {
        let smsc = Smsc::start().await;
        let route = json!({"port": smsc.port, "password": password, "window": 20, "rate_per_second": 2_000});
        let now = Timestamp::now();
        let data = Data::with(fixture::people(people, &[]), route, now).await;
        let connect: engine::Connect = Box::new(|route, reports, opt_outs| {
            Arc::new(SmppRoute::start(route.id, &route.config, reports, opt_outs))
        });
        let engine = Engine::start(data.store.clone(), "one".into(), connect, now).await.unwrap();
        Self { data, engine, smsc }
    }

    async fn schedule(&self, text: &str) -> CampaignId {
        self.data.schedule(text, NOW, json!({"name": "Real"}), Timestamp::now()).await
    }

    async fn turn(&mut self) {
        let now = Timestamp::now();
        self.engine.cycle(now).await.unwrap();
        self.engine.attend(now).await;
        // The far end is another task, on a real socket.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    async fn stop(&mut self, id: CampaignId) {
        let mut stopped = self.engine.stop(id, "ana".into(), Timestamp::now()).await.unwrap();
        while stopped.try_recv().is_err() {
            self.turn().await;
        }
    }

    /// Takes turns until `done` says so; a minute is far more than any of these needs.
    async fn turn_until(&mut self, id: CampaignId, done: impl Fn(Status, &Totals) -> bool) {
        let end = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            self.turn().await;
            let c = self.data.store.campaign(id).await.unwrap();
            if done(c.status, &c.sum()) {
                return;
            }
            assert!(std::time::Instant::now() < end, "{:?} {:?}", c.status, c.sum());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_stops_restarts_and_completes_over_smpp_with_nobody_written_to_twice() {
    let mut w = World::with(2_000, "secret").await;
    let id = w.schedule("Hello from Carillon").await;
    w.turn_until(id, |_, t| t.sent + t.delivered >= 300).await;
    w.stop(id).await;
    let written = w.smsc.count();
    let totals = w.data.store.campaign(id).await.unwrap().sum();
    assert!((300..2_000).contains(&written), "{written}");
    assert_eq!(totals.sent + totals.delivered, written);
    assert_eq!(totals.cancelled, 2_000 - written);
    // Receipts of what was written still come; not one more message does.
    w.turn_until(id, |_, t| t.delivered == written).await;
    assert_eq!(w.smsc.count(), written);
    w.data.store.restart(id, BTreeMap::new(), false, "ana".into(), Timestamp::now()).await.unwrap();
    w.turn_until(id, |status, t| status == Status::Completed && t.delivered == 2_000).await;
    let per_number = w.smsc.per_number();
    assert_eq!((per_number.len(), per_number.values().max()), (2_000, Some(&1)));
    w.data.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_text_with_emoji_arrives_as_it_was_written() {
    let mut w = World::with(1, "secret").await;
    let text = "Грозовое предупреждение ⚡ ".repeat(8);
    let id = w.schedule(&text).await;
    w.turn_until(id, |status, t| status == Status::Completed && t.delivered == 1).await;
    assert!(w.smsc.count() > 1);
    assert!(w.smsc.got().iter().all(|sm| sm.esm_class == 0x40 && sm.data_coding == 8));
    assert_eq!(w.smsc.texts().into_values().collect::<Vec<_>>(), [text]);
    w.data.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_shows_the_smscs_words_and_sends_nothing() {
    let mut w = World::with(1, "wrong").await;
    let id = w.schedule("Hello").await;
    let refused = RouteState::Refused("the password is wrong".into());
    let route = w.data.route;
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while w.engine.handle().route_state(route).as_ref() != Some(&refused) {
        assert!(std::time::Instant::now() < end);
        w.turn().await;
    }
    w.turn().await;
    assert_eq!(w.data.store.campaign(id).await.unwrap().sum(), Totals { pending: 1, ..Totals::default() });
}
