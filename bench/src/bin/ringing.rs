//! Stop while calls ring: how soon it answers, and which INVITEs reach the far end after that. The far end is a bare socket
//! whose phones ring and are never answered; beside them, some say nothing at all, so that their INVITEs are being repeated.
//! `cargo run --release -p bench --bin ringing [RINGING] [TIMES]`

use std::{
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

use bench::{
    argument, by, calls, count, folder, line, list,
    machine::{ensure_idle, say_machine},
    phone::{Manner, Phones},
};
use store::Store;

/// Each eleventh phone says nothing: to 500 that ring come 50.
const SILENT: u64 = 11;
/// For how long what reaches the far end after a stop is counted: within it, an INVITE that is not withdrawn is repeated
/// four times more (RFC 3261 §17.1.1.2: after 0.5, 1.5, 3.5 and 7.5 s).
const WATCHED: Duration = Duration::from_secs(8);
/// The longest wait until all of them ring.
const RING_WITHIN: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (ringing, times) = (argument(1, 500)?, argument(2, 5)?);
    ensure_idle()?;
    say_machine();
    let at_once = ringing + ringing / (SILENT as i64 - 1);
    println!("{ringing} calls ring, {} phones are silent, as many people again wait", at_once - ringing);
    let phones = Phones::start(Manner::Ring { silent: SILENT })?;
    let folder = folder()?;
    let store = Store::open(folder.path())?;
    // More people than can be called at once: some still wait for their call.
    let people = list(&store, "All", at_once * 2).await?;
    let route = calls::trunk(&store, phones.port, 500, at_once).await?;
    let handle = calls::engine(&store, route).await?;
    line(&[&"stop", &"ms", &"CANCELs", &"INVITEs after it"]);
    let (mut stops, mut after_all) = (Vec::new(), 0);
    for turn in 1..=times {
        let name = format!("Bench {turn}");
        let id = calls::campaign(&store, &name, (people, route), (500, at_once)).await?;
        let (called, cancelled) = (phones.seen.calls.load(SeqCst), phones.seen.cancels.load(SeqCst));
        store.schedule(id, by()).await?;
        let began = Instant::now();
        let all = called + at_once as u64;
        while i64::from(handle.live(id).count(engine::Phase::Ringing)) < ringing
            || phones.seen.calls.load(SeqCst) < all
        {
            anyhow::ensure!(
                began.elapsed() < RING_WITHIN,
                "{} ring, of {} called",
                handle.live(id).count(engine::Phase::Ringing),
                phones.seen.calls.load(SeqCst) - called
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let asked = Instant::now();
        handle.stop(id, by()).await?;
        let answered = asked.elapsed();
        let invites = phones.seen.invites.load(SeqCst);
        tokio::time::sleep(WATCHED).await;
        let after = phones.seen.invites.load(SeqCst) - invites;
        let cancels = phones.seen.cancels.load(SeqCst) - cancelled;
        let ms = answered.as_secs_f64() * 1e3;
        line(&[&turn, &format!("{ms:.1}"), &cancels, &after]);
        stops.push(ms);
        after_all += after;
        let left = count(&store, id, "cancelled").await?;
        anyhow::ensure!(left == at_once * 2, "{left} of {} are cancelled", at_once * 2);
    }
    let worst = stops.iter().copied().fold(0.0, f64::max);
    println!("slowest answer {worst:.1} ms (goal: under 1,000), INVITEs after it: {after_all} (goal: 0)");
    Ok(())
}
