//! Data folders that older versions wrote, in the middle of things: every status, a campaign that runs, one that is
//! stopped, a pool with a pilot, suppressions, replies, messages under way when the program was killed.
//! `schema_5/carillon.db.gz` is such a folder's database; `taken.json` lists what its carrier took (number and text) or
//! did not answer. `schema_7` is of the last version before calls; what its carrier took is told by its deliveries.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    sync::{Arc, Mutex},
};

use campaign::{CampaignId, Status, Totals};
use engine::{Attempt, Batch, Connect, Engine, Report, Reports, Route, RouteState, Trouble};
use fixture::by;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{DeliveryFilter, Store, Unsent};

type Taken = Arc<Mutex<Vec<(String, String)>>>;

/// A carrier that accepts everything.
struct Carrier(Taken, Reports);

#[async_trait::async_trait]
impl Route for Carrier {
    fn state(&self) -> RouteState {
        RouteState::Connected
    }

    fn unanswered(&self) -> u32 {
        0
    }

    fn trouble(&self) -> Option<Trouble> {
        None
    }

    fn submit(&self, batch: Batch) {
        for m in batch.messages {
            let mut taken = self.0.lock().unwrap();
            taken.push((m.number.digits().to_string(), m.text.to_string()));
            let attempt = Attempt::Accepted { provider_ids: vec![format!("new{}", taken.len())] };
            self.1.send(Report::Result { job: batch.job, seq: m.seq, attempt }).unwrap();
        }
    }

    fn dial(&self, _: engine::Calls) {
        unreachable!("it carries messages alone");
    }

    async fn fence(&self, _: CampaignId) {}
}

async fn status(store: &Store, id: i64) -> Status {
    store.campaign(CampaignId(id)).await.unwrap().status
}

/// Asserts how the campaigns stand, in the order in which they were made.
async fn assert_statuses(store: &Store, statuses: &[Status]) {
    for (at, expected) in statuses.iter().enumerate() {
        assert_eq!(status(store, at as i64 + 1).await, *expected, "campaign {}", at + 1);
    }
}

async fn totals(store: &Store, id: i64) -> Totals {
    store.campaign(CampaignId(id)).await.unwrap().sum()
}

/// Takes turns for some hours, from one thing that the engine waits for to the next.
async fn run_for(engine: &mut Engine, now: &mut Timestamp, hours: i64) {
    let end = *now + SignedDuration::from_hours(hours);
    while let Some(next) = engine.cycle(*now).await.unwrap()
        && next < end
    {
        *now = (*now).max(next);
    }
    *now = end;
}

/// A folder with this database, from before `now`, and how many of its messages are in doubt.
async fn opened(packed: &[u8], now: Timestamp) -> (tempfile::TempDir, Store, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut whole).unwrap();
    std::fs::write(folder.path().join("carillon.db"), &whole).unwrap();
    let store = Store::open(folder.path()).unwrap();
    fixture::assert_sound(&store).await;
    // A copy is adopted first.
    let adopted = store.adopt(Unsent::Keep, by(now)).await.unwrap();
    (folder, store, adopted)
}

/// An engine whose carrier accepts everything, and what it has taken.
async fn running(store: &Store, now: Timestamp) -> (Engine, Taken) {
    let taken: Taken = Arc::default();
    let theirs = taken.clone();
    let connect: Connect =
        Box::new(move |_, reports, _| Arc::new(Carrier(theirs.clone(), reports)) as Arc<dyn Route>);
    (Engine::start(store.clone(), "new".into(), connect, now).await.unwrap(), taken)
}

#[tokio::test]
async fn a_folder_of_the_last_version_before_calls_runs_on_beside_a_campaign_of_calls() {
    let mut now: Timestamp = "2026-12-01T15:00:00Z".parse().unwrap();
    let (_folder, store, _) = opened(include_bytes!("schema_7/carillon.db.gz"), now).await;
    let statuses = [
        Status::Defined,
        Status::Completed,
        Status::Scheduled,
        Status::Stopped,
        Status::Archived,
        Status::Running,
        Status::Running,
    ];
    assert_statuses(&store, &statuses).await;
    let (mut engine, taken) = running(&store, now).await;
    // Whoever has a delivery, in doubt included, got that message or may have got it.
    let mut before = BTreeSet::new();
    for id in [4, 6, 7] {
        let (rows, _) = store.deliveries(CampaignId(id), DeliveryFilter::default(), 1_000).await.unwrap();
        let had =
            rows.iter().filter(|row| !matches!(row.outcome.word(), "pending" | "cancelled" | "skipped"));
        before.extend(had.map(|row| (id, row.id.message, row.number.trim_start_matches('+').to_owned())));
    }
    assert_eq!(fixture::count(totals(&store, 7).await, "in_doubt"), 7);
    store.restart(CampaignId(4), BTreeMap::new(), false, by(now)).await.unwrap();
    run_for(&mut engine, &mut now, 1).await;
    for held in [6, 7] {
        store.release(CampaignId(held), by(now)).await.unwrap();
    }
    run_for(&mut engine, &mut now, 2).await;
    for id in [4, 6, 7] {
        assert_eq!(status(&store, id).await, Status::Completed, "{id}: {:?}", totals(&store, id).await);
    }
    let taken = std::mem::take(&mut *taken.lock().unwrap());
    assert!(taken.len() > 500, "{}", taken.len());
    let mut seen = BTreeSet::new();
    for (number, text) in &taken {
        let named = [("Stopped", 4, 1), ("Pilot", 6, 1), ("Running 1", 7, 1), ("Running 2", 7, 2)];
        let (_, id, message) = *named.iter().find(|(begin, ..)| text.starts_with(begin)).unwrap();
        assert!(!before.contains(&(id, message, number.clone())), "{number} had {text} before");
        assert!(seen.insert((id, message, number.clone())), "{number} got {text} twice");
        assert_ne!(number, "12025550003", "it is blocked");
    }
    // The same people can be called now.
    let config =
        json!({"name": "Trunk", "kind": "sip", "host": "trunk.example", "numbers": ["+12025550100"]});
    let route = store.create_route(serde_json::from_value(config).unwrap(), by(now)).await.unwrap().id;
    let list = store.lists().await.unwrap()[0].0;
    let script = json!({"first": "bye", "steps": {"bye": {"hang_up": true}}});
    let calls = json!({"channel": "voice", "name": "Calls", "route_id": route, "caller_id": "+12025550100", "purpose": "care",
        "list_ids": [list], "opt_in_acknowledged": true, "start": {"at": "2027-01-01T15:00:00Z"}, "script": script});
    let id = store.create_campaign(serde_json::from_value(calls).unwrap(), by(now)).await.unwrap().id;
    store.schedule(id, by(now)).await.unwrap();
    assert_eq!(status(&store, id.0).await, Status::Scheduled);
    fixture::assert_sound(&store).await;
}

#[tokio::test]
async fn a_folder_of_schema_5_opens_and_runs_on_and_nobody_gets_anything_twice() {
    let mut now: Timestamp = "2026-11-26T15:00:00Z".parse().unwrap();
    let (_folder, store, adopted) = opened(include_bytes!("schema_5/carillon.db.gz"), now).await;
    assert_eq!(adopted, 4);
    let statuses = [
        Status::Defined,
        Status::Completed,
        Status::Scheduled,
        Status::Stopped,
        Status::Archived,
        Status::Archived,
        Status::Running,
        Status::Running,
    ];
    assert_statuses(&store, &statuses).await;
    let suppressed = store.suppressions(None, 10).await.unwrap();
    assert_eq!(suppressed.len(), 3, "two blocks and an opt-out");
    assert_eq!(store.reply_count(CampaignId(2)).await.unwrap(), 2);
    let before: Vec<(String, String)> = serde_json::from_str(include_str!("schema_5/taken.json")).unwrap();

    // What was under way when it was killed is in doubt, and is not sent again.
    let (mut engine, taken) = running(&store, now).await;
    assert_eq!(fixture::count(totals(&store, 8).await, "in_doubt"), 4);
    store.restart(CampaignId(4), BTreeMap::new(), false, by(now)).await.unwrap();
    run_for(&mut engine, &mut now, 1).await;
    // The program was away for longer than the running campaigns may be late.
    store.release(CampaignId(8), by(now)).await.unwrap();
    run_for(&mut engine, &mut now, 1).await;
    assert_eq!((status(&store, 4).await, status(&store, 8).await), (Status::Completed, Status::Completed));
    assert_eq!(fixture::count(totals(&store, 7).await, "pending"), 35, "the rest of the pilot is still held");
    store.release(CampaignId(7), by(now)).await.unwrap();
    run_for(&mut engine, &mut now, 1).await;
    assert_eq!(status(&store, 7).await, Status::Completed);
    assert_eq!(status(&store, 3).await, Status::Scheduled);
    fixture::assert_sound(&store).await;

    let all: Vec<(String, String)> = before.iter().cloned().chain(taken.lock().unwrap().drain(..)).collect();
    let distinct: BTreeSet<&(String, String)> = all.iter().collect();
    assert_eq!(all.len(), distinct.len(), "somebody got a message twice");
    assert!(all.len() > before.len() + 500, "{} and {} before", all.len(), before.len());
    // Numbers that were blocked or opted out before got nothing afterwards.
    for (number, _) in suppressed {
        let digits = number.digits().to_string();
        assert!(!all[before.len()..].iter().any(|(to, _)| *to == digits), "{number}");
    }
}
