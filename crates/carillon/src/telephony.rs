//! What routes of calls share: the threads that play and hear, and the sounds of scripts.

use std::sync::Arc;

use server::sounds::Uploads;
use store::{Store, StoreError};
use voice::{
    Equipment, Prompts,
    media::Media,
    speech::{Cache, Engine, Found, Speech, find},
};

/// The folder, within that of the data, of what was rendered.
const CACHE: &str = "speech";

/// Whether this machine has a speech engine.
pub async fn speaks() -> bool {
    matches!(engine().await, Found::Engine { .. })
}

async fn engine() -> Found {
    let voice = std::env::var("CARILLON_PIPER_VOICE").ok();
    find("piper", voice.as_deref(), "espeak-ng").await
}

/// The sounds of scripts: by the speech engine that this machine has.
async fn prompts(store: &Store) -> Prompts {
    let speech = match engine().await {
        Found::Engine { command, name } => {
            tracing::info!(engine = name, "calls speak");
            Ok(Speech::new(Engine::Command(command), Cache::new(store.folder().join(CACHE), None)))
        }
        Found::Nothing(words) => Err(words),
    };
    Prompts::new(speech, Box::new(Uploads(store.clone())))
}

/// What routes of calls share.
pub async fn equipment(store: &Store) -> store::Result<Equipment> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let media = Media::start(threads).map_err(|e| StoreError::Folder(format!("no thread for sound: {e}")))?;
    Ok(Equipment { media: Arc::new(media), prompts: Arc::new(prompts(store).await) })
}
