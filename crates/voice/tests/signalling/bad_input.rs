//! What a far end, or anybody, may throw at the socket while calls are up. The messages of RFC 4475 lie in
//! `tests/rfc4475`, byte for byte.

use std::{path::Path, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use voice::sip::{Cause, Event, Side};

use super::{agent, assert_nothing_left, end, far_end::FarEnd, invite, next};

/// Calls that are up meanwhile.
const CALLS: usize = 20;
/// Datagrams of random bytes.
const RANDOM: usize = 2_000;

#[tokio::test]
async fn torture_messages_and_random_bytes_harm_no_call() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let mut call = agent.invite(invite()).unwrap();
        let invite = far.talk("").await;
        assert!(matches!(next(&mut call).await, Event::Answered { .. }));
        calls.push((call, invite));
    }
    let stranger = FarEnd::new().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475");
    let mut messages: Vec<Vec<u8>> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "dat"))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert_eq!(messages.len(), 50);
    let mut random = StdRng::seed_from_u64(4475);
    for _ in 0..RANDOM {
        let length = random.random_range(0..1_400);
        messages.push((0..length).map(|_| random.random()).collect());
    }
    // Cut and broken messages of the calls themselves.
    let (_, own) = &calls[0];
    for _ in 0..RANDOM {
        let mut broken = own.text.clone().into_bytes();
        for _ in 0..random.random_range(1..8) {
            let at = random.random_range(0..broken.len());
            broken[at] = random.random();
        }
        broken.truncate(random.random_range(1..=broken.len()));
        messages.push(broken);
    }
    for chunk in messages.chunks(64) {
        for message in chunk {
            stranger.send(message, agent.local_address()).await;
        }
        // Not faster than a socket's buffer holds: what is dropped tests nothing.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (call, invite) in &mut calls {
        far.ask(invite, "OPTIONS", 2, "", "").await;
        far.expect("200").await;
        far.ask(invite, "BYE", 3, "", "").await;
        far.expect("200").await;
        let (end, before) = end(call).await;
        assert_eq!(end.cause, Cause::Completed { by: Side::FarEnd });
        assert!(before.is_empty(), "{before:?}");
    }
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn strangers_get_what_the_protocol_has_for_them() {
    let far = FarEnd::new().await;
    let agent = agent(far.address()).await;
    for (method, version, to, expected) in [
        ("OPTIONS", "SIP/2.0", "", "200"),
        ("INVITE", "SIP/2.0", "", "405"),
        ("MESSAGE", "SIP/2.0", "", "405"),
        ("REGISTER", "SIP/2.0", "", "405"),
        ("BYE", "SIP/2.0", ";tag=x", "481"),
        ("INVITE", "SIP/2.0", ";tag=x", "481"),
        ("OPTIONS", "SIP/2.0", ";tag=x", "481"),
        ("CANCEL", "SIP/2.0", "", "481"),
        ("OPTIONS", "SIP/7.0", "", "505"),
    ] {
        let ours = agent.local_address();
        let text = format!(
            "{method} sip:carillon@{ours} {version}\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{method}{expected}{}\r\n\
             From: <sip:stranger@192.0.2.5>;tag=s\r\nTo: <sip:carillon@{ours}>{to}\r\n\
             Call-ID: {method}{expected}{}@stranger\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
             Content-Length: 0\r\n\r\n",
            far.address(),
            to.len(),
            to.len(),
        );
        far.send(text.as_bytes(), ours).await;
        let answer = far.hear().await;
        assert_eq!(answer.what(), expected, "{text}\n{}", answer.text);
    }
}
