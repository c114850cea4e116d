//! What an answer costs with a million deliveries and contacts and ten thousand campaigns, beside the same with
//! a hundredth of them: API and screens, over HTTP, one request at a time.
//! `cargo run --release -p bench --bin reads [LARGE] [SMALL]`

use std::time::Instant;

use bench::{
    Smsc, argument, by, campaign, count, engine, folder, line, list, number, percentiles, route, say_machine,
};
use serde_json::json;
use server::App;
use store::Store;

/// How many requests are made for each page.
const REQUESTS: usize = 300;
/// How many contacts there are for each campaign.
const PEOPLE_A_CAMPAIGN: i64 = 100;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (large, small) = (argument(1, 1_000_000)?, argument(2, 10_000)?);
    say_machine();
    println!("{:>31} {:>12} {:>9} {:>9}", "", "deliveries", "p50 ms", "p99 ms");
    let mut medians = Vec::new();
    for people in [small, large] {
        medians.push(measure(people).await?);
    }
    for (at, (name, _)) in medians[0].iter().enumerate() {
        println!("{name}: large / small {:.2}", medians[1][at].1 / medians[0][at].1);
    }
    Ok(())
}

async fn measure(people: i64) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let smsc = Smsc::start(false)?;
    let folder = folder()?;
    let store = Store::open(folder.path())?;
    let places = (list(&store, "All", people).await?, route(&store, smsc.port, 500).await?);
    let handle = engine(&store).await?;
    let id = campaign(&store, "Read", places, json!({"now": true})).await?;
    store.schedule(id, by()).await?;
    while count(&store, id, "sent").await? < people {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for n in 0..people / PEOPLE_A_CAMPAIGN {
        campaign(&store, &format!("Campaign {n}"), places, json!({"now": true})).await?;
    }
    store.add_token("bench".into(), store::Role::Viewer, "token", by()).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let app = App::new(store);
    let _ = app.engine.set(handle);
    tokio::spawn(server::serve(listener, app));
    let client = reqwest::Client::new();
    let middle = people / 2;
    // Digits that no number begins with: they are found by looking through the audience.
    let last = number(people - 1).digits();
    let pages = [
        ("campaign", format!("/api/v1/campaigns/{id}")),
        ("index", "/api/v1/campaigns".into()),
        ("deliveries, first page", format!("/api/v1/campaigns/{id}/deliveries")),
        ("deliveries, middle page", format!("/api/v1/campaigns/{id}/deliveries?cursor=1-{middle}")),
        ("deliveries, by outcome", format!("/api/v1/campaigns/{id}/deliveries?outcome=sent")),
        ("deliveries, none of it", format!("/api/v1/campaigns/{id}/deliveries?outcome=failed")),
        ("screen: index", "/".into()),
        ("screen: index by name", "/?sort=name".into()),
        ("screen: index by list", "/?sort=list".into()),
        ("screen: index by progress", "/?sort=progress".into()),
        ("screen: search, a full page", "/?q=campaign".into()),
        ("screen: search, one of all", "/?q=read".into()),
        ("screen: details", format!("/campaigns/{id}")),
        ("screen: recipients", format!("/campaigns/{id}/recipients")),
        (
            "screen: recipients, one number",
            format!("/campaigns/{id}/recipients?q={}", number(middle).digits()),
        ),
        ("screen: recipients, a stretch", format!("/campaigns/{id}/recipients?q={}", last % 10_000_000)),
        ("screen: contacts", "/contacts".into()),
        ("screen: contacts by name", format!("/contacts?q=ana{}", middle / 10)),
        ("screen: a person", format!("/contacts/{}", number(middle))),
        ("screen: a list", "/contacts/lists/lst_1".into()),
    ];
    let mut medians = Vec::new();
    for (name, path) in pages {
        let url = format!("{base}{path}");
        let mut times = Vec::with_capacity(REQUESTS);
        for _ in 0..REQUESTS {
            let began = Instant::now();
            let answer = client.get(&url).bearer_auth("token").send().await?.error_for_status()?;
            answer.bytes().await?;
            times.push(began.elapsed());
        }
        let (p50, p99) = percentiles(times);
        println!("{name:>31} {people:>12} {p50:>9.2} {p99:>9.2}");
        medians.push((name, p50));
    }
    line(&[&""]);
    Ok(medians)
}
