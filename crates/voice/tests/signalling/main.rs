//! The signalling against far ends that are not ours: a UDP socket that speaks SIP as text, where the order of
//! messages matters, and Debian's `sipp`, which knows the protocol by itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::assigning_clones,
    reason = "a test fails where the world is not as it needs"
)]

mod bad_input;
mod bridge;
mod calls;
mod far_end;
mod in_call;
mod kamailio;
mod refusals;
mod route;
mod scripted;
mod sipp;
mod tls;
mod trunk;

use std::{net::SocketAddr, time::Duration};

use voice::sip::{Agent, Call, Callee, End, Event, Invite, Transport, Trunk};

/// Nothing in these tests takes as long.
const LONG: Duration = Duration::from_secs(20);

/// A trunk at a far end of the test, that is not asked by OPTIONS.
fn trunk(far_end: SocketAddr) -> Trunk {
    Trunk {
        host: far_end.ip().to_string(),
        port: Some(far_end.port()),
        transport: Transport::Udp,
        outbound_proxy: None,
        register: None,
        credentials: None,
        domain: None,
        public_address: None,
        tls_ca: None,
        keep_alive: None,
        max_calls: 2_000,
    }
}

async fn agent(far_end: SocketAddr) -> Agent {
    Agent::start(trunk(far_end)).await.unwrap()
}

fn invite() -> Invite {
    Invite {
        callee: Callee::User("+12025550123".to_owned()),
        caller_id: "+12025550100".to_owned(),
        offer: OFFER.as_bytes().to_vec(),
        ring_time: Duration::from_secs(30),
        headers: Vec::new(),
        trace: true,
    }
}

/// What we offer.
const OFFER: &str = "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
/// What a far end answers.
const ANSWER: &str = "v=0\r\no=far 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                      m=audio 50000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// The next event of a call.
async fn next(call: &mut Call) -> Event {
    let event = tokio::time::timeout(LONG, call.next()).await;
    event.expect("no event came").expect("the call ended without saying so")
}

/// The call's end, with the events before it.
async fn end(call: &mut Call) -> (End, Vec<Event>) {
    let mut before = Vec::new();
    loop {
        match next(call).await {
            Event::Ended(end) => {
                assert!(call.next().await.is_none(), "an event came after the end");
                return (end, before);
            }
            event => before.push(event),
        }
    }
}

/// Waits until the agent holds nothing of any call.
async fn assert_nothing_left(agent: &Agent) {
    let empty = async {
        while (agent.calls(), agent.dialogs()) != (0, 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let left = tokio::time::timeout(LONG, empty).await;
    assert!(left.is_ok(), "{} calls and {} dialogs are left", agent.calls(), agent.dialogs());
}
