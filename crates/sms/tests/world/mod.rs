//! A store, an engine and real SMPP connections.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{sync::Arc, time::Duration};

use campaign::{CampaignId, Status, Totals};
use engine::Engine;
use fixture::Data;
use jiff::Timestamp;
use serde_json::{Value, json};
use sms::SmppRoute;

const NOW: &str = r#"[{"now":true}]"#;

/// A store, an engine and SMPP routes to whatever listens on a port.
pub struct World {
    pub data: Data,
    pub engine: Engine,
}

impl World {
    /// `route` says where the far end is.
    pub async fn with(people: i64, route: Value) -> Self {
        let now = Timestamp::now();
        let data = Data::with(fixture::people(people, &[]), route, now).await;
        let connect: engine::Connect = Box::new(|route, reports, opt_outs| {
            Arc::new(SmppRoute::start(route.id, fixture::smpp(&route.config), reports, opt_outs))
        });
        let engine = Engine::start(data.store.clone(), "one".into(), connect, now).await.unwrap();
        Self { data, engine }
    }

    pub async fn schedule(&self, text: &str) -> CampaignId {
        self.schedule_with(text, json!({})).await
    }

    /// A campaign with the settings in `more`.
    pub async fn schedule_with(&self, text: &str, more: Value) -> CampaignId {
        let more = fixture::with(json!({"name": "Real"}), more);
        self.data.schedule(text, NOW, more, Timestamp::now()).await
    }

    pub async fn turn(&mut self) {
        let now = Timestamp::now();
        self.engine.cycle(now).await.unwrap();
        self.engine.attend(now).await;
        // The far end is another task, on a real socket.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    pub async fn stop(&mut self, id: CampaignId) {
        let mut stopped = self.engine.stop(id, fixture::by(Timestamp::now())).await.unwrap();
        while stopped.try_recv().is_err() {
            self.turn().await;
        }
    }

    /// Takes turns until `done` holds; a minute is far more than any of these needs.
    pub async fn turn_until(&mut self, id: CampaignId, done: impl Fn(Status, &Totals) -> bool) {
        self.turn_until_or(id, "", done).await;
    }

    /// As [`World::turn_until`]; `name` says which of several cases did not get there.
    pub async fn turn_until_or(
        &mut self,
        id: CampaignId,
        name: &str,
        done: impl Fn(Status, &Totals) -> bool,
    ) {
        let end = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            self.turn().await;
            let c = self.data.store.campaign(id).await.unwrap();
            if done(c.status, &c.sum()) {
                return;
            }
            assert!(std::time::Instant::now() < end, "{name}: {:?} {:?}", c.status, c.sum());
        }
    }
}
