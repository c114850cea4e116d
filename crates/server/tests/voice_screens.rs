//! A person runs a voice campaign in the browser: defines it, hears a prompt, schedules, edits, runs, stops, and looks
//! at what went wrong. The phones are simulated, over real SIP and RTP.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use fixture::browser::{self, Browser, Paper};
use jiff::Timestamp;
use serde_json::json;
use simulator::{PhoneProfile, Phones};
use store::Role;
use voice::audio::Pcm;
use world::World;

const PEOPLE: i64 = 60;
const PASSWORD: &str = "a good long password";

async fn phones(profile: PhoneProfile) -> Phones {
    Phones::start(([127, 0, 0, 1], 0).into(), profile).await.unwrap()
}

async fn sign_in(w: &World, b: &Browser) {
    let hash = server::secret::hash(PASSWORD.to_owned()).await.unwrap();
    // The second browser finds the account there.
    let _ = w.store.add_user("ana@clinic.example", Role::Admin, hash, fixture::by(Timestamp::now())).await;
    b.go("/sign-in").await;
    b.fill("[name=email]", "ana@clinic.example").await;
    b.fill("[name=password]", PASSWORD).await;
    b.press("Sign in").await;
    b.reads("Campaigns").await;
}

async fn add_trunk(b: &Browser, phones: &Phones) {
    b.press("Routes").await;
    b.press("Add a SIP trunk").await;
    b.fill("[name=name]", "Trunk").await;
    b.fill("[name=host]", "127.0.0.1").await;
    b.fill("[name=port]", &phones.address().port().to_string()).await;
    b.fill("[name=numbers]", "+12025550100").await;
    b.fill("[name=max_calls]", "20").await;
    b.picture("trunk").await;
    b.press("Save").await;
    b.reads("Connected").await;
}

/// Adds a step to the script.
async fn step(b: &Browser, name: &str, does: &str) {
    b.fill("[name=add_id]", name).await;
    b.choose("[name=add_kind]", does).await;
    b.click("button[value=add]").await;
    b.reads(&format!("Remove {name}")).await;
}

async fn write(b: &Browser) {
    b.press("Campaigns").await;
    b.press("Voice").await;
    b.press("New voice campaign").await;
    b.fill("[name=name]", "Reminder calls").await;
    b.choose("[name=route_id]", "Trunk").await;
    b.fill("[name=sender]", "+12025550100").await;
    b.click("[name=list_ids]").await;
    b.click("[name=window][value=any]").await;
    b.click("[name=opt_in_acknowledged]").await;
    b.press("Next: script").await;
    b.reads("Upload a recording").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hello.wav");
    let tone = (0..16_000).map(|at| if at % 16 < 8 { 6_000 } else { -6_000 }).collect();
    std::fs::write(&file, Pcm::new(8_000, tone).to_wav()).unwrap();
    b.upload("[name=file]", &file).await;
    b.press("Upload").await;
    step(b, "hello", "Play a recording").await;
    step(b, "ask", "Ask for keys").await;
    step(b, "bye", "Hang up").await;
    b.choose("[name=s0_audio]", "hello.wav (2.0 s)").await;
    b.choose("[name=s0_next]", "ask").await;
    b.fill("[name=s1_timeout]", "60").await;
    b.fill("[name=s1_on]", "1 bye").await;
    b.choose("[name=s1_none]", "bye").await;
    b.choose("[name=first]", "hello").await;
    b.fill("[name=most]", "2").await;
    b.fill("[name=busy_after]", "5").await;
    b.fill("[name=busy_times]", "1").await;
    b.choose("[name=kind]", "At a set time").await;
    b.fill("[name=at]", "01012099\t1000AM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_defines_hears_schedules_edits_runs_stops_and_clones_a_voice_campaign() {
    let w = World::start().await;
    let Some(b) = Browser::start(w.base(), Paper::Light).await else { return };
    let phones = phones(PhoneProfile { media_ports: "44000-44998".into(), ..PhoneProfile::default() }).await;
    let csv: String = std::iter::once("phone,first_name\n".to_owned())
        .chain((0..PEOPLE).map(|i| format!("+1202555{i:04},Ana{i}\n")))
        .collect();
    w.list_of(&csv).await;
    sign_in(&w, &b).await;
    add_trunk(&b, &phones).await;
    write(&b).await;
    // What is typed can be heard before it is saved.
    let typed = [("s0_id", "hello"), ("s0_kind", "play"), ("s0_audio", "aud_1"), ("action", "hear-0")];
    let typed = w.request(reqwest::Method::POST, "//campaigns/cmp_1/calls").form(&typed);
    let heard = w.answer(typed).await;
    assert_eq!((heard.status, heard.kind.as_str()), (200, "audio/wav"));
    assert!(w.get("/campaigns/cmp_1").await.ok()["script"].is_null(), "nothing is saved by it");
    b.click("button[value=hear]").await;
    b.reads("as saved, as a phone hears it").await;
    b.picture("calls").await;
    let heard = w.answer(w.request(reqwest::Method::GET, "//campaigns/cmp_1/calls/hello/sound")).await;
    assert_eq!((heard.status, heard.kind.as_str()), (200, "audio/wav"));
    b.press("Review and schedule").await;
    b.picture("schedule-calls").await;
    b.press(&format!("Schedule for {PEOPLE} recipients")).await;
    b.reads("Scheduled").await;
    // Calls have no times of their own to change: they are stopped on a page that asks.
    let links = "return ['adjust', 'stop'].map((to) => document.querySelectorAll(`.head > .buttons > a[href$='/${to}']`).length)";
    assert_eq!(b.run(links, Vec::new()).await, json!([0, 1]));
    // While it is Scheduled, its start can still be changed.
    b.go("/campaigns/cmp_1/calls").await;
    b.choose("[name=kind]", "Immediately").await;
    b.click("button[value=save]:not(.unseen)").await;
    b.reads("Running").await;
    w.until("/campaigns/cmp_1", |c| c["totals"]["in_progress"].as_i64() >= Some(15)).await;
    b.reads("In progress").await;
    b.picture("running-calls").await;
    // Calls that are up are told apart by person too.
    let up = w.get("/campaigns/cmp_1/deliveries?outcome=in_progress&limit=500").await.ok();
    let up = up["items"].as_array().unwrap();
    assert!(up.len() >= 15 && up.iter().all(|row| row["outcome"] == "in_progress"), "{up:?}");
    let rings = w.get("/campaigns/cmp_1/deliveries?outcome=ringing&limit=500").await.ok();
    assert!(rings["items"].as_array().unwrap().iter().all(|row| row["outcome"] == "ringing"), "{rings}");
    b.press("Stop and hang up now").await;
    b.reads("Stopped. ").await;
    w.until("/campaigns/cmp_1", |c| c["totals"]["answered_unknown"].as_i64() >= Some(15)).await;
    b.go("/campaigns/cmp_1/recipients?outcome=answered_unknown").await;
    b.reads("hung up by hand").await;
    b.picture("recipients-calls").await;
    w.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_calls_are_accessible_at_both_widths_on_light_and_on_dark_paper() {
    let Some(axe) = browser::axe() else { return };
    let w = World::start().await;
    let failing = PhoneProfile { failed: 1.0, media_ports: "45000-45998".into(), ..PhoneProfile::default() };
    let phones = phones(failing).await;
    let csv: String = std::iter::once("phone,first_name\n".to_owned())
        .chain((0..PEOPLE).map(|i| format!("+1202555{i:04},Ana{i}\n")))
        .collect();
    let list = w.list_of(&csv).await;
    let trunk = json!({"name": "Trunk", "kind": "sip", "host": "127.0.0.1", "port": phones.address().port(),
        "numbers": ["+12025550100"], "calls_per_second": 100});
    let route = w.post("/routes", &trunk).await.created();
    let script = json!({"first": "ask", "steps": {"ask": {"gather": {"timeout": "PT5S"}, "on": {"1": "bye"}, "none": "bye"},
        "bye": {"hang_up": true}}});
    let campaign = json!({"channel": "voice", "name": "Reminder calls", "route_id": route["id"], "caller_id": "+12025550100",
        "list_ids": [list], "opt_in_acknowledged": true, "window": null, "start": {"now": true}, "script": script});
    let errored = w.start_campaign(&campaign).await;
    w.until(&errored, |c| c["status"] == "errored").await;
    w.post("/campaigns", &fixture::with(campaign, json!({"name": "Draft"}))).await.created();
    let mut findings = Vec::new();
    for paper in [Paper::Light, Paper::Dark] {
        let Some(b) = Browser::start(w.base(), paper).await else { return };
        sign_in(&w, &b).await;
        for (name, path) in [
            ("errored", "/campaigns/cmp_1"),
            ("error", "/campaigns/cmp_1/error"),
            ("failed-calls", "/campaigns/cmp_1/recipients"),
            ("new-voice", "/campaigns/new?channel=voice"),
            ("edit-voice", "/campaigns/cmp_2/edit"),
            ("edit-calls", "/campaigns/cmp_2/calls"),
            ("voice-index", "/?channel=voice"),
            ("new-trunk", "/routes/new?kind=sip"),
            ("trunk", "/routes/rte_1"),
        ] {
            b.go(path).await;
            b.picture(name).await;
            findings.extend(b.findings(&axe).await.into_iter().map(|f| format!("{path} {paper:?}: {f}")));
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
