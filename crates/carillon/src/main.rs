//! The command line. Exit codes: 0 done, 1 refused or failed (message on standard error), 2 usage.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use rand::{Rng as _, distr::Alphanumeric};
use store::Store;

/// Characters of a token: 62 to the power of 43 is more than 256 bits.
const TOKEN_LENGTH: usize = 43;

/// SMS campaigns, self-hosted.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args)]
struct Data {
    /// The data folder.
    #[arg(long, env = "CARILLON_DATA")]
    data: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Verifies every invariant over the data and prints what is off.
    Check {
        #[command(flatten)]
        data: Data,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Writes a consistent copy, also beside a running server. The copy sends nothing until `adopt`.
    Backup {
        /// Where to; must not exist.
        file: PathBuf,
        #[command(flatten)]
        data: Data,
    },
    /// Lets a restored or copied data folder dispatch again.
    Adopt {
        #[command(flatten)]
        data: Data,
    },
    /// API tokens.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Makes a token and prints it, this once.
    Create {
        /// Whose it is; stands in the history of what it does.
        #[arg(long)]
        name: String,
        /// What it may do.
        #[arg(long, value_enum, default_value = "write")]
        scope: Scope,
        #[command(flatten)]
        data: Data,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Scope {
    Read,
    Write,
    Admin,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("carillon: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Opens data that exists: a mistyped folder must not become a new, empty one.
fn open(data: &Data) -> anyhow::Result<Store> {
    anyhow::ensure!(data.data.is_dir(), "there is no data folder at {}", data.data.display());
    Ok(Store::open(&data.data)?)
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check { data, json } => return check(&open(&data)?, json).await,
        Command::Backup { file, data } => {
            open(&data)?.backup(&file).await?;
            println!("wrote {}; it sends nothing until it is adopted", file.display());
        }
        Command::Adopt { data } => {
            open(&data)?.adopt().await?;
            println!("adopted; what was unsent is kept and goes on");
        }
        Command::Token { command: TokenCommand::Create { name, scope, data } } => {
            let secret: String =
                rand::rng().sample_iter(Alphanumeric).take(TOKEN_LENGTH).map(char::from).collect();
            let scope = match scope {
                Scope::Read => "read",
                Scope::Write => "write",
                Scope::Admin => "admin",
            };
            // The first token is made before the server's first start.
            Store::open(&data.data)?.add_token(name, scope, secret.clone(), Timestamp::now()).await?;
            println!("{secret}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(store: &Store, json: bool) -> anyhow::Result<ExitCode> {
    let findings = store.check().await?;
    let sound = findings.iter().all(|f| f.off.is_empty());
    if json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        for f in &findings {
            println!("{} {}", if f.off.is_empty() { "holds " } else { "BROKEN" }, f.invariant);
            for example in &f.off {
                println!("         {example}");
            }
        }
        if sound {
            println!("every invariant holds");
        }
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
