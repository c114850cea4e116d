//! What simulated phones do, seen from a caller's side over real SIP and RTP.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use simulator::{PhoneProfile, Phones};
use voice::{
    audio::{Pcm, Prompt},
    media::{self, Media, Options, Ports, Session, Timeouts},
    sdp::{self, Codec, Local},
    sip::{Agent, Call, Callee, Cause, End, Event, Invite, Transport, Trunk},
};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Nothing in these tests takes as long.
const LONG: Duration = Duration::from_secs(40);

/// A caller with one trunk: these phones.
struct Caller {
    phones: Phones,
    agent: Agent,
    media: Media,
    ports: Ports,
}

impl Caller {
    async fn of(profile: PhoneProfile, ports: &str) -> Self {
        let answer_within = Duration::from_millis(20);
        let phones =
            Phones::start((LOOPBACK, 0).into(), PhoneProfile { answer_within, ..profile }).await.unwrap();
        let trunk = Trunk {
            host: LOOPBACK.to_string(),
            port: Some(phones.address().port()),
            transport: Transport::Udp,
            outbound_proxy: None,
            register: None,
            credentials: None,
            domain: None,
            public_address: None,
            tls_ca: None,
            keep_alive: None,
            max_calls: 100,
        };
        let agent = Agent::start(trunk).await.unwrap();
        Self { phones, agent, media: Media::start(1).unwrap(), ports: ports.parse().unwrap() }
    }

    /// Calls, with sound that is recorded.
    fn call(&self, number: &str) -> (Call, Session) {
        let timeouts = Timeouts { after_last: Duration::from_secs(2), never: Duration::from_secs(2) };
        let options = Options { address: LOOPBACK, timeouts, record: Some(LONG) };
        let session = self.media.open(&self.ports, options).unwrap();
        let local = Local { session: 1, version: 1, address: SocketAddr::new(LOOPBACK, session.port()) };
        let call = self.agent.invite(Invite {
            callee: Callee::User(number.to_owned()),
            caller_id: "+12025550100".to_owned(),
            offer: sdp::offer(&local, &[Codec::Pcmu]),
            ring_time: Duration::from_secs(10),
            headers: Vec::new(),
            trace: false,
        });
        (call.unwrap(), session)
    }

    async fn end_of(&self, number: &str) -> End {
        end(&mut self.call(number).0).await
    }
}

async fn event(call: &mut Call) -> Event {
    tokio::time::timeout(LONG, call.next()).await.expect("nothing happened").expect("it ended without a word")
}

async fn end(call: &mut Call) -> End {
    loop {
        if let Event::Ended(end) = event(call).await {
            return end;
        }
    }
}

/// Waits until the phone is picked up, and lets sound flow.
async fn picked_up(call: &mut Call, session: &mut Session) {
    loop {
        match event(call).await {
            Event::Answered { sdp } => {
                return session.agree(sdp::read_answer(&sdp, &[Codec::Pcmu]).unwrap()).unwrap();
            }
            Event::Ended(end) => panic!("{end:?}"),
            _ => {}
        }
    }
}

/// How loud each tenth of a second is.
fn loudness(sound: &Pcm) -> Vec<f64> {
    let power = |part: &[i16]| part.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / part.len() as f64;
    sound.samples().chunks(sound.rate() as usize / 10).map(|part| power(part).sqrt()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_keeps_what_it_hears_and_people_say_a_word() {
    let profile = PhoneProfile {
        speaks: 1.0,
        record: Some(LONG),
        media_ports: "47000-47098".into(),
        ..PhoneProfile::default()
    };
    let caller = Caller::of(profile, "47100-47198").await;
    let (mut call, mut session) = caller.call("+12025550123");
    picked_up(&mut call, &mut session).await;
    let tone: Vec<i16> = (0..8_000).map(|at| if at % 16 < 8 { 6_000 } else { -6_000 }).collect();
    session.play(vec![Arc::new(Prompt::new(Pcm::new(8_000, tone)))]);
    tokio::time::sleep(Duration::from_millis(1_800)).await;
    call.hang_up();
    end(&mut call).await;
    let said = loudness(&session.heard().unwrap()).into_iter().filter(|loud| *loud > 500.0).count();
    assert!((2..15).contains(&said), "{said} tenths of a second are loud");
    let heard = async {
        loop {
            if let Some(heard) = caller.phones.heard().pop() {
                return heard;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let heard = tokio::time::timeout(LONG, heard).await.unwrap();
    let loud = loudness(&heard.sound).into_iter().filter(|loud| *loud > 2_000.0).count();
    assert_eq!(heard.number, "+12025550123");
    assert!((9..=11).contains(&loud), "{loud} tenths of a second were heard of the second that was played");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_greets_for_some_seconds_beeps_and_listens() {
    let profile =
        PhoneProfile { machines: 1.0, media_ports: "47200-47298".into(), ..PhoneProfile::default() };
    let caller = Caller::of(profile, "47300-47398").await;
    let (mut call, mut session) = caller.call("+12025550123");
    picked_up(&mut call, &mut session).await;
    // Its greeting and beep, and a little of the silence after them.
    let mut quiet = 0;
    let whole = tokio::time::timeout(LONG, async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let loud = loudness(&session.heard().unwrap());
            quiet = loud.iter().rev().take_while(|loud| **loud < 200.0).count();
            if loud.len() > 40 && quiet >= 8 {
                return session.heard().unwrap();
            }
        }
    });
    let heard = whole.await.unwrap();
    let loud = loudness(&heard).len() - quiet;
    assert!((40..120).contains(&loud), "{loud} tenths of a second");
    // The beep is one steady tone: it crosses zero as often in each part.
    let end = loud * 800;
    let crossings = |part: &[i16]| part.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
    let beep: Vec<usize> = heard.samples()[end - 2_800..end - 1_200].chunks(400).map(crossings).collect();
    assert!(beep.iter().all(|n| (97..=103).contains(n)), "{beep:?}");
    call.hang_up();
    end_of(call).await;
}

async fn end_of(mut call: Call) -> End {
    end(&mut call).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_way_sound_is_heard_as_none() {
    let profile = PhoneProfile {
        one_way: 1.0,
        speaks: 1.0,
        media_ports: "47400-47498".into(),
        ..PhoneProfile::default()
    };
    let caller = Caller::of(profile, "47500-47598").await;
    let (mut call, mut session) = caller.call("+12025550123");
    picked_up(&mut call, &mut session).await;
    let told = tokio::time::timeout(LONG, session.event()).await.unwrap();
    assert_eq!(told, Some(media::Event::TimedOut { heard: false }));
    call.hang_up();
    end_of(call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_refuses_throttles_or_dies() {
    let refuses =
        PhoneProfile { refuses: true, media_ports: "47600-47698".into(), ..PhoneProfile::default() };
    let end = Caller::of(refuses, "47700-47798").await.end_of("+12025550123").await;
    assert_eq!((end.sip_code, end.trunk), (Some(403), true));

    let throttles = PhoneProfile {
        rate_per_second: Some(2),
        media_ports: "47600-47698".into(),
        ..PhoneProfile::default()
    };
    let caller = Caller::of(throttles, "47700-47798").await;
    let calls: Vec<_> = (0..4).map(|n| caller.call(&format!("+1202555000{n}"))).collect();
    let mut turned_away = 0;
    for (mut call, _session) in calls {
        loop {
            match event(&mut call).await {
                Event::Answered { .. } => call.hang_up(),
                Event::Ended(end) if end.cause == Cause::Congestion => {
                    assert_eq!((end.sip_code, end.retry_after), (Some(503), Some(Duration::from_secs(1))));
                    turned_away += 1;
                    break;
                }
                Event::Ended(_) => break,
                _ => {}
            }
        }
    }
    assert_eq!(turned_away, 2);

    let dies =
        PhoneProfile { dies_after: Some(1), media_ports: "47600-47698".into(), ..PhoneProfile::default() };
    let caller = Caller::of(dies, "47700-47798").await;
    let (mut call, mut session) = caller.call("+12025550123");
    picked_up(&mut call, &mut session).await;
    let end = caller.end_of("+12025550124").await;
    assert!(end.trunk && end.sip_code.is_none(), "{end:?}");
    // What was up hears nothing more, and its BYE is answered by nobody.
    call.hang_up();
    end_of(call).await;
}
