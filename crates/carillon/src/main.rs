//! The command line. Exit codes: 0 done, 1 refused or failed (message on standard error), 2 usage.

mod cli;
mod client;
mod data;
mod demo;
mod import;
mod serve;
mod settings;
mod simulate;
mod telephony;

use std::process::ExitCode;

use rustix::{fs::Mode, process::umask};
use tracing_subscriber::EnvFilter;

/// Memory goes from thread to thread with each message and call, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // All that it writes (the database and its log, copies, uploads, refused rows) only its owner may read.
    umask(Mode::RWXG | Mode::RWXO);
    let asked = std::env::var("CARILLON_LOG").ok().filter(|asked| EnvFilter::try_new(asked).is_ok());
    let asked = asked.as_deref().unwrap_or("warn");
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("{asked},{}", voice::sip::LOG_DIRECTIVE)))
        .with_writer(std::io::stderr)
        .init();
    let done = cli::read().and_then(|command| {
        let runtime = tokio::runtime::Runtime::new()?;
        let done = runtime.block_on(run(command));
        // Work still running on threads that may block, such as a long import, is resumed at the next start.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("carillon: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: cli::Command) -> anyhow::Result<ExitCode> {
    use cli::Command;
    match command {
        Command::Demo(options) => demo::run(options).await?,
        Command::Serve(options) => serve::run(options).await?,
        Command::Simulate(cli::Simulate::Smsc(options)) => simulate::smsc(options).await?,
        Command::Simulate(cli::Simulate::Phones(options)) => simulate::phones(options).await?,
        Command::Token(cli::Token::Create(options)) => data::create_token(options).await?,
        Command::User(cli::User::Add(options)) => data::add_user(options).await?,
        Command::Import(options) => return import::run(options).await,
        Command::Campaign(options) => client::run(options).await?,
        Command::Check(options) => return data::check(options).await,
        Command::Backup(options) => data::backup(options).await?,
        Command::Adopt(options) => data::adopt(options).await?,
    }
    Ok(ExitCode::SUCCESS)
}
