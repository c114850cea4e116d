//! Real-life failures, done to the real program: `kill -9`, a carrier that goes away, a copied data folder, a full
//! disk, a second process on the folder, a client that hangs up, a database that is locked.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

#[path = "faults/folder.rs"]
mod folder;
#[path = "faults/half.rs"]
mod half;
mod program;

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use fixture::browser::{Browser, Paper};
use program::{Program, World};
use serde_json::json;
use simulator::{Profile, Smsc};

const PEOPLE: i64 = 3_000;
const BUDGET: i64 = 80;

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn slowly() -> Profile {
    Profile { answer_within: Duration::from_millis(10), ..Profile::default() }
}

/// Nobody was sent to twice, nobody was forgotten, and the data agrees with the carrier.
async fn assert_all_reached(w: &World, smsc: &Smsc, campaign: &str) -> i64 {
    let c = w.until(campaign, |c| c["status"] == "completed" && c["totals"]["sent"] == 0).await;
    let accepted = smsc.accepted();
    assert_eq!(accepted.values().max(), Some(&1), "somebody was sent to twice");
    let [delivered, in_doubt] = ["delivered", "in_doubt"].map(|k| c["totals"][k].as_i64().unwrap());
    assert_eq!(delivered + in_doubt, PEOPLE, "{}", c["totals"]);
    assert!(delivered <= accepted.len() as i64 && accepted.len() as i64 <= delivered + in_doubt);
    in_doubt
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_in_mid_run_nobody_gets_it_twice_and_at_most_the_claim_budget_is_in_doubt() {
    let smsc = Smsc::start(anywhere(), slowly()).await.unwrap();
    let mut w = World::start(PEOPLE).await;
    let route = w
        .route(smsc.address(), json!({"window": 20, "claim_budget": BUDGET, "rate_per_second": 3_000}))
        .await;
    let campaign = w.start_campaign("Killed", &route).await;
    for part in 1..=3 {
        w.until(&campaign, |c| c["totals"]["delivered"].as_i64() >= Some(part * 600)).await;
        w.program.kill();
        w.program = Program::serve(w.folder.path()).await;
    }
    let in_doubt = assert_all_reached(&w, &smsc, &campaign).await;
    assert!(in_doubt <= 3 * BUDGET, "{in_doubt}");
    w.program.terminate();
    // The data agrees with every `submit_sm` that the carrier recorded, and a double would be reported.
    let record = w.folder.path().join("record.jsonl");
    let lines: Vec<String> =
        smsc.records().iter().map(|r| serde_json::to_string(r).unwrap() + "\n").collect();
    std::fs::write(&record, lines.concat()).unwrap();
    assert_eq!(w.check_against(&record), (Some(0), String::new()));
    std::fs::write(&record, lines.concat() + &lines[0]).unwrap();
    let (code, broken) = w.check_against(&record);
    assert!(code == Some(1) && broken.contains("what the carrier recorded is what was sent"), "{broken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_it_within_ten_seconds_and_leaves_no_doubt() {
    let smsc = Smsc::start(anywhere(), slowly()).await.unwrap();
    let mut w = World::start(PEOPLE).await;
    let route = w.route(smsc.address(), json!({"window": 20, "rate_per_second": 3_000})).await;
    let campaign = w.start_campaign("Ended", &route).await;
    w.until(&campaign, |c| c["totals"]["delivered"].as_i64() >= Some(500)).await;
    let began = std::time::Instant::now();
    w.program.terminate();
    assert!(began.elapsed() < Duration::from_secs(10));
    w.assert_check_holds();
    w.program = Program::serve(w.folder.path()).await;
    assert_eq!(assert_all_reached(&w, &smsc, &campaign).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_hangs_up_and_goes_away_costs_doubts_and_no_doubles() {
    let profile = Profile { hang_up_after: Some(400), ..slowly() };
    let smsc = Smsc::start(anywhere(), profile.clone()).await.unwrap();
    let address = smsc.address();
    let w = World::start(PEOPLE).await;
    let route =
        w.route(address, json!({"window": 10, "claim_budget": BUDGET, "rate_per_second": 3_000})).await;
    let campaign = w.start_campaign("Interrupted", &route).await;
    w.until(&campaign, |c| c["totals"]["delivered"].as_i64() >= Some(500)).await;
    let before = smsc.accepted();
    drop(smsc);
    // It waits and says why.
    w.until(&campaign, |c| c["waiting"][0]["reason"] == "route_down" && c["totals"]["sending"] == 0).await;
    let smsc = Smsc::start(address, profile).await.unwrap();
    let c = w.until(&campaign, |c| c["status"] == "completed").await;
    let after = smsc.accepted();
    assert!(after.keys().all(|number| !before.contains_key(number)), "somebody was sent to twice");
    assert_eq!(before.values().chain(after.values()).max(), Some(&1));
    let t = |k: &str| c["totals"][k].as_i64().unwrap();
    // At most ten unanswered per hang-up.
    assert!(t("in_doubt") <= 10 * (PEOPLE / 400 + 2), "{}", c["totals"]);
    assert_eq!(t("delivered") + t("sent") + t("in_doubt"), PEOPLE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_data_folder_sends_nothing_until_it_is_adopted() {
    let smsc = Smsc::start(anywhere(), slowly()).await.unwrap();
    let mut w = World::start(200).await;
    w.program.terminate();
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(w.folder.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    w.program = Program::serve(copy.path()).await;
    let route = w.route(smsc.address(), json!({})).await;
    let campaign = w.start_campaign("Copied", &route).await;
    assert_eq!(w.get("//health").await["dispatches"], false);
    assert_eq!((smsc.count(), &w.get(&campaign).await["totals"]["pending"]), (0, &json!(200)));
    program::carillon(&["adopt", "--data", copy.path().to_str().unwrap()]);
    w.until("//health", |health| health["dispatches"] == true).await;
    w.until(&campaign, |c| c["totals"]["delivered"] == 200).await;
    // A second program on the same data serves and does not send.
    let second = Program::serve(copy.path()).await;
    w.program = second;
    assert_eq!(w.get("//health").await["dispatches"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_sending_stops_before_accounting_does_and_goes_on_when_there_is_space() {
    let Some(mut w) = World::on_a_small_disk(PEOPLE).await else { return };
    let smsc = Smsc::start(anywhere(), slowly()).await.unwrap();
    let route = w.route(smsc.address(), json!({"window": 20, "rate_per_second": 1_000})).await;
    let campaign = w.start_campaign("Full", &route).await;
    w.until(&campaign, |c| c["totals"]["delivered"].as_i64() >= Some(200)).await;
    let filler = w.fill_disk();
    w.until(&campaign, |c| c["waiting"][0]["reason"] == "disk_full" && c["totals"]["sending"] == 0).await;
    let sent = smsc.count();
    // Messages that had left are accounted for, including their receipts.
    let c = w.until(&campaign, |c| c["totals"]["sent"] == 0).await;
    assert_eq!((c["totals"]["delivered"].as_i64(), smsc.count()), (Some(sent as i64), sent));
    std::fs::remove_file(filler).unwrap();
    assert_eq!(assert_all_reached(&w, &smsc, &campaign).await, 0);
    w.program.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_was_open_when_the_server_ended_catches_up_when_it_is_back() {
    let smsc = Smsc::start(anywhere(), slowly()).await.unwrap();
    let mut w = World::start(PEOPLE).await;
    let data = w.folder.path().to_str().unwrap().to_owned();
    let ana = ["user", "add", "Ana@clinic.example", "--role", "viewer", "--data", &data];
    assert!(!program::carillon_with(&ana, "too short\n").status.success());
    let added = program::carillon_with(&ana, "a good long password\n");
    assert_eq!(String::from_utf8_lossy(&added.stdout), "ana@clinic.example can sign in\n");
    let Some(b) = Browser::start(&w.program.base, Paper::Light).await else { return };
    b.go("/sign-in").await;
    b.fill("[name=email]", "ana@clinic.example").await;
    b.fill("[name=password]", "a good long password").await;
    b.press("Sign in").await;
    let route = w.route(smsc.address(), json!({"window": 20, "rate_per_second": 1_000})).await;
    let campaign = w.start_campaign("Watched", &route).await;
    b.reads("Running").await;
    b.press("Watched").await;
    b.reads("by outcome").await;
    b.run("window.stayed = true", Vec::new()).await;
    w.until(&campaign, |c| c["totals"]["delivered"].as_i64() >= Some(500)).await;
    let address = w.program.base.strip_prefix("http://").unwrap().to_owned();
    w.program.kill();
    w.program = Program::serve_at(w.folder.path(), &address).await;
    // The same page, without a reload, says in the end what happened.
    b.reads("Completed").await;
    assert_eq!(b.run("return window.stayed", Vec::new()).await, true);
    let in_doubt = assert_all_reached(&w, &smsc, &campaign).await;
    b.reads(&format!("Unconfirmed\n{in_doubt}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_a_kill_interrupted_goes_on_behind_the_last_row_that_was_stored() {
    const ROWS: i64 = 200_000;
    let mut w = World::start(1).await;
    let mut file = "phone,first_name\n".to_owned();
    for i in 0..ROWS {
        // Every thousandth number is refused.
        let number =
            if i % 1_000 == 999 { "nobody".to_owned() } else { format!("+1202{:07}", 2_000_000 + i) };
        writeln!(file, "{number},Ana{i}").unwrap();
    }
    let begun = w.import("lst_1", file).await;
    let at = format!("/imports/{}", begun["id"].as_str().unwrap());
    w.until(&at, |i| i["rows"].as_i64() > Some(0)).await;
    w.program.kill();
    w.program = Program::serve(w.folder.path()).await;
    let import = w.until(&at, |i| i["state"] == "done").await;
    assert_eq!((import["rows"].as_i64(), import["rejected"].as_i64()), (Some(ROWS), Some(ROWS / 1_000)));
    let list = w.get("/lists/lst_1").await;
    assert_eq!(list["contacts"].as_i64(), Some(1 + ROWS - ROWS / 1_000));
    let left = std::fs::read_dir(w.folder.path().join("imports")).unwrap().count();
    assert_eq!(left, 0, "the file goes once it is read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_says_how_much_it_carries_and_what_its_carrier_refused() {
    let smsc = Smsc::start(anywhere(), Profile { refused: 0.2, ..slowly() }).await.unwrap();
    let w = World::start(300).await;
    let route = w.route(smsc.address(), json!({})).await;
    let campaign = w.start_campaign("Refused", &route).await;
    let c = w.until(&campaign, |c| c["status"] == "completed").await;
    let at = format!("/routes/{route}");
    let shown = w.until(&at, |r| r["claimed"] == 0 && r["unanswered"] == 0).await;
    let refused: i64 =
        shown["refused"].as_array().unwrap().iter().map(|r| r["count"].as_i64().unwrap()).sum();
    assert!(refused > 0 && Some(refused) == c["totals"]["failed"].as_i64(), "{shown}");
    assert!(shown["throughput"].as_f64() > Some(0.0), "{shown}");
    assert_eq!(shown["last_error"], serde_json::Value::Null);
    drop(smsc);
    let shown = w.until(&at, |r| r["state"] == "connecting" && r["last_error"].is_string()).await;
    assert!(shown["last_error_at"].is_string(), "{shown}");
}
