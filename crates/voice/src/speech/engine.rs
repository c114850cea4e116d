//! What renders a text: an engine behind a cache, two at a time.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::audio::{self, AudioError, Pcm};
use crate::speech::cache::{Cache, Key};
use crate::speech::{Command, Http};

/// How long a rendering may take.
const LIMIT: Duration = Duration::from_secs(20);
/// What an older rendering still counts for when the next is measured: some twenty decide.
const FORGETS: f64 = 0.95;
/// What is rendered to measure the engine.
const MEASURED: &str =
    "Good morning. This is how long the engine takes for a sentence of an ordinary length.";
const MEASURED_RATE: u32 = 16_000;
/// The renderings at once.
const AT_ONCE: usize = 2;
/// The longest text, in bytes: ten minutes are some 9,000 characters.
const LONGEST_TEXT: usize = 32 * 1024;

/// Why a text was not rendered, for whoever set the engine up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpeechError {
    /// The program is not there or may not be run.
    #[error("the speech command \"{program}\" cannot be started: {error}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        error: String,
    },
    /// It ended with an error.
    #[error("the speech command \"{program}\" failed ({status}){}", said(last_line))]
    Failed {
        /// The program.
        program: String,
        /// Its exit code or signal.
        status: String,
        /// The last line that it wrote to standard error.
        last_line: String,
    },
    /// It took too long.
    #[error("{engine} did not finish within {} s and was ended", limit.as_secs_f64())]
    TimedOut {
        /// Which engine.
        engine: String,
        /// The time it had.
        limit: Duration,
    },
    /// It ended well and gave nothing.
    #[error("{0} gave no sound")]
    Nothing(String),
    /// What it gave is not sound that can be read.
    #[error("{engine} gave no usable WAV: {error}")]
    NoWav {
        /// Which engine.
        engine: String,
        /// What is wrong.
        error: AudioError,
    },
    /// The service refused or could not be reached.
    #[error("the speech service {url} failed: {error}")]
    Service {
        /// Its address.
        url: String,
        /// What it said.
        error: String,
    },
    /// The text is no text to speak.
    #[error("a text to speak has 1 to {LONGEST_TEXT} bytes, this one has {0}")]
    Text(usize),
    /// The folder of what was rendered.
    #[error("what was rendered cannot be kept in {folder}: {error}")]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        error: String,
    },
}

fn said(last_line: &str) -> String {
    if last_line.is_empty() { String::new() } else { format!(": {last_line}") }
}

/// A speech engine.
#[derive(Debug, Clone)]
pub enum Engine {
    /// A program.
    Command(Command),
    /// A service.
    Http(Http),
}

impl Engine {
    /// What tells its renderings from another engine's.
    fn identity(&self) -> String {
        match self {
            Self::Command(command) => command.identity(),
            Self::Http(http) => http.identity(),
        }
    }

    async fn render(&self, voice: &str, text: &str, rate: u32, limit: Duration) -> Result<Pcm, SpeechError> {
        let (name, wav) = match self {
            Self::Command(command) => (command.name(), command.render(voice, text, limit).await?),
            Self::Http(http) => (http.name(), http.render(voice, text, limit).await?),
        };
        if wav.is_empty() {
            return Err(SpeechError::Nothing(name));
        }
        // Ten minutes of sound take a while to resample: not on the runtime's own threads.
        let read = tokio::task::spawn_blocking(move || audio::read(&wav, rate)).await;
        match read {
            Ok(Ok(sound)) => Ok(sound),
            Ok(Err(AudioError::Empty)) => Err(SpeechError::Nothing(name)),
            Ok(Err(error)) => Err(SpeechError::NoWav { engine: name, error }),
            Err(_) => Err(SpeechError::NoWav { engine: name, error: AudioError::NotAudio }),
        }
    }
}

/// Renders texts.
#[derive(Debug)]
pub struct Speech {
    engine: Engine,
    cache: Cache,
    places: Semaphore,
    limit: Duration,
    pace: Mutex<Pace>,
}

/// How long rendering takes, of late: the seconds and the characters of the renderings so far, older ones for less.
#[derive(Debug, Default)]
struct Pace {
    seconds: f64,
    characters: f64,
}

impl Pace {
    fn add(&mut self, took: Duration, characters: usize) {
        self.seconds = self.seconds * FORGETS + took.as_secs_f64();
        self.characters = self.characters * FORGETS + characters as f64;
    }

    /// The seconds that a character takes.
    fn each(&self) -> Option<f64> {
        (self.characters > 0.0).then(|| self.seconds / self.characters)
    }
}

impl Speech {
    /// Renders by `engine` and keeps what was rendered in `cache`.
    pub fn new(engine: Engine, cache: Cache) -> Self {
        Self { engine, cache, places: Semaphore::new(AT_ONCE), limit: LIMIT, pace: Mutex::default() }
    }

    /// The time that one rendering may take; 20 s where none is named.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The text as sound of `rate` samples a second, from the cache where it was rendered before. An empty voice is
    /// the engine's own. One failure is tried once more.
    pub async fn speak(&self, voice: &str, text: &str, rate: u32) -> Result<Pcm, SpeechError> {
        if text.trim().is_empty() || text.len() > LONGEST_TEXT {
            return Err(SpeechError::Text(text.len()));
        }
        let key = Key::new(&self.engine.identity(), voice, text, rate);
        if let Some(sound) = self.cache.get(&key, rate).await {
            return Ok(sound);
        }
        // Never closed: waiting cannot fail.
        let _place = self.places.acquire().await.ok();
        // Another call may have waited for the same text.
        if let Some(sound) = self.cache.get(&key, rate).await {
            return Ok(sound);
        }
        let sound = match self.render(voice, text, rate).await {
            Ok(sound) => sound,
            Err(error) => {
                tracing::warn!(%error, "speech failed, tried once more");
                self.render(voice, text, rate).await?
            }
        };
        // What cannot be kept is rendered again the next time.
        if let Err(error) = self.cache.put(&key, &sound).await {
            tracing::warn!(%error, "what was rendered could not be kept");
        }
        Ok(sound)
    }

    async fn render(&self, voice: &str, text: &str, rate: u32) -> Result<Pcm, SpeechError> {
        let began = Instant::now();
        let sound = self.engine.render(voice, text, rate, self.limit).await?;
        // A pace is only added to: it is whole whoever panicked meanwhile.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).add(began.elapsed(), text.chars().count());
        Ok(sound)
    }

    /// Renders a text to find out how long the engine takes.
    ///
    /// # Errors
    /// Where the engine fails.
    pub async fn measure(&self) -> Result<(), SpeechError> {
        let _place = self.places.acquire().await.ok();
        self.render("", MEASURED, MEASURED_RATE).await.map(drop)
    }

    /// The seconds that rendering a character takes, with as many texts rendered at once as may be, by what was rendered
    /// of late; none where nothing was.
    pub fn pace(&self) -> Option<f64> {
        let pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.each().map(|each| each / AT_ONCE as f64)
    }
}
