//! SMSCs as they are: what can be answered is, what cannot is passed over, and no connection is cut for either.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod peer;
mod world;

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use campaign::{RouteId, Status};
use engine::{Report, RouteState};
use peer::{
    ANSWER, BIND_TRX, DATA_SM, DELIVER, ENQUIRE, Line, NACK, OUTBIND, Pdu, Peer, SUBMIT, UNBIND, deliver,
    receipt, tlv,
};
use serde_json::{Value, json};
use sms::SmppRoute;
use world::World;

const PEOPLE: i64 = 12;

fn to(port: u16) -> Value {
    json!({"port": port, "window": 20, "rate_per_second": 1_000})
}

/// Runs until every message was delivered, on one connection.
async fn all_delivered(name: &str, peer: &Peer, text: &str) {
    let mut w = World::with(PEOPLE, to(peer.port)).await;
    let id = w.schedule(text).await;
    w.turn_until_or(id, name, |_, t| fixture::count(t, "delivered") == PEOPLE).await;
    assert_eq!(peer.connections(), 1, "{name}");
    w.data.assert_sound().await;
}

/// A receipt of `pdu` as `deliver_sm`, with these parameters.
fn deliver_receipt(line: &Line, pdu: &Pdu, id: &str, tlvs: &[u8]) {
    let sm = pdu.submit();
    line.ask(DELIVER, &deliver(&sm.destination.2, &sm.source.2, 4, 0, &receipt(id, "DELIVRD"), tlvs));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_receipts_are_acknowledged_and_counted() {
    type Odd = (&'static str, fn(&str) -> Vec<u8>);
    let odd: [Odd; 8] = [
        ("an id without its closing zero", |id| tlv(0x1E, id.as_bytes())),
        ("an empty id", |_| tlv(0x1E, b"\0")),
        ("an id of the SMSC's own", |id| tlv(0x1E, format!("own-{id}\0").as_bytes())),
        ("a network_error_code of 4", |_| tlv(0x423, b"\x03\0\0\x01")),
        ("a message_state of 2", |_| tlv(0x427, b"\0\x02")),
        ("a cut parameter", |_| vec![0, 0x1E, 0, 40, b'a', b'b']),
        ("a zero behind", |_| vec![0]),
        ("a parameter twice", |id| [tlv(0x1E, &[id.as_bytes(), &[0]].concat()), tlv(0x1E, b"x\0")].concat()),
    ];
    for (name, tlvs) in odd {
        let peer = Peer::each(move |line, pdu, n| {
            let id = format!("m{n}");
            line.accept(pdu, &id);
            deliver_receipt(line, pdu, &id, &tlvs(&id));
        })
        .await;
        all_delivered(name, &peer, "Hello").await;
        assert_eq!(
            peer.got(DELIVER | ANSWER).iter().filter(|a| a.status == 0).count() as i64,
            PEOPLE,
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_come_in_whatever_form_and_are_found() {
    type Form = (&'static str, fn(&Line, &Pdu, &str));
    fn say(line: &Line, from: &str, to: &str, esm_class: u8, text: &[u8], tlvs: &[u8]) {
        line.ask(DELIVER, &deliver(from, to, esm_class, 0, text, tlvs));
    }
    let forms: [Form; 9] = [
        ("in message_payload", |line, pdu, id| {
            let sm = pdu.submit();
            say(line, &sm.destination.2, &sm.source.2, 4, b"", &tlv(0x424, &receipt(id, "DELIVRD")));
        }),
        ("in UCS-2", |line, pdu, id| {
            let sm = pdu.submit();
            let text = String::from_utf8(receipt(id, "DELIVRD")).unwrap();
            let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).take(254).collect();
            line.ask(DELIVER, &deliver(&sm.destination.2, &sm.source.2, 4, 8, &text, b""));
        }),
        ("not marked", |line, pdu, id| {
            let sm = pdu.submit();
            say(line, &sm.destination.2, &sm.source.2, 0, &receipt(id, "DELIVERED"), b"");
        }),
        ("by parameters alone", |line, pdu, id| {
            let sm = pdu.submit();
            let tlvs = [tlv(0x1E, &[id.as_bytes(), &[0]].concat()), tlv(0x427, b"\x02")].concat();
            say(line, &sm.destination.2, &sm.source.2, 4, b"", &tlvs);
        }),
        ("by data_sm", |line, pdu, id| {
            let sm = pdu.submit();
            let (from, to) = (sm.destination.2, sm.source.2);
            let tlvs = [tlv(0x1E, &[id.as_bytes(), &[0]].concat()), tlv(0x427, b"\x02")].concat();
            let head = [&b"\0\x01\x01"[..], from.as_bytes(), b"\0\x01\x01", to.as_bytes(), &[0, 4, 0, 0]];
            line.ask(DATA_SM, &[&head.concat()[..], &tlvs].concat());
        }),
        ("with swapped addresses", |line, pdu, id| {
            let sm = pdu.submit();
            say(line, &sm.source.2, &sm.destination.2, 4, &receipt(id, "DELIVRD"), b"");
        }),
        ("with empty addresses", |line, _, id| say(line, "", "", 4, &receipt(id, "DELIVRD"), b"")),
        ("with a national address", |line, pdu, id| {
            let sm = pdu.submit();
            say(line, &sm.destination.2[1..], &sm.source.2, 4, &receipt(id, "DELIVRD"), b"");
        }),
        ("with addresses that are too long", |line, pdu, id| {
            let sm = pdu.submit();
            say(line, &format!("{:0>24}", sm.destination.2), &sm.source.2, 4, &receipt(id, "DELIVRD"), b"");
        }),
    ];
    for (name, form) in forms {
        let peer = Peer::each(move |line, pdu, n| {
            let id = format!("m{n}");
            line.accept(pdu, &id);
            form(line, pdu, &id);
        })
        .await;
        all_delivered(name, &peer, "Hello").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_finds_its_message_however_its_id_is_spelt_early_too() {
    const B: usize = 0x00B8_BE19;
    type Spelt = (&'static str, fn(usize) -> String, fn(usize) -> String);
    let spelt: [Spelt; 9] = [
        ("padded / bare", |n| format!("{:08X}", B + n), |n| format!("{:X}", B + n)),
        ("bare / padded", |n| format!("{:X}", B + n), |n| format!("{:08X}", B + n)),
        ("hex / decimal", |n| format!("{:08x}", B + n), |n| (B + n).to_string()),
        ("decimal / hex", |n| (B + n).to_string(), |n| format!("{:X}", B + n)),
        ("capitals / small", |n| format!("{:X}", B + n), |n| format!("{:x}", B + n)),
        ("zero before / not", |n| format!("0{}", 654_354_026 + n), |n| (654_354_026 + n).to_string()),
        (
            "32 digits / decimal",
            |n| format!("{:032x}", 0xA29F_u128 << 112 | n as u128),
            |n| (0xA29F_u128 << 112 | n as u128).to_string(),
        ),
        (
            "UUID",
            |n| format!("A29F6845-5556-4713-9E5C-8F3B817F{n:04X}"),
            |n| format!("a29f6845-5556-4713-9e5c-8f3b817f{n:04x}"),
        ),
        ("80 characters", |n| format!("{n:x<80}"), |n| format!("{n:x<80}")),
    ];
    for (name, answer, in_receipt) in spelt {
        for early in [false, true] {
            let peer = Peer::each(move |line, pdu, n| {
                if early {
                    deliver_receipt(line, pdu, &in_receipt(n), b"");
                }
                line.accept(pdu, &answer(n));
                if !early {
                    deliver_receipt(line, pdu, &in_receipt(n), b"");
                }
            })
            .await;
            all_delivered(&format!("{name}, early: {early}"), &peer, "Hello").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_text_is_delivered_whichever_of_its_parts_have_ids_and_receipts() {
    type Way = (&'static str, fn(&Line, &Pdu, u8));
    let ways: [Way; 4] = [
        ("one id, a receipt each", |line, pdu, _| {
            let id = format!("i{}", pdu.submit().destination.2);
            line.accept(pdu, &id);
            deliver_receipt(line, pdu, &id, b"");
        }),
        ("one id, one receipt", |line, pdu, part| {
            let id = format!("i{}", pdu.submit().destination.2);
            line.accept(pdu, &id);
            if part == 3 {
                deliver_receipt(line, pdu, &id, b"");
            }
        }),
        ("an id for the first, one receipt", |line, pdu, part| {
            let id = format!("i{}", pdu.submit().destination.2);
            line.accept(pdu, if part == 1 { &id } else { "" });
            if part == 1 {
                deliver_receipt(line, pdu, &id, b"");
            }
        }),
        ("an id and a receipt each", |line, pdu, part| {
            let id = format!("i{}{part}", pdu.submit().destination.2);
            line.accept(pdu, &id);
            deliver_receipt(line, pdu, &id, b"");
        }),
    ];
    for (name, way) in ways {
        let peer = Peer::each(move |line, pdu, _| way(line, pdu, pdu.submit().message[5])).await;
        all_delivered(name, &peer, &"y".repeat(400)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_asked_for_is_passed_over_and_what_is_unknown_is_refused() {
    let peer = Peer::each(|line, pdu, n| {
        if n == 1 {
            line.say(0x0001_0001, 0, 98, b"abc");
            line.say(NACK, 3, 0, b"");
            line.say(SUBMIT | ANSWER, 0, 0x7ABC_DEF0, b"x\0");
            line.say(SUBMIT | ANSWER, 0x0B, 0x7ABC_DEF1, &tlv(0x1D, b"no such number\0"));
            line.say(0x8000_0103, 0, 7, b"odd");
            line.say(0x102, 0, 7, b"\x01\x01odd\0\x01\x01odd\0");
            line.say(OUTBIND, 0, 103, b"smsc\0secret\0");
            line.say(DELIVER, 0, 99, b"\x01\x02\x03\x04");
            line.say(DATA_SM, 0, 100, b"");
            line.say(DELIVER, 0, 101, &vec![7; 200_000]);
            line.say(ENQUIRE, 0, 102, b"what is this");
        }
        if n == 2 {
            line.say(SUBMIT | ANSWER, 0x0B, pdu.number, &tlv(0x1D, b"no such number\0"));
        } else {
            line.accept(pdu, &format!("m{n}"));
            line.accept(pdu, &format!("m{n}"));
            deliver_receipt(line, pdu, &format!("m{n}"), b"");
        }
    })
    .await;
    let mut w = World::with(PEOPLE, to(peer.port)).await;
    let id = w.schedule("Hello").await;
    w.turn_until(id, |status, t| status == Status::Completed && fixture::count(t, "delivered") == PEOPLE - 1)
        .await;
    let totals = w.data.store.campaign(id).await.unwrap().sum();
    assert_eq!(totals, fixture::totals([("delivered", PEOPLE - 1), ("failed", 1)]));
    assert_eq!(peer.connections(), 1);
    let answered = |id: u32, number: u32| {
        peer.got(id).into_iter().find(|pdu| pdu.number == number).map(|pdu| pdu.status)
    };
    assert_eq!(answered(NACK, 98), Some(3), "unknown command");
    assert!(peer.log().iter().all(|pdu| pdu.number != 103), "an outbind has no answer (SMPP 3.4 §4.1.7)");
    assert_eq!(answered(DELIVER | ANSWER, 99), Some(2), "deliver_sm without its fields");
    assert_eq!(answered(DATA_SM | ANSWER, 100), Some(2), "data_sm without its fields");
    assert_eq!(answered(DELIVER | ANSWER, 101), Some(2), "an endless deliver_sm");
    assert_eq!(answered(ENQUIRE | ANSWER, 102), Some(0), "enquire_link with a body");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enquiry_that_is_not_understood_shows_that_the_line_lives() {
    let peer = Peer::start(|line, pdu| match pdu.id {
        ENQUIRE => line.say(NACK, 3, pdu.number, b""),
        SUBMIT => line.accept(pdu, "m"),
        _ => line.behave(pdu),
    })
    .await;
    let route = fixture::with(
        to(peer.port),
        json!({"enquire_interval": "PT1S", "answer_timeout": "PT1S", "rate_per_second": 4}),
    );
    let mut w = World::with(PEOPLE, route).await;
    let end = Instant::now() + Duration::from_secs(30);
    while peer.got(ENQUIRE).len() < 4 {
        assert!(Instant::now() < end);
        w.turn().await;
    }
    assert_eq!(peer.connections(), 1);
    // The stop barrier relies on it too.
    let id = w.schedule("Hello").await;
    w.turn_until(id, |_, t| fixture::count(t, "sent") > 0).await;
    w.stop(id).await;
    assert_eq!(peer.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unbind_is_answered_after_what_is_in_flight_and_nothing_is_in_doubt() {
    let peer = Peer::each(|line, pdu, n| {
        if n == 5 {
            line.say(UNBIND, 0, 4242, b"");
        }
        let (line, pdu) = (line.clone(), pdu.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            line.accept(&pdu, &format!("m{n}"));
            deliver_receipt(&line, &pdu, &format!("m{n}"), b"");
        });
    })
    .await;
    let mut w = World::with(100, fixture::with(to(peer.port), json!({"rate_per_second": 200}))).await;
    let id = w.schedule("Hello").await;
    w.turn_until(id, |_, t| fixture::count(t, "sent") + fixture::count(t, "delivered") == 100).await;
    let (submits, unbound) = (peer.got(SUBMIT), peer.got(UNBIND | ANSWER));
    assert_eq!((submits.len(), unbound.len(), unbound[0].number, peer.connections()), (100, 1, 4242, 2));
    // Nothing more came on that line.
    let log = peer.log();
    let first: Vec<&Pdu> = log.iter().filter(|pdu| pdu.connection == 0).collect();
    assert_eq!(first.last().map(|pdu| pdu.id), Some(UNBIND | ANSWER));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_answer_to_the_bind_answers_it_and_refusals_are_in_words() {
    let refused = |status: u32| {
        move |line: &Line, pdu: &Pdu| {
            if pdu.id == BIND_TRX {
                line.say(OUTBIND, 0, 76, b"smsc\0secret\0");
                line.say(ENQUIRE, 0, 77, b"");
                line.say(SUBMIT | ANSWER, 0, 1, b"x\0");
                line.say(BIND_TRX | ANSWER, status, pdu.number, b"");
            }
        }
    };
    for (status, words) in [
        (0x05, "already bound"),
        (0x0D, "bind failed"),
        (0x0E, "password is wrong"),
        (0x0F, "system id is wrong"),
        (0x53, "another system_type"),
        (0x03, "bind_mode"),
    ] {
        let peer = Peer::start(refused(status)).await;
        let mut w = World::with(1, to(peer.port)).await;
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match w.engine.handle().route_state(w.data.route) {
                Some(RouteState::Refused(said)) => {
                    assert!(said.contains(words), "{status:#x}: {said}");
                    break;
                }
                state => assert_ne!(state, Some(RouteState::Connected), "{status:#x}"),
            }
            assert!(Instant::now() < end);
            w.turn().await;
        }
        assert_eq!(peer.got(ENQUIRE | ANSWER).first().map(|pdu| pdu.number), Some(77));
    }
    let long = Peer::start(|line, pdu| match pdu.id {
        BIND_TRX => line.say(BIND_TRX | ANSWER, 0, pdu.number, b"smsc-node-03.example.net\0"),
        SUBMIT => line.accept(pdu, "m"),
        _ => line.behave(pdu),
    })
    .await;
    let mut w = World::with(1, to(long.port)).await;
    let id = w.schedule("Hello").await;
    w.turn_until(id, |_, t| fixture::count(t, "sent") == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_grow_while_no_bind_lasts_and_begin_anew_after_one_that_did() {
    let accepts = std::sync::Arc::new(AtomicBool::new(false));
    let accepting = accepts.clone();
    let peer = Peer::start(move |line, pdu| match pdu.id {
        SUBMIT => {
            line.accept(pdu, "m");
            line.cut();
        }
        BIND_TRX => {
            line.behave(pdu);
            if !accepting.load(Ordering::SeqCst) {
                line.cut();
            }
        }
        _ => line.behave(pdu),
    })
    .await;
    let mut w = World::with(1, to(peer.port)).await;
    let binds = async |w: &mut World, n: usize| {
        let end = Instant::now() + Duration::from_secs(30);
        while peer.got(BIND_TRX).len() < n {
            assert!(Instant::now() < end);
            w.turn().await;
        }
        peer.got(BIND_TRX).iter().map(|pdu| pdu.at).collect::<Vec<_>>()
    };
    let at = binds(&mut w, 5).await;
    let waits: Vec<u128> = at.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_millis()).collect();
    assert!(waits.windows(2).all(|pair| pair[1] > pair[0] * 3 / 2), "{waits:?}");
    // A message was accepted: that bind lasted, and the waits begin anew.
    accepts.store(true, Ordering::SeqCst);
    let id = w.schedule("Hello").await;
    w.turn_until(id, |_, t| fixture::count(t, "sent") == 1).await;
    let many = peer.got(BIND_TRX).len();
    let at = binds(&mut w, many + 1).await;
    let wait = at[many].duration_since(at[many - 1]);
    assert!(wait < Duration::from_millis(1_500), "{wait:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_without_an_answer_is_in_doubt_alone() {
    let peer = Peer::each(|line, pdu, n| {
        if n != 3 {
            line.accept(pdu, &format!("m{n}"));
        }
    })
    .await;
    let route = json!({"rate_per_second": 4, "answer_timeout": "PT1S"});
    let mut w = World::with(PEOPLE, fixture::with(to(peer.port), route)).await;
    let id = w.schedule("Hello").await;
    w.turn_until(id, |_, t| fixture::count(t, "in_doubt") + fixture::count(t, "sent") == PEOPLE).await;
    let totals = w.data.store.campaign(id).await.unwrap().sum();
    assert_eq!((fixture::count(totals, "in_doubt"), peer.connections()), (1, 1), "{totals:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_end_that_floods_is_not_read_from_until_what_it_said_is_stored() {
    const FLOOD: usize = 10_000;
    let flooded = AtomicUsize::new(0);
    let peer = Peer::start(move |line, pdu| {
        line.behave(pdu);
        if pdu.id == BIND_TRX && flooded.fetch_add(1, Ordering::SeqCst) == 0 {
            for n in 0..FLOOD {
                line.ask(
                    DELIVER,
                    &deliver("12025550001", "12025550100", 4, 0, &receipt(&n.to_string(), "DELIVRD"), b""),
                );
            }
        }
    })
    .await;
    let config =
        json!({"name": "R", "kind": "smpp", "host": "127.0.0.1", "port": peer.port, "system_id": "us"});
    let config: engine::RouteConfig = serde_json::from_value(config).unwrap();
    let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let route = SmppRoute::start(RouteId(1), fixture::smpp(&config), reports, engine::OptOuts::default());
    let end = Instant::now() + Duration::from_secs(30);
    let mut held = Vec::new();
    // Nothing is stored: no more is taken from the socket than there is room for.
    loop {
        let before = held.len();
        let quiet = tokio::time::timeout(Duration::from_millis(500), reported.recv()).await;
        if let Ok(Some(Report::Receipt(_, ack))) = quiet {
            held.push(ack);
        } else if before == held.len() && !held.is_empty() && quiet.is_err() {
            break;
        }
        assert!(Instant::now() < end && held.len() <= 3_000, "{}", held.len());
    }
    assert!((1_000..=2_100).contains(&held.len()), "{}", held.len());
    // Each one stored makes room for another, and each is acknowledged.
    let mut stored = held.len();
    for ack in held {
        ack.stored();
    }
    while stored < FLOOD {
        match tokio::time::timeout(Duration::from_secs(10), reported.recv()).await.unwrap() {
            Some(Report::Receipt(_, ack)) => {
                ack.stored();
                stored += 1;
            }
            Some(_) => {}
            None => panic!("the route is gone"),
        }
    }
    while peer.got(DELIVER | ANSWER).len() < FLOOD {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(peer.connections(), 1);
    drop(route);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_goes_through_while_the_far_end_floods() {
    let flooded = AtomicBool::new(false);
    let peer = Peer::each(move |line, pdu, n| {
        if !flooded.swap(true, Ordering::SeqCst) {
            for n in 0..5_000 {
                let text = receipt(&format!("stranger{n}"), "DELIVRD");
                line.ask(DELIVER, &deliver("12025559999", "12025550100", 4, 0, &text, b""));
            }
        }
        line.accept(pdu, &format!("m{n}"));
        deliver_receipt(line, pdu, &format!("m{n}"), b"");
    })
    .await;
    let mut w = World::with(200, to(peer.port)).await;
    let id = w.schedule("Hello").await;
    w.turn_until(id, |status, t| status == Status::Completed && fixture::count(t, "delivered") == 200).await;
    assert_eq!((peer.connections(), peer.got(SUBMIT).len()), (1, 200));
    w.data.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_text_of_which_one_part_is_refused_has_failed_and_never_goes_out_again() {
    // The recipient's fault, the sender's, the SMSC's queue, and a status that nobody knows; whichever part it is.
    for (status, refused, words) in [
        (0x45, 2, "partial: the SMSC refused the message"),
        (0x0A, 1, "partial: the SMSC does not accept this sender"),
        (0x08, 3, "partial: the SMSC has a system error"),
        (0x0400, 2, "partial: the SMSC refused with command status 0x00000400"),
    ] {
        let peer = Peer::each(move |line, pdu, n| {
            if pdu.submit().message[5] == refused {
                return line.say(SUBMIT | ANSWER, status, pdu.number, b"");
            }
            let id = format!("m{n}");
            line.accept(pdu, &id);
            // What arrived of it does not make it delivered.
            deliver_receipt(line, pdu, &id, b"");
        })
        .await;
        let mut w = World::with(PEOPLE, to(peer.port)).await;
        let id = w.schedule(&"y".repeat(400)).await;
        w.turn_until(id, |status, _| status == Status::Completed).await;
        while peer.got(DELIVER | ANSWER).len() < 2 * PEOPLE as usize {
            w.turn().await;
        }
        let totals = w.data.store.campaign(id).await.unwrap().sum();
        assert_eq!(totals, fixture::totals([("failed", PEOPLE)]), "{status:#x}");
        let rows = w.data.store.deliveries(id, store::DeliveryFilter::default(), 100).await.unwrap().0;
        assert!(rows.iter().all(|row| row.detail.as_deref() == Some(words)), "{rows:?}");
        let mut parts: Vec<(String, u8)> =
            peer.got(SUBMIT).iter().map(Pdu::submit).map(|sm| (sm.destination.2, sm.message[5])).collect();
        parts.sort();
        parts.dedup();
        assert_eq!((parts.len(), peer.got(SUBMIT).len()), (3 * PEOPLE as usize, 3 * PEOPLE as usize));
        w.data.assert_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_waited_for_and_nobody_gets_a_part_twice() {
    for (name, text, throttled_part) in [("one part", "Hello".to_owned(), 0), ("three", "y".repeat(400), 2)] {
        let asked = std::sync::Mutex::new(std::collections::HashSet::new());
        let peer = Peer::each(move |line, pdu, n| {
            let sm = pdu.submit();
            let part = if sm.esm_class & 0x40 == 0 { 0 } else { sm.message[5] };
            // ESME_RMSGQFUL, the first time.
            if part == throttled_part && asked.lock().unwrap().insert(sm.destination.2) {
                return line.say(SUBMIT | ANSWER, 0x14, pdu.number, b"");
            }
            line.accept(pdu, &format!("m{n}"));
            deliver_receipt(line, pdu, &format!("m{n}"), b"");
        })
        .await;
        all_delivered(name, &peer, &text).await;
        let accepted = if throttled_part == 0 { PEOPLE } else { 3 * PEOPLE };
        assert_eq!(peer.got(SUBMIT).len() as i64, accepted + PEOPLE, "{name}");
    }
}
