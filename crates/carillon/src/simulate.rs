//! The simulated carrier alone.

use std::{io::Write as _, time::Duration};

use anyhow::Context as _;
use simulator::{Profile, Smsc};
use tokio::signal::unix::SignalKind;

use crate::cli;

pub async fn run(options: cli::Smsc) -> anyhow::Result<()> {
    let profile = Profile {
        seed: options.seed,
        password: options.password,
        answer_within: Duration::from_millis(options.answer_ms),
        rate_per_second: options.rate,
        refused: options.refused,
        refused_sender: options.refused_sender,
        receipt_within: Duration::from_millis(options.receipt_ms),
        undelivered: options.undelivered,
        no_receipt: options.no_receipt,
        twice: options.twice,
        early: options.early,
        replies: options.replies,
        stops: options.stops,
        hang_up_after: options.hang_up_after,
        keep: options.record.is_some(),
    };
    let smsc = Smsc::start(options.listen, profile)
        .await
        .with_context(|| format!("cannot listen on {}; choose another with --listen", options.listen))?;
    println!("listening on {}", smsc.address());
    let mut terminate = tokio::signal::unix::signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    if let Some(path) = options.record {
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
        for record in smsc.records() {
            serde_json::to_writer(&mut file, &record)?;
            file.write_all(b"\n")?;
        }
        file.flush()?;
    }
    eprintln!("{} messages came", smsc.count());
    Ok(())
}
