//! Carriers as they are: out of order, early and double receipts, throttling, broken lines, hostile bytes, TLS.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use campaign::{CampaignId, Status, Totals};
use engine::RouteState;
use serde_json::{Value, json};
use simulator::{Profile, Smsc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use world::World;

const PEOPLE: i64 = 600;

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn to(port: u16) -> Value {
    json!({"port": port, "window": 20, "rate_per_second": 5_000})
}

/// Runs a campaign to its end; nobody was sent to twice, and the totals agree with the carrier.
async fn run(w: &mut World, smsc: &Smsc, text: &str) -> (CampaignId, Totals) {
    let id = w.schedule(text).await;
    w.turn_until(id, |status, t| status == Status::Completed && fixture::count(t, "sent") == 0).await;
    let totals = w.data.store.campaign(id).await.unwrap().sum();
    let accepted = smsc.accepted();
    assert_eq!(totals.sum(), PEOPLE);
    let settled = fixture::count(totals, "delivered") + fixture::count(totals, "undelivered");
    let reached = accepted.len() as i64;
    assert!(
        settled <= reached && reached <= settled + fixture::count(totals, "in_doubt"),
        "{totals:?} of {reached}"
    );
    w.data.assert_sound().await;
    (id, totals)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_in_any_order_early_or_twice_are_counted_once() {
    let profile = Profile {
        answer_within: Duration::from_millis(20),
        receipt_within: Duration::from_millis(60),
        early: 0.3,
        twice: 0.3,
        undelivered: 0.2,
        refused: 0.1,
        ..Profile::default()
    };
    let smsc = Smsc::start(anywhere(), profile).await.unwrap();
    let mut w = World::with(PEOPLE, to(smsc.address().port())).await;
    let (_, t) = run(&mut w, &smsc, "Hello").await;
    let reached = smsc.accepted().len() as i64;
    assert_eq!(
        (
            fixture::count(t, "delivered") + fixture::count(t, "undelivered"),
            fixture::count(t, "failed"),
            fixture::count(t, "in_doubt")
        ),
        (reached, PEOPLE - reached, 0)
    );
    assert!(fixture::count(t, "undelivered") > 60 && fixture::count(t, "failed") > 30, "{t:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttling_carrier_gets_everything_once_long_texts_whole() {
    let profile = Profile { rate_per_second: Some(300), ..Profile::default() };
    let smsc = Smsc::start(anywhere(), profile).await.unwrap();
    let mut w = World::with(PEOPLE, to(smsc.address().port())).await;
    let id = w.schedule(&"A text of two parts, told twice. ".repeat(6)).await;
    w.turn_until(id, |status, t| status == Status::Completed && fixture::count(t, "sent") == 0).await;
    let throttled = smsc.records().iter().filter(|r| r.status == 0x58).count();
    assert!(throttled > 0, "nothing was throttled");
    assert_eq!(w.data.store.campaign(id).await.unwrap().sum(), fixture::totals([("delivered", PEOPLE)]));
    assert!(smsc.accepted().values().all(|parts| *parts == 2));
}

/// What a line does to the carrier's end of a connection.
enum Evil {
    /// Puts these bytes into what the ESME reads.
    Says(Vec<u8>),
    /// Sends the first half of a PDU and hangs up.
    Cuts,
    /// Lets nothing more of the carrier's through.
    Swallows,
}

/// A line between us and the carrier. Its first connections go wrong after some octets were sent; later ones are sound.
/// Returns its port and, as it goes on, how many have gone wrong.
async fn line(smsc: SocketAddr, evils: Vec<Evil>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let wrong = Arc::new(AtomicUsize::new(0));
    let went_wrong = wrong.clone();
    let mut evils = evils.into_iter();
    tokio::spawn(async move {
        loop {
            let (mut ours, _) = listener.accept().await.unwrap();
            let mut theirs = TcpStream::connect(smsc).await.unwrap();
            let evil = evils.next();
            let wrong = wrong.clone();
            tokio::spawn(async move {
                let Some(evil) = evil else {
                    let _ = copy_bidirectional(&mut ours, &mut theirs).await;
                    return;
                };
                let (mut up, mut down, mut passed, mut sound) = ([0; 4096], [0; 4096], 0, true);
                loop {
                    tokio::select! {
                        Ok(n) = ours.read(&mut up) => {
                            if n == 0 || theirs.write_all(&up[..n]).await.is_err() {
                                return;
                            }
                            passed += n;
                        }
                        Ok(n) = theirs.read(&mut down) => {
                            // A good hundred `submit_sm` have gone through.
                            if passed < 6_000 {
                                let _ = ours.write_all(&down[..n]).await;
                                continue;
                            }
                            if std::mem::take(&mut sound) {
                                wrong.fetch_add(1, Ordering::SeqCst);
                            }
                            match &evil {
                                Evil::Says(bytes) => {
                                    let _ = ours.write_all(bytes).await;
                                    // The ESME is the one to hang up on nonsense.
                                    while ours.read(&mut up).await.is_ok_and(|n| n > 0) {}
                                    return;
                                }
                                Evil::Cuts => {
                                    let _ = ours.write_all(&down[..n.min(9)]).await;
                                    return;
                                }
                                Evil::Swallows => {}
                            }
                        }
                        else => return,
                    }
                }
            });
        }
    });
    (port, went_wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_far_end_is_hung_up_on_and_nothing_is_lost() {
    let header = |length: u32, id: u32, status: u32, number: u32| {
        [length, id, status, number].into_iter().flat_map(u32::to_be_bytes).collect::<Vec<u8>>()
    };
    let evils = vec![
        Evil::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        Evil::Says(vec![0xFF; 3000]),
        // Oversized, and shorter than its own header (SMPP 3.4 §3.2).
        Evil::Says(header(0x7FFF_FFFF, 0x8000_0004, 0, 1)),
        Evil::Says(header(4, 0x8000_0004, 0, 1)),
        Evil::Cuts,
    ];
    let times = evils.len();
    let profile = Profile { answer_within: Duration::from_millis(5), ..Profile::default() };
    let smsc = Smsc::start(anywhere(), profile).await.unwrap();
    let (port, wrong) = line(smsc.address(), evils).await;
    let mut w = World::with(2_400, to(port)).await;
    let id = w.schedule("Hello").await;
    w.turn_until(id, |status, t| status == Status::Completed && fixture::count(t, "sent") == 0).await;
    let t = w.data.store.campaign(id).await.unwrap().sum();
    let accepted = smsc.accepted();
    assert_eq!(accepted.values().max(), Some(&1), "somebody was sent to twice");
    assert_eq!(wrong.load(Ordering::SeqCst), times);
    assert_eq!((fixture::count(t, "delivered") + fixture::count(t, "in_doubt"), t.sum()), (2_400, 2_400));
    // At most a window's worth per broken connection.
    assert!(fixture::count(t, "in_doubt") <= 20 * times as i64, "{t:?}");
    w.data.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_although_the_far_end_does_not_and_nothing_follows() {
    let smsc = Smsc::start(anywhere(), Profile::default()).await.unwrap();
    let (port, wrong) = line(smsc.address(), vec![Evil::Swallows]).await;
    let mut w = World::with(PEOPLE, to(port)).await;
    let id = w.schedule("Hello").await;
    let end = Instant::now() + Duration::from_secs(60);
    while wrong.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < end);
        w.turn().await;
    }
    let began = Instant::now();
    w.stop(id).await;
    let took = began.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(10)).contains(&took), "{took:?}");
    let written = smsc.count() as i64;
    let t = w.data.store.campaign(id).await.unwrap().sum();
    assert_eq!((fixture::count(t, "sending"), fixture::count(t, "cancelled")), (0, PEOPLE - written));
    assert_eq!(
        fixture::count(t, "in_doubt") + fixture::count(t, "sent") + fixture::count(t, "delivered"),
        written
    );
    // The next connection is sound: its receipts settle the doubts, and nothing more is sent.
    w.turn_until(id, |_, t| fixture::count(t, "delivered") == written).await;
    assert_eq!(smsc.count() as i64, written);
    w.data.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_stop_is_told_once_and_does_not_answer_that() {
    let profile = Profile { replies: 1.0, stops: 1.0, ..Profile::default() };
    let smsc = Smsc::start(anywhere(), profile).await.unwrap();
    let mut w = World::with(10, to(smsc.address().port())).await;
    let id = w.schedule("Hello").await;
    w.turn_until(id, |status, t| status == Status::Completed && fixture::count(t, "delivered") == 10).await;
    // The ten messages, and ten confirmations; any answer to these would come within a second.
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        w.turn().await;
    }
    assert_eq!(smsc.count(), 20);
    let replies = w.data.store.replies(id, store::ReplyFilter::default(), 100).await.unwrap();
    assert_eq!(replies.len(), 10);
    assert!(replies.iter().all(|r| r.answer.as_ref().is_some_and(|a| a.state == "sent")), "{replies:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_is_refused_burns_nobody_and_says_so() {
    let profile = Profile { refused_sender: Some("12025550100".into()), ..Profile::default() };
    let smsc = Smsc::start(anywhere(), profile).await.unwrap();
    let mut w = World::with(PEOPLE, to(smsc.address().port())).await;
    let id = w.schedule("Hello").await;
    let end = Instant::now() + Duration::from_secs(30);
    while w.engine.handle().waiting(id).is_empty() {
        assert!(Instant::now() < end);
        w.turn().await;
    }
    let waiting = w.engine.handle().waiting(id);
    assert_eq!(
        waiting[0].reason,
        engine::WaitingReason::RouteRefuses("the SMSC does not accept this sender".into())
    );
    let t = w.data.store.campaign(id).await.unwrap().sum();
    assert_eq!(
        (fixture::count(t, "pending") + fixture::count(t, "sending"), fixture::count(t, "failed")),
        (PEOPLE, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_is_refused_with_a_status_in_no_table_fails_alone_and_the_others_are_reached() {
    // With this seed the first number is accepted: one that is refused before any other is left alone for a minute.
    let profile = Profile { seed: 1, refused: 0.2, refuse_with: 0x0400, ..Profile::default() };
    let smsc = Smsc::start(anywhere(), profile).await.unwrap();
    let mut w = World::with(100, to(smsc.address().port())).await;
    let id = w.schedule("Hello").await;
    // Those who are refused are asked again after 5 s and 15 s.
    let end = Instant::now() + Duration::from_secs(60);
    while w.data.store.campaign(id).await.unwrap().status != Status::Completed {
        assert!(Instant::now() < end);
        w.turn().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    w.turn_until(id, |status, t| status == Status::Completed && fixture::count(t, "sent") == 0).await;
    let reached = smsc.accepted().len() as i64;
    let totals = w.data.store.campaign(id).await.unwrap().sum();
    assert_eq!(totals, fixture::totals([("delivered", reached), ("failed", 100 - reached)]));
    assert!((5..50).contains(&(100 - reached)), "{reached}");
    let refused: Vec<_> = smsc.records().into_iter().filter(|r| r.status != 0).collect();
    assert!(refused.iter().all(|r| r.status == 0x0400), "{refused:?}");
    // Each of them was asked three times.
    assert_eq!(refused.len() as i64, 3 * (100 - reached));
    let rows = w.data.store.deliveries(id, store::DeliveryFilter::default(), 100).await.unwrap().0;
    let words: Vec<_> = rows.iter().filter_map(|row| row.detail.as_deref()).collect();
    assert_eq!(words, vec!["the SMSC refused with command status 0x00000400"; words.len()]);
    w.data.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_holds_against_the_authority_that_the_route_names_and_no_other() {
    use tokio_rustls::{TlsAcceptor, rustls};
    let smsc = Smsc::start(anywhere(), Profile::default()).await.unwrap();
    let address = smsc.address();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut secured) = acceptor.accept(stream).await else { return };
                let mut plain = TcpStream::connect(address).await.unwrap();
                let _ = copy_bidirectional(&mut secured, &mut plain).await;
            });
        }
    });
    let route = |more| fixture::with(fixture::with(to(port), json!({"tls": true})), more);
    let mut w = World::with(PEOPLE, route(json!({"tls_ca": certified.cert.pem()}))).await;
    let (_, t) = run(&mut w, &smsc, "Hello").await;
    assert_eq!(fixture::count(t, "delivered"), PEOPLE);

    let mut stranger = World::with(1, route(json!({}))).await;
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(RouteState::Refused(words)) = stranger.engine.handle().route_state(stranger.data.route) {
            assert!(words.contains("no secure connection"), "{words}");
            return;
        }
        assert!(Instant::now() < end);
        stranger.turn().await;
    }
}
