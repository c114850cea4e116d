//! The trunk itself: whether it is there, whether it takes our registration, and which of its machines takes a call.

use std::time::Duration;

use tokio::sync::watch;
use voice::sip::{Agent, Cause, Credentials, Event, Fault, Register, State, Transport, Trunk};

use super::{ANSWER, LONG, assert_nothing_left, end, far_end::FarEnd, invite, next, trunk};

/// Waits for the first state that is known.
async fn known(state: &mut watch::Receiver<State>) -> State {
    let known = tokio::time::timeout(LONG, state.wait_for(|state| *state != State::Starting)).await;
    known.unwrap().unwrap().clone()
}

fn asking(far: &FarEnd) -> Trunk {
    let mut trunk = trunk(far.address());
    trunk.keep_alive = Some(Duration::from_secs(30));
    trunk
}

#[tokio::test]
async fn any_answer_to_options_counts_as_reachable() {
    for status in ["200 OK", "404 Not Found", "503 Service Unavailable", "401 Unauthorized"] {
        let far = FarEnd::new().await;
        let agent = Agent::start(asking(&far)).await.unwrap();
        let options = far.expect("OPTIONS").await;
        far.answer(&options, status, "", "").await;
        assert_eq!(known(&mut agent.state()).await, State::Reachable, "{status}");
    }
}

#[tokio::test]
async fn silence_is_told_apart_from_a_refusal_and_from_no_connection() {
    let far = FarEnd::new().await;
    let agent = Agent::start(asking(&far)).await.unwrap();
    let words = format!("{} does not answer OPTIONS", far.address());
    assert_eq!(known(&mut agent.state()).await, State::Silent(words));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut tcp = asking(&far);
    (tcp.port, tcp.transport) = (Some(closed.port()), Transport::Tcp);
    let agent = Agent::start(tcp).await.unwrap();
    let state = known(&mut agent.state()).await;
    assert!(matches!(state, State::Unreachable(_)), "{state:?}");
    let mut call = agent.invite(invite()).unwrap();
    let (end, _) = end(&mut call).await;
    assert_eq!((end.cause, end.trunk, end.sip_code), (Cause::Failed, true, None));
    assert!(end.words.contains("cannot be reached"), "{}", end.words);
}

#[tokio::test]
async fn a_trunk_that_ignores_options_and_answers_calls_is_reachable() {
    let far = FarEnd::new().await;
    let agent = Agent::start(asking(&far)).await.unwrap();
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    far.answer(&invite, "486 Busy Here", "", "").await;
    end(&mut call).await;
    assert_eq!(known(&mut agent.state()).await, State::Reachable);
}

fn registering(far: &FarEnd) -> Trunk {
    let mut trunk = trunk(far.address());
    trunk.domain = Some("trunk.example".to_owned());
    trunk.register = Some(Register { expires: Duration::from_secs(300) });
    trunk.credentials = Some(Credentials { username: "alice".to_owned(), password: "secret".into() });
    trunk.keep_alive = Some(Duration::from_secs(30));
    trunk
}

#[tokio::test]
async fn we_register_where_the_trunk_asks_for_it_and_take_it_back_when_we_close() {
    let far = FarEnd::new().await;
    let agent = Agent::start(registering(&far)).await.unwrap();
    let first = far.expect("REGISTER").await;
    assert_eq!((first.uri(), first.header("Expires")), ("sip:trunk.example", "300"));
    let challenge = "WWW-Authenticate: Digest realm=\"t\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n";
    far.answer(&first, "401 Unauthorized", challenge, "").await;
    let second = far.expect("REGISTER").await;
    assert!(second.header("Authorization").contains("algorithm=SHA-256"), "{}", second.text);
    let contact = format!("Contact: {};expires=300\r\n", second.header("Contact"));
    far.answer(&second, "200 OK", &contact, "").await;
    let options = far.expect("OPTIONS").await;
    far.answer(&options, "200 OK", "", "").await;
    assert_eq!(known(&mut agent.state()).await, State::Reachable);
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    assert_eq!(invite.uri(), "sip:+12025550123@trunk.example");
    assert!(invite.header("Contact").starts_with("<sip:alice@127.0.0.1:"), "{}", invite.text);
    far.answer(&invite, "486 Busy Here", "", "").await;
    end(&mut call).await;
    let ((), gone) = tokio::join!(agent.close(), async {
        let gone = far.expect("REGISTER").await;
        far.answer(&gone, "200 OK", "", "").await;
        gone
    });
    assert_eq!(gone.header("Expires"), "0");
    assert_eq!(gone.header("Call-ID"), first.header("Call-ID"));
}

#[tokio::test]
async fn a_refused_registration_is_told_with_code_and_words_and_what_was_exchanged() {
    let far = FarEnd::new().await;
    let agent = Agent::start(registering(&far)).await.unwrap();
    let register = far.expect("REGISTER").await;
    far.answer(&register, "403 Account closed", "", "").await;
    let State::Refused { code, words, exchange } = known(&mut agent.state()).await else { panic!() };
    assert_eq!((code, words.as_str()), (403, "403 Account closed"));
    let lines: Vec<&str> = exchange.messages.iter().filter_map(|m| m.text.lines().next()).collect();
    assert_eq!(lines, ["REGISTER sip:trunk.example SIP/2.0", "SIP/2.0 403 Account closed"]);
}

#[tokio::test]
async fn a_registration_too_brief_is_asked_for_again() {
    let far = FarEnd::new().await;
    let _agent = Agent::start(registering(&far)).await.unwrap();
    let register = far.expect("REGISTER").await;
    far.answer(&register, "423 Interval Too Brief", "Min-Expires: 900\r\n", "").await;
    assert_eq!(far.expect("REGISTER").await.header("Expires"), "900");
}

#[tokio::test]
async fn the_next_machine_is_tried_only_where_nothing_was_answered() {
    let (first, second) = (FarEnd::new().await, FarEnd::new().await);
    let both = vec![first.address(), second.address()];
    let mut trunk = trunk(first.address());
    trunk.domain = Some("trunk.example".to_owned());
    let agent = Agent::start_with(trunk, both).await.unwrap();
    // Overloaded: the second takes it.
    let mut call = agent.invite(invite()).unwrap();
    let heard = first.expect("INVITE").await;
    first.answer(&heard, "503 Service Unavailable", "", "").await;
    first.expect("ACK").await;
    let heard = second.expect("INVITE").await;
    second.answer(&heard, "180 Ringing", &second.contact(), "").await;
    assert!(matches!(next(&mut call).await, Event::Ringing));
    // Withdrawn, its CANCEL goes where its INVITE went.
    call.abort().await;
    let cancel = second.expect("CANCEL").await;
    second.answer(&cancel, "200 OK", "", "").await;
    second.answer(&heard, "487 Request Terminated", "", "").await;
    second.expect("ACK").await;
    end(&mut call).await;
    // Busy: that is an answer.
    let mut call = agent.invite(invite()).unwrap();
    let heard = first.expect("INVITE").await;
    first.answer(&heard, "486 Busy Here", "", "").await;
    assert_eq!(end(&mut call).await.0.cause, Cause::Busy);
    assert_eq!(second.hear_for(Duration::from_millis(100)).await, Vec::<String>::new());
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn a_silent_machine_is_left_for_the_next_and_hears_no_more_of_the_call() {
    let (first, second) = (FarEnd::new().await, FarEnd::new().await);
    let both = vec![first.address(), second.address()];
    let mut trunk = trunk(first.address());
    trunk.domain = Some("trunk.example".to_owned());
    let agent = Agent::start_with(trunk, both).await.unwrap();
    let mut call = agent.invite(invite()).unwrap();
    let late = first.expect("INVITE").await;
    let heard = second.expect("INVITE").await;
    second.answer(&heard, "200 OK", &second.contact(), ANSWER).await;
    assert!(matches!(next(&mut call).await, Event::Answered { .. }));
    // The first one wakes up: it is told that the call is withdrawn.
    first.hear_for(Duration::from_millis(50)).await;
    first.answer(&late, "180 Ringing", &first.contact(), "").await;
    let cancel = first.expect("CANCEL").await;
    first.answer(&cancel, "200 OK", "", "").await;
    first.answer(&late, "487 Request Terminated", "", "").await;
    first.expect("ACK").await;
    second.ask(&heard, "BYE", 2, "", "").await;
    end(&mut call).await;
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn an_outbound_proxy_takes_the_messages_and_the_trunk_keeps_its_name() {
    let proxy = FarEnd::new().await;
    let mut behind = trunk(proxy.address());
    (behind.host, behind.port) = ("trunk.invalid".to_owned(), None);
    behind.outbound_proxy = Some(proxy.address().to_string());
    let agent = Agent::start(behind).await.unwrap();
    let mut call = agent.invite(invite()).unwrap();
    let invite = proxy.expect("INVITE").await;
    assert_eq!(invite.uri(), "sip:+12025550123@trunk.invalid");
    // What belongs to the call goes along the recorded route.
    let route = format!("Record-Route: <sip:{};lr>\r\n", proxy.address());
    let more = format!("{route}Contact: <sip:far@far.invalid>\r\n");
    proxy.answer(&invite, "200 OK", &more, ANSWER).await;
    let ack = proxy.expect("ACK").await;
    assert_eq!((ack.uri(), ack.find("Route").is_some()), ("sip:far@far.invalid", true), "{}", ack.text);
    assert!(matches!(next(&mut call).await, Event::Answered { .. }));
    call.hang_up();
    let bye = proxy.expect("BYE").await;
    assert_eq!((bye.uri(), bye.find("Route").is_some()), ("sip:far@far.invalid", true), "{}", bye.text);
    proxy.answer(&bye, "200 OK", "", "").await;
    end(&mut call).await;
    assert_nothing_left(&agent).await;
}

#[tokio::test]
async fn behind_a_nat_we_show_the_address_that_the_operator_named() {
    let far = FarEnd::new().await;
    let mut natted = trunk(far.address());
    natted.public_address = Some("192.0.2.44".parse().unwrap());
    let agent = Agent::start(natted).await.unwrap();
    let mut call = agent.invite(invite()).unwrap();
    let invite = far.expect("INVITE").await;
    let ours = format!("192.0.2.44:{}", agent.local_address().port());
    assert!(invite.header("Contact").contains(&ours), "{}", invite.text);
    assert!(invite.header("Via").contains(&ours), "{}", invite.text);
    far.answer(&invite, "486 Busy Here", "", "").await;
    end(&mut call).await;
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_by_field() {
    let far = FarEnd::new().await;
    for (field, spoil) in [
        ("host", (|trunk| trunk.host = "two words".to_owned()) as fn(&mut Trunk)),
        ("domain", |trunk| trunk.domain = Some("a\r\nb".to_owned())),
        ("outbound_proxy", |trunk| trunk.outbound_proxy = Some("[::".to_owned())),
        ("tls_ca", |trunk| {
            trunk.transport = Transport::Tls;
            trunk.tls_ca = Some("no certificate".to_owned());
        }),
    ] {
        let mut bad = trunk(far.address());
        spoil(&mut bad);
        match Agent::start(bad).await.map(|_| ()) {
            Err(Fault::Field { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    let mut unknown = trunk(far.address());
    unknown.host = "no-such-name.invalid".to_owned();
    let fault = Agent::start(unknown).await.map(|_| ()).unwrap_err();
    assert!(fault.to_string().contains("no-such-name.invalid"), "{fault}");
}
