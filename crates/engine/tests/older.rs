//! A data folder that an older version wrote, in the middle of things: every status, a campaign that runs, one that is
//! stopped, a pool with a pilot, suppressions, replies, messages under way when the program was killed.
//! `schema_5/carillon.db.gz` is the folder's database; `taken.json` lists what its carrier took (number and text) or
//! did not answer.

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
use store::{Store, Unsent};

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

#[tokio::test]
async fn a_folder_of_schema_5_opens_and_runs_on_and_nobody_gets_anything_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("carillon.db");
    let mut whole = Vec::new();
    flate2::read::GzDecoder::new(&include_bytes!("schema_5/carillon.db.gz")[..])
        .read_to_end(&mut whole)
        .unwrap();
    std::fs::write(&file, &whole).unwrap();

    let store = Store::open(folder.path()).unwrap();
    fixture::assert_sound(&store).await;
    let mut now: Timestamp = "2026-11-26T15:00:00Z".parse().unwrap();
    // A copy is adopted first; what was under way when the program was killed is in doubt.
    assert_eq!(store.adopt(Unsent::Keep, by(now)).await.unwrap(), 4);
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
    for (at, expected) in statuses.into_iter().enumerate() {
        assert_eq!(status(&store, at as i64 + 1).await, expected, "campaign {}", at + 1);
    }
    let suppressed = store.suppressions(None, 10).await.unwrap();
    assert_eq!(suppressed.len(), 3, "two blocks and an opt-out");
    assert_eq!(store.reply_count(CampaignId(2)).await.unwrap(), 2);
    let before: Vec<(String, String)> = serde_json::from_str(include_str!("schema_5/taken.json")).unwrap();

    // What was under way when it was killed is in doubt, and is not sent again.
    let taken: Taken = Arc::default();
    let theirs = taken.clone();
    let connect: Connect =
        Box::new(move |_, reports, _| Arc::new(Carrier(theirs.clone(), reports)) as Arc<dyn Route>);
    let mut engine = Engine::start(store.clone(), "new".into(), connect, now).await.unwrap();
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
