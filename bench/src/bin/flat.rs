//! Flat in size: from request to answer of schedule, stop and restart, for a small and a large audience; and
//! Stop while another campaign's audience is being frozen.
//! `cargo run --release -p bench --bin flat [LARGE] [SMALL]`

use std::time::{Duration, Instant};

use bench::{
    Smsc, argument, by, campaign, count, engine, folder, line, list, percentiles, route, say_machine,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::Store;

/// How often each size is measured.
const TIMES: usize = 5;
/// How many stops to measure while something is frozen.
const STOPS: usize = 100;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (large, small) = (argument(1, 1_000_000)?, argument(2, 1_000)?);
    say_machine();
    let smsc = Smsc::start(false)?;
    let folder = folder()?;
    let store = Store::open(folder.path())?;
    let way = route(&store, smsc.port, 100).await?;
    let lists = [(small, list(&store, "Small", small).await?), (large, list(&store, "Large", large).await?)];
    let handle = engine(&store).await?;
    line(&[&"recipients", &"schedule ms", &"recipients/s", &"stop ms", &"restart ms"]);
    let mut medians = Vec::new();
    for (people, list) in lists {
        let (mut schedules, mut stops, mut restarts) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..TIMES {
            let id = campaign(&store, &format!("{people} {turn}"), (list, way), json!({"now": true})).await?;
            let began = Instant::now();
            store.schedule(id, by()).await?;
            schedules.push(began.elapsed());
            // In mid-run.
            while count(&store, id, "sent").await? < people.min(2_000) / 4 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let began = Instant::now();
            match handle.stop(id, by()).await {
                Ok(()) => stops.push(began.elapsed()),
                // A small campaign may have completed meanwhile.
                Err(store::StoreError::NotAllowed(_)) => continue,
                Err(e) => return Err(e.into()),
            }
            let began = Instant::now();
            store.restart(id, std::collections::BTreeMap::new(), false, by()).await?;
            restarts.push(began.elapsed());
            let _ = handle.stop(id, by()).await;
        }
        let [schedule, stop, restart] = [schedules, stops, restarts].map(|times| percentiles(times).0);
        let per_second = (people as f64 / schedule * 1e3) as i64;
        let shown = |ms: f64| format!("{ms:.1}");
        line(&[&people, &shown(schedule), &per_second, &shown(stop), &shown(restart)]);
        medians.push((stop, restart));
    }
    println!(
        "large / small: stop {:.1}, restart {:.1}",
        medians[1].0 / medians[0].0,
        medians[1].1 / medians[0].1
    );

    // Stops of small campaigns while a large audience is frozen again and again.
    let freezing = store.clone();
    let (_, big) = lists[1];
    let freezer = tokio::spawn(async move {
        for turn in 0.. {
            let later = (Timestamp::now() + SignedDuration::from_hours(24)).to_string();
            let id = campaign(&freezing, &format!("frozen {turn}"), (big, way), json!({"at": later})).await?;
            freezing.schedule(id, by()).await?;
        }
        anyhow::Ok(())
    });
    let mut stops = Vec::new();
    for turn in 0..STOPS {
        let later = (Timestamp::now() + SignedDuration::from_hours(24)).to_string();
        let id =
            campaign(&store, &format!("stopped {turn}"), (lists[0].1, way), json!({"at": later})).await?;
        store.schedule(id, by()).await?;
        store.adjust(id, 1, serde_json::from_value(json!({"now": true}))?, by()).await?;
        while store.campaign(id).await?.status == campaign::Status::Scheduled {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let began = Instant::now();
        if handle.stop(id, by()).await.is_ok() {
            stops.push(began.elapsed());
        }
    }
    anyhow::ensure!(!freezer.is_finished(), "the freezing ended early: {:?}", freezer.await);
    freezer.abort();
    let count = stops.len();
    let (p50, p99) = percentiles(stops);
    println!("stop while {large} recipients are frozen: p50 {p50:.1} ms, p99 {p99:.1} ms ({count} stops)");
    Ok(())
}
