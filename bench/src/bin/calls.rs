//! Calls set up, a second: INVITE, 200, ACK, BYE, with every outcome on the disk, beside bare `rsipstack` without a campaign,
//! against `sipp -sn uas`. For each, the highest rate in steps of 100 at which every call succeeds.
//! `cargo run --release -p bench --bin calls [FROM] [TO] [SECONDS]`
//!
//! Each trial is a process of its own, so that none inherits another's memory or transactions (they linger for 32 s); it
//! is this program again, with `bare` or `carillon` as its first argument.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bench::{
    argument, by, calls, count, folder, highest, line, list,
    machine::{cores, cpu, ensure_idle, memory, say_machine},
    number,
    sipp::{self, Sipp},
};
use rsipstack::{
    EndpointBuilder,
    dialog::{dialog_layer::DialogLayer, invitation::InviteOption},
    sip::{Header, StatusCodeKind, Uri},
    transport::{TransportLayer, udp::UdpConnection},
};
use serde::{Deserialize, Serialize};
use store::Store;
use tokio_util::sync::CancellationToken;
use voice::sdp::{self, Codec, Local};

const STEP: i64 = 100;
/// How much longer than planned a trial may take: what takes longer does not keep its rate.
const SLACK: f64 = 1.05;
/// After how many times its length a trial is given up.
const GIVEN_UP: f64 = 2.0;
/// From this many cores on, `sipp`, which is one thread, is the limit.
const SIPP_IS_FULL: f64 = 0.9;
/// `sipp` counts once a second.
const COUNTED_WITHIN: Duration = Duration::from_millis(1_200);
/// As in the product: a burst of answers must find room.
const RECEIVE_BUFFER: usize = 4 << 20;
/// The most calls of a trunk at once.
const MOST_CALLS: i64 = 20_000;

/// What a trial came to.
#[derive(Debug, Serialize, Deserialize)]
struct Trial {
    succeeded: i64,
    /// From the first call's beginning to the last one's end.
    seconds: f64,
    /// Processor time.
    cpu: f64,
    /// How much more memory was held at the peak than before the first call.
    kib: u64,
    /// What calls came to that did not succeed.
    failures: BTreeMap<String, i64>,
}

/// A trial, and what `sipp` took for it.
struct Tried {
    rate: i64,
    trial: Trial,
    sipp_cores: f64,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [side, rate, seconds, port] = words.as_slice() {
        let (rate, seconds, port) = (rate.parse()?, seconds.parse()?, port.parse()?);
        let runtime = tokio::runtime::Runtime::new()?;
        let trial = runtime.block_on(async {
            if side == "bare" { bare(rate, seconds, port).await } else { carillon(rate, seconds, port).await }
        })?;
        println!("{}", serde_json::to_string(&trial)?);
        // What still lingers is of no use to anybody.
        std::process::exit(0);
    }
    let (from, to, seconds) = (argument(1, 1_000)?, argument(2, 20_000)?, argument(3, 6)?);
    sipp::ensure_installed()?;
    ensure_idle()?;
    say_machine();
    println!("{seconds} s a rate, from {from} to {to} calls/s; against sipp -sn uas");
    let mut best = Vec::new();
    for side in ["bare", "carillon"] {
        let (mut highest_good, mut lowest_bad): (Option<Tried>, Option<Tried>) = (None, None);
        highest((from, to, STEP), |rate| {
            let (good, tried) = trial(side, rate, seconds)?;
            if good && highest_good.as_ref().is_none_or(|known| known.rate < rate) {
                highest_good = Some(tried);
            } else if !good && lowest_bad.as_ref().is_none_or(|known| known.rate >= rate) {
                lowest_bad = Some(tried);
            }
            Ok(good)
        })?;
        println!("{side}: {}", limit(lowest_bad.as_ref(), to));
        best.extend(highest_good.map(|tried| (side, tried)));
    }
    line(&[&"", &"calls/s", &"of bare", &"ms CPU a call", &"KiB a call", &"sipp, cores"]);
    let bare = best.iter().find(|(side, _)| *side == "bare").map(|(_, tried)| tried.rate as f64);
    for (side, Tried { rate, trial, sipp_cores }) in &best {
        let calls = trial.succeeded as f64;
        let of_bare = bare.map_or("?".to_owned(), |bare| format!("{:.2}", *rate as f64 / bare));
        let (ms, kib) = (trial.cpu * 1e3 / calls, trial.kib as f64 / calls);
        line(&[side, rate, &of_bare, &format!("{ms:.2}"), &format!("{kib:.0}"), &format!("{sipp_cores:.2}")]);
    }
    println!("goal: at least 0.7 of bare");
    Ok(())
}

/// Why the rate is no higher.
fn limit(failed: Option<&Tried>, to: i64) -> String {
    let Some(Tried { rate, trial, sipp_cores }) = failed else {
        return format!("passes at {to}/s, where the search ends");
    };
    let own = trial.cpu / trial.seconds;
    let why = if *sipp_cores >= SIPP_IS_FULL {
        "sipp, one thread, is the limit"
    } else if own + sipp_cores >= 0.9 * cores() as f64 {
        "both together fill the machine"
    } else {
        "neither sipp nor the machine is full"
    };
    format!("at {rate}/s {why}: sipp takes {sipp_cores:.2} cores, this side {own:.2}, of {}", cores())
}

/// Tries one rate in a process of its own; whether every call succeeded at that rate.
fn trial(side: &str, rate: i64, seconds: i64) -> anyhow::Result<(bool, Tried)> {
    let sipp = Sipp::start(&["-sn", "uas"])?;
    let output = Command::new(std::env::current_exe()?)
        .args([side, &rate.to_string(), &seconds.to_string(), &sipp.port.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let sipp_cpu = sipp.cpu();
    let text = String::from_utf8_lossy(&output.stdout);
    let trial: Trial = serde_json::from_str(text.trim()).with_context(|| format!("{side} broke off"))?;
    std::thread::sleep(COUNTED_WITHIN);
    let counts = sipp.counts();
    let calls = rate * seconds;
    // It takes our question whether it is there (OPTIONS) for a call that failed.
    let questions = i64::from(side == "carillon");
    let passes = trial.succeeded == calls
        && counts.created - counts.failed == calls
        && counts.failed <= questions
        && trial.seconds <= seconds as f64 * SLACK;
    println!(
        "{side} at {rate}/s: {} of {calls} in {:.1} s; sipp counts {} and {} failed{}{}",
        trial.succeeded,
        trial.seconds,
        counts.created,
        counts.failed,
        if trial.failures.is_empty() { String::new() } else { format!("; {:?}", trial.failures) },
        if passes { "" } else { ": no" }
    );
    let sipp_cores = sipp_cpu / trial.seconds;
    Ok((passes, Tried { rate, trial, sipp_cores }))
}

/// The product: a campaign in a folder of SQLite, its engine, a SIP route.
async fn carillon(rate: i64, seconds: i64, port: u16) -> anyhow::Result<Trial> {
    let folder = folder()?;
    let store = Store::open(folder.path())?;
    let people = rate * seconds;
    let list = list(&store, "All", people).await?;
    // So many at once that the rate alone bounds it.
    let at_once = (rate * seconds).min(MOST_CALLS);
    let route = calls::trunk(&store, port, rate, at_once).await?;
    let id = calls::campaign(&store, "Bench", (list, route), (rate, at_once)).await?;
    let _engine = calls::engine(&store, route).await?;
    let (cpu_before, held_before) = (cpu("self"), memory("VmRSS"));
    store.schedule(id, by()).await?;
    let began = Instant::now();
    let given_up = Duration::from_secs_f64(seconds as f64 * GIVEN_UP);
    let mut succeeded = 0;
    while succeeded < people && began.elapsed() < given_up {
        tokio::time::sleep(Duration::from_millis(100)).await;
        succeeded = count(&store, id, "answered_unknown").await?;
    }
    let took = began.elapsed();
    let cpu = cpu("self") - cpu_before;
    let mut failures = BTreeMap::new();
    if succeeded < people {
        for word in ["pending", "dialing", "failed", "no_answer", "unreachable", "skipped", "in_doubt"] {
            let there = count(&store, id, word).await?;
            if there > 0 {
                failures.insert(word.to_owned(), there);
            }
        }
    }
    Ok(Trial {
        succeeded,
        seconds: took.as_secs_f64(),
        cpu,
        kib: memory("VmHWM").saturating_sub(held_before),
        failures,
    })
}

/// The SIP library alone: the same calls by the clock, with the same INVITEs; nothing stored, nothing rendered, no sound.
async fn bare(rate: i64, seconds: i64, port: u16) -> anyhow::Result<Trial> {
    let gone = CancellationToken::new();
    let transport = TransportLayer::new(gone.clone());
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
    let local = socket.local_addr()?;
    let connection = UdpConnection::from_socket(Arc::new(socket), None, Some(gone.child_token())).await?;
    transport.add_transport(connection.into());
    let endpoint = EndpointBuilder::new().with_cancel_token(gone).with_transport_layer(transport).build();
    let layer = Arc::new(DialogLayer::new(endpoint.inner.clone()));
    tokio::spawn(async move { endpoint.serve().await });
    let us: Uri = format!("sip:bench@{local}").try_into()?;
    let sound = Local { session: 1, version: 1, address: SocketAddr::new(local.ip(), 40_000) };
    let offer = sdp::offer(&sound, &[Codec::Pcmu, Codec::Pcma]);
    let calls = rate * seconds;
    let (cpu_before, held_before) = (cpu("self"), memory("VmRSS"));
    let began = tokio::time::Instant::now();
    let mut under_way = tokio::task::JoinSet::new();
    let (mut succeeded, mut failures) = (0, BTreeMap::new());
    let mut ended = |result: Result<anyhow::Result<()>, tokio::task::JoinError>| match result {
        Ok(Ok(())) => succeeded += 1,
        Ok(Err(e)) => *failures.entry(e.to_string()).or_insert(0) += 1,
        Err(e) => *failures.entry(e.to_string()).or_insert(0) += 1,
    };
    for i in 0..calls {
        tokio::time::sleep_until(began + Duration::from_secs_f64(i as f64 / rate as f64)).await;
        while let Some(result) = under_way.try_join_next() {
            ended(result);
        }
        let (layer, us, offer) = (layer.clone(), us.clone(), offer.clone());
        under_way.spawn(async move { one(&layer, us, offer, i, port).await });
    }
    let given_up = began + Duration::from_secs_f64(seconds as f64 * GIVEN_UP);
    while let Ok(Some(result)) = tokio::time::timeout_at(given_up, under_way.join_next()).await {
        ended(result);
    }
    let took = began.elapsed();
    let cpu = cpu("self") - cpu_before;
    Ok(Trial {
        succeeded,
        seconds: took.as_secs_f64(),
        cpu,
        kib: memory("VmHWM").saturating_sub(held_before),
        failures,
    })
}

/// One call of the bare library: to the answer, and its end at once.
async fn one(layer: &Arc<DialogLayer>, us: Uri, offer: Vec<u8>, i: i64, port: u16) -> anyhow::Result<()> {
    let (states, _heard) = layer.new_dialog_state_channel();
    let option = InviteOption {
        caller: us.clone(),
        contact: us.clone(),
        callee: format!("sip:+{}@127.0.0.1:{port}", number(i).digits()).try_into()?,
        content_type: Some("application/sdp".to_owned()),
        offer: Some(offer),
        // As the product's.
        headers: Some(vec![
            Header::PAssertedIdentity(format!("<{us}>").into()),
            Header::Allow("INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY".into()),
            Header::Supported("timer".into()),
            Header::SessionExpires("1800".into()),
            Header::MinSE("90".into()),
        ]),
        ..InviteOption::default()
    };
    let (dialog, response) = layer.do_invite(option, states).await?;
    let response = response.context("no answer")?;
    let code = response.status_code;
    let ended = if code.kind() == StatusCodeKind::Successful {
        dialog.bye().await.map_err(anyhow::Error::from)
    } else {
        Err(anyhow::anyhow!("{code}"))
    };
    layer.remove_dialog(&dialog.id());
    ended
}
