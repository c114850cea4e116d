//! What the benches share: tables, searches, data of any size, an SMSC in a process of its own; in modules, the machine,
//! and what benches of calls need beside it.

pub mod calls;
pub mod machine;
pub mod phone;
pub mod sipp;
pub mod sound;

use std::{
    fmt::Display,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use campaign::{CampaignId, ListId, Msisdn, RouteId};
use engine::{Connect, Engine, Handle};
use jiff::Timestamp;
use serde_json::{Value, json};
use sms::SmppRoute;
use store::{By, ImportChunk, NewContact, RouteKind, Store};

pub use machine::say_machine;

/// As in the program: every bench measures with it, those of other libraries too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many contacts are stored together.
const CHUNK: i64 = 5_000;

/// The `nth` argument, a number; `default` if it is left out.
pub fn argument(nth: usize, default: i64) -> anyhow::Result<i64> {
    Ok(std::env::args().nth(nth).map_or(Ok(default), |n| n.parse())?)
}

/// A folder for the data of one run: on the disk of the builds, as memory would not be a fair place, and out of the way
/// if the run is killed.
pub fn folder() -> anyhow::Result<tempfile::TempDir> {
    std::fs::create_dir_all("target")?;
    Ok(tempfile::tempdir_in("target")?)
}

/// A line of a table.
pub fn line(cells: &[&dyn Display]) {
    let cells: Vec<String> = cells.iter().map(|c| format!("{c:>16}")).collect();
    println!("{}", cells.join(" "));
}

/// The median and the 99th percentile, in milliseconds.
pub fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).map_or(0.0, |t| t.as_secs_f64() * 1e3);
    (at(50), at(99))
}

/// The highest of `from`, `from` + `step` … up to `to` that `passes`, found by halves; none where `from` does not. What does
/// not pass is tried once more: a machine may stumble once.
pub fn highest(
    (from, to, step): (i64, i64, i64),
    mut passes: impl FnMut(i64) -> anyhow::Result<bool>,
) -> anyhow::Result<Option<i64>> {
    let mut passes = |value| Ok::<_, anyhow::Error>(passes(value)? || passes(value)?);
    if !passes(from)? {
        return Ok(None);
    }
    // The lower bound passes, the upper one does not or is beyond the range.
    let (mut low, mut high) = (0, (to - from).max(0) / step + 1);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if passes(from + middle * step)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(Some(from + low * step))
}

/// The person who runs the bench, now.
pub fn by() -> By {
    By::new("bench", Timestamp::now())
}

/// The `i`th of the numbers that a person could have.
pub fn number(i: i64) -> Msisdn {
    Msisdn::from_digits(12_022_000_000 + i)
}

/// Stores a list of `people`; each has a first name.
pub async fn list(store: &Store, name: &str, people: i64) -> anyhow::Result<ListId> {
    let list = store.create_list(name.into(), by()).await?;
    let import = store.begin_import(list, by()).await?;
    let store = store.clone();
    tokio::task::spawn_blocking(move || {
        for from in (0..people).step_by(CHUNK as usize) {
            let contacts = (from..people.min(from + CHUNK))
                .map(|i| NewContact {
                    number: number(i),
                    zones: Some("America/New_York".into()),
                    fields: Some(format!(r#"{{"first_name":"Ana{i}"}}"#)),
                    consent: None,
                })
                .collect();
            store.import_chunk(
                import,
                ImportChunk { contacts, ..ImportChunk::default() },
                Timestamp::now(),
            )?;
        }
        store.end_import(import, Vec::new(), None)?;
        store.index_names()
    })
    .await??;
    Ok(list)
}

/// Stores a route to an SMSC.
pub async fn route(store: &Store, port: u16, window: u32) -> anyhow::Result<RouteId> {
    let config = json!({"name": "Carrier", "kind": "smpp", "host": "127.0.0.1", "port": port, "system_id": "us",
        "password": "secret", "window": window, "rate_per_second": 10_000_000});
    Ok(store.create_route(serde_json::from_value(config)?, by()).await?.id)
}

/// Saves a campaign.
pub async fn campaign(
    store: &Store,
    name: &str,
    (list, route): (ListId, RouteId),
    send: Value,
) -> anyhow::Result<CampaignId> {
    let definition = json!({"channel": "sms", "name": name, "route_id": route, "sender": "+12025550199",
        "list_ids": [list], "opt_in_acknowledged": true, "window": null,
        "messages": [{"text": "Hello {{ first_name }}, your appointment is tomorrow at 10:00.", "send": send}]});
    let made = store.create_campaign(serde_json::from_value(definition)?, by()).await?;
    Ok(made.id)
}

/// An engine with SMPP routes, running.
pub async fn engine(store: &Store) -> anyhow::Result<Handle> {
    let connect: Connect = Box::new(|route, reports, opt_outs| {
        let RouteKind::Smpp(smpp) = &route.config.kind else {
            unreachable!("the benches of messages have no trunk")
        };
        Arc::new(SmppRoute::start(route.id, smpp, reports, opt_outs))
    });
    let engine = Engine::start(store.clone(), "bench".into(), connect, Timestamp::now()).await?;
    let handle = engine.handle();
    tokio::spawn(engine.run());
    Ok(handle)
}

/// An SMSC (`smpp34`'s server) in a process of its own. Dropping it ends it.
pub struct Smsc {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Smsc {
    /// Starts an SMSC, with or without receipts.
    pub fn start(receipts: bool) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let beside = std::env::current_exe()?.with_file_name("smsc");
        anyhow::ensure!(beside.exists(), "build all of it first: cargo build --release -p bench");
        let child = Command::new(beside)
            .args([port.to_string(), receipts.to_string()])
            .stdout(Stdio::null())
            .spawn()?;
        let end = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            anyhow::ensure!(Instant::now() < end, "the SMSC did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { child, port })
    }
}

impl Drop for Smsc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Peak memory of this process, in MiB (Linux).
pub fn peak_memory() -> u64 {
    machine::memory("VmHWM") / 1024
}

/// The space that files take.
pub fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

/// How many deliveries of a campaign stand at the place of this word.
pub async fn count(store: &Store, id: CampaignId, word: &str) -> anyhow::Result<i64> {
    let place = campaign::outcome::Place::from_word(word);
    let place = place.ok_or_else(|| anyhow::anyhow!("{word} is no place"))?;
    Ok(store.campaign(id).await?.sum()[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_that_passes_is_found_whatever_it_is() {
        for most in (0..=1_000).step_by(50) {
            let found = highest((300, 900, 100), |value| Ok(value <= most)).unwrap_or_default();
            assert_eq!(found, (most >= 300).then(|| (most / 100 * 100).min(900)), "{most}");
        }
    }

    #[test]
    fn one_stumble_is_forgiven() {
        let mut stumbles = std::collections::HashSet::new();
        let found = highest((100, 900, 100), |value| Ok(value <= 500 && !stumbles.insert(value)));
        assert_eq!(found.unwrap_or_default(), Some(500));
    }

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = (0..200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentiles(times), (100.0, 198.0));
        assert_eq!(percentiles(Vec::new()), (0.0, 0.0));
    }
}
