//! What carriers ask for, as it is on the wire.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod peer;
mod world;

use std::collections::HashSet;

use campaign::{Status, segment};
use engine::RouteState;
use peer::{ANSWER, BIND_RX, BIND_TRX, BIND_TX, DELIVER, Pdu, Peer, SUBMIT, Submit, deliver, receipt};
use serde_json::{Value, json};
use world::World;

/// Sends `text` to one person over a route with `settings`; returns the bind and the messages that came.
async fn sent(settings: Value, campaign: Value, text: &str) -> (Pdu, Vec<Submit>) {
    let peer = Peer::plain().await;
    let route = fixture::with(json!({"port": peer.port, "password": "secret"}), settings);
    let mut w = World::with(1, route).await;
    let id = w.schedule_with(text, campaign).await;
    w.turn_until(id, |status, t| status == Status::Completed && fixture::count(t, "sent") == 1).await;
    let submits = peer.got(SUBMIT).iter().map(Pdu::submit).collect();
    (peer.got(BIND_TRX).remove(0), submits)
}

async fn one(settings: Value) -> Submit {
    sent(settings, json!({}), "Hello").await.1.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_says_what_the_carrier_wants_to_hear() {
    let (bind, _) = sent(json!({}), json!({}), "Hello").await;
    assert_eq!(bind.bind(), ("us".into(), "secret".into(), String::new(), [0x34, 0, 0], String::new()));
    let long = "a password of 20 let";
    let settings = json!({"system_type": "VMA", "address_range": "^1202", "password": long});
    let (bind, _) = sent(settings, json!({}), "Hello").await;
    assert_eq!(bind.bind(), ("us".into(), long.into(), "VMA".into(), [0x34, 0, 0], "^1202".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_written_as_the_route_says() {
    let (source, digits) = ((1, 1, "12025550100".to_owned()), "12025550000".to_owned());
    for (settings, from, to) in [
        (json!({}), source.clone(), (1, 1, digits.clone())),
        (json!({"number_form": "e164"}), source.clone(), (1, 1, digits.clone())),
        (json!({"number_form": "plus"}), source.clone(), (1, 1, format!("+{digits}"))),
        (json!({"number_form": "00"}), source.clone(), (0, 1, format!("00{digits}"))),
        (json!({"number_form": "national"}), source.clone(), (2, 1, digits[1..].to_owned())),
        (json!({"number_form": "national", "country": "US"}), source.clone(), (2, 1, digits[1..].to_owned())),
        // Not a number of that country: written as it is dialled from anywhere.
        (json!({"number_form": "national", "country": "DE"}), source.clone(), (1, 1, digits.clone())),
        (json!({"dest_ton": 0, "dest_npi": 0}), source.clone(), (0, 0, digits.clone())),
        (json!({"source_ton": 5, "source_npi": 8}), (5, 8, source.2.clone()), (1, 1, digits.clone())),
    ] {
        let sm = one(settings.clone()).await;
        assert_eq!((sm.source, sm.destination), (from, to), "{settings}");
    }
    for (sender, from) in [
        ("0800123456", (2, 1, "0800123456")),
        ("+0123456789", (2, 1, "0123456789")),
        ("72404", (3, 0, "72404")),
        ("Clinic", (5, 0, "Clinic")),
    ] {
        let (_, submits) = sent(json!({}), json!({"sender": sender}), "Hello").await;
        assert_eq!(submits[0].source, (from.0, from.1, from.2.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_travel_as_the_route_says() {
    let text = "y".repeat(400);
    let parts = |submits: &[Submit]| submits.iter().map(|sm| sm.message.len()).collect::<Vec<_>>();
    let (_, udh8) = sent(json!({}), json!({}), &text).await;
    assert_eq!((parts(&udh8), udh8[1].esm_class), (vec![159, 159, 100], 0x40));
    assert_eq!((&udh8[1].message[..3], &udh8[1].message[4..6]), (&[5, 0, 3][..], &[3, 2][..]));
    let (_, udh16) = sent(json!({"long_text": "udh16"}), json!({}), &text).await;
    assert_eq!((parts(&udh16), udh16[1].esm_class), (vec![159, 159, 103], 0x40));
    assert_eq!((&udh16[1].message[..3], &udh16[1].message[5..7]), (&[6, 8, 4][..], &[3, 2][..]));
    let (_, sar) = sent(json!({"long_text": "sar"}), json!({}), &text).await;
    assert_eq!((parts(&sar), sar[1].esm_class), (vec![153, 153, 94], 0));
    let tags: Vec<u16> = sar[1].tlvs.iter().map(|(tag, _)| *tag).collect();
    assert_eq!(
        (tags, &sar[1].tlvs[1..]),
        (vec![0x20C, 0x20E, 0x20F], &[(0x20E, vec![3]), (0x20F, vec![2])][..])
    );
    let (_, payload) = sent(json!({"long_text": "payload"}), json!({}), &text).await;
    assert_eq!((parts(&payload), &payload[0].tlvs), (vec![0], &vec![(0x424, text.clone().into_bytes())]));
    let (_, short) = sent(json!({"long_text": "payload"}), json!({}), "Hello").await;
    assert_eq!((parts(&short), short[0].tlvs.len()), (vec![5], 0));
    // A plain letter is the same in either alphabet; € is not in Latin-1.
    for (alphabet, text, coding, message) in [
        ("gsm", "@_é{", 0, b"\x00\x11\x05\x1B\x28".to_vec()),
        ("latin1", "@_é{", 0, b"@_\xE9{".to_vec()),
        ("latin1", "5 €", 8, vec![0, b'5', 0, b' ', 0x20, 0xAC]),
        ("latin1", "да", 8, vec![4, 0x34, 4, 0x30]),
    ] {
        let (_, submits) = sent(json!({"default_alphabet": alphabet}), json!({}), text).await;
        assert_eq!((submits[0].coding, &submits[0].message), (coding, &message), "{alphabet} {text}");
    }
    let latin = "@".repeat(200);
    let (_, long) = sent(json!({"default_alphabet": "latin1"}), json!({}), &latin).await;
    assert_eq!(
        long.iter().map(|sm| sm.message[6..].to_vec()).collect::<Vec<_>>().concat(),
        latin.into_bytes()
    );
    assert_eq!(one(json!({"service_type": "OTP"})).await.service_type, "OTP");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn optional_parameters_stand_in_every_part_and_a_campaigns_before_the_routes() {
    let route = json!({"tlvs": {"0x1400": "1101", "0x1401": "route"}});
    let campaign = json!({"tlvs": {"0x1401": "1107", "0x1402": {"hex": "00ff"}}});
    let (_, submits) = sent(route, campaign, &"y".repeat(200)).await;
    let expected = vec![(0x1400, b"1101".to_vec()), (0x1401, b"1107".to_vec()), (0x1402, vec![0, 255])];
    assert_eq!(submits.len(), 2);
    assert!(submits.iter().all(|sm| sm.tlvs == expected), "{submits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_and_receiving_may_be_apart() {
    let peer = Peer::plain().await;
    let route = json!({"port": peer.port, "bind_mode": "transmitter_receiver", "binds": 2});
    let mut w = World::with(4, route).await;
    let id = w.schedule("Hello").await;
    w.turn_until(id, |_, t| fixture::count(t, "sent") == 4).await;
    while peer.got(BIND_RX).len() < 2 {
        w.turn().await;
    }
    assert_eq!((peer.got(BIND_TX).len(), peer.got(BIND_TRX).len()), (2, 0));
    let receivers: HashSet<usize> = peer.got(BIND_RX).iter().map(|pdu| pdu.connection).collect();
    assert!(peer.got(SUBMIT).iter().all(|pdu| !receivers.contains(&pdu.connection)));
    // A receipt comes on the other connection.
    let line = peer.line_of(*receivers.iter().next().unwrap());
    for n in 1..=4 {
        let sm = peer.got(SUBMIT)[n - 1].submit();
        let text = receipt(&format!("m{n}"), "DELIVRD");
        line.ask(DELIVER, &deliver(&sm.destination.2, &sm.source.2, 4, 0, &text, b""));
    }
    w.turn_until(id, |_, t| fixture::count(t, "delivered") == 4).await;
    assert_eq!(peer.got(DELIVER | ANSWER).len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_places_of_an_account_are_tried_in_their_order() {
    let refusing = Peer::start(|line, pdu| line.say(pdu.id | ANSWER, 0x0D, pdu.number, b"")).await;
    let good = Peer::plain().await;
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let hosts = json!([format!("127.0.0.1:{}", refusing.port), format!("127.0.0.1:{}", good.port)]);
    let mut w = World::with(1, json!({"port": nobody, "hosts": hosts})).await;
    let id = w.schedule("Hello").await;
    w.turn_until(id, |_, t| fixture::count(t, "sent") == 1).await;
    assert_eq!((refusing.connections(), good.connections()), (1, 1));
    let mut w =
        World::with(1, json!({"port": nobody, "hosts": [format!("127.0.0.1:{}", refusing.port)]})).await;
    let words = loop {
        if let Some(RouteState::Refused(words)) = w.engine.handle().route_state(w.data.route) {
            break words;
        }
        w.turn().await;
    };
    assert!(words.contains("cannot connect") && words.contains("the bind failed"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn references_of_long_texts_go_on_over_binds_and_connections() {
    // Hangs up after every tenth part.
    let peer = Peer::each(|line, pdu, n| {
        line.accept(pdu, &format!("m{n}"));
        if n % 10 == 0 {
            line.cut();
        }
    })
    .await;
    let route = json!({"port": peer.port, "binds": 2, "window": 4, "rate_per_second": 200});
    let mut w = World::with(60, route).await;
    let id = w.schedule(&"y".repeat(200)).await;
    w.turn_until(id, |_, t| {
        fixture::count(t, "sent") + fixture::count(t, "in_doubt") + fixture::count(t, "failed") == 60
    })
    .await;
    let mut references: Vec<(String, u8)> =
        peer.got(SUBMIT).iter().map(Pdu::submit).map(|sm| (sm.destination.2, sm.message[3])).collect();
    references.sort();
    references.dedup();
    let distinct: HashSet<u8> = references.iter().map(|(_, reference)| *reference).collect();
    assert!(peer.connections() > 2);
    assert_eq!((references.len(), distinct.len()), (60, 60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_is_what_travels() {
    for text in ["y".repeat(160), "y".repeat(161), "я".repeat(71)] {
        let (_, submits) = sent(json!({}), json!({}), &text).await;
        assert_eq!(submits.len(), segment::measure(&text).unwrap().segments);
        assert!(submits.iter().all(|sm| sm.registered == 1));
    }
}
