//! What leaves is well formed: an independent dissector reads a capture of it.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use simulator::{PhoneProfile, Phones};
use world::World;

/// Where nobody listens: what goes there ends a capture of messages, or one of calls, whose range of ports it is in.
const AFTER_MESSAGES: u16 = 27_199;
/// See [`AFTER_MESSAGES`].
const AFTER_CALLS: u16 = 26_999;
/// A text of one GSM-7 segment, one of several, and one of several in UCS-2.
const TEXTS: [&str; 3] = ["Hello", "A long text in plain letters, told often enough. ", "Длинный текст ⚡ "];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tshark_finds_no_malformed_packet() {
    let w = World::start().await;
    let capture = tempfile::NamedTempFile::new().unwrap();
    let port = w.smsc.port;
    let filter = format!("tcp port {port} or udp port {AFTER_MESSAGES}");
    let Some(mut tshark) = captured(&filter, capture.path()).await else { return };
    let list = w.list_of("phone\n+12025550001\n+12025550002\n").await;
    let route = w.route(json!({})).await;
    let messages: Vec<_> = TEXTS
        .iter()
        .enumerate()
        .map(|(at, text)| {
            let send = if at == 0 { json!({"now": true}) } else { json!({"after": "PT0S"}) };
            json!({"text": text.repeat(if at == 0 { 1 } else { 8 }), "send": send})
        })
        .collect();
    let campaign = json!({"channel": "sms", "name": "Captured", "route_id": route, "sender": "+12025550100",
        "list_ids": [list], "opt_in_acknowledged": true, "window": null, "messages": messages});
    let c = w.start_campaign(&campaign).await;
    w.until(&c, |c| c["status"] == "completed" && c["totals"]["delivered"] == 6).await;
    until_captured(capture.path(), AFTER_MESSAGES).await;
    fixture::signal(tshark.id(), "INT");
    tshark.wait().unwrap();

    let dissect = |filter: &str| {
        let output = Command::new("tshark")
            .args([
                "-r",
                capture.path().to_str().unwrap(),
                "-d",
                &format!("tcp.port=={port},smpp"),
                "-Y",
                filter,
            ])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(dissect("_ws.malformed || _ws.unreassembled || smpp.command_status != 0"), "");
    assert!(dissect("smpp.command_id == 0x00000004").lines().count() > 1, "no submit_sm was captured");
    assert!(dissect("smpp.command_id == 0x80000005").lines().count() > 1, "no receipt was acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tshark_finds_nothing_malformed_in_calls_and_no_packet_of_sound_lost() {
    let w = World::start().await;
    let profile = PhoneProfile {
        keys: "1".into(),
        presses: 1.0,
        media_ports: "26000-26098".into(),
        ..PhoneProfile::default()
    };
    let phones = Phones::start(([127, 0, 0, 1], 0).into(), profile).await.unwrap();
    let port = phones.address().port();
    let capture = tempfile::NamedTempFile::new().unwrap();
    let filter = format!("udp port {port} or udp portrange 26000-27098");
    let Some(mut tshark) = captured(&filter, capture.path()).await else { return };
    let list = w.list_of("phone\n+12025550001\n+12025550002\n+12025550003\n").await;
    let trunk = json!({"name": "Trunk", "kind": "sip", "host": "127.0.0.1", "port": port, "numbers": ["+12025550100"],
        "media_ports": "27000-27098"});
    let route = w.post("/routes", &trunk).await.created();
    let script = json!({"first": "ask", "steps": {
        "ask": {"gather": {"timeout": "PT5S", "tries": 1}, "on": {"1": "bye"}, "none": "bye"}, "bye": {"hang_up": true}}});
    let campaign = json!({"channel": "voice", "name": "Captured", "route_id": route["id"], "caller_id": "+12025550100",
        "list_ids": [list], "opt_in_acknowledged": true, "window": null, "start": {"now": true}, "script": script});
    let c = w.start_campaign(&campaign).await;
    // Each pressed the key: they are people.
    w.until(&c, |c| c["status"] == "completed" && c["totals"]["answered_human"] == 3).await;
    until_captured(capture.path(), AFTER_CALLS).await;
    fixture::signal(tshark.id(), "INT");
    tshark.wait().unwrap();

    let read = |more: &[&str]| {
        let output = Command::new("tshark")
            .args(["-r", capture.path().to_str().unwrap(), "-d", &format!("udp.port=={port},sip")])
            .args(more)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(read(&["-Y", "_ws.malformed"]), "");
    for kind in ["sip.Method == \"INVITE\" && sdp", "rtcp", "rtpevent"] {
        assert!(read(&["-Y", kind]).lines().count() > 0, "{kind} was not captured");
    }
    let streams = read(&["-q", "-z", "rtp,streams"]);
    let lines: Vec<&str> = streams.lines().filter(|line| line.contains("127.0.0.1")).collect();
    assert_eq!(lines.len(), 6, "two a call: {streams}");
    assert!(lines.iter().all(|line| line.contains("(0.0%)")), "{streams}");
}

/// Starts tshark, which writes what matches `filter`; none where it is missing or may not capture.
async fn captured(filter: &str, capture: &Path) -> Option<Child> {
    let started = Command::new("tshark")
        .args(["-q", "-i", "lo", "-f", filter, "-w"])
        .arg(capture)
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tshark) = started else {
        fixture::missing("tshark is not installed (Debian package tshark)");
        return None;
    };
    if !is_capturing(&mut tshark).await {
        let _ = tshark.kill();
        fixture::not_permitted("tshark may not capture on the loopback interface");
        return None;
    }
    Some(tshark)
}

/// Waits until everything sent so far is in the capture: tshark drops what it has not written when it is asked to end.
async fn until_captured(capture: &Path, port: u16) {
    const LAST: &[u8] = b"the last packet to be captured";
    let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.send_to(LAST, ("127.0.0.1", port)).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while !std::fs::read(capture).unwrap().windows(LAST.len()).any(|bytes| bytes == LAST) {
        assert!(Instant::now() < end, "tshark does not write what it captures");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until tshark says that it captures.
async fn is_capturing(tshark: &mut Child) -> bool {
    use std::io::{BufRead as _, BufReader};
    let said = tshark.stderr.take().unwrap();
    tokio::task::spawn_blocking(move || {
        BufReader::new(said).lines().map_while(Result::ok).any(|line| line.contains("Capturing on"))
    })
    .await
    .unwrap()
}
