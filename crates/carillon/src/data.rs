//! Commands that work on the data itself, even beside a running server, as its memory holds nothing that they change:
//! requests read accounts and tokens anew, copies and checks read one state. There the store refuses `adopt`.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, IsTerminal as _},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;
use jiff::Timestamp;
use simulator::Record;
use store::{By, Finding, Role, Store};

use crate::cli;

/// Opens data that exists: a mistyped folder must not become a new, empty one.
pub fn open(data: &cli::Data) -> anyhow::Result<Store> {
    anyhow::ensure!(data.data.is_dir(), "there is no data folder at {}", data.data.display());
    Ok(Store::open(&data.data)?)
}

/// The person who works on the data itself, as the audit log names them.
pub fn by_command() -> By {
    By::new("command line", Timestamp::now())
}

/// Makes a token and stores its hash.
pub async fn new_token(store: &Store, name: String, role: Role) -> anyhow::Result<String> {
    let secret = server::secret::new();
    store.add_token(name, role, &secret, by_command()).await?;
    Ok(secret)
}

pub async fn create_token(options: cli::CreateToken) -> anyhow::Result<()> {
    // The first token is made before the server's first start.
    let store = Store::open(&options.data.data)?;
    println!("{}", new_token(&store, options.name, options.scope.into()).await?);
    Ok(())
}

pub async fn backup(options: cli::Backup) -> anyhow::Result<()> {
    open(&options.data)?.backup(&options.file).await?;
    println!("wrote {}; it sends nothing until it is adopted", options.file.display());
    Ok(())
}

pub async fn add_user(options: cli::AddUser) -> anyhow::Result<()> {
    let store = Store::open(&options.data.data)?;
    if std::io::stdin().is_terminal() {
        eprint!("Password for {}: ", options.email);
    }
    let mut password = String::new();
    std::io::stdin().read_line(&mut password)?;
    let hash = server::secret::hash(password.trim_end_matches(['\r', '\n']).to_owned()).await?;
    store.add_user(&options.email, options.role.into(), hash, by_command()).await?;
    println!("{} can sign in", options.email.trim().to_lowercase());
    Ok(())
}

pub async fn adopt(options: cli::Adopt) -> anyhow::Result<()> {
    let store = open(&options.data)?;
    let doubts = store.adopt(options.unsent.into(), by_command()).await?;
    match options.unsent {
        cli::Unsent::Keep => println!("adopted; what was unsent is kept and goes on"),
        cli::Unsent::InDoubt => println!("adopted; {doubts} unsent messages are in doubt and are not sent"),
    }
    Ok(())
}

pub async fn check(options: cli::Check) -> anyhow::Result<ExitCode> {
    let store = open(&options.data)?;
    let mut findings = store.check().await?;
    if let Some(path) = options.against {
        findings.push(against(&store, &path).await?);
    }
    let sound = findings.iter().all(|f| f.off.is_empty());
    if options.json {
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

/// How many examples of each violation to show.
const SHOWN: usize = 5;

/// Compares what every number was sent with what the carrier recorded: each known submission arrived, and anything that
/// arrived beyond those is in doubt here.
async fn against(store: &Store, record: &Path) -> anyhow::Result<Finding> {
    let file =
        std::fs::File::open(record).with_context(|| format!("{} cannot be opened", record.display()))?;
    let mut arrived: HashMap<String, i64> = HashMap::new();
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let record: Record =
            serde_json::from_str(&line?).with_context(|| format!("line {} is no record", at + 1))?;
        if record.begins_accepted_message() {
            *arrived.entry(record.destination).or_default() += 1;
        }
    }
    let mut off = Vec::new();
    let sent = store.submitted().await?;
    for (number, here) in &sent {
        let there = arrived.get(number).copied().unwrap_or(0);
        if !(here.known..=here.known + here.in_doubt).contains(&there) {
            off.push(format!(
                "+{number}: {there} arrived, {} known here, {} in doubt",
                here.known, here.in_doubt
            ));
        }
    }
    for number in arrived.keys().filter(|number| !sent.contains_key(*number)) {
        off.push(format!("+{number}: something arrived, nothing is known here"));
    }
    off.sort();
    off.truncate(SHOWN);
    Ok(Finding { invariant: "what the carrier recorded is what was sent", off })
}
