//! What routes of calls share: the threads that play and hear, and the sounds of scripts.

use std::sync::Arc;

use server::sounds::Uploads;
use store::{Store, StoreError};
use voice::{
    Equipment, Prompts,
    media::Media,
    speech::{Cache, Command, Engine, Found, Http, Speech, find},
};

use crate::cli::{self, CommandLine};

/// The folder, within that of the data, of what was rendered.
const CACHE: &str = "speech";

/// The speech engine that is named, or that this machine has.
///
/// # Errors
/// In words, where there is none.
pub async fn engine(options: &cli::Speech) -> Result<Engine, String> {
    let voice = &options.voice;
    if let Some(url) = &options.url {
        let token = options.token.clone();
        return Ok(Engine::Http(Http::new(url.as_str(), token, options.model.as_str(), voice)));
    }
    if let Some(CommandLine { program, arguments }) = options.command.clone() {
        return Ok(Engine::Command(Command::new(program, arguments, voice)));
    }
    match find("piper", options.piper_voice.as_deref(), "espeak-ng").await {
        Found::Engine { command, name } => {
            tracing::info!(engine = name, "calls speak");
            Ok(Engine::Command(command))
        }
        Found::Nothing(words) => Err(words),
    }
}

/// What routes of calls share, with this speech engine or the words why there is none.
pub fn equipment(store: &Store, speech: Result<Engine, String>) -> store::Result<Equipment> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let media = Media::start(threads).map_err(|e| StoreError::Folder(format!("no thread for sound: {e}")))?;
    let cache = Cache::new(store.folder().join(CACHE), None);
    let speech = speech.map(|engine| Speech::new(engine, cache));
    let prompts = Arc::new(Prompts::new(speech, Box::new(Uploads(store.clone()))));
    let measured = prompts.clone();
    tokio::spawn(async move { measured.measure().await });
    Ok(Equipment { media: Arc::new(media), prompts })
}
