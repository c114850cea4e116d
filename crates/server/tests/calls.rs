//! A voice campaign over the API, against phones that are not ours (Debian's `sipp`).

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::{collections::BTreeMap, path::Path};

use fixture::sipp::Sipp;
use serde_json::{Value, json};
use voice::audio::Pcm;
use world::World;

/// `sipp` with the scenario of the phones.
struct Phones(Sipp);

impl Phones {
    fn start() -> Option<Self> {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp/phones.xml");
        Sipp::start(&scenario, false, &["-trace_msg", "-message_file", "messages"]).map(Self)
    }

    /// The INVITEs outside dialogs that came so far, repeats included, by the number that they call.
    fn invited(&self) -> BTreeMap<String, usize> {
        let seen = std::fs::read_to_string(self.0.folder.path().join("messages")).unwrap_or_default();
        let mut invited = BTreeMap::new();
        for line in seen.lines().filter(|line| line.starts_with("INVITE sip:")) {
            let number = line["INVITE sip:".len()..].split('@').next().unwrap().to_owned();
            *invited.entry(number).or_default() += 1;
        }
        invited
    }
}

/// A world with a trunk to these phones, a list of `people`, and a prompt.
async fn world(phones: &Phones, people: i64, trunk: Value) -> (World, Value) {
    let w = World::start().await;
    let csv: String = std::iter::once("phone,first_name\n".to_owned())
        .chain((0..people).map(|i| format!("+1202555{i:04},Ana{i}\n")))
        .collect();
    let list = w.list_of(&csv).await;
    let usual = json!({"name": "Trunk", "kind": "sip", "host": "127.0.0.1", "port": phones.0.address.port(),
        "numbers": ["+12025550100"], "calls_per_second": 200, "max_calls": 100, "codecs": ["pcmu"]});
    let route = w.post("/routes", &fixture::with(usual, trunk)).await.created();
    let beep =
        Pcm::new(8_000, (0..2_400).map(|at| if at % 16 < 8 { 6_000 } else { -6_000 }).collect()).to_wav();
    let upload = w.request(reqwest::Method::POST, "/audio?name=Beep").body(beep);
    let audio = w.answer(upload).await.created();
    let script = json!({"first": "hello", "steps": {
        "hello": {"play": audio["id"], "next": "bye"}, "bye": {"hang_up": true}}});
    let campaign = json!({"channel": "voice", "name": "Reminder", "route_id": route["id"], "caller_id": "+12025550100",
        "list_ids": [list], "opt_in_acknowledged": true, "window": null, "start": {"now": true}, "ring_time": "PT5S",
        "script": script});
    (w, campaign)
}

fn sum(c: &Value) -> i64 {
    c["totals"].as_object().unwrap().values().map(|n| n.as_i64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_outcome_of_a_campaign_is_what_the_phone_did_call_by_call() {
    let Some(phones) = Phones::start() else { return };
    let (w, campaign) = world(&phones, 20, json!({})).await;
    let at = w.start_campaign(&campaign).await;
    let c = w
        .until(&at, |c| {
            assert_eq!(sum(c), 20, "{c}");
            c["status"] == "completed"
        })
        .await;
    let wanted = json!({"pending": 0, "dialing": 0, "ringing": 0, "in_progress": 0, "answered_human": 0,
        "answered_machine": 0, "answered_unknown": 12, "busy": 2, "no_answer": 2, "rejected": 2, "unreachable": 2,
        "failed": 0, "skipped": 0, "cancelled": 0, "not_called": 0, "in_doubt": 0});
    assert_eq!(c["totals"], wanted);
    assert_eq!(
        c["steps"],
        json!([{"id": "bye", "reached": 12, "branches": {}}, {"id": "hello", "reached": 12, "branches": {"next": 12}}])
    );
    let all = w.get(&format!("{at}/deliveries")).await.ok();
    for delivery in all["items"].as_array().unwrap() {
        let number = delivery["number"].as_str().unwrap();
        let (outcome, code) = match number.chars().last().unwrap() {
            '1' => ("busy", json!(486)),
            '2' => ("unreachable", json!(404)),
            '3' => ("rejected", json!(603)),
            '4' => ("no_answer", Value::Null),
            _ => ("answered_unknown", Value::Null),
        };
        let call = &delivery["calls"][0];
        assert_eq!(
            (&delivery["outcome"], &call["outcome"]),
            (&json!(outcome), &json!(outcome)),
            "{delivery}"
        );
        assert_eq!(call["sip_code"], code, "{delivery}");
        assert_eq!(delivery["calls"].as_array().unwrap().len(), 1);
        assert!(!call["events"].as_array().unwrap().is_empty());
    }
    let one = all["items"][0]["id"].as_str().unwrap();
    assert_eq!(w.get(&format!("{at}/deliveries/{one}")).await.ok(), all["items"][0]);
    assert!(phones.invited().values().all(|times| *times == 1), "{:?}", phones.invited());
    assert_eq!(w.get(&format!("{at}/error")).await.status, 404);
    w.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_invite_leaves_after_stop_is_answered_and_what_rings_is_cancelled() {
    let Some(phones) = Phones::start() else { return };
    let (w, campaign) = world(&phones, 400, json!({"max_calls": 60})).await;
    let at = w.start_campaign(&fixture::with(campaign, json!({"ring_time": "PT60S"}))).await;
    // Every tenth phone rings for ever: they fill the places.
    w.until(&at, |c| c["totals"]["ringing"].as_i64().unwrap() >= 10).await;
    let c = w.post(&format!("{at}/stop"), &json!({})).await.ok();
    let invited: usize = phones.invited().values().sum();
    assert_eq!((&c["status"], sum(&c)), (&json!("stopped"), 400), "{c}");
    let c = w.until(&at, |c| c["totals"]["dialing"] == 0 && c["totals"]["in_progress"] == 0).await;
    assert_eq!(c["totals"]["ringing"], 0, "{c}");
    assert!(c["totals"]["cancelled"].as_i64().unwrap() > 10, "{c}");
    assert_eq!(phones.invited().values().sum::<usize>(), invited);
    let refused = w.post(&format!("{at}/restart"), &json!({})).await;
    assert_eq!(refused.status, 409);
    let rest = w.post(&format!("{at}/clone"), &json!({"audience": "remaining"})).await.created();
    let list = w.get(&format!("/lists/{}", rest["list_ids"][0].as_str().unwrap())).await.ok();
    assert_eq!(
        list["size"].as_i64().or(list["contacts"].as_i64()),
        c["totals"]["cancelled"].as_i64(),
        "{list}"
    );
    w.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_refused_with_its_reason_and_kept_while_a_campaign_plays_it() {
    let Some(phones) = Phones::start() else { return };
    let (w, campaign) = world(&phones, 1, json!({})).await;
    let upload = |bytes: Vec<u8>| w.answer(w.request(reqwest::Method::POST, "/audio").body(bytes));
    for bytes in [b"no sound".to_vec(), Vec::new(), b"RIFF\x10\0\0\0WAVEfmt ".to_vec()] {
        assert_eq!(upload(bytes).await.refused(), (422, vec!["audio"]));
    }
    let id = campaign["script"]["steps"]["hello"]["play"].as_str().unwrap();
    let c = w.post("/campaigns", &campaign).await.created();
    let delete = || w.answer(w.request(reqwest::Method::DELETE, &format!("/audio/{id}")));
    let kept = delete().await;
    assert_eq!(kept.status, 409);
    assert!(kept.text.contains("Reminder"), "{}", kept.text);
    assert_eq!(w.get("/audio").await.ok()["items"][0]["seconds"], 0.3);
    w.post(&format!("/campaigns/{}/archive", c["id"].as_str().unwrap()), &json!({})).await.ok();
    assert_eq!(delete().await.status, 204);
    // A script that plays what is gone is saved, and not scheduled.
    let again = w.post("/campaigns", &fixture::with(campaign, json!({"name": "Again"}))).await.created();
    let schedule =
        w.post(&format!("/campaigns/{}/schedule", again["id"].as_str().unwrap()), &json!({})).await;
    assert_eq!(schedule.refused(), (422, vec!["script.steps.hello.play"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_may_bridge_to_an_agent_and_the_editor_shows_that_it_does() {
    let w = World::start().await;
    let script = json!({"first": "agent", "steps": {"bye": {"hang_up": true},
        "agent": {"transfer": {"to": "sip:agents@pbx.example", "mode": "bridge"}, "failed": "bye"}}});
    let campaign = json!({"channel": "voice", "name": "Bridged", "script": script});
    let made = w.post("/campaigns", &campaign).await.created();
    assert_eq!(made["script"]["steps"]["agent"]["transfer"]["mode"], "bridge");
    let page = w.get(&format!("//campaigns/{}/calls", made["id"].as_str().unwrap())).await;
    assert_eq!(page.status, 200);
    for choice in [r#"<option value="refer">"#, r#"<option value="bridge" selected>"#] {
        assert!(page.text.contains(choice), "{}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_of_ones_own_is_called_as_a_test_and_counts_nowhere() {
    let Some(phones) = Phones::start() else { return };
    let (w, campaign) = world(&phones, 3, json!({})).await;
    let made = w.post("/campaigns", &campaign).await.created();
    let at = format!("/campaigns/{}", made["id"].as_str().unwrap());
    let try_it = async |to: &str| w.post(&format!("{at}/test"), &json!({"to": to})).await;
    let begun = try_it("+12025559990").await;
    assert_eq!((begun.status, &begun.body["test"]), (202, &json!(true)), "{}", begun.text);
    assert_eq!(phones.invited().get("+12025559990"), Some(&1));
    assert_eq!(sum(&w.get(&at).await.ok()), 0, "it is in no total");
    assert_eq!(w.get(&format!("{at}/deliveries")).await.ok()["items"], json!([]));
    // What is wrong is told by its field, and nobody is called.
    w.post("/suppressions", &json!({"channel": "voice", "number": "+12025559980"})).await;
    assert_eq!(try_it("+12025559980").await.refused(), (422, vec!["to"]));
    assert_eq!(try_it("12").await.refused(), (422, vec!["to"]));
    let as_nobody = w.post(&format!("{at}/test"), &json!({"to": "+12025559990", "as": "x"})).await;
    assert_eq!(as_nobody.refused(), (422, vec!["as"]));
    assert_eq!(phones.invited().get("+12025559980"), None);
    // A trunk is tried from its page, which says what became of the call.
    let page = format!("//routes/{}/test", campaign["route_id"].as_str().unwrap());
    let call = async |from: &str, number: &str, text: &str| {
        let form = [("from", from), ("number", number), ("text", text)];
        w.answer(w.request(reqwest::Method::POST, &page).form(&form)).await
    };
    let busy = call("+12025550100", "+12025559981", "").await;
    assert!(busy.status == 200 && busy.text.contains("The test call: Busy"), "{}", busy.text);
    let silent = call("+12025550100", "+12025559985", "Hello.").await;
    assert!(silent.status == 422 && silent.text.contains("a test renders no speech"), "{}", silent.text);
    let foreign = call("+12025550111", "+12025559982", "").await;
    assert!(foreign.status == 422 && foreign.text.contains("numbers that this trunk may show"));
    let mut last = 0;
    for _ in 0..10 {
        last = try_it("+12025559981").await.status;
    }
    assert_eq!(last, 429, "ten an hour");
    w.assert_sound().await;
}
