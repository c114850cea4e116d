//! Binds as they come and go: nothing is lost with one, nothing goes out twice, and no far end is stormed.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod peer;
mod world;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use campaign::{CampaignId, ClaimId, Msisdn, Sender, Status};
use engine::{Attempt, Batch, Job, Outgoing, Report, Route, RouteState};
use jiff::Timestamp;
use peer::{BIND_TRX, Line, Peer, SUBMIT, UNBIND};
use serde_json::{Value, json};
use sms::SmppRoute;
use world::World;

/// A route by itself, whose reports the test reads.
fn alone(settings: Value) -> (SmppRoute, tokio::sync::mpsc::UnboundedReceiver<engine::Report>) {
    let usual = json!({"name": "R", "kind": "smpp", "host": "127.0.0.1", "system_id": "us"});
    let config: engine::RouteConfig = serde_json::from_value(fixture::with(usual, settings)).unwrap();
    let (reports, reported) = tokio::sync::mpsc::unbounded_channel();
    let id = campaign::RouteId(1);
    (SmppRoute::start(id, fixture::smpp(&config), reports, engine::OptOuts::default()), reported)
}

/// Nobody was written to twice.
fn assert_nobody_twice(peer: &Peer) {
    let mut numbers = HashSet::new();
    for submit in peer.got(SUBMIT) {
        let number = submit.submit().destination.2;
        assert!(numbers.insert(number.clone()), "{number} was written to twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_without_an_answer_is_given_up_after_the_time_of_the_route() {
    let silent = Peer::start(|_, _| {}).await;
    let (route, _reported) = alone(json!({"port": silent.port, "bind_timeout": "PT1S"}));
    let end = Instant::now() + Duration::from_secs(8);
    while silent.got(BIND_TRX).len() < 2 {
        assert!(Instant::now() < end, "{:?}", route.trouble());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let binds = silent.got(BIND_TRX);
    let apart = binds[1].at.duration_since(binds[0].at);
    assert!((Duration::from_secs(1)..Duration::from_secs(4)).contains(&apart), "{apart:?}");
    assert_eq!(route.trouble().unwrap().words, "no answer within 1 seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_settles_for_fewer_binds_where_each_new_one_ends_an_older() {
    let newest: Mutex<Option<Line>> = Mutex::default();
    let accepted = AtomicUsize::new(0);
    let peer = Peer::start(move |line, pdu| match pdu.id {
        BIND_TRX => {
            line.behave(pdu);
            if let Some(older) = newest.lock().unwrap().replace(line.clone()) {
                older.cut();
            }
        }
        SUBMIT => line.accept(pdu, &format!("m{}", accepted.fetch_add(1, Ordering::SeqCst))),
        _ => line.behave(pdu),
    })
    .await;
    let route = json!({"port": peer.port, "binds": 2, "window": 4, "rate_per_second": 200});
    let mut w = World::with(1_000, route).await;
    let id = w.schedule("Hello").await;
    w.turn_until(id, |status, _| status == Status::Completed).await;
    let totals = w.data.store.campaign(id).await.unwrap().sum();
    let in_doubt = fixture::count(totals, "in_doubt");
    assert_eq!(fixture::count(totals, "sent") + in_doubt, 1_000, "{totals:?}");
    // At five seconds, and a new connection each 0.2 s, there would be some 25.
    assert!(peer.connections() <= 6 && in_doubt <= 16, "{} {totals:?}", peer.connections());
    let words = w.engine.handle().route(w.data.route).unwrap().trouble().unwrap().words;
    assert!(words.contains("allows fewer than 2"), "{words}");
    assert_nobody_twice(&peer);
    w.data.assert_sound().await;
}

/// Messages to the places `seqs` of an audience, under a claim.
fn batch(claim: i64, seqs: std::ops::Range<i64>) -> Batch {
    let messages = seqs.map(|seq| Outgoing {
        seq,
        sender: Arc::new(Sender::Number("12025550100".into())),
        number: Msisdn::from_digits(12_025_550_000 + seq),
        text: "Hello".into(),
    });
    Batch {
        job: Job::Claim { campaign: CampaignId(1), claim: ClaimId(claim) },
        send_before: Timestamp::now() + jiff::SignedDuration::from_hours(1),
        purpose: "".into(),
        validity: None,
        tlvs: Arc::default(),
        messages: messages.collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_that_fails_within_has_its_messages_accounted_for_and_begins_anew() {
    let peer = Peer::each(|line, pdu, n| {
        if n > 3 {
            line.accept(pdu, &format!("m{n}"));
        }
    })
    .await;
    let (route, mut reported) = alone(json!({"port": peer.port, "window": 10}));
    let connected = async || {
        let end = Instant::now() + Duration::from_secs(10);
        while route.state() != RouteState::Connected {
            assert!(Instant::now() < end, "{:?}", route.trouble());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    connected().await;
    route.submit(batch(1, 0..3));
    while peer.got(SUBMIT).len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // No engine hands over an empty batch: the bind finds no message in it, and panics.
    route.submit(batch(2, 0..0));
    route.submit(batch(3, 10..20));
    let mut news = Vec::new();
    while news.len() < 4 {
        match tokio::time::timeout(Duration::from_secs(5), reported.recv()).await.unwrap().unwrap() {
            Report::Result { seq, attempt: Attempt::Lost { words }, .. } => {
                news.push(format!("{seq} lost: {words}"));
            }
            Report::Unwritten { from_seq, .. } => news.push(format!("back from {from_seq}")),
            Report::State => {}
            other => panic!("{other:?}"),
        }
    }
    news.sort();
    let lost = |seq: i64| format!("{seq} lost: the connection ended before the answer");
    assert_eq!(news, [lost(0), lost(1), lost(2), "back from 10".into()]);
    let words = route.trouble().unwrap().words;
    assert!(words.starts_with("a fault of this program:"), "{words}");
    // A Stop is answered, and the next messages leave on a new connection.
    tokio::time::timeout(Duration::from_secs(5), route.fence(CampaignId(1))).await.unwrap();
    connected().await;
    route.submit(batch(4, 30..31));
    let accepted = async {
        loop {
            if let Report::Result { seq, attempt: Attempt::Accepted { .. }, .. } =
                reported.recv().await.unwrap()
            {
                return seq;
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), accepted).await.unwrap(), 30);
    assert_eq!(peer.connections(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_one_of_two_binds_is_taken_down_all_are_accounted_for_and_nobody_is_written_to_twice() {
    type Way = (&'static str, fn(&Line), bool);
    let ways: [Way; 2] =
        [("cut", |line| line.cut(), true), ("unbound", |line| _ = line.ask(UNBIND, b""), false)];
    for (name, take_down, leaves_doubts) in ways {
        let down = AtomicBool::new(false);
        let peer = Peer::each(move |line, pdu, n| {
            // The first line answers slowly, so that some answers are owed when it goes down.
            if line.connection != 0 {
                return line.accept(pdu, &format!("m{n}"));
            }
            if n >= 40 && !down.swap(true, Ordering::SeqCst) {
                take_down(line);
            }
            let (line, pdu) = (line.clone(), pdu.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                line.accept(&pdu, &format!("m{n}"));
            });
        })
        .await;
        let route = json!({"port": peer.port, "binds": 2, "window": 10, "rate_per_second": 200});
        let mut w = World::with(300, route).await;
        let id = w.schedule("Hello").await;
        w.turn_until_or(id, name, |status, _| status == Status::Completed).await;
        let totals = w.data.store.campaign(id).await.unwrap().sum();
        let in_doubt = fixture::count(totals, "in_doubt");
        assert_eq!(fixture::count(totals, "sent") + in_doubt, 300, "{name}: {totals:?}");
        // No more than a window.
        assert!(in_doubt <= 10 && (in_doubt > 0) == leaves_doubts, "{name}: {totals:?}");
        let used: HashSet<usize> = peer.got(SUBMIT).iter().map(|pdu| pdu.connection).collect();
        assert_eq!((used.len(), peer.connections()), (3, 3), "{name}");
        assert_nobody_twice(&peer);
        w.data.assert_sound().await;
    }
}
