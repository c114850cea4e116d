//! The uploads of the store, for calls to play.

use campaign::AudioId;
use store::Store;
use voice::Library;

/// The uploads of a store.
pub struct Uploads(pub Store);

#[async_trait::async_trait]
impl Library for Uploads {
    async fn upload(&self, id: AudioId) -> Result<Vec<u8>, String> {
        self.0.audio_bytes(id).await.map_err(|e| e.to_string())
    }
}
