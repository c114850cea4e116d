//! End to end and durable (claim, render, submit, response, receipt, tally) on SQLite, in messages a second,
//! beside the bare client without a store, and Kannel, against the same SMSC in a process of its own.
//! `cargo build --release -p bench && cargo run --release -p bench --bin dispatch [MESSAGES [carillon]]`

use std::{
    fmt::Write as _,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use bench::{Smsc, argument, by, campaign, count, engine, folder, line, list, number, route, say_machine};
use campaign::{CampaignId, ClaimId, RouteId, Sender};
use engine::{Batch, Job, Outgoing, Report, Route, RouteState};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sms::SmppRoute;
use store::{OptOuts, Store};

const WINDOW: u32 = 500;
/// The number of messages in a batch, as in the engine's claims.
const BATCH: i64 = 500;
/// Kannel takes fewer, so that a run ends.
const KANNEL_SHARE: i64 = 5;
const HTTP_AT_ONCE: usize = 50;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let messages = argument(1, 100_000)?;
    // A profiler looks at one of them.
    if std::env::args().nth(2).as_deref() == Some("carillon") {
        println!("{:.0}", durable(messages, false).await?);
        return Ok(());
    }
    say_machine();
    println!("{messages} messages, 1 bind, window {WINDOW}; Kannel: {}", messages / KANNEL_SHARE);
    line(&[&"", &"messages/s", &"of bare"]);
    let bare = bare(messages).await?;
    line(&[&"bare client", &(bare as i64), &"1.00"]);
    let limited = durable(messages, true).await?;
    let durable = durable(messages, false).await?;
    line(&[&"carillon", &(durable as i64), &format!("{:.2}", durable / bare)]);
    line(&[&"with a limit a person", &(limited as i64), &format!("{:.2}", limited / bare)]);
    println!("with a limit / without: {:.2}", limited / durable);
    match kannel(messages / KANNEL_SHARE).await {
        Ok(rate) => {
            line(&[&"kannel", &(rate as i64), &format!("{:.2}", rate / bare)]);
            println!("carillon / kannel: {:.1}", durable / rate);
        }
        Err(e) => println!("kannel: {e:#}"),
    }
    Ok(())
}

fn rate(messages: i64, since: Instant) -> f64 {
    messages as f64 / since.elapsed().as_secs_f64()
}

/// The SMPP client alone: batches in, results and receipts out.
async fn bare(messages: i64) -> anyhow::Result<f64> {
    let smsc = Smsc::start(true)?;
    let config = serde_json::from_value(json!({"name": "Carrier", "kind": "smpp", "host": "127.0.0.1",
        "port": smsc.port, "system_id": "us", "password": "secret", "window": WINDOW}))?;
    let (reports, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let link = SmppRoute::start(RouteId(1), &config, reports, OptOuts::default());
    while link.state() != RouteState::Connected {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let sender = Arc::new(Sender::try_from("+12025550199".to_owned())?);
    let send_before = Timestamp::now() + SignedDuration::from_hours(1);
    let began = Instant::now();
    let (mut handed, mut answered, mut receipts) = (0, 0, 0);
    while receipts < messages {
        while handed < messages && handed - answered < i64::from(4 * WINDOW) {
            let messages: Vec<Outgoing> = (handed..messages.min(handed + BATCH))
                .map(|seq| {
                    let text = format!("Hello Ana{seq}, your appointment is tomorrow at 10:00.");
                    Outgoing { seq, sender: sender.clone(), number: number(seq), text: text.into() }
                })
                .collect();
            handed += messages.len() as i64;
            let claim = ClaimId(handed);
            link.submit(Batch {
                job: Job::Claim { campaign: CampaignId(1), claim },
                send_before,
                purpose: "".into(),
                validity: None,
                tlvs: Arc::default(),
                messages,
            });
        }
        match heard.recv().await {
            Some(Report::Result { .. }) => answered += 1,
            Some(Report::Receipt(_, ack)) => {
                receipts += 1;
                ack.stored();
            }
            Some(_) => {}
            None => anyhow::bail!("the client ended"),
        }
    }
    Ok(rate(messages, began))
}

/// Everything, on SQLite; if `limited`, with a communication limit that nobody reaches.
async fn durable(messages: i64, limited: bool) -> anyhow::Result<f64> {
    let smsc = Smsc::start(true)?;
    let folder = folder()?;
    let store = Store::open(folder.path())?;
    if limited {
        let limit =
            json!({"answers": {"en": {"opt_out": "", "help": ""}}, "limit": {"messages": 3, "per": "P7D"}});
        store.change_settings(serde_json::from_value(limit)?, by()).await?;
    }
    let places = (list(&store, "All", messages).await?, route(&store, smsc.port, WINDOW).await?);
    let handle = engine(&store).await?;
    let id = campaign(&store, "Bench", places, json!({"now": true})).await?;
    while handle.route_state(places.1) != Some(RouteState::Connected) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    store.schedule(id, by()).await?;
    let began = Instant::now();
    while count(&store, id, "delivered").await? < messages {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(rate(messages, began))
}

/// A running Kannel box.
struct KannelBox(Child);

impl Drop for KannelBox {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Kannel (Debian package `kannel`): HTTP in, SMPP out, without receipts, which is in its favour.
async fn kannel(messages: i64) -> anyhow::Result<f64> {
    let smsc = Smsc::start(false)?;
    let folder = folder()?;
    let [admin, inner, http] = [free_port()?, free_port()?, free_port()?];
    let mut conf = String::new();
    write!(
        conf,
        "group = core\nadmin-port = {admin}\nadmin-password = x\nsmsbox-port = {inner}\nlog-level = 4\nbox-allow-ip = 127.0.0.1\n\
         store-type = file\nstore-location = {store}\n\n\
         group = smsc\nsmsc = smpp\nhost = 127.0.0.1\nport = {port}\ntransceiver-mode = 1\nsmsc-username = us\n\
         smsc-password = secret\nsystem-type = bench\nmax-pending-submits = {WINDOW}\n\n\
         group = smsbox\nbearerbox-host = 127.0.0.1\nsendsms-port = {http}\nlog-level = 4\n\n\
         group = sendsms-user\nusername = u\npassword = p\nmax-messages = 10\n",
        store = folder.path().canonicalize()?.join("store").display(),
        port = smsc.port,
    )?;
    let file = folder.path().join("kannel.conf");
    std::fs::write(&file, conf)?;
    let _bearer = kannel_box("bearerbox", &file)?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _sms = kannel_box("smsbox", &file)?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let client = reqwest::Client::new();
    let began = Instant::now();
    let sends = futures::stream::iter(0..messages).map(|i| {
        let (client, to) = (client.clone(), number(i).digits());
        let url = format!(
            "http://127.0.0.1:{http}/cgi-bin/sendsms?username=u&password=p&from=12025550199&to={to}&\
             text=Hello+Ana{i},+your+appointment+is+tomorrow+at+10:00."
        );
        async move { client.get(url).send().await.is_ok_and(|r| r.status().is_success()) }
    });
    let taken =
        sends.buffer_unordered(HTTP_AT_ONCE).filter(|ok| std::future::ready(*ok)).count().await as i64;
    anyhow::ensure!(taken == messages, "it took {taken} of {messages}");
    // Its status page says when all messages have left.
    let status = format!("http://127.0.0.1:{admin}/status.txt");
    loop {
        let text = client.get(&status).send().await?.text().await?;
        if text.contains(&format!("sent {messages} (")) || text.contains(&format!("sent {messages}\n")) {
            return Ok(rate(messages, began));
        }
        anyhow::ensure!(began.elapsed() < Duration::from_secs(300), "it came to no end: {text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn kannel_box(name: &str, conf: &Path) -> anyhow::Result<KannelBox> {
    let path =
        ["/usr/sbin", "/usr/lib/kannel"].iter().map(|dir| Path::new(dir).join(name)).find(|p| p.exists());
    let path =
        path.ok_or_else(|| anyhow::anyhow!("not measured: Debian's package kannel is not installed"))?;
    let child = Command::new(path).arg(conf).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    Ok(KannelBox(child))
}
