//! The simulated carrier alone: its SMSC, or its phones.

use std::{io::Write as _, time::Duration};

use anyhow::Context as _;
use simulator::{PhoneProfile, Phones, Profile, Smsc};
use tokio::signal::unix::SignalKind;

use crate::cli;

/// The most that is kept of what one phone hears.
const LONGEST_RECORDING: Duration = Duration::from_secs(600);

/// Phones behind a trunk.
pub async fn phones(options: cli::Phones) -> anyhow::Result<()> {
    let profile = PhoneProfile {
        seed: options.seed,
        answer_within: Duration::from_millis(options.answer_ms),
        busy: options.busy,
        no_answer: options.no_answer,
        rejected: options.rejected,
        unreachable: options.unreachable,
        failed: options.failed,
        keys: options.keys,
        presses: options.presses,
        hangs_up: options.hangs_up,
        speaks: options.speaks,
        machines: options.machines,
        one_way: options.one_way,
        rate_per_second: options.rate,
        dies_after: options.dies_after,
        refuses: options.refuses,
        record: options.record.is_some().then_some(LONGEST_RECORDING),
        agent_talks: Duration::from_millis(options.agent_talks_ms),
        media_ports: options.media_ports,
    };
    let phones = Phones::start(options.listen, profile)
        .await
        .with_context(|| format!("cannot listen on {}; choose another with --listen", options.listen))?;
    println!("listening on {}", phones.address());
    until_asked_to_end().await?;
    if let Some(folder) = options.record {
        std::fs::create_dir_all(&folder)?;
        for (at, heard) in phones.heard().iter().enumerate() {
            // The number is what a caller wrote: nothing of it may lead elsewhere.
            let number: String = heard.number.chars().filter(char::is_ascii_alphanumeric).collect();
            std::fs::write(folder.join(format!("{:04}-{number}.wav", at + 1)), heard.sound.to_wav())?;
        }
    }
    eprintln!("{} calls came", phones.called().values().sum::<usize>());
    Ok(())
}

/// Returns at SIGTERM and at Ctrl-C.
async fn until_asked_to_end() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}

/// An SMSC.
pub async fn smsc(options: cli::Smsc) -> anyhow::Result<()> {
    let profile = Profile {
        seed: options.seed,
        password: options.password,
        answer_within: Duration::from_millis(options.answer_ms),
        rate_per_second: options.rate,
        refused: options.refused,
        refuse_with: options.refuse_with,
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
    until_asked_to_end().await?;
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
