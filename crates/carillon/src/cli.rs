//! What can be typed, and where options come from: flag, then `CARILLON_*` variable, then `carillon.toml` in
//! the working folder.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

/// Options of any command, by their long names.
const FILE: &str = "carillon.toml";

/// SMS campaigns, self-hosted.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Runs a server with a simulated carrier, sample contacts and campaigns.
    Demo(Demo),
    /// Runs the server.
    Serve(Serve),
    /// Runs a simulated carrier alone.
    #[command(subcommand)]
    Simulate(Simulate),
    /// API tokens.
    #[command(subcommand)]
    Token(Token),
    /// Imports contacts from a CSV file; what is refused goes to FILE.errors.csv.
    Import(Import),
    /// Campaigns of a running server.
    Campaign(Campaign),
    /// People who sign in.
    #[command(subcommand)]
    User(User),
    /// Verifies every invariant over the data and prints what is off.
    Check(Check),
    /// Writes a consistent copy, also beside a running server. The copy sends nothing until `adopt`.
    Backup(Backup),
    /// Lets a restored or copied data folder dispatch again.
    Adopt(Adopt),
}

/// Where the data lies.
#[derive(Args)]
pub struct Data {
    /// The data folder.
    #[arg(long, env = "CARILLON_DATA")]
    pub data: PathBuf,
}

#[derive(Args)]
pub struct Demo {
    /// The data folder; left out, a new temporary one.
    #[arg(long, env = "CARILLON_DATA")]
    pub data: Option<PathBuf>,
    /// Where to listen; port 0 picks a free one.
    #[arg(long, env = "CARILLON_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
}

#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    pub data: Data,
    /// Where to listen; port 0 picks a free one.
    #[arg(long, env = "CARILLON_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Serves, and sends nothing.
    #[arg(long)]
    pub no_dispatch: bool,
}

#[derive(Subcommand)]
pub enum Simulate {
    /// An SMSC over SMPP 3.4.
    Smsc(Smsc),
}

#[derive(Args)]
pub struct Smsc {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, env = "CARILLON_LISTEN", default_value = "127.0.0.1:2775")]
    pub listen: SocketAddr,
    /// Decides, with a message's number, what becomes of it.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The password that it wants; any, if left out.
    #[arg(long)]
    pub password: Option<String>,
    /// Milliseconds that an answer takes at most.
    #[arg(long, default_value_t = 0)]
    pub answer_ms: u64,
    /// Milliseconds that a receipt takes at most.
    #[arg(long, default_value_t = 0)]
    pub receipt_ms: u64,
    /// Throttles beyond so many messages a second.
    #[arg(long)]
    pub rate: Option<u32>,
    /// Share of unknown numbers.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub refused: f64,
    /// A sender that it does not accept.
    #[arg(long)]
    pub refused_sender: Option<String>,
    /// Share of receipts that say undelivered.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub undelivered: f64,
    /// Share of messages without a receipt.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub no_receipt: f64,
    /// Share of receipts that come twice.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub twice: f64,
    /// Share of receipts that come before the answer.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub early: f64,
    /// Share of recipients who write back.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub replies: f64,
    /// Share of those who write STOP.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub stops: f64,
    /// Hangs up after so many messages of a connection.
    #[arg(long)]
    pub hang_up_after: Option<u64>,
    /// Writes every `submit_sm` to this file, a JSON object a line, when it ends.
    #[arg(long)]
    pub record: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".into()),
    }
}

#[derive(Subcommand)]
pub enum Token {
    /// Makes a token and prints it, this once.
    Create(CreateToken),
}

#[derive(Args)]
pub struct CreateToken {
    /// Whose it is; stands in the history of what it does.
    #[arg(long)]
    pub name: String,
    /// What it may do.
    #[arg(long, value_enum, default_value = "write")]
    pub scope: Scope,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Scope {
    Read,
    Write,
    Admin,
}

impl From<Scope> for store::Role {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Viewer,
            Scope::Write => Self::Manager,
            Scope::Admin => Self::Admin,
        }
    }
}

#[derive(Subcommand)]
pub enum User {
    /// Adds a person who signs in; the password comes from standard input.
    Add(AddUser),
}

#[derive(Args)]
pub struct AddUser {
    /// How they sign in.
    pub email: String,
    /// What they may do.
    #[arg(long, value_enum)]
    pub role: Role,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Makes and runs campaigns.
    Manager,
    /// Everything.
    Admin,
}

impl From<Role> for store::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Manager => Self::Manager,
            Role::Admin => Self::Admin,
        }
    }
}

#[derive(Args)]
pub struct Import {
    /// CSV with a header row; the number's column is `phone`.
    pub file: PathBuf,
    /// Into which list; made where there is none.
    #[arg(long)]
    pub list: String,
    /// Country of numbers without a country code, such as US.
    #[arg(long)]
    pub country: Option<String>,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Args)]
pub struct Campaign {
    /// The server.
    #[arg(long, env = "CARILLON_SERVER", default_value = "http://127.0.0.1:8080", global = true)]
    pub server: String,
    /// An API token.
    #[arg(long, env = "CARILLON_TOKEN", hide_env_values = true, default_value = "", global = true)]
    pub token: String,
    /// For machines.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: CampaignCommand,
}

#[derive(Subcommand)]
pub enum CampaignCommand {
    /// Lists campaigns, newest first.
    List {
        /// Only those with this status; `all` shows archived ones too.
        #[arg(long)]
        status: Option<String>,
    },
    /// Shows one campaign.
    Show { id: String },
    /// Freezes the audience and queues the campaign.
    Schedule {
        id: String,
        /// Says what that would do, and does nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Stops a campaign; nothing of it leaves after the answer.
    Stop { id: String },
    /// Plans anew what a stop left unsent, and goes on.
    Restart {
        id: String,
        /// Says what that would do, and does nothing.
        #[arg(long)]
        dry_run: bool,
        /// Tries again what the carrier refused.
        #[arg(long)]
        failed: bool,
    },
    /// Archives a campaign.
    Archive { id: String },
    /// Copies a campaign.
    Clone {
        id: String,
        /// What to call it.
        #[arg(long)]
        name: Option<String>,
    },
    /// Lets go what is held for being late.
    Release { id: String },
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    pub data: Data,
    /// Compares with what a simulated carrier recorded (`simulate smsc --record FILE`).
    #[arg(long)]
    pub against: Option<PathBuf>,
    /// For machines.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Backup {
    /// Where to; must not exist.
    pub file: PathBuf,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Args)]
pub struct Adopt {
    #[command(flatten)]
    pub data: Data,
    /// What becomes of what running campaigns had not sent when the copy was made. `in-doubt` where the
    /// original went on sending: nobody is then sent to twice.
    #[arg(long, value_enum, default_value_t = Unsent::Keep)]
    pub unsent: Unsent,
}

/// What becomes of unsent messages.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Unsent {
    /// They go on.
    Keep,
    /// They are in doubt, and not sent.
    InDoubt,
}

impl From<Unsent> for store::Unsent {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Keep => Self::Keep,
            Unsent::InDoubt => Self::InDoubt,
        }
    }
}

/// Reads the command line; what it leaves out may stand in the file. Ends the process on wrong usage.
pub fn read() -> anyhow::Result<Command> {
    let file: toml::Table = match std::fs::read_to_string(FILE) {
        Ok(text) => text.parse().with_context(|| format!("{FILE} is no TOML"))?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => toml::Table::new(),
        Err(e) => return Err(e).with_context(|| format!("{FILE} cannot be read")),
    };
    let matches = with_defaults(Cli::command(), &file).get_matches();
    Ok(Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit()).command)
}

/// The command with the file's values as its defaults.
fn with_defaults(command: clap::Command, file: &toml::Table) -> clap::Command {
    let command = command.mut_args(|arg| {
        let value =
            arg.get_long().and_then(|long| file.get(long).or_else(|| file.get(&long.replace('-', "_"))));
        let text = match value {
            Some(toml::Value::String(text)) => text.clone(),
            Some(toml::Value::Integer(number)) => number.to_string(),
            Some(toml::Value::Float(number)) => number.to_string(),
            _ => return arg,
        };
        arg.default_value(text).required(false)
    });
    command.mut_subcommands(|sub| with_defaults(sub, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_a_file_fills_what_it_leaves_out() {
        Cli::command().debug_assert();
        let file: toml::Table = "data = '/srv/carillon'\nlisten = '127.0.0.1:9000'".parse().unwrap();
        let parse = |args: &[&str]| {
            let matches = with_defaults(Cli::command(), &file).try_get_matches_from(args).unwrap();
            match Cli::from_arg_matches(&matches).unwrap().command {
                Command::Serve(serve) => (serve.data.data, serve.listen.port()),
                _ => unreachable!("serve was typed"),
            }
        };
        assert_eq!(parse(&["carillon", "serve"]), (PathBuf::from("/srv/carillon"), 9000));
        let typed = parse(&["carillon", "serve", "--data", "/tmp", "--listen", "127.0.0.1:1"]);
        assert_eq!(typed, (PathBuf::from("/tmp"), 1));
    }
}
