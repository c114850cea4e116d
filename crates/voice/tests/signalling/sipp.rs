//! Debian's `sipp` as the far end: it judges by itself whether each call went by the book.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use voice::sip::{Agent, Cause, Credentials, End, Event, Side, Transport};

use super::{LONG, assert_nothing_left, end, invite, trunk};

/// A `sipp` that plays a scenario so many times.
pub(super) struct Sipp(fixture::sipp::Sipp);

impl Sipp {
    /// Starts it where it is installed.
    pub(super) fn start(scenario: &str, calls: usize, transport: Transport) -> Option<Self> {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(scenario);
        let (calls, tcp) = (calls.to_string(), transport == Transport::Tcp);
        let more = ["-m", &calls, "-trace_err", "-error_file", "errors", "-timeout", "60", "-timeout_error"];
        fixture::sipp::Sipp::start(&scenario, tcp, &more).map(Self)
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Waits until it has seen all its calls, and asserts that each went as its scenario says.
    pub(super) fn assert_content(mut self) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.0.process.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < LONG, "sipp does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let errors = std::fs::read_to_string(self.0.folder.path().join("errors")).unwrap_or_default();
        assert!(status.success(), "sipp found fault: {status}\n{errors}");
    }

    async fn agent(&self, transport: Transport) -> Agent {
        let mut trunk = trunk(self.address());
        trunk.transport = transport;
        trunk.credentials = Some(Credentials { username: "alice".to_owned(), password: "secret".into() });
        Agent::start(trunk).await.unwrap()
    }
}

/// Makes `calls` calls at once against a scenario; `hangs_up` says whether we end them after the answer.
async fn play(scenario: &str, calls: usize, transport: Transport, hangs_up: bool) -> Option<Vec<End>> {
    let sipp = Sipp::start(scenario, calls, transport)?;
    let agent = sipp.agent(transport).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let mut call = agent.invite(super::Invite { trace: false, ..invite() }).unwrap();
        tasks.spawn(async move {
            if hangs_up {
                while !matches!(super::next(&mut call).await, Event::Answered { .. }) {}
                call.hang_up();
            }
            end(&mut call).await.0
        });
        // As fast as a trunk is called, not as fast as a socket's buffer runs over.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ends = tasks.join_all().await;
    assert_nothing_left(&agent).await;
    sipp.assert_content();
    Some(ends)
}

fn assert_all(ends: Option<Vec<End>>, cause: Cause) {
    for end in ends.into_iter().flatten() {
        assert_eq!(end.cause, cause, "{}", end.words);
    }
}

const US: Cause = Cause::Completed { by: Side::Us };
const FAR_END: Cause = Cause::Completed { by: Side::FarEnd };

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_leave_nothing_behind() {
    assert_all(play("answer.xml", 1_000, Transport::Udp, true).await, US);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_over_tcp() {
    assert_all(play("answer.xml", 20, Transport::Tcp, true).await, US);
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_verifies_our_md5_digest() {
    assert_all(play("digest.xml", 20, Transport::Udp, true).await, US);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_far_end_changes_the_sound_asks_and_hangs_up() {
    let Some(sipp) = Sipp::start("changes.xml", 20, Transport::Udp) else { return };
    let agent = sipp.agent(Transport::Udp).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut call = agent.invite(invite()).unwrap();
        tasks.spawn(async move {
            let mut changes = 0;
            loop {
                match super::next(&mut call).await {
                    Event::Reoffered { answer, .. } => {
                        changes += 1;
                        answer.accept(super::OFFER.into());
                    }
                    Event::Ended(end) => return (changes, end.cause),
                    _ => {}
                }
            }
        });
    }
    assert!(tasks.join_all().await.iter().all(|ended| *ended == (1, FAR_END)));
    assert_nothing_left(&agent).await;
    sipp.assert_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_then_404_is_unreachable() {
    assert_all(play("announcement.xml", 20, Transport::Udp, false).await, Cause::Unreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn ringing_calls_are_cancelled_by_the_book() {
    let Some(sipp) = Sipp::start("cancelled.xml", 50, Transport::Udp) else { return };
    let agent = sipp.agent(Transport::Udp).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut call = agent.invite(invite()).unwrap();
        tasks.spawn(async move {
            while !matches!(super::next(&mut call).await, Event::Ringing) {}
            assert!(call.abort().await);
            end(&mut call).await.0.cause
        });
    }
    let cancelled = Cause::Cancelled { answered: false };
    assert!(tasks.join_all().await.iter().all(|cause| *cause == cancelled));
    assert_nothing_left(&agent).await;
    sipp.assert_content();
}
