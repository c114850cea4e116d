//! Options that are not typed: a `CARILLON_*` variable, otherwise a key of `carillon.toml` in the working folder, each
//! by an option's long name. A key that is no option, or a value that its option does not take, is refused by name: a
//! setting that is silently ignored is one that does not hold.

use std::collections::BTreeSet;

use anyhow::Context as _;
use clap::{Arg, ArgAction, Command, builder::BoolishValueParser};
use toml::{Table, Value};

/// The file, in the working folder.
const FILE: &str = "carillon.toml";
/// The prefix of the program's variables.
const PREFIX: &str = "CARILLON_";
/// The variable that stands for no option: what to log.
const LOG: &str = "CARILLON_LOG";

/// The contents of the file; empty if there is none.
pub fn file() -> anyhow::Result<Table> {
    match std::fs::read_to_string(FILE) {
        Ok(text) => text.parse().with_context(|| format!("{FILE} is no TOML")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Table::new()),
        Err(e) => Err(e).with_context(|| format!("{FILE} cannot be read")),
    }
}

/// An option's name in the file.
fn key(long: &str) -> String {
    long.replace('-', "_")
}

/// The names of the options of a command and of its subcommands.
fn keys(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(Arg::get_long).map(key);
    own.chain(command.get_subcommands().flat_map(keys)).collect()
}

/// The command with its variables, and with the contents of the file as its defaults.
///
/// # Errors
/// If the file has a key that is no option, or a value that the option does not take.
pub fn filled(command: Command, file: &Table) -> anyhow::Result<Command> {
    let known = keys(&command);
    if let Some(unknown) = file.keys().find(|name| !known.contains(&key(name))) {
        let known: Vec<String> = known.into_iter().collect();
        anyhow::bail!("{FILE}: there is no setting `{unknown}`; there are {}", known.join(", "));
    }
    let mut wrong = None;
    let command = fill(command, file, &mut wrong);
    wrong.map_or(Ok(command), Err)
}

fn fill(command: Command, file: &Table, wrong: &mut Option<anyhow::Error>) -> Command {
    let command = command.mut_args(|arg| {
        let Some(long) = arg.get_long().map(str::to_owned) else { return arg };
        let arg = arg.env(format!("{PREFIX}{}", key(&long).to_uppercase()));
        let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
        let arg = if is_flag { arg.value_parser(BoolishValueParser::new()) } else { arg };
        let Some((name, value)) = file.iter().find(|(name, _)| key(name) == key(&long)) else { return arg };
        match text(value, is_flag).and_then(|text| taken(&arg, &text).map(|()| text)) {
            Ok(text) => arg.default_value(text).required(false),
            Err(why) => {
                wrong.get_or_insert(anyhow::anyhow!("{FILE}: `{name}` {why}"));
                arg
            }
        }
    });
    command.mut_subcommands(|sub| fill(sub, file, wrong))
}

/// A value as it would be typed.
fn text(value: &Value, is_flag: bool) -> Result<String, String> {
    match value {
        Value::Boolean(yes) => Ok(yes.to_string()),
        _ if is_flag => Err("is true or false".to_owned()),
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Array(entries) if entries.iter().all(Value::is_str) => {
            Ok(entries.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
        }
        _ => Err("is a text, a number, true or false, or a list of texts".to_owned()),
    }
}

/// Checks a value for an option as if it alone had been typed.
fn taken(arg: &Arg, text: &str) -> Result<(), String> {
    let typed = match arg.get_action() {
        ArgAction::SetTrue => return Ok(()),
        _ => format!("--{}={text}", arg.get_long().unwrap_or_default()),
    };
    let alone = Command::new("alone").no_binary_name(true).arg(arg.clone().global(false));
    match alone.try_get_matches_from([typed]) {
        Ok(_) => Ok(()),
        Err(e) => {
            let words = e.to_string();
            let words = words.lines().next().unwrap_or_default();
            Err(format!("cannot be {text:?}: {}", words.trim_start_matches("error: ")))
        }
    }
}

/// Variables that look like settings and are not: other programs may have their own, so this is no error.
pub fn unknown_variables(command: &Command) -> Vec<String> {
    let known: BTreeSet<String> =
        keys(command).iter().map(|key| format!("{PREFIX}{}", key.to_uppercase())).collect();
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    set.filter(|name| name.starts_with(PREFIX) && name != LOG && !known.contains(name)).collect()
}
