//! A voice campaign over the API, against phones that are not ours (Debian's `sipp`).

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod world;

use std::{cell::Cell, collections::BTreeMap, path::Path};

use fixture::sipp::Sipp;
use serde_json::{Value, json};
use simulator::PhoneProfile;
use voice::audio::Pcm;
use world::World;

/// `sipp` with the scenario of the phones.
struct Phones(Sipp);

impl Phones {
    fn start() -> Option<Self> {
        Self::playing("tests/sipp/phones.xml")
    }

    /// With another scenario, named from this crate's folder.
    fn playing(scenario: &str) -> Option<Self> {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join(scenario);
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
    let (w, campaign) = world(&phones, 500, json!({"max_calls": 60})).await;
    let at = w.start_campaign(&fixture::with(campaign, json!({"ring_time": "PT60S"}))).await;
    // Every tenth phone rings for ever: they fill the places.
    w.until(&at, |c| c["totals"]["ringing"].as_i64().unwrap() >= 10).await;
    let c = w.post(&format!("{at}/stop"), &json!({})).await.ok();
    let invited: usize = phones.invited().values().sum();
    assert_eq!((&c["status"], sum(&c)), (&json!("stopped"), 500), "{c}");
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
async fn a_password_that_no_longer_holds_ends_the_campaign_in_error_and_a_clone_calls_the_rest() {
    const PEOPLE: i64 = 200;
    let Some(phones) = Phones::playing("../voice/tests/sipp/digest.xml") else { return };
    let account = json!({"username": "alice", "password": "secret", "calls_per_second": 40, "max_calls": 20});
    let (w, campaign) = world(&phones, PEOPLE, account).await;
    let at = w.start_campaign(&campaign).await;
    w.until(&at, |c| c["totals"]["answered_unknown"].as_i64().unwrap() >= 20).await;
    let route = "/routes/rte_1";
    let change = async |password: &str| w.patch(route, &json!({"password": password})).await.ok();
    // The operator changed the account: what we know of it no longer holds.
    change("guess").await;
    let c = w
        .until(&at, |c| {
            assert_eq!(sum(c), PEOPLE, "{c}");
            c["status"] == "errored" && c["totals"]["in_progress"] == 0 && c["totals"]["dialing"] == 0
        })
        .await;
    let (answered, rest) = (&c["totals"]["answered_unknown"], &c["totals"]["not_called"]);
    assert_eq!(answered.as_i64().unwrap() + rest.as_i64().unwrap(), PEOPLE, "{c}");
    let error = w.get(&format!("{at}/error")).await.ok();
    assert_eq!(
        (&error["sip_code"], &error["calls_affected"].as_i64().map(|n| n >= 20)),
        (&json!(403), &Some(true)),
        "{error}"
    );
    assert!(error["first_at"].as_str() < error["last_at"].as_str(), "{error}");
    let exchange: Vec<&str> =
        error["exchange"].as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap()).collect();
    assert!(exchange[0].starts_with("INVITE sip:+1202*******@"), "{exchange:?}");
    assert!(exchange.iter().any(|text| text.contains("Authorization: (removed)")), "{exchange:?}");
    assert!(exchange.iter().any(|text| text.starts_with("SIP/2.0 403 Wrong digest")), "{exchange:?}");
    let told =
        |text: &str| text.contains("response=") || text.replace("+12025550100", "").contains("+1202555");
    assert!(!exchange.iter().any(|text| told(text)), "{exchange:?}");
    assert!(!error["check"].as_array().unwrap().is_empty());
    let page = w.get(&format!("/{at}/error")).await.text;
    let shown = [error["cause"].as_str().unwrap(), "403", "(removed)", error["check"][0].as_str().unwrap()];
    assert!(shown.iter().all(|words| page.contains(&words.replace('\'', "&#39;"))), "{page}");

    change("secret").await;
    let before = phones.invited();
    let clone =
        w.post(&format!("{at}/clone"), &json!({"audience": "remaining", "name": "The rest"})).await.created();
    let tick = json!({"opt_in_acknowledged": true, "version": clone["version"]});
    let clone = format!("/campaigns/{}", clone["id"].as_str().unwrap());
    w.patch(&clone, &tick).await.ok();
    w.post(&format!("{clone}/schedule"), &json!({})).await.ok();
    let c = w.until(&clone, |c| c["status"] == "completed").await;
    assert_eq!((&c["totals"]["answered_unknown"], sum(&c)), (rest, rest.as_i64().unwrap()), "{c}");
    let not_called = w.get(&format!("{at}/deliveries?outcome=not_called&limit=500")).await.ok();
    let mut wanted: Vec<&str> =
        not_called["items"].as_array().unwrap().iter().map(|d| d["number"].as_str().unwrap()).collect();
    wanted.sort_unstable();
    let after = phones.invited();
    let called = after.iter().filter(|(number, times)| before.get(*number).is_none_or(|once| once < *times));
    assert_eq!(called.map(|(number, _)| number.as_str()).collect::<Vec<_>>(), wanted);
    w.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_totals_are_the_audience_in_each_answer_through_retries_a_stop_and_an_error() {
    const PEOPLE: i64 = 120;
    let Some(phones) = Phones::start() else { return };
    let (w, campaign) = world(&phones, PEOPLE, json!({"calls_per_second": 30, "max_calls": 30})).await;
    let retry = json!({"most": 3, "busy": {"after": "PT1S", "times": 2}, "unreachable": {"after": "PT2S", "times": 1}});
    let stopped = w.start_campaign(&fixture::with(campaign.clone(), json!({"retry": retry}))).await;
    let refusing =
        PhoneProfile { refuses: true, media_ports: "46000-46998".into(), ..PhoneProfile::default() };
    let refusing = simulator::Phones::start(([127, 0, 0, 1], 0).into(), refusing).await.unwrap();
    let trunk = json!({"name": "Refusing", "kind": "sip", "host": "127.0.0.1", "port": refusing.address().port(),
        "numbers": ["+12025550100"], "calls_per_second": 10});
    let trunk = w.post("/routes", &trunk).await.created();
    let more = json!({"name": "Refused", "route_id": trunk["id"]});
    let errored = w.start_campaign(&fixture::with(campaign, more)).await;
    let answers = Cell::new(0);
    let asked = async |at: &str, so: &dyn Fn(&Value) -> bool| {
        w.until(at, |c| {
            answers.set(answers.get() + 1);
            assert_eq!(sum(c), PEOPLE, "{c}");
            so(c)
        })
        .await
    };
    // Some were busy before, and are called again.
    asked(&stopped, &|c| c["totals"]["answered_unknown"].as_i64() >= Some(40)).await;
    asked(&errored, &|c| c["status"] == "errored").await;
    let at_once = w.post(&format!("{stopped}/stop"), &json!({})).await.ok();
    assert_eq!(sum(&at_once), PEOPLE, "{at_once}");
    asked(&stopped, &|c| c["totals"]["in_progress"] == 0 && c["totals"]["dialing"] == 0).await;
    let c = asked(&errored, &|c| c["totals"]["dialing"] == 0).await;
    assert_eq!(c["totals"]["not_called"], PEOPLE, "{c}");
    let again = phones.invited().into_values().filter(|times| *times > 1).count();
    assert!(again > 0 && answers.get() > 10, "{again} were called again, {answers:?} answers");
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
