//! The command line. Options that are not typed come from where [`settings`] finds them.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use server::{
    config::Config,
    reach::{self, Reach},
};

use crate::settings;

/// SMS and voice campaigns, self-hosted.
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
    /// Imports contacts from a CSV file; refused rows go to FILE.errors.csv.
    Import(Import),
    /// Campaigns of a running server.
    Campaign(Campaign),
    /// People who sign in.
    #[command(subcommand)]
    User(User),
    /// Verifies every invariant over the data and prints violations.
    Check(Check),
    /// Writes a consistent copy, even beside a running server. The copy sends nothing until `adopt`.
    Backup(Backup),
    /// Lets a restored or copied data folder dispatch again.
    Adopt(Adopt),
}

/// Where the data lies.
#[derive(Args)]
pub struct Data {
    /// The data folder.
    #[arg(long)]
    pub data: PathBuf,
}

#[derive(Args)]
pub struct Demo {
    /// The data folder; left out, a new temporary one.
    #[arg(long)]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub web: Web,
    #[command(flatten)]
    pub speech: Speech,
}

/// What renders the texts that calls say: the service where one is named, else the command, else the first of `piper`
/// (with a voice) and `espeak-ng` that is found.
#[derive(Args)]
pub struct Speech {
    /// A service in the shape of `OpenAI`'s speech API, by the address before `/v1/audio/speech`.
    #[arg(id = "speech_url", long = "speech-url", value_parser = speech_url)]
    pub url: Option<reqwest::Url>,
    /// The service's token; better as a variable, since arguments show in `ps`.
    #[arg(id = "speech_token", long = "speech-token", hide_env_values = true, hide_default_value = true)]
    pub token: Option<String>,
    /// The service's model.
    #[arg(id = "speech_model", long = "speech-model", default_value = "tts-1")]
    pub model: String,
    /// A program that reads a text from its standard input and writes WAV. `{voice}` among its arguments is the voice,
    /// `{out}` a file to write to instead of standard output.
    #[arg(id = "speech_command", long = "speech-command", value_parser = command_line)]
    pub command: Option<CommandLine>,
    /// The voice of the service or the command where a text names none.
    #[arg(id = "speech_voice", long = "speech-voice", default_value = "")]
    pub voice: String,
    /// The path of a model for `piper`.
    #[arg(long)]
    pub piper_voice: Option<String>,
}

fn speech_url(text: &str) -> Result<reqwest::Url, String> {
    let url: reqwest::Url = text.parse().map_err(|e| format!("{e}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it begins with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Addresses are shown where they fail.
        return Err("it holds a name or password: give the token by speech_token".to_owned());
    }
    Ok(url)
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    pub program: String,
    pub arguments: Vec<String>,
}

fn command_line(text: &str) -> Result<CommandLine, String> {
    let mut words = shlex::split(text).ok_or("a quote is not closed")?.into_iter();
    let program = words.next().ok_or("name the program")?;
    Ok(CommandLine { program, arguments: words.collect() })
}

/// How pages and API are served.
#[derive(Args)]
pub struct Web {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Proxies, as networks separated by commas, that are believed about whom they speak for (X-Forwarded-For or
    /// Forwarded) and whether the request came over TLS.
    #[arg(long, value_delimiter = ',', value_parser = reach::network)]
    pub trusted_proxies: Vec<IpNet>,
    /// Whether webhooks may lead inside: to this machine and private networks. `true`, or networks separated by commas.
    #[arg(long, default_value_t)]
    pub webhooks_inside: Reach,
}

impl Web {
    /// The options in the form that the server takes.
    pub fn config(&self) -> Config {
        Config {
            trusted_proxies: self.trusted_proxies.clone(),
            webhooks: self.webhooks_inside.clone(),
            ..Config::default()
        }
    }
}

#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    pub data: Data,
    #[command(flatten)]
    pub web: Web,
    #[command(flatten)]
    pub speech: Speech,
    /// Serves, but sends nothing.
    #[arg(long)]
    pub no_dispatch: bool,
}

#[derive(Subcommand)]
pub enum Simulate {
    /// An SMSC over SMPP 3.4.
    Smsc(Smsc),
    /// Phones behind a trunk, over SIP and RTP.
    Phones(Phones),
}

#[derive(Args)]
pub struct Phones {
    /// Where to listen (UDP); port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:5060")]
    pub listen: SocketAddr,
    /// The seed that decides, with a number, what its phone does.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The most milliseconds that a phone rings before it is picked up.
    #[arg(long, default_value_t = 3_000)]
    pub answer_ms: u64,
    /// Share of numbers that are busy.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub busy: f64,
    /// Share of numbers that nobody picks up.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub no_answer: f64,
    /// Share of numbers that decline.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub rejected: f64,
    /// Share of numbers that do not exist.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub unreachable: f64,
    /// Share of calls that the trunk fails with 503.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub failed: f64,
    /// The keys that people press, one after the other.
    #[arg(long, default_value = "")]
    pub keys: String,
    /// Share of those who pick up that press keys.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub presses: f64,
    /// Share of those who pick up that hang up by themselves.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub hangs_up: f64,
    /// Share of those who pick up that say a word.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub speaks: f64,
    /// Share of those who pick up that are machines: a greeting, a beep, and silence until they hang up.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub machines: f64,
    /// Share of those who pick up that send no sound.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub one_way: f64,
    /// The calls that the trunk takes in a second; of more, each is answered 503.
    #[arg(long)]
    pub rate: Option<u32>,
    /// After how many calls the trunk is gone, in the middle of everything.
    #[arg(long)]
    pub dies_after: Option<u64>,
    /// Refuses all that is asked of the trunk (403).
    #[arg(long)]
    pub refuses: bool,
    /// The folder for what phones heard, written when it ends: a WAV file a call, an hour of the last ones in all.
    #[arg(long)]
    pub record: Option<PathBuf>,
    /// How many milliseconds an agent talks before hanging up; whoever is called by a name is an agent.
    #[arg(long, default_value_t = 20_000)]
    pub agent_talks_ms: u64,
    /// The UDP ports of sound.
    #[arg(long, default_value = "30000-40000")]
    pub media_ports: String,
}

#[derive(Args)]
pub struct Smsc {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:2775")]
    pub listen: SocketAddr,
    /// The seed that decides, with a message's number, what becomes of the message.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The password that it requires; any password if left out.
    #[arg(long)]
    pub password: Option<String>,
    /// The most milliseconds that an answer takes.
    #[arg(long, default_value_t = 0)]
    pub answer_ms: u64,
    /// The most milliseconds that a receipt takes.
    #[arg(long, default_value_t = 0)]
    pub receipt_ms: u64,
    /// Throttles beyond this many messages a second.
    #[arg(long)]
    pub rate: Option<u32>,
    /// Share of numbers that it refuses.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub refused: f64,
    /// The command status that it refuses them with, in decimal; left out: it does not know the number.
    #[arg(long, default_value_t = simulator::UNKNOWN_NUMBER)]
    pub refuse_with: u32,
    /// A sender that it refuses.
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
    /// Share of these recipients who write STOP.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub stops: f64,
    /// Hangs up after this many messages on a connection.
    #[arg(long)]
    pub hang_up_after: Option<u64>,
    /// Writes every `submit_sm` to this file when it ends, one JSON object per line.
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
    /// Creates a token and prints it, only this once.
    Create(CreateToken),
}

#[derive(Args)]
pub struct CreateToken {
    /// The token's name; it appears in the history of what the token does.
    #[arg(long)]
    pub name: String,
    /// What the token may do.
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
    /// The e-mail address that they sign in with.
    pub email: String,
    /// What they may do.
    #[arg(long, value_enum)]
    pub role: Role,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Role {
    /// May look.
    Viewer,
    /// May create and run campaigns.
    Manager,
    /// May do everything.
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
    /// The list to import into; created if there is none.
    #[arg(long)]
    pub list: String,
    /// The country of numbers without a country code, such as US.
    #[arg(long)]
    pub country: Option<String>,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Args)]
pub struct Campaign {
    /// The server's address.
    #[arg(long, default_value = "http://127.0.0.1:8080", global = true)]
    pub server: String,
    /// An API token.
    #[arg(long, hide_env_values = true, default_value = "", global = true)]
    pub token: String,
    /// Prints JSON, for programs.
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
        /// Says what that would do, without doing it.
        #[arg(long)]
        dry_run: bool,
    },
    /// Stops a campaign; nothing of it leaves after the answer.
    Stop { id: String },
    /// Plans anew what a stop left unsent, and goes on.
    Restart {
        id: String,
        /// Says what that would do, without doing it.
        #[arg(long)]
        dry_run: bool,
        /// Retries messages that the carrier refused.
        #[arg(long)]
        failed: bool,
    },
    /// Archives a campaign.
    Archive { id: String },
    /// Copies a campaign.
    Clone {
        id: String,
        /// The name of the copy.
        #[arg(long)]
        name: Option<String>,
    },
    /// Releases what is held.
    Release { id: String },
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    pub data: Data,
    /// Compares with what a simulated carrier recorded (`simulate smsc --record FILE`).
    #[arg(long)]
    pub against: Option<PathBuf>,
    /// Prints JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Backup {
    /// The file to write; it must not exist.
    pub file: PathBuf,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Args)]
pub struct Adopt {
    #[command(flatten)]
    pub data: Data,
    /// What becomes of messages that running campaigns had not sent when the copy was made. `in-doubt` if the original
    /// went on sending: then nobody is sent to twice.
    #[arg(long, value_enum, default_value_t = Unsent::Keep)]
    pub unsent: Unsent,
}

/// What becomes of unsent messages.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Unsent {
    /// They are sent.
    Keep,
    /// They are in doubt, and are not sent.
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

/// Reads the command line; options left out may be set in a variable or the file. Ends the process on wrong usage.
pub fn read() -> anyhow::Result<Command> {
    let command = settings::filled(Cli::command(), &settings::file()?)?;
    let read = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|e| e.exit()).command;
    if matches!(read, Command::Serve(_) | Command::Demo(_)) {
        for name in settings::unknown_variables(&Cli::command()) {
            tracing::warn!("{name} is set and is no setting: it is passed over");
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(file: &str, typed: &[&str]) -> Serve {
        let command = settings::filled(Cli::command(), &file.parse().unwrap()).unwrap();
        let typed = ["carillon", "serve"].iter().chain(typed);
        let matches = command.try_get_matches_from(typed).unwrap();
        match Cli::from_arg_matches(&matches).unwrap().command {
            Command::Serve(serve) => serve,
            _ => unreachable!("serve was typed"),
        }
    }

    #[test]
    fn the_command_line_is_sound_and_a_file_fills_what_it_leaves_out() {
        Cli::command().debug_assert();
        let file = "data = '/srv/carillon'\nlisten = '127.0.0.1:9000'\nno_dispatch = true\nwebhooks_inside = true\n\
                    trusted-proxies = ['10.0.0.0/8', '127.0.0.1']\nseed = 7\nrefused = 0.5";
        let filled = serve(file, &[]);
        assert_eq!((filled.data.data, filled.web.listen.port()), (PathBuf::from("/srv/carillon"), 9000));
        assert!(filled.no_dispatch);
        let config = filled.web.config();
        assert_eq!(config.trusted_proxies, ["10.0.0.0/8", "127.0.0.1/32"].map(|n| n.parse().unwrap()));
        assert_eq!(config.webhooks, Reach::Anywhere);
        let typed =
            serve(file, &["--data", "/tmp", "--listen", "127.0.0.1:1", "--webhooks-inside", "10.0.0.0/8"]);
        assert_eq!((typed.data.data, typed.web.listen.port()), (PathBuf::from("/tmp"), 1));
        assert_eq!(typed.web.webhooks_inside.to_string(), "10.0.0.0/8");
        let none = serve("data = '/srv'\nno-dispatch = false\nwebhooks_inside = ['10.0.0.0/8']", &[]);
        assert!(!none.no_dispatch && none.web.trusted_proxies.is_empty());
        assert_eq!(none.web.webhooks_inside.to_string(), "10.0.0.0/8");
    }

    #[test]
    fn what_a_file_says_wrongly_is_named_with_what_is_allowed() {
        for (file, named) in [
            ("no_dispach = true", "`no_dispach`"),
            ("nodispatch = true", "`nodispatch`"),
            ("Data = '/srv'", "`Data`"),
            ("[serve]\nlisten = '127.0.0.1:1'", "`serve`"),
            ("help = true", "`help`"),
        ] {
            let wrong = settings::filled(Cli::command(), &file.parse().unwrap()).unwrap_err().to_string();
            assert!(wrong.contains(named) && wrong.contains("no_dispatch, "), "{wrong}");
        }
        for (file, named) in [
            ("listen = { port = 1 }", "`listen`"),
            ("listen = 2026-01-01", "`listen`"),
            ("trusted_proxies = [[1]]", "`trusted_proxies`"),
            ("no_dispatch = 'perhaps'", "`no_dispatch`"),
            ("no_dispatch = 1", "`no_dispatch`"),
            ("listen = 'here'", "`listen`"),
            ("trusted_proxies = '10.0.0.0/80'", "`trusted_proxies`"),
            ("webhooks_inside = 'perhaps'", "`webhooks_inside`"),
            ("refused = 2", "`refused`"),
        ] {
            let wrong = settings::filled(Cli::command(), &file.parse().unwrap()).unwrap_err();
            assert!(format!("{wrong:#}").contains(named), "{wrong:#}");
        }
    }
}
