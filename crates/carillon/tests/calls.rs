//! Calls that are up when the program ends: by `kill -9`, by SIGTERM, by a hang-up. The far end is simulated phones over
//! real SIP and RTP.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod program;

use std::time::{Duration, Instant};

use program::{Program, World};
use serde_json::{Value, json};
use simulator::{PhoneProfile, Phones};

/// A trunk to these phones with `most` calls at once, and a campaign whose talks last for `talk`.
async fn calls(w: &World, phones: &Phones, most: u32, talk: &str, more: Value) -> String {
    let route = json!({"name": "Trunk", "kind": "sip", "host": "127.0.0.1", "port": phones.address().port(),
        "numbers": ["+12025550100"], "calls_per_second": 100, "max_calls": most});
    let route = w.post("/routes", &route).await;
    let script = json!({"first": "ask", "steps": {"ask": {"gather": {"timeout": talk, "tries": 1}, "on": {"1": "bye"}, "none": "bye"},
        "bye": {"hang_up": true}}});
    let campaign = json!({"channel": "voice", "name": "Reminder", "route_id": route["id"], "caller_id": "+12025550100",
        "list_ids": ["lst_1"], "opt_in_acknowledged": true, "window": null, "start": {"now": true}, "script": script});
    let made = w.post("/campaigns", &fixture::with(campaign, more)).await;
    let at = format!("/campaigns/{}", made["id"].as_str().unwrap());
    w.post(&format!("{at}/schedule"), &json!({})).await;
    at
}

fn count(c: &Value, word: &str) -> i64 {
    c["totals"][word].as_i64().unwrap()
}

async fn phones(profile: PhoneProfile) -> Phones {
    Phones::start(([127, 0, 0, 1], 0).into(), profile).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_leaves_calls_that_were_up_in_doubt_and_the_rest_goes_on() {
    const PEOPLE: i64 = 300;
    const MOST: i64 = 200;
    let phones = phones(PhoneProfile { media_ports: "41000-41998".into(), ..PhoneProfile::default() }).await;
    let mut w = World::start(PEOPLE).await;
    let at = calls(&w, &phones, MOST as u32, "PT8S", json!({})).await;
    w.until(&at, |c| count(c, "in_progress") == MOST).await;
    w.program.kill();
    let killed = Instant::now();
    w.program = Program::serve(w.folder.path()).await;
    let in_doubt = count(&w.get(&at).await, "in_doubt");
    assert_eq!(in_doubt, MOST);
    let c = w.until(&at, |c| c["status"] == "completed").await;
    assert_eq!((count(&c, "in_doubt"), count(&c, "answered_unknown")), (in_doubt, PEOPLE - in_doubt));
    let called = phones.called();
    assert_eq!(called.len(), PEOPLE as usize);
    assert!(called.values().all(|calls| *calls == 1), "{called:?}");
    // A phone whose caller is gone is free after 20 s without sound.
    while phones.up() > 0 {
        assert!(killed.elapsed() < Duration::from_secs(60), "{} phones are still up", phones.up());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    w.program.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_sigterm_ringing_calls_go_back_talks_are_ended_and_nothing_is_in_doubt() {
    let profile =
        PhoneProfile { no_answer: 0.5, media_ports: "42000-42998".into(), ..PhoneProfile::default() };
    let phones = phones(profile).await;
    let mut w = World::start(20).await;
    let at = calls(&w, &phones, 20, "PT60S", json!({"ring_time": "PT60S"})).await;
    let c = w
        .until(&at, |c| count(c, "ringing") + count(c, "in_progress") == 20 && count(c, "in_progress") >= 5)
        .await;
    let (ringing, talks) = (count(&c, "ringing"), count(&c, "in_progress"));
    let asked = Instant::now();
    w.program.terminate();
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    // What rang goes on as pending, in a program that cannot reach the trunk.
    drop(phones);
    w.program = Program::serve(w.folder.path()).await;
    let c = w.get(&at).await;
    assert_eq!((count(&c, "in_doubt"), count(&c, "answered_unknown")), (0, talks), "{c}");
    assert_eq!(count(&c, "pending") + count(&c, "dialing"), ringing, "{c}");
    let ended = w.get(&format!("{at}/deliveries?outcome=answered_unknown")).await;
    for delivery in ended["items"].as_array().unwrap() {
        assert_eq!(delivery["calls"][0]["words"], "ended by shutdown", "{delivery}");
    }
    w.program.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn talks_go_on_after_stop_until_they_are_hung_up() {
    let phones = phones(PhoneProfile { media_ports: "43000-43998".into(), ..PhoneProfile::default() }).await;
    let mut w = World::start(30).await;
    let at = calls(&w, &phones, 20, "PT60S", json!({})).await;
    w.until(&at, |c| count(c, "in_progress") == 20).await;
    let stopped = w.post(&format!("{at}/stop"), &json!({})).await;
    assert_eq!((count(&stopped, "in_progress"), count(&stopped, "cancelled")), (20, 10), "{stopped}");
    assert_eq!(stopped["available_actions"], json!(["hang_up", "archive", "clone"]));
    w.post(&format!("{at}/hang_up"), &json!({})).await;
    let c = w.until(&at, |c| count(c, "answered_unknown") == 20).await;
    assert_eq!(
        (c["status"].as_str(), &c["available_actions"]),
        (Some("stopped"), &json!(["archive", "clone"]))
    );
    w.program.terminate();
}

/// A campaign that hands each call to an agent over a leg of ours.
async fn handed_over(w: &World, phones: &Phones) -> String {
    let script = json!({"first": "agent", "steps": {"bye": {"hang_up": true},
        "agent": {"transfer": {"to": "sip:agents@pbx.example", "mode": "bridge"}, "failed": "bye"}}});
    calls(w, phones, 20, "PT5S", json!({"script": script})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_bridged_to_an_agent_and_its_record_says_so() {
    let agent_talks = Duration::from_millis(1_500);
    let media_ports = "46000-46998".into();
    let phones = phones(PhoneProfile { agent_talks, media_ports, ..PhoneProfile::default() }).await;
    let mut w = World::start(3).await;
    let at = handed_over(&w, &phones).await;
    w.until(&at, |c| c["status"] == "completed").await;
    let ended = w.get(&format!("{at}/deliveries?outcome=answered_unknown")).await;
    assert_eq!(ended["items"].as_array().unwrap().len(), 3, "{ended}");
    for delivery in ended["items"].as_array().unwrap() {
        let call = &delivery["calls"][0];
        let events: Vec<&str> =
            call["events"].as_array().unwrap().iter().map(|event| event["what"].as_str().unwrap()).collect();
        let after = events.iter().position(|what| *what == "step agent").unwrap();
        let on_the_leg: Vec<&str> =
            events[after + 1..].iter().copied().filter(|what| *what != "agent's phone ringing").collect();
        assert_eq!(on_the_leg, ["agent called", "agent answered", "agent hung up", "ended"], "{call}");
        assert_eq!((&call["words"], &call["last_step"]), (&json!("the agent hung up"), &json!("agent")));
        assert!(call["talk_seconds"].as_u64() >= Some(1), "{call}");
    }
    assert_eq!(phones.called()["agents"], 3);
    w.program.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_sigterm_a_bridged_talk_ends_on_both_legs() {
    let agent_talks = Duration::from_secs(600);
    let media_ports = "47000-47998".into();
    let phones = phones(PhoneProfile { agent_talks, media_ports, ..PhoneProfile::default() }).await;
    let mut w = World::start(3).await;
    let at = handed_over(&w, &phones).await;
    w.until(&at, |_| phones.called().get("agents") == Some(&3) && phones.up() == 6).await;
    w.program.terminate();
    let ended = Instant::now();
    while phones.up() > 0 {
        // Far sooner than a phone gives up that hears nothing any more.
        assert!(ended.elapsed() < Duration::from_secs(5), "{} phones are still up", phones.up());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_wait_for_file_descriptors_and_each_is_made_once() {
    const PEOPLE: i64 = 40;
    let phones = phones(PhoneProfile { media_ports: "40000-40998".into(), ..PhoneProfile::default() }).await;
    let mut w = World::start(PEOPLE).await;
    let at = calls(&w, &phones, PEOPLE as u32, "PT1S", json!({"calls_per_second": 8})).await;
    let process = w.program.id();
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    // Each call takes two: only a few find any.
    let most = format!("--nofile={0}:{0}", open + 8);
    let limit = std::process::Command::new("prlimit").args(["--pid", &process.to_string(), &most]).status();
    assert!(limit.unwrap().success());
    let (end, mut up) = (Instant::now() + Duration::from_secs(120), 0);
    let c = loop {
        // The database may find none either, and says so.
        match w.try_get(&at).await {
            Some(c) if c["status"] == "completed" => break c,
            c => assert!(Instant::now() < end, "{c:?}"),
        }
        up = up.max(phones.up());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(count(&c, "answered_unknown"), PEOPLE, "{c}");
    let called = phones.called();
    assert!(called.len() == PEOPLE as usize && called.values().all(|calls| *calls == 1), "{called:?}");
    assert!(up < 10, "{up} calls found descriptors");
    w.program.terminate();
}
