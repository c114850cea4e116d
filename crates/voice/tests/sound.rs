//! Two calls of ours over real sockets: what one plays the other hears, and keys come across.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rtcp_types::{Compound, Packet};
use voice::audio::{Pcm, Prompt};
use voice::media::{Event, Media, Options, Ports, Session, Timeouts};
use voice::sdp::{Codec, Direction, Sound};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn sound(to: SocketAddr, codec: Codec) -> Sound {
    Sound {
        address: Some(to),
        codec,
        payload: codec.payload(),
        keys: Some(101),
        direction: Direction::SendRecv,
        held: false,
    }
}

fn options() -> Options {
    Options { address: LOOPBACK, timeouts: Timeouts::default(), record: Some(Duration::from_secs(10)) }
}

fn at(session: &Session) -> SocketAddr {
    SocketAddr::new(LOOPBACK, session.port())
}

/// Two sessions that agreed on `codec`.
fn pair(media: &Media, ports: &Ports, codec: Codec) -> (Session, Session) {
    let (mut one, mut other) = (media.open(ports, options()).unwrap(), media.open(ports, options()).unwrap());
    one.agree(sound(at(&other), codec)).unwrap();
    other.agree(sound(at(&one), codec)).unwrap();
    (one, other)
}

async fn event(session: &mut Session) -> Event {
    tokio::time::timeout(Duration::from_secs(20), session.event()).await.unwrap().unwrap()
}

/// Waits until a key is heard; those that are still pressed where the call came from may be heard anew before it.
async fn hears(session: &mut Session, key: char) {
    while event(session).await != Event::Key(key) {}
}

/// A melody of changing pitch and loudness, so that no part of it is like another. It fades out, as
/// speech does.
fn melody(seconds: f64, rate: u32) -> Pcm {
    let mut phase = 0.0f64;
    let samples = (0..(seconds * f64::from(rate)) as usize).map(|i| {
        let at = i as f64 / f64::from(rate);
        phase += (400.0 + 900.0 * (at * 1.7).sin().abs()) / f64::from(rate);
        ((phase * std::f64::consts::TAU).sin()
            * 9_000.0
            * (0.4 + 0.6 * (at * 5.3).sin().abs())
            * ((seconds - at) / 0.05).min(1.0)) as i16
    });
    Pcm::new(rate, samples.collect())
}

/// The best correlation of `wanted` with a part of `heard` as long as it that begins within 25 ms of `first`.
fn correlation(wanted: &[i16], heard: &[i16], first: usize) -> f64 {
    let energy = |samples: &[i16]| samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    let own = energy(wanted);
    (first.saturating_sub(400)..(first + 400).min(heard.len().saturating_sub(wanted.len())))
        .map(|from| {
            let part = &heard[from..from + wanted.len()];
            let product: f64 = wanted.iter().zip(part).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            product / (own * energy(part)).sqrt().max(1.0)
        })
        .fold(0.0, f64::max)
}

/// Sound comes every 20 ms or it is late. These tests take turns, so that none makes another late.
static REAL_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What `tries` gives at last: a busy machine spoils a try, a fault spoils all five.
async fn in_one_of_five(mut tries: impl AsyncFnMut() -> Result<(), String>) {
    let mut wrong = Vec::new();
    for _ in 0..5 {
        match tries().await {
            Ok(()) => return,
            Err(why) => wrong.push(why),
        }
    }
    panic!("{wrong:#?}");
}

fn loud(sample: i16) -> bool {
    sample.unsigned_abs() > 2_000
}

/// Where loud sound begins and ends, in samples.
fn stretch(sound: &Pcm) -> Option<(usize, usize)> {
    let samples = sound.samples();
    Some((samples.iter().position(|s| loud(*s))?, samples.iter().rposition(|s| loud(*s))?))
}

/// Whether `heard` is `played`, whole and no longer than it.
fn same(played: &Pcm, heard: &Pcm) -> Result<(), String> {
    let wanted = played.at(heard.rate());
    let (first, last) = stretch(heard).ok_or("nothing was heard")?;
    let (from, to) = stretch(&wanted).ok_or("nothing was played")?;
    let alike = correlation(wanted.samples(), heard.samples(), first.saturating_sub(from));
    let longer = ((last - first) as f64 - (to - from) as f64) / f64::from(heard.rate());
    if alike > 0.9 && longer.abs() < 0.02 {
        Ok(())
    } else {
        Err(format!("alike {alike}, longer by {longer} s"))
    }
}

#[tokio::test]
async fn what_one_plays_the_other_hears_and_keys_come_across() {
    let _turn = REAL_TIME.lock().await;
    let (media, ports) = (Media::start(1).unwrap(), "21000-21098".parse::<Ports>().unwrap());
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722] {
        in_one_of_five(async || {
            let (mut one, mut other) = pair(&media, &ports, codec);
            let played = melody(0.8, 16_000);
            let mark = one.play(vec![Arc::new(Prompt::new(played.clone()))]);
            assert_eq!(event(&mut one).await, Event::Played(mark));
            one.keys("19#");
            for key in ['1', '9', '#'] {
                assert_eq!(event(&mut other).await, Event::Key(key), "{codec:?}");
            }
            same(&played, &other.heard().unwrap()).map_err(|why| format!("{codec:?}: {why}"))
        })
        .await;
    }
    assert!(media.lateness().frames() > 300 && media.lateness().share(0.99).is_some());
}

#[tokio::test]
async fn keys_come_across_as_tones_where_no_events_were_agreed() {
    let _turn = REAL_TIME.lock().await;
    let (media, ports) = (Media::start(1).unwrap(), "21100-21198".parse::<Ports>().unwrap());
    for codec in [Codec::Pcmu, Codec::G722] {
        let (mut one, mut other) =
            (media.open(&ports, options()).unwrap(), media.open(&ports, options()).unwrap());
        one.agree(Sound { keys: None, ..sound(at(&other), codec) }).unwrap();
        other.agree(Sound { keys: None, ..sound(at(&one), codec) }).unwrap();
        one.keys("50*A");
        for key in ['5', '0', '*', 'A'] {
            assert_eq!(event(&mut other).await, Event::Key(key), "{codec:?}");
        }
    }
}

#[tokio::test]
async fn a_stranger_and_random_bytes_change_nothing_and_a_call_ends_with_its_ports_free() {
    let _turn = REAL_TIME.lock().await;
    let (media, ports) = (Media::start(1).unwrap(), "21200-21203".parse::<Ports>().unwrap());
    let (mut one, other) = pair(&media, &ports, Codec::Pcmu);
    assert_eq!(
        media.open(&ports, options()).unwrap_err().to_string(),
        "out of ports: all 2 pairs of 21200-21203 are in use: widen media_ports or lower max_calls"
    );
    other.keys("4");
    assert_eq!(event(&mut one).await, Event::Key('4'));
    let stranger = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let mut bytes = vec![0u8; 1_500];
    for round in 0..2_000u32 {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte =
                (round.wrapping_mul(2_654_435_761).wrapping_add((i as u32).wrapping_mul(40_503)) >> 9) as u8;
        }
        // Half of them look like RTP of the agreed kind, some like telephone events.
        if round % 2 == 0 {
            bytes[0] = 0x80;
            bytes[1] = if round % 4 == 0 { 101 } else { 0 };
        }
        let port = one.port() + (round % 3 / 2) as u16;
        stranger.send_to(&bytes[..(round as usize * 7) % 1_500], (LOOPBACK, port)).unwrap();
    }
    other.keys("7");
    assert_eq!(event(&mut one).await, Event::Key('7'));
    drop(other);
    let mut opened = media.open(&ports, options());
    for _ in 0..200 {
        if opened.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        opened = media.open(&ports, options());
    }
    opened.unwrap();
}

#[tokio::test]
async fn a_call_that_moves_speaks_and_is_heard_at_its_new_place() {
    let _turn = REAL_TIME.lock().await;
    let (media, ports) = (Media::start(1).unwrap(), "21500-21599".parse::<Ports>().unwrap());
    let (mut one, mut first) = pair(&media, &ports, Codec::Pcmu);
    first.keys("1");
    assert_eq!(event(&mut one).await, Event::Key('1'));
    // To another far end, which speaks from where it says.
    let mut second = media.open(&ports, options()).unwrap();
    one.agree(sound(at(&second), Codec::Pcmu)).unwrap();
    second.agree(sound(at(&one), Codec::Pcmu)).unwrap();
    second.keys("2");
    hears(&mut one, '2').await;
    one.keys("3");
    hears(&mut second, '3').await;
    // And back to where it began.
    one.agree(sound(at(&first), Codec::Pcmu)).unwrap();
    first.keys("5");
    hears(&mut one, '5').await;
    one.keys("6");
    hears(&mut first, '6').await;
}

#[tokio::test]
async fn early_sound_is_not_heard_and_its_source_is_held_by_nobody() {
    let _turn = REAL_TIME.lock().await;
    let (media, ports) = (Media::start(1).unwrap(), "21400-21499".parse::<Ports>().unwrap());
    let (mut one, mut other) =
        (media.open(&ports, options()).unwrap(), media.open(&ports, options()).unwrap());
    let network = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let mut early = vec![0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7];
    // Loud.
    early.resize(12 + 160, 0x2a);
    // More than a socket holds that nobody reads.
    for _ in 0..2_000 {
        network.send_to(&early, (LOOPBACK, one.port())).unwrap();
    }
    // Whoever speaks first is held: the far end speaks from elsewhere than it says.
    let said = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    said.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    one.agree(sound(said.local_addr().unwrap(), Codec::Pcmu)).unwrap();
    said.recv(&mut [0; 500]).unwrap();
    other.agree(sound(at(&one), Codec::Pcmu)).unwrap();
    other.keys("7");
    assert_eq!(event(&mut one).await, Event::Key('7'));
    assert!(one.heard().unwrap().samples().iter().all(|sample| sample.unsigned_abs() < 100));
}

/// A far end's pair of ports, without anything behind it.
fn bare_pair() -> (UdpSocket, UdpSocket) {
    loop {
        let even = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let next = even.local_addr().unwrap().port().wrapping_add(1);
        if let Ok(odd) = UdpSocket::bind((LOOPBACK, next)) {
            return (even, odd);
        }
    }
}

#[test]
fn what_is_closed_says_goodbye_and_nothing_after_it() {
    let _turn = REAL_TIME.blocking_lock();
    let (media, ports) = (Media::start(1).unwrap(), "21300-21399".parse::<Ports>().unwrap());
    let (frames, reports) = bare_pair();
    for socket in [&frames, &reports] {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    let (mut datagram, mut size) = ([0; 1_500], 0);
    let is_goodbye = |report: &[u8]| {
        Compound::parse(report).unwrap().flatten().any(|packet| matches!(packet, Packet::Bye(_)))
    };
    let mut session = media.open(&ports, options()).unwrap();
    session.agree(sound(frames.local_addr().unwrap(), Codec::Pcmu)).unwrap();
    frames.recv(&mut datagram).unwrap();
    session.close();
    while size == 0 || !is_goodbye(&datagram[..size]) {
        size = reports.recv(&mut datagram).unwrap();
    }
    // What had left before the goodbye is here by now.
    frames.set_nonblocking(true).unwrap();
    while frames.recv(&mut datagram).is_ok() {}
    frames.set_nonblocking(false).unwrap();
    frames.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(frames.recv(&mut datagram).is_err(), "a frame came after the goodbye");
}

#[tokio::test]
async fn many_calls_play_one_prompt_and_each_hears_all_of_it() {
    let _turn = REAL_TIME.lock().await;
    let (media, ports) = (Media::start(2).unwrap(), "22000-22398".parse::<Ports>().unwrap());
    let prompt = Arc::new(Prompt::new(melody(0.5, 8_000)));
    in_one_of_five(async || {
        let mut calls: Vec<_> = (0..60).map(|_| pair(&media, &ports, Codec::Pcmu)).collect();
        for (one, _) in &calls {
            one.play(vec![prompt.clone()]);
        }
        let mut heard = Ok(());
        for (one, other) in &mut calls {
            assert!(matches!(event(one).await, Event::Played(_)));
            one.keys("8");
            assert_eq!(event(other).await, Event::Key('8'));
            heard = heard.and(same(prompt.sound(), &other.heard().unwrap()));
        }
        heard
    })
    .await;
    assert_eq!(prompt.frames(Codec::Pcmu).len(), 25 * 160);
}

/// The same behind 300 ms of silence: a decoder of G.722 first finds to where the prompt's encoder is.
fn behind_silence(sound: &Pcm) -> Pcm {
    let silence = std::iter::repeat_n(0, sound.rate() as usize * 3 / 10);
    Pcm::new(sound.rate(), silence.chain(sound.samples().iter().copied()).collect())
}

#[tokio::test]
async fn what_is_said_at_one_end_of_a_bridge_is_heard_at_the_other() {
    let _turn = REAL_TIME.lock().await;
    // The two legs are served by threads of their own.
    let (persons, agents) = (Media::start(1).unwrap(), Media::start(1).unwrap());
    let ports = "22400-22498".parse::<Ports>().unwrap();
    for (of_person, of_agent) in [
        (Codec::Pcmu, Codec::Pcmu),
        (Codec::Pcmu, Codec::Pcma),
        (Codec::G722, Codec::Pcmu),
        (Codec::Pcma, Codec::G722),
    ] {
        in_one_of_five(async || {
            let (mut person, persons_leg) = pair(&persons, &ports, of_person);
            let (mut agent, agents_leg) = pair(&agents, &ports, of_agent);
            persons_leg.join(&agents_leg);
            let (question, answer) =
                (behind_silence(&melody(0.9, 16_000)), behind_silence(&melody(0.6, 16_000)));
            person.play(vec![Arc::new(Prompt::new(question.clone()))]);
            agent.play(vec![Arc::new(Prompt::new(answer.clone()))]);
            for end in [&mut person, &mut agent] {
                assert!(matches!(event(end).await, Event::Played(_)));
            }
            // What was said last is on its way.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let crossed = |what, of: Codec, to: Codec, heard: &Session| {
                same(what, &heard.heard().unwrap()).map_err(|why| format!("{of:?} to {to:?}: {why}"))
            };
            crossed(&question, of_person, of_agent, &agent)?;
            crossed(&answer, of_agent, of_person, &person)
        })
        .await;
    }
}
