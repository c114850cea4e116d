//! Several processes on one data folder: a request to any of them holds for the one that dispatches, or is refused in
//! words; and what it answered still holds a second later.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use simulator::{Profile, Smsc};

use super::{PEOPLE, anywhere, assert_all_reached, slowly};
use crate::program::{self, Program, World};

/// How long promises are watched to hold.
const A_SECOND: Duration = Duration::from_secs(1);

/// A world, a process beside its own, and a route that takes some seconds for everybody.
async fn two(more: &[&str]) -> (Smsc, World, World, String) {
    let smsc = Smsc::start(anywhere(), slowly()).await.unwrap();
    let first = World::start(PEOPLE).await;
    let second = first.beside(more).await;
    assert_eq!(second.get("//health").await["dispatches"], false);
    let route = second.route(smsc.address(), json!({"window": 20, "rate_per_second": 600})).await;
    (smsc, first, second, route)
}

/// A number of the world's people, in E.164.
fn number(i: i64) -> String {
    format!("+1202555{i:04}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_through_any_process_is_a_fence() {
    for more in [&[][..], &["--no-dispatch"]] {
        let (smsc, first, second, route) = two(more).await;
        let campaign = second.start_campaign("Stopped", &route).await;
        second.until(&campaign, |c| c["totals"]["delivered"].as_i64() >= Some(300)).await;
        let stopped = second.post(&format!("{campaign}/stop"), &json!({})).await;
        let left = smsc.count();
        assert_eq!(stopped["status"], "stopped");
        tokio::time::sleep(A_SECOND).await;
        assert_eq!(smsc.count(), left, "something left after the answer");
        for world in [&first, &second] {
            assert_eq!(world.get(&campaign).await["status"], "stopped");
        }
        // It goes on from there, and nobody is sent to twice.
        second.post(&format!("{campaign}/restart"), &json!({})).await;
        assert_eq!(assert_all_reached(&first, &smsc, &campaign).await, 0);
        first.assert_check_holds();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_is_suppressed_through_any_process_gets_nothing_more() {
    let (smsc, first, second, route) = two(&["--no-dispatch"]).await;
    let campaign = second.start_campaign("Suppressed", &route).await;
    second.until(&campaign, |c| c["totals"]["delivered"].as_i64() >= Some(300)).await;
    let theirs: Vec<String> = (0..60).map(|i| number(PEOPLE - 1 - 7 * i)).collect();
    let mut before = Vec::new();
    for number in &theirs {
        second.post("/suppressions", &json!({"number": number, "channel": "sms"})).await;
        before.push(smsc.accepted().contains_key(&number[1..]));
    }
    first.until(&campaign, |c| c["status"] == "completed").await;
    tokio::time::sleep(A_SECOND).await;
    let after: Vec<bool> = theirs.iter().map(|number| smsc.accepted().contains_key(&number[1..])).collect();
    assert_eq!(after, before, "somebody was written to after the opt-out was stored");
    assert!(before.iter().any(|reached| !reached), "all were reached before: nothing is shown");
    first.assert_check_holds();
}

fn file(rows: i64) -> String {
    let rows = (0..rows).map(|i| format!("+1202{:07},Bo{i}\n", 3_000_000 + i));
    std::iter::once("phone,first_name\n".to_owned()).chain(rows).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_sent_to_any_process_is_imported_once_and_taken_up_where_that_one_ends() {
    const ROWS: i64 = 100_000;
    let mut first = World::start(1).await;
    let mut second = first.beside(&[]).await;
    let begun = second.import("lst_1", file(ROWS)).await;
    let at = format!("/imports/{}", begun["id"].as_str().unwrap());
    // The process that was asked may end; it did not do the work.
    second.program.kill();
    first.until(&at, |i| i["rows"].as_i64() > Some(0)).await;
    second = first.beside(&[]).await;
    first.program.kill();
    let import = second.until(&at, |i| i["state"] == "done").await;
    assert_eq!((import["rows"].as_i64(), import["rejected"].as_i64()), (Some(ROWS), Some(0)));
    assert_eq!(second.get("/lists/lst_1").await["contacts"].as_i64(), Some(1 + ROWS));
    tokio::time::sleep(A_SECOND).await;
    assert_eq!(second.get(&at).await, import);
    assert_eq!(std::fs::read_dir(first.folder.path().join("imports")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_process_that_dispatches_is_killed_the_other_takes_over_and_nobody_gets_it_twice() {
    let (smsc, mut first, second, route) = two(&[]).await;
    let campaign = second.start_campaign("Taken over", &route).await;
    second.until(&campaign, |c| c["totals"]["delivered"].as_i64() >= Some(300)).await;
    first.program.kill();
    // Nothing is passed on to the dead; a request meanwhile is done, or refused in words and done when repeated.
    let suppressed = json!({"number": number(PEOPLE - 1), "channel": "sms"});
    let (status, _) = second.until_taken("/suppressions", &suppressed).await;
    assert_eq!(status, 201);
    second.until("//health", |health| health["dispatches"] == true).await;
    let stopped = second.post(&format!("{campaign}/stop"), &json!({})).await;
    let left = smsc.count();
    tokio::time::sleep(A_SECOND).await;
    assert_eq!((smsc.count(), &stopped["status"]), (left, &json!("stopped")));
    second.post(&format!("{campaign}/restart"), &json!({})).await;
    let c = second.until(&campaign, |c| c["status"] == "completed" && c["totals"]["sent"] == 0).await;
    let accepted = smsc.accepted();
    assert_eq!(accepted.values().max(), Some(&1), "somebody was sent to twice");
    assert!(!accepted.contains_key(&number(PEOPLE - 1)[1..]));
    let told: i64 = ["delivered", "in_doubt", "skipped"].iter().filter_map(|k| c["totals"][k].as_i64()).sum();
    assert_eq!(told, PEOPLE, "{}", c["totals"]);
    second.assert_check_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_processes_that_begin_at_once_one_dispatches_and_when_it_ends_another() {
    let first = World::start(1).await;
    let mut all = Vec::new();
    for world in futures::future::join_all((0..3).map(|_| first.beside(&[]))).await {
        all.push(world);
    }
    all.push(first);
    loop {
        let mut dispatching = Vec::new();
        // Until one has taken over.
        while dispatching.is_empty() {
            for (i, world) in all.iter().enumerate() {
                if world.get("//health").await["dispatches"] == true {
                    dispatching.push(i);
                }
            }
        }
        assert_eq!(dispatching.len(), 1);
        let mut ended = all.remove(dispatching[0]);
        ended.program.kill();
        // The folder is removed with the last of them.
        if all.is_empty() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_process_that_dispatches_and_does_not_answer_nothing_is_changed_and_that_is_said() {
    let (_smsc, first, second, route) = two(&[]).await;
    let campaign = second.draft("Frozen", &route).await;
    fixture::freeze(first.program.id());
    for (path, body) in [
        (format!("{campaign}/schedule"), json!({})),
        (format!("{campaign}/stop"), json!({})),
        ("/suppressions".into(), json!({"number": number(1), "channel": "sms"})),
        ("/lists".into(), json!({"name": "Theirs"})),
    ] {
        let answer = second.try_post(&path, &body).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (503, &"2".parse().unwrap())
        );
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], "/problems/elsewhere");
        assert!(problem["detail"].as_str().unwrap().contains("nothing was done"), "{problem}");
    }
    // A browser gets a page.
    let page = second.try_post("//sign-in", &json!({})).await;
    assert_eq!(page.status(), 503);
    assert!(page.headers().contains_key("retry-after"));
    assert!(page.text().await.unwrap().contains("Another process sends from this data"));
    // Reads are answered here.
    assert_eq!(second.get(&campaign).await["status"], "defined");
    // A command too says what it cannot do.
    let csv = first.folder.path().join("more.csv");
    std::fs::write(&csv, file(3)).unwrap();
    let (code, said) = program::refused(&import(&csv, first.folder.path()));
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot be reached"), "{said}");
    fixture::signal(first.program.id(), "CONT");
    tokio::time::sleep(A_SECOND).await;
    assert_eq!(second.get(&campaign).await["status"], "defined");
    assert_eq!(second.get("/lists").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(second.post("/lists", &json!({"name": "Theirs"})).await["name"], "Theirs");
}

fn import(csv: &Path, data: &Path) -> [String; 6] {
    let [csv, data] = [csv, data].map(|path| path.to_str().unwrap().to_owned());
    ["import".into(), csv, "--list".into(), "All".into(), "--data".into(), data]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_beside_a_process_that_dispatches_are_safe_handed_over_or_refused() {
    let (smsc, mut first, second, route) = two(&[]).await;
    let campaign = first.start_campaign("Beside", &route).await;
    let above = tempfile::tempdir().unwrap();
    let (csv, copy) = (above.path().join("more.csv"), above.path().join("copy.db"));
    let data = first.folder.path().to_str().unwrap().to_owned();
    // Handed over: contacts, and the rows that were refused.
    std::fs::write(&csv, file(5_000) + "nobody,Cy\n").unwrap();
    let said = program::carillon(&import(&csv, first.folder.path()).each_ref().map(String::as_str));
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("5001 rows: 5000 accepted, 1 refused"), "{said}");
    assert!(std::fs::read_to_string(above.path().join("more.csv.errors.csv")).unwrap().contains("nobody,Cy"));
    assert_eq!(second.get("/lists/lst_1").await["contacts"].as_i64(), Some(PEOPLE + 5_000));
    // Safe: what these commands write is read anew by each request, and what they read is one state.
    let token = program::carillon(&["token", "create", "--name", "beside", "--data", &data]).stdout;
    assert_eq!(second.status_for(&String::from_utf8(token).unwrap()).await, 200);
    let user = ["user", "add", "bea@clinic.example", "--role", "viewer", "--data", &data];
    assert!(program::carillon_with(&user, "a good long password\n").status.success());
    program::carillon(&["backup", copy.to_str().unwrap(), "--data", &data]);
    first.assert_check_holds();
    // Refused: it would be another master.
    let adopt = ["adopt", "--data", &data].map(str::to_owned);
    let (code, said) = program::refused(&adopt);
    assert_eq!(code, Some(1));
    assert!(said.contains("another carillon dispatches from this data folder"), "{said}");
    // A file that one process hands over and another imports outlives the first.
    assert_eq!(assert_all_reached(&first, &smsc, &campaign).await, 0);
    first.program.terminate();
    first.program = Program::serve(first.folder.path()).await;
    first.assert_check_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_dispatches_a_stop_holds_against_a_process_that_begins_to() {
    let smsc = Smsc::start(anywhere(), Profile::default()).await.unwrap();
    let mut w = World::start(PEOPLE).await;
    let route = w.route(smsc.address(), json!({"window": 20, "rate_per_second": 100})).await;
    let campaign = w.start_campaign("Stopped by nobody", &route).await;
    w.until(&campaign, |c| c["totals"]["delivered"].as_i64() >= Some(50)).await;
    let quiet = w.beside(&["--no-dispatch"]).await;
    w.program.kill();
    let starting = Program::serve(w.folder.path());
    let (stop, nothing) = (format!("{campaign}/stop"), json!({}));
    let stopping = quiet.until_taken(&stop, &nothing);
    let (program, (status, _)) = tokio::join!(starting, stopping);
    let left = smsc.count();
    w.program = program;
    assert_eq!(status, 200);
    tokio::time::sleep(A_SECOND).await;
    assert_eq!((smsc.count(), &w.get(&campaign).await["status"]), (left, &json!("stopped")));
    w.assert_check_holds();
}
