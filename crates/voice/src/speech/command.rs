//! A speech engine as a program: the text goes to its standard input (in arguments it would show in `ps`), the WAV
//! comes from its standard output or from a file. It runs in a process group of its own, which is killed at the limit.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::audio::MOST_BYTES;
use crate::speech::engine::SpeechError;

/// The most of standard error that is read for its last line.
const MOST_SAID: u64 = 64 * 1024;
/// The longest last line that is told, in characters.
const LONGEST_LINE: usize = 300;
/// The places in arguments.
const VOICE: &str = "{voice}";
const OUT: &str = "{out}";

/// A program and its arguments. `{voice}` is the voice; `{out}` a file for the WAV, without which it is read from
/// standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    program: String,
    arguments: Vec<String>,
    /// The voice where none is named.
    voice: String,
}

/// Ends the whole group when it is dropped, however the rendering ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already, usually.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Command {
    /// A program with its arguments, and its voice where a text names none.
    pub fn new(program: impl Into<String>, arguments: Vec<String>, voice: impl Into<String>) -> Self {
        Self { program: program.into(), arguments, voice: voice.into() }
    }

    pub(crate) fn identity(&self) -> String {
        format!("command\0{}\0{}\0{}", self.program, self.arguments.join("\0"), self.voice)
    }

    pub(crate) fn name(&self) -> String {
        format!("the speech command \"{}\"", self.program)
    }

    /// The WAV that the program makes of the text.
    pub(crate) async fn render(
        &self,
        voice: &str,
        text: &str,
        limit: Duration,
    ) -> Result<Vec<u8>, SpeechError> {
        let start = |error: std::io::Error| SpeechError::Start {
            program: self.program.clone(),
            error: error.to_string(),
        };
        let folder = tempfile::tempdir().map_err(start)?;
        let out = folder.path().join("speech.wav");
        let to_file = self.arguments.iter().any(|argument| argument.contains(OUT));
        let voice = if voice.is_empty() { &self.voice } else { voice };
        let arguments = self.arguments.iter().map(|argument| -> OsString {
            argument.replace(VOICE, voice).replace(OUT, &out.to_string_lossy()).into()
        });
        let mut child = tokio::process::Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(if to_file { Stdio::null() } else { Stdio::piped() })
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that ends without reading says why itself.
                let _ = stdin.write_all(text.as_bytes()).await;
                let _ = stdin.shutdown().await;
            }
        };
        let finished = tokio::time::timeout(limit, async {
            let ((), sound, said) =
                tokio::join!(write, read(stdout, MOST_BYTES as u64 + 1), read(stderr, MOST_SAID));
            (child.wait().await, sound, said)
        })
        .await;
        // Whatever the program started ends with it.
        drop(group);
        let Ok((status, sound, said)) = finished else {
            return Err(SpeechError::TimedOut { engine: self.name(), limit });
        };
        let status = status.map_err(start)?;
        if !status.success() {
            return Err(SpeechError::Failed {
                program: self.program.clone(),
                status: status.to_string(),
                last_line: last_line(&said),
            });
        }
        if !to_file {
            return Ok(sound);
        }
        let Ok(file) = tokio::fs::File::open(&out).await else {
            return Err(SpeechError::Nothing(self.name()));
        };
        Ok(read(Some(file), MOST_BYTES as u64 + 1).await)
    }
}

/// Reads to the end, and keeps up to `most` bytes.
async fn read(source: Option<impl tokio::io::AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(source) = source {
        let mut bounded = source.take(most);
        let _ = bounded.read_to_end(&mut bytes).await;
        // The program must not stand still at a full pipe.
        let _ = tokio::io::copy(&mut bounded.into_inner(), &mut tokio::io::sink()).await;
    }
    bytes
}

fn last_line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|letter| !letter.is_control()).take(LONGEST_LINE).collect()
}
