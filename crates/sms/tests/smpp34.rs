//! A whole campaign over real SMPP against an independent SMSC: store, engine and bind together.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use campaign::{CampaignId, Msisdn, RouteId, Status, Totals};
use engine::{Engine, Route, RouteState};
use jiff::Timestamp;
use smpp34::{
    SmppConnectionInformation, SmppError, SmppServer, SmppServerListener, bind_transceiver,
    bind_transceiver_resp, server::ESME, submit_sm, submit_sm_resp,
};
use sms::SmppRoute;
use store::{Definition, NewContact, RouteConfig, Store};

/// The far end: takes everything, remembers it, sends receipts.
#[derive(Default)]
struct Smsc {
    got: Mutex<Vec<submit_sm>>,
    esme: tokio::sync::Mutex<Option<Arc<ESME>>>,
}

#[async_trait]
impl SmppServerListener for Smsc {
    async fn on_bind_transceiver(
        &self,
        request: bind_transceiver,
        _: &SmppConnectionInformation,
        _: &String,
    ) -> bind_transceiver_resp {
        if request.password == "secret" {
            request.accept("SMSC".into(), Some(0x34))
        } else {
            request.reject(SmppError::ESME_RINVPASWD)
        }
    }

    async fn on_esme_bound(&self, esme: ESME, _: &String) {
        *self.esme.lock().await = Some(Arc::new(esme));
    }

    async fn on_submit_sm(
        &self,
        request: submit_sm,
        _: &SmppConnectionInformation,
        _: &String,
    ) -> submit_sm_resp {
        let id = {
            let mut got = self.got.lock().unwrap();
            got.push(request.clone());
            format!("{:x}", got.len() + 0xF_0000)
        };
        if let Some(esme) = self.esme.lock().await.clone() {
            let decimal = i64::from_str_radix(&id, 16).unwrap();
            let (from, to) = (request.destination_addr.clone(), request.source_addr.clone());
            tokio::spawn(async move {
                let text = format!("id:{decimal} sub:001 dlvrd:001 stat:DELIVRD err:000 text:");
                let receipt = esme.deliver_sm().source_addr(from).destination_addr(to).esm_class(4);
                let _ = receipt.short_message(text.into_bytes()).send().await;
            });
        }
        request.accept(id)
    }
}

struct World {
    store: Store,
    engine: Engine,
    smsc: Arc<Smsc>,
    link: Arc<SmppRoute>,
    _server: SmppServer,
    _folder: tempfile::TempDir,
    list: campaign::ListId,
    route: RouteId,
}

impl World {
    async fn with(people: i64, password: &str) -> Self {
        let smsc = Arc::new(Smsc::default());
        // A port that was free a moment ago: this server cannot tell one that it chose itself.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = SmppServer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port, smsc.clone());
        server.start().await;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let now = Timestamp::now();
        let list = store.create_list("All".into(), now).await.unwrap();
        let import = store.begin_import(list).await.unwrap();
        let contacts = (0..people)
            .map(|i| NewContact {
                number: Msisdn::from_digits(12_025_550_000 + i),
                zones: None,
                fields: None,
            })
            .collect();
        let theirs = store.clone();
        tokio::task::spawn_blocking(move || theirs.import_chunk(import, contacts, Vec::new()))
            .await
            .unwrap()
            .unwrap();
        let config: RouteConfig =
            serde_json::from_value(serde_json::json!({"name": "Carrier", "kind": "smpp",
            "host": "127.0.0.1", "port": port, "system_id": "us", "password": password, "window": 20,
            "rate_per_second": 2_000}))
            .unwrap();
        let route = store.create_route(config.clone()).await.unwrap().id;
        let mut engine = Engine::start(store.clone(), "one".into(), now).await.unwrap();
        let link = Arc::new(SmppRoute::start(route, &config, engine.reports()));
        engine.add_route(route, &config, link.clone(), now).await.unwrap();
        Self { store, engine, smsc, link, _server: server, _folder: folder, list, route }
    }

    async fn schedule(&self, text: &str) -> CampaignId {
        let d: Definition = serde_json::from_value(serde_json::json!({"channel": "sms", "name": "Real",
            "route_id": self.route, "sender": "+12025550100", "list_ids": [self.list], "opt_in_acknowledged": true,
            "window": null, "messages": [{"text": text, "send": {"now": true}}]}))
        .unwrap();
        let c = self.store.create_campaign(d, "test".into(), Timestamp::now()).await.unwrap();
        self.store.schedule(c.id, "test".into(), Timestamp::now()).await.unwrap().id
    }

    /// Takes turns until `done` says so; a minute is far more than any of these needs.
    async fn turn_until(&mut self, id: CampaignId, done: impl Fn(Status, &Totals) -> bool) {
        let end = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            self.engine.cycle(Timestamp::now()).await.unwrap();
            let c = self.store.campaign(id).await.unwrap();
            if done(c.status, &c.sum()) {
                return;
            }
            assert!(std::time::Instant::now() < end, "{:?} {:?}", c.status, c.sum());
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn assert_sound(&self) {
        for finding in self.store.check().await.unwrap() {
            assert_eq!(finding.off, Vec::<String>::new(), "{}", finding.invariant);
        }
    }

    /// How often each number was written to.
    fn per_number(&self) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for sm in self.smsc.got.lock().unwrap().iter() {
            *count.entry(sm.destination_addr.clone()).or_default() += 1;
        }
        count
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_stops_restarts_and_completes_over_smpp_with_nobody_written_to_twice() {
    let mut w = World::with(2_000, "secret").await;
    let id = w.schedule("Hello from Carillon").await;
    w.turn_until(id, |_, t| t.sent + t.delivered >= 300).await;
    w.engine.stop(id, "ana".into(), Timestamp::now()).await.unwrap();
    let written = w.smsc.got.lock().unwrap().len() as i64;
    let totals = w.store.campaign(id).await.unwrap().sum();
    assert!((300..2_000).contains(&written), "{written}");
    assert_eq!(totals.sent + totals.delivered, written);
    assert_eq!(totals.cancelled, 2_000 - written);
    // Receipts of what was written still come; not one more message does.
    w.turn_until(id, |_, t| t.delivered == written).await;
    assert_eq!(w.smsc.got.lock().unwrap().len() as i64, written);
    w.store.restart(id, BTreeMap::new(), false, "ana".into(), Timestamp::now()).await.unwrap();
    w.turn_until(id, |status, t| status == Status::Completed && t.delivered == 2_000).await;
    let per_number = w.per_number();
    assert_eq!((per_number.len(), per_number.values().max()), (2_000, Some(&1)));
    w.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_text_with_emoji_arrives_as_it_was_written() {
    let mut w = World::with(1, "secret").await;
    let text = "Грозовое предупреждение ⚡ ".repeat(8);
    let id = w.schedule(&text).await;
    w.turn_until(id, |status, t| status == Status::Completed && t.delivered == 1).await;
    let mut parts: Vec<Vec<u8>> =
        w.smsc.got.lock().unwrap().iter().map(|sm| sm.short_message.clone()).collect();
    assert!(parts.len() > 1);
    assert!(w.smsc.got.lock().unwrap().iter().all(|sm| sm.esm_class == 0x40 && sm.data_coding == 8));
    parts.sort_by_key(|p| p[5]);
    let units: Vec<u16> =
        parts.iter().flat_map(|p| p[6..].chunks(2)).map(|c| u16::from_be_bytes([c[0], c[1]])).collect();
    assert_eq!(String::from_utf16(&units).unwrap(), text);
    w.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_shows_the_smscs_words_and_sends_nothing() {
    let mut w = World::with(1, "wrong").await;
    let id = w.schedule("Hello").await;
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !matches!(w.link.state(), RouteState::Refused(_)) && std::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(w.link.state(), RouteState::Refused("the password is wrong".into()));
    w.engine.cycle(Timestamp::now()).await.unwrap();
    assert_eq!(w.store.campaign(id).await.unwrap().sum(), Totals { pending: 1, ..Totals::default() });
}
