//! Requests that are cut in the middle: by a client that hangs up at each await, by a database that cannot begin. What
//! was begun is finished, what was not leaves nothing, and the reported state still holds a second later.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Profile, Smsc};

use super::anywhere;
use crate::program::World;

/// How long reported states are watched to hold.
const A_SECOND: Duration = Duration::from_secs(1);
/// When a client hangs up, in milliseconds: before the request is read, in the middle of it, after its answer.
const PAUSES: [u64; 8] = [0, 1, 2, 3, 5, 8, 13, 100];

const JSON: &str = "application/json";
const CSV: &str = "text/csv";

fn number(i: usize) -> String {
    format!("+1202777{i:04}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_began_is_ended_whenever_it_hangs_up() {
    let first = World::start(20).await;
    let second = first.beside(&[]).await;
    for (place, w) in [&first, &second].into_iter().enumerate() {
        for (i, pause) in PAUSES.into_iter().map(Duration::from_millis).enumerate() {
            let i = place * PAUSES.len() + i;
            // A single effect.
            let suppressed = json!({"number": number(i), "channel": "sms"}).to_string();
            w.hang_up("POST", "/suppressions", JSON, &suppressed, true, pause).await;
            // A file that is read after the answer.
            let file = format!("phone,first_name\n{},Ana\n{},Bo\n", number(100 + 2 * i), number(101 + 2 * i));
            w.hang_up("POST", "/lists/lst_1/contacts", CSV, &file, true, pause).await;
            // Several steps: the list, its import, its rows.
            let rows = json!([{"phone": number(200 + i), "first_name": "Cy"}]).to_string();
            w.hang_up("POST", "/lists/lst_1/contacts", JSON, &rows, true, pause).await;
            w.hang_up("POST", "/lists", JSON, &json!({"name": format!("List {i}")}).to_string(), true, pause)
                .await;
            // Half a file is no file.
            let half = format!("phone\n{}\n{}\n", number(300 + i), number(400 + i));
            w.hang_up("POST", "/lists/lst_1/contacts", CSV, &half, false, pause).await;
        }
    }
    let all = 2 * PAUSES.len();
    let lists = |seen: &Value| seen["items"].as_array().unwrap().len();
    for w in [&first, &second] {
        w.until("/lists", |seen| lists(seen) == 1 + all).await;
        w.until("/lists/lst_1", |l| l["contacts"].as_u64() == Some(20 + 3 * all as u64)).await;
    }
    tokio::time::sleep(A_SECOND).await;
    assert_eq!(second.get("/lists/lst_1").await["contacts"].as_u64(), Some(20 + 3 * all as u64));
    // Every import has ended, and no file is left of any.
    for i in 1..=1 + 2 * all {
        assert_eq!(first.get(&format!("/imports/imp_{i}")).await["state"], "done");
    }
    let left = std::fs::read_dir(first.folder.path().join("imports")).unwrap().count();
    assert_eq!(left, 0, "half a file was kept");
    // The process that dispatches also holds suppressed numbers in memory: a campaign to all reaches none of them.
    let smsc = Smsc::start(anywhere(), Profile::default()).await.unwrap();
    let suppressed: String = (0..all).map(|i| number(i) + ",Di\n").collect();
    first.import("lst_1", format!("phone,first_name\n{suppressed}")).await;
    first.until("/lists/lst_1", |l| l["contacts"].as_u64() == Some(20 + 4 * all as u64)).await;
    let route = second.route(smsc.address(), json!({})).await;
    let campaign = second.start_campaign("To all but those", &route).await;
    let c = first.until(&campaign, |c| c["status"] == "completed" && c["totals"]["sent"] == 0).await;
    assert_eq!(c["totals"]["skipped"].as_u64(), Some(all as u64), "{c}");
    assert!((0..all).all(|i| !smsc.accepted().contains_key(&number(i)[1..])));
    first.assert_check_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_starts_and_stops_though_whoever_asked_for_it_hangs_up() {
    const PEOPLE: i64 = 2_000;
    let smsc = Smsc::start(anywhere(), Profile::default()).await.unwrap();
    let first = World::start(PEOPLE).await;
    let second = first.beside(&["--no-dispatch"]).await;
    let route = first.route(smsc.address(), json!({"window": 10, "rate_per_second": 100})).await;
    for w in [&first, &second] {
        for pause in PAUSES {
            let at = w.draft(&format!("After {pause} ms through {}", w.program.id()), &route).await;
            let pause = Duration::from_millis(pause);
            w.hang_up("POST", &format!("{at}/schedule"), JSON, "{}", true, pause).await;
            w.until(&at, |c| c["status"] == "running").await;
            w.hang_up("POST", &format!("{at}/stop"), JSON, "", true, pause).await;
            w.until(&at, |c| c["status"] == "stopped" && c["totals"]["sending"] == 0).await;
        }
    }
    let left = smsc.count();
    tokio::time::sleep(A_SECOND).await;
    assert_eq!(smsc.count(), left, "a campaign that is told to be stopped goes on");
    let told = first.get("/campaigns?limit=100").await;
    assert!(told["items"].as_array().unwrap().iter().all(|c| c["status"] == "stopped"), "{told}");
    first.assert_check_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_database_cannot_begin_a_change_is_refused_and_nothing_of_it_was_done() {
    /// Longer than two changes that wait for the database one after the other: the engine's turn goes first.
    const LOCKED: Duration = Duration::from_secs(45);
    let smsc = Smsc::start(anywhere(), Profile::default()).await.unwrap();
    let first = World::start(500).await;
    let second = first.beside(&[]).await;
    let route = first.route(smsc.address(), json!({"window": 10, "rate_per_second": 100})).await;
    let campaign = first.start_campaign("Under way", &route).await;
    let draft = first.draft("Waiting", &route).await;
    first.until(&campaign, |c| c["totals"]["delivered"].as_i64() >= Some(50)).await;
    let database = first.folder.path().join("carillon.db");
    let (locked, told) = tokio::sync::oneshot::channel();
    let lock = tokio::task::spawn_blocking(move || {
        let other = rusqlite::Connection::open(database).unwrap();
        other.busy_timeout(Duration::from_secs(10)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        locked.send(()).unwrap();
        std::thread::sleep(LOCKED);
        other.execute_batch("ROLLBACK").unwrap();
    });
    told.await.unwrap();
    let suppressed = json!({"number": number(1), "channel": "sms"});
    let rows = json!([{"phone": number(2)}]);
    let nothing = json!({});
    let renamed = json!({"name": "Never"});
    let (schedule, contacts) = (format!("{draft}/schedule"), "/lists/lst_1/contacts".to_owned());
    let asked = [
        (&first, "/lists".to_owned(), &renamed),
        (&second, "/lists".to_owned(), &renamed),
        (&second, "/suppressions".to_owned(), &suppressed),
        (&first, contacts, &rows),
        (&second, schedule, &nothing),
    ];
    let answers = asked.iter().map(|(w, path, body)| w.try_post(path, body));
    for (answer, (_, path, _)) in futures::future::join_all(answers).await.into_iter().zip(&asked) {
        assert_eq!(answer.status(), 503, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert!(answer.headers().contains_key("retry-after"));
    }
    lock.await.unwrap();
    tokio::time::sleep(A_SECOND).await;
    // Nothing of it was done, then or since.
    assert_eq!(first.get("/lists").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(first.get("/lists/lst_1").await["contacts"], 500);
    assert_eq!(first.get(&draft).await["status"], "defined");
    // Everything goes on, and nobody is sent to twice.
    let c = first.until(&campaign, |c| c["status"] == "completed" && c["totals"]["sent"] == 0).await;
    assert_eq!(
        c["totals"]["delivered"].as_i64().zip(c["totals"]["in_doubt"].as_i64()),
        Some((500, 0)),
        "{c}"
    );
    assert_eq!(smsc.accepted().values().max(), Some(&1));
    assert_eq!(second.try_post("/suppressions", &suppressed).await.status(), 201);
    first.assert_check_holds();
}
