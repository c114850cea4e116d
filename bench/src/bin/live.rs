//! How long a change of a campaign's status takes to reach an open page while another campaign sends 10,000
//! messages a second.
//! `cargo build --release -p bench && cargo run --release -p bench --bin live [MESSAGES]`

use std::time::{Duration, Instant};

use bench::{Smsc, argument, by, campaign, count, engine, folder, list, percentiles, say_machine};
use futures::StreamExt;
use serde_json::json;
use server::App;
use store::{Role, Store};

const WINDOW: u32 = 500;
const RATE: u32 = 10_000;
/// How many changes are watched.
const CHANGES: usize = 30;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let people = argument(1, 200_000)?;
    say_machine();
    let smsc = Smsc::start(true)?;
    let folder = folder()?;
    let store = Store::open(folder.path())?;
    let config = json!({"name": "Carrier", "kind": "smpp", "host": "127.0.0.1", "port": smsc.port, "system_id": "us",
        "password": "secret", "window": WINDOW, "rate_per_second": RATE});
    let route = store.create_route(serde_json::from_value(config)?, by()).await?.id;
    let (many, few) = (list(&store, "Many", people).await?, list(&store, "Few", 10).await?);
    let handle = engine(&store).await?;
    store.add_token("bench".into(), Role::Viewer, "token", by()).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/api/v1/events", listener.local_addr()?);
    let app = App::new(store.clone());
    let _ = app.engine.set(handle);
    tokio::spawn(server::serve(listener, app));
    let busy = campaign(&store, "Busy", (many, route), json!({"now": true})).await?;
    let mut watched = Vec::new();
    for n in 0..CHANGES {
        let later = json!({"at": "2099-01-01T10:00:00Z"});
        watched.push(campaign(&store, &format!("Watched {n}"), (few, route), later).await?);
    }
    let mut page = reqwest::Client::new().get(url).bearer_auth("token").send().await?.bytes_stream();
    store.schedule(busy, by()).await?;
    while count(&store, busy, "delivered").await? < i64::from(RATE) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (began, before) = (Instant::now(), count(&store, busy, "pending").await?);
    let mut delays = Vec::new();
    let mut heard = String::new();
    for id in watched {
        store.schedule(id, by()).await?;
        let changed = Instant::now();
        let (named, status) = (format!("\"id\":\"{id}\""), "\"status\":\"scheduled\"");
        while !heard.lines().any(|line| line.contains(&named) && line.contains(status)) {
            let Some(part) = page.next().await else { anyhow::bail!("the stream ended") };
            heard.push_str(&String::from_utf8_lossy(&part?));
        }
        delays.push(changed.elapsed());
        // Only an unfinished last line is looked at again.
        heard = heard.rsplit('\n').next().unwrap_or_default().to_owned();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let sent = before - count(&store, busy, "pending").await?;
    println!("{:.0} messages/s meanwhile", sent as f64 / began.elapsed().as_secs_f64());
    let (p50, p99) = percentiles(delays);
    println!("a change of status reaches an open page in {p50:.0} ms (p50), {p99:.0} ms (p99)");
    Ok(())
}
