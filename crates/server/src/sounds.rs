//! The uploads of the store, for calls to play.

use axum::body::{Body, to_bytes};
use campaign::AudioId;
use store::{Audio, By, Store};
use voice::Library;

use crate::{
    limits::LARGEST_AUDIO,
    problem::{Answer, Problem},
};

/// The longest name of an upload, in characters.
const LONGEST_NAME: usize = 200;
/// The rate that uploads are read at to measure them.
const RATE: u32 = 8_000;

/// The uploads of a store.
pub struct Uploads(pub Store);

#[async_trait::async_trait]
impl Library for Uploads {
    async fn upload(&self, id: AudioId) -> Result<Vec<u8>, String> {
        self.0.audio_bytes(id).await.map_err(|e| e.to_string())
    }
}

/// Reads an upload and keeps it.
pub(crate) async fn keep(store: &Store, by: By, name: &str, body: Body) -> Answer<Audio> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Problem::field("name", format!("give it a name of at most {LONGEST_NAME} characters")));
    }
    let too_large = |_| Problem::too_large(format!("an upload has at most {} MB", LARGEST_AUDIO / 1_000_000));
    let bytes: Vec<u8> = to_bytes(body, LARGEST_AUDIO).await.map_err(too_large)?.into();
    let read = tokio::task::spawn_blocking(move || voice::audio::read(&bytes, RATE).map(|pcm| (pcm, bytes)));
    let (pcm, bytes) = read.await.map_err(Problem::broken)?.map_err(|e| Problem::field("audio", e))?;
    Ok(store.add_audio(name, pcm.length().as_secs_f64(), bytes, by).await?)
}
