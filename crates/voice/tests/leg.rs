//! One call's media against a network of our making and a clock that is set: loss, order, strangers, hold, silence.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rtcp_types::{Compound, Packet, RtcpPacketWriterExt, SenderReport};
use rtp_types::{RtpPacket, RtpPacketBuilder};
use voice::audio::{Pcm, Prompt};
use voice::media::{Bridge, Command, Event, KEYS, Leg, Setup, Timeouts, Tones, tone};
use voice::sdp::{Codec, Direction, Sound};

const FRAME: Duration = Duration::from_millis(20);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn sound(port: u16) -> Sound {
    Sound {
        address: Some(address(port)),
        codec: Codec::Pcmu,
        payload: 0,
        keys: Some(101),
        direction: Direction::SendRecv,
        held: false,
    }
}

fn leg(now: Instant, seed: u64) -> Leg {
    Leg::new(Setup { seed, timeouts: Timeouts::default(), record: None }, now)
}

/// A leg that agreed with a far end at port 4000.
fn agreed(now: Instant) -> Leg {
    let mut leg = leg(now, 1);
    leg.command(now, Command::Agree(sound(4_000)));
    leg
}

fn events(leg: &mut Leg) -> Vec<Event> {
    std::iter::from_fn(|| leg.event()).collect()
}

fn packet(kind: u8, sequence: u16, ticks: u32, payload: &[u8]) -> Vec<u8> {
    let builder = RtpPacketBuilder::<&[u8], &[u8]>::new();
    builder
        .payload_type(kind)
        .sequence_number(sequence)
        .timestamp(ticks)
        .ssrc(7)
        .payload(payload)
        .write_vec()
        .unwrap()
}

/// Runs a leg's frames for this long, and returns when which event came.
fn run(leg: &mut Leg, from: Instant, length: Duration) -> Vec<(Duration, Event)> {
    let mut buffer = Vec::new();
    let mut all = Vec::new();
    for frame in 0..(length.as_millis() / 20) as u32 {
        let now = from + FRAME * frame;
        leg.frame(now, &mut buffer);
        all.extend(events(leg).into_iter().map(|event| (FRAME * frame, event)));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn each_key_comes_once_in_order_whatever_is_lost_doubled_or_late(
        keys in proptest::collection::vec(proptest::sample::select(KEYS.chars().collect::<Vec<_>>()), 1..12),
        loss in 0.0..0.5f64,
        doubled in 0.0..0.5f64,
        latest in 0u64..50,
        ends in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut random = StdRng::seed_from_u64(seed);
        let began = Instant::now();
        let (mut one, mut other) = (leg(began, seed), agreed(began));
        one.command(began, Command::Agree(sound(5_000)));
        one.command(began, Command::Keys(keys.iter().collect()));
        let mut buffer = Vec::new();
        let mut sent: Vec<(Instant, Vec<u8>)> = Vec::new();
        let mut seen = std::collections::HashMap::<u32, u32>::new();
        for frame in 0..(keys.len() as u32 + 1) * 14 {
            let now = began + FRAME * frame;
            one.frame(now, &mut buffer).unwrap();
            let (event, end, ticks) = {
                let packet = RtpPacket::parse(&buffer).unwrap();
                let event = packet.payload_type() == 101;
                (event, event && packet.payload()[1] & 0x80 != 0, packet.timestamp())
            };
            if end && !ends {
                continue;
            }
            // One packet of each key arrives: what is lost whole nobody can hear.
            let count = seen.entry(ticks).or_default();
            *count += 1;
            let must = event && *count == 3;
            let copies = if random.random_bool(doubled) { 3 } else { 1 };
            for _ in 0..copies {
                if must || !random.random_bool(loss) {
                    sent.push((now + Duration::from_millis(random.random_range(0..=latest)), buffer.clone()));
                }
            }
        }
        sent.sort_by_key(|(at, _)| *at);
        let mut heard = Vec::new();
        let mut at = 0;
        for frame in 0..(keys.len() as u32 + 2) * 14 + 10 {
            let now = began + FRAME * frame;
            while let Some((when, datagram)) = sent.get(at).filter(|(when, _)| *when <= now) {
                other.hear(*when, address(4_000), datagram);
                at += 1;
            }
            other.frame(now, &mut buffer);
            heard.extend(events(&mut other));
        }
        let expected: Vec<Event> = keys.iter().map(|key| Event::Key(*key)).collect();
        prop_assert_eq!(heard, expected);
    }

    #[test]
    fn no_bytes_harm_a_call(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..40)) {
        let now = Instant::now();
        let mut leg = agreed(now);
        let mut buffer = Vec::new();
        for mut datagram in datagrams {
            leg.hear(now, address(4_000), &datagram);
            leg.hear_report(now, address(4_001), &datagram);
            // The same with a head that is right, so that more of it is read.
            if datagram.len() > 12 {
                datagram[0] = 0x80 | (datagram[0] & 0x30);
                datagram[1] = [0, 101, 13, 200][usize::from(datagram[1] % 4)];
                leg.hear(now, address(4_000), &datagram);
                datagram[0] = 0x80 | (datagram[0] & 0x1f);
                datagram[1] = 200 + datagram[1] % 8;
                leg.hear_report(now, address(4_001), &datagram);
            }
            leg.frame(now, &mut buffer);
            leg.report(now + Duration::from_secs(9), 1, &mut buffer);
        }
        prop_assert!(leg.frame(now, &mut buffer).is_some());
        prop_assert_eq!(RtpPacket::parse(&buffer).unwrap().payload().len(), 160);
    }
}

#[test]
fn the_first_source_is_held_and_a_stranger_ignored() {
    let now = Instant::now();
    let mut leg = agreed(now);
    let mut buffer = Vec::new();
    assert_eq!(leg.frame(now, &mut buffer), Some(address(4_000)));
    let key = |event: u8, sequence, ticks| packet(101, sequence, ticks, &[event, 10, 3, 32]);
    // Behind an address translator the far end speaks from elsewhere, and hears there too.
    leg.hear(now, address(6_000), &key(1, 1, 100));
    assert_eq!(leg.frame(now, &mut buffer), Some(address(6_000)));
    leg.hear(now, address(7_000), &key(2, 2, 2_000));
    assert_eq!(leg.frame(now, &mut buffer), Some(address(6_000)));
    // The announced address was overtaken by a stranger: it is the one that counts, from now on.
    leg.hear(now, address(4_000), &key(3, 3, 4_000));
    leg.hear(now, address(6_000), &key(4, 4, 6_000));
    assert_eq!(leg.frame(now, &mut buffer), Some(address(4_000)));
    assert_eq!(events(&mut leg), [Event::Key('1'), Event::Key('3')]);
    // What is not of the agreed kind holds nobody.
    let mut leg = agreed(now);
    leg.hear(now, address(6_000), &packet(96, 1, 100, &[0; 160]));
    assert_eq!(leg.frame(now, &mut buffer), Some(address(4_000)));
    // Another address agreed on is another far end.
    leg.hear(now, address(4_000), &key(5, 1, 100));
    leg.command(now, Command::Agree(sound(4_444)));
    assert_eq!(leg.frame(now, &mut buffer), Some(address(4_444)));
}

#[test]
fn a_call_times_out_once_after_the_last_packet_or_where_none_came() {
    let began = Instant::now();
    let mut leg = agreed(began);
    assert_eq!(
        run(&mut leg, began, Duration::from_secs(70)),
        [(Duration::from_secs(60), Event::TimedOut { heard: false })]
    );
    let mut leg = agreed(began);
    let spoke = began + Duration::from_secs(30);
    assert_eq!(run(&mut leg, began, Duration::from_secs(30)), []);
    leg.hear(spoke, address(4_000), &packet(13, 1, 100, &[60]));
    assert_eq!(
        run(&mut leg, spoke, Duration::from_secs(30)),
        [(Duration::from_secs(20), Event::TimedOut { heard: true })]
    );
    // A stranger keeps no call alive.
    let mut leg = agreed(began);
    leg.hear(began, address(4_000), &packet(0, 1, 100, &[0xff; 160]));
    let spoke = began + Duration::from_secs(15);
    run(&mut leg, began, Duration::from_secs(15));
    leg.hear(spoke, address(7_000), &packet(0, 2, 260, &[0xff; 160]));
    assert_eq!(
        run(&mut leg, spoke, Duration::from_secs(9)),
        [(Duration::from_secs(5), Event::TimedOut { heard: true })]
    );
}

#[test]
fn on_hold_nothing_is_sent_and_nothing_times_out_and_the_prompt_waits() {
    let began = Instant::now();
    let mut leg = agreed(began);
    let mut buffer = Vec::new();
    let prompt = Arc::new(Prompt::new(Pcm::new(8_000, vec![4_000; 1_600])));
    leg.command(began, Command::Play(vec![prompt], 3));
    assert_eq!(run(&mut leg, began, FRAME * 5), []);
    for held in [Direction::SendOnly, Direction::Inactive] {
        leg.command(began, Command::Agree(Sound { direction: held, held: true, ..sound(4_000) }));
        assert_eq!(leg.frame(began, &mut buffer), None);
        assert_eq!(run(&mut leg, began, Duration::from_secs(200)), []);
    }
    let back = began + Duration::from_secs(200);
    leg.command(back, Command::Agree(sound(4_000)));
    assert!(leg.frame(back, &mut buffer).is_some());
    assert!(RtpPacket::parse(&buffer).unwrap().marker_bit(), "sound begins again");
    // Four of ten frames are left, then it is told, and the time-out begins with the end of the hold.
    let seen = run(&mut leg, back + FRAME, Duration::from_secs(61));
    assert_eq!(
        seen,
        [(FRAME * 4, Event::Played(3)), (Duration::from_millis(59_980), Event::TimedOut { heard: false })]
    );
    // The old way to hold names no address.
    leg.command(back, Command::Agree(Sound { address: None, held: true, ..sound(4_000) }));
    assert_eq!(leg.frame(back, &mut buffer), None);
}

#[test]
fn prompts_follow_each_other_without_a_gap_and_stop_when_told() {
    let now = Instant::now();
    let mut leg = agreed(now);
    let prompt =
        |level: i16, frames: usize| Arc::new(Prompt::new(Pcm::new(8_000, vec![level; frames * 160])));
    let (one, two) = (prompt(8_000, 3), prompt(-8_000, 2));
    leg.command(now, Command::Play(vec![one.clone(), two.clone()], 1));
    let mut buffer = Vec::new();
    let mut frames = Vec::new();
    for _ in 0..7 {
        leg.frame(now, &mut buffer);
        let packet = RtpPacket::parse(&buffer).unwrap();
        frames.push((packet.sequence_number(), packet.timestamp(), packet.payload()[0]));
    }
    let (a, b, silence) = (one.frames(Codec::Pcmu)[0], two.frames(Codec::Pcmu)[0], 0xff);
    assert_eq!(frames.iter().map(|frame| frame.2).collect::<Vec<_>>(), [a, a, a, b, b, silence, silence]);
    for two in frames.windows(2) {
        assert_eq!((two[1].0, two[1].1), (two[0].0.wrapping_add(1), two[0].1.wrapping_add(160)));
    }
    assert_eq!(events(&mut leg), [Event::Played(1)]);
    leg.command(now, Command::Play(vec![one.clone()], 2));
    leg.frame(now, &mut buffer);
    leg.command(now, Command::Stop);
    leg.command(now, Command::Play(vec![one], 3));
    leg.command(now, Command::Play(vec![two], 4));
    assert_eq!(run(&mut leg, now, FRAME * 9), [(FRAME * 2, Event::Played(4))]);
}

#[test]
fn a_key_that_lasts_is_one_and_the_same_key_twice_is_two() {
    let now = Instant::now();
    let mut leg = agreed(now);
    let mut sequence = 0u16;
    let mut press = |leg: &mut Leg, ticks: u32, duration: u16, end: bool| {
        sequence += 1;
        let [high, low] = duration.to_be_bytes();
        leg.hear(
            now,
            address(4_000),
            &packet(101, sequence, ticks, &[5, if end { 0x8a } else { 10 }, high, low]),
        );
        events(leg)
    };
    assert_eq!(press(&mut leg, 1_000, 160, false), [Event::Key('5')]);
    // Nine seconds: a second segment begins where the first ended.
    assert_eq!(press(&mut leg, 1_000, 0xffff, false), []);
    assert_eq!(press(&mut leg, 1_000 + 0xffff, 160, false), []);
    assert_eq!(press(&mut leg, 1_000 + 0xffff, 6_000, true), []);
    assert_eq!(press(&mut leg, 80_000, 160, false), [Event::Key('5')]);
    // All its end packets are lost; the next press is known by its time.
    assert_eq!(press(&mut leg, 82_000, 160, false), [Event::Key('5')]);
    // A sender that moves the timestamp with each packet.
    assert_eq!(press(&mut leg, 82_160, 320, false), []);
    assert_eq!(press(&mut leg, 82_320, 480, false), []);
    // Flashes and tones of fax machines are no keys.
    leg.hear(now, address(4_000), &packet(101, 500, 99_000, &[16, 10, 1, 0]));
    leg.hear(now, address(4_000), &packet(101, 501, 99_900, &[1]));
    assert_eq!(events(&mut leg), []);
}

#[test]
fn a_tone_before_its_event_is_one_key_and_events_silence_the_tones() {
    let now = Instant::now();
    let mut leg = agreed(now);
    let mut prompt = tone('6', 8_000, 0, 800);
    prompt.resize(1_600, 0);
    let frames = Prompt::new(Pcm::new(8_000, prompt));
    for (i, frame) in frames.frames(Codec::Pcmu).chunks(160).enumerate() {
        leg.hear(now + FRAME * i as u32, address(4_000), &packet(0, i as u16, i as u32 * 160, frame));
    }
    assert_eq!(events(&mut leg), [Event::Key('6')]);
    leg.hear(now + FRAME * 10, address(4_000), &packet(101, 10, 1_600, &[6, 10, 3, 32]));
    assert_eq!(events(&mut leg), []);
    for (i, frame) in frames.frames(Codec::Pcmu).chunks(160).enumerate() {
        leg.hear(
            now + FRAME * (i as u32 + 11),
            address(4_000),
            &packet(0, i as u16 + 11, i as u32 * 160 + 4_000, frame),
        );
    }
    assert_eq!(events(&mut leg), []);
}

#[test]
fn what_is_lost_is_silence_of_its_length_in_a_recording_and_the_recording_is_bounded() {
    let now = Instant::now();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let mut leg =
        Leg::new(Setup { seed: 1, timeouts: Timeouts::default(), record: Some((kept.clone(), 8_000)) }, now);
    leg.command(now, Command::Agree(sound(4_000)));
    for i in (0..30u32).filter(|i| !(10..15).contains(i)) {
        leg.hear(now + FRAME * i, address(4_000), &packet(0, i as u16, i * 160, &[0x10; 160]));
        leg.frame(now + FRAME * i, &mut Vec::new());
    }
    let heard = kept.lock().unwrap().clone();
    assert_eq!(heard.len(), 30 * 160);
    assert!(
        heard[1_600..2_400].iter().all(|sample| *sample == 0)
            && heard[..1_600].iter().all(|sample| *sample != 0)
    );
    for i in 30..100u32 {
        leg.hear(now + FRAME * i, address(4_000), &packet(0, i as u16, i * 160, &[0x10; 160]));
    }
    assert_eq!(kept.lock().unwrap().len(), 8_000);
}

#[test]
fn reports_tell_what_was_sent_and_heard_and_the_last_one_says_bye() {
    let began = Instant::now();
    let mut leg = agreed(began);
    let mut buffer = Vec::new();
    let mut reports = Vec::new();
    for frame in 0..1_500u32 {
        let now = began + FRAME * frame;
        leg.frame(now, &mut buffer).unwrap();
        if frame % 10 != 0 {
            leg.hear(now, address(4_000), &packet(0, frame as u16, frame * 160, &[0xff; 160]));
        }
        if let Some(to) = leg.report(now, 0x1234_5678_0000_0000, &mut buffer) {
            assert_eq!(to, address(4_001));
            reports.push((frame + 1, buffer.clone()));
        }
    }
    // About one in five seconds.
    assert!((3..=12).contains(&reports.len()), "{}", reports.len());
    let (sent, report) = reports.last().unwrap();
    let Packet::Sr(report) = Compound::parse(report).unwrap().next().unwrap().unwrap() else {
        panic!("no sender report")
    };
    assert_eq!((report.packet_count(), report.octet_count()), (*sent, sent * 160));
    let block = report.report_blocks().next().unwrap();
    assert_eq!(block.ssrc(), 7);
    assert!((20..=32).contains(&block.fraction_lost()), "a tenth of 256: {}", block.fraction_lost());
    assert!(block.interarrival_jitter() < 10);
    // A sender report's time comes back, with how long ago it came (65,536 to the second).
    let theirs = SenderReport::builder(7).ntp_timestamp(0x1111_2222_3333_4444);
    let mut datagram = vec![0; 28];
    theirs.write_into(&mut datagram).unwrap();
    leg.hear_report(began, address(4_001), &datagram);
    leg.report(began + Duration::from_secs(60), 1, &mut buffer).unwrap();
    let Packet::Sr(report) = Compound::parse(&buffer).unwrap().next().unwrap().unwrap() else {
        panic!("no sender report")
    };
    let block = report.report_blocks().next().unwrap();
    assert_eq!(block.last_sender_report_timestamp(), 0x2222_3333);
    assert_eq!(block.delay_since_last_sender_report_timestamp(), 60 * 65_536);
    assert_eq!(leg.farewell(began, 1, &mut buffer), Some(address(4_001)));
    assert!(Compound::parse(&buffer).unwrap().flatten().any(|packet| matches!(packet, Packet::Bye(_))));
}

#[test]
fn whoever_said_nothing_says_no_goodbye() {
    let (began, mut buffer) = (Instant::now(), Vec::new());
    let mut leg = agreed(began);
    assert_eq!(leg.farewell(began, 1, &mut buffer), None);
    leg.frame(began, &mut buffer).unwrap();
    assert_eq!(leg.farewell(began, 1, &mut buffer), Some(address(4_001)));
}

/// Noise of this root mean square.
fn noise(random: &mut StdRng, level: f64) -> f64 {
    let sum: f64 = (0..12).map(|_| random.random::<f64>()).sum();
    (sum - 6.0) * level
}

#[test]
fn tones_are_keys_with_noise_and_twist_and_short_ones_and_noise_are_not() {
    let low = [697.0, 770.0, 852.0, 941.0];
    let high = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
    let mut random = StdRng::seed_from_u64(5);
    // Milliseconds of tone and pause, the high tone against the low in dB, the frequencies' error, noise below the tone in dB.
    let table = [
        (50, 50, 0.0, 0.0, 60.0),
        (40, 45, 0.0, 0.0, 60.0),
        (80, 80, 4.0, 0.0, 30.0),
        (80, 80, -8.0, 0.0, 30.0),
        (80, 80, 0.0, 0.015, 30.0),
        (80, 80, 0.0, -0.015, 30.0),
        (100, 100, 2.0, 0.005, 15.0),
    ];
    for (on, off, twist, error, below) in table {
        let mut sound = Vec::new();
        for key in "147*2580369#ABCD".chars() {
            let place = ["123A", "456B", "789C", "*0#D"].iter().position(|row| row.contains(key)).unwrap();
            let column = ["123A", "456B", "789C", "*0#D"][place].find(key).unwrap();
            let gain = 10f64.powf(twist / 40.0);
            let amplitude = 4_000.0;
            let level = amplitude * 10f64.powf(-below / 20.0);
            for i in 0..(on + off) * 8 {
                let at = f64::from(i) / 8_000.0 * std::f64::consts::TAU * (1.0 + error);
                let tone = if i < on * 8 {
                    amplitude * ((low[place] * at).sin() / gain + (high[column] * at).sin() * gain)
                } else {
                    0.0
                };
                sound.push((tone + noise(&mut random, level)) as i16);
            }
        }
        let mut keys = String::new();
        Tones::default().hear(&sound, |key| keys.push(key));
        assert_eq!(keys, "147*2580369#ABCD", "{on} {off} {twist} {error} {below}");
    }
    let mut keys = String::new();
    let short: Vec<i16> =
        (0..50).flat_map(|_| tone('5', 8_000, 0, 160).into_iter().chain(vec![0; 800])).collect();
    Tones::default().hear(&short, |key| keys.push(key));
    assert_eq!(keys, "");
    let hiss: Vec<i16> = (0..480_000).map(|_| noise(&mut random, 3_000.0) as i16).collect();
    Tones::default().hear(&hiss, |key| keys.push(key));
    assert_eq!(keys, "");
    // One tone of a key, and a dial tone.
    for tones in [[697.0, 697.0], [1_336.0, 1_336.0], [350.0, 440.0]] {
        let wave = |i| {
            let at = f64::from(i) / 8_000.0 * std::f64::consts::TAU;
            (4_000.0 * ((tones[0] * at).sin() + (tones[1] * at).sin())) as i16
        };
        let sound: Vec<i16> = (0..16_000).map(wave).collect();
        Tones::default().hear(&sound, |key| keys.push(key));
    }
    assert_eq!(keys, "");
}

#[test]
fn sound_crosses_a_bridge_in_bounded_time_as_a_stream_of_its_own_and_jitter_leaves_no_gap() {
    const PACKETS: u32 = 500;
    let began = Instant::now();
    let (mut one, mut other) = (agreed(began), agreed(began));
    let (here, there) = Bridge::pair();
    one.command(began, Command::Join(here));
    other.command(began, Command::Join(there));
    // Each packet is named by its sound, and comes up to 40 ms after its time.
    let mut random = StdRng::seed_from_u64(7);
    let mut coming: Vec<(u64, u32)> =
        (0..PACKETS).map(|n| (u64::from(n) * 20 + random.random_range(0..=40), n)).collect();
    coming.sort_unstable();
    let mut coming = coming.into_iter().peekable();
    let mut buffer = Vec::new();
    let mut sent: Vec<(u16, u32)> = Vec::new();
    let mut heard: Vec<(u64, u8)> = Vec::new();
    for ms in 0..u64::from(PACKETS) * 20 {
        let now = began + Duration::from_millis(ms);
        while let Some((_, n)) = coming.next_if(|(at, _)| *at <= ms) {
            let sound = [1 + (n % 100) as u8; 160];
            one.hear(now, address(4_000), &packet(0, n as u16, n * 160, &sound));
        }
        if ms % 20 == 3 {
            one.frame(now, &mut buffer).unwrap();
        }
        if ms % 20 == 11 {
            other.frame(now, &mut buffer).unwrap();
            let packet = RtpPacket::parse(&buffer).unwrap();
            sent.push((packet.sequence_number(), packet.timestamp()));
            heard.push((ms, packet.payload()[0]));
        }
    }
    assert!(
        sent.windows(2)
            .all(|two| two[1].0 == two[0].0.wrapping_add(1) && two[1].1 == two[0].1.wrapping_add(160))
    );
    // Once the buffer has found how late packets come, each is heard, in order.
    let settled = &heard[heard.len() - 400..];
    assert!(settled.windows(2).all(|two| two[1].1 % 100 == (two[0].1 + 1) % 100), "{settled:?}");
    let first = (settled[0].0 / 20) as u32;
    let named = (0..=first).rev().find(|n| 1 + (n % 100) as u8 == settled[0].1).unwrap();
    let delay = settled[0].0 - u64::from(named) * 20;
    assert!(delay <= 80, "{delay} ms");
}

#[test]
fn what_was_said_while_the_other_leg_was_held_is_not_heard_late() {
    let began = Instant::now();
    let (mut one, mut other) = (agreed(began), agreed(began));
    let (here, there) = Bridge::pair();
    one.command(began, Command::Join(here));
    other.command(began, Command::Join(there));
    let mut buffer = Vec::new();
    other
        .command(began, Command::Agree(Sound { held: true, direction: Direction::SendOnly, ..sound(4_000) }));
    for n in 0..200u32 {
        let now = began + FRAME * n;
        one.hear(now, address(4_000), &packet(0, n as u16, n * 160, &[1 + (n % 100) as u8; 160]));
        assert_eq!(other.frame(now, &mut buffer), None);
    }
    other.command(began + FRAME * 200, Command::Agree(sound(4_000)));
    other.frame(began + FRAME * 200, &mut buffer).unwrap();
    // The oldest of the 80 ms that wait.
    assert_eq!(RtpPacket::parse(&buffer).unwrap().payload()[0], 1 + 96);
}

#[test]
fn tones_on_a_bridge_stay_in_its_sound_and_events_are_told() {
    let began = Instant::now();
    let mut leg = agreed(began);
    leg.command(began, Command::Join(Bridge::pair().0));
    let pressed = Pcm::new(8_000, tone('5', 8_000, 0, 1_600));
    let frames = Prompt::new(pressed);
    for (n, frame) in frames.frames(Codec::Pcmu).chunks(160).enumerate() {
        leg.hear(began + FRAME * n as u32, address(4_000), &packet(0, n as u16, n as u32 * 160, frame));
    }
    assert_eq!(events(&mut leg), []);
    leg.hear(began + FRAME * 10, address(4_000), &packet(101, 10, 1_600, &[5, 10, 0, 160]));
    assert_eq!(events(&mut leg), [Event::Key('5')]);
}
