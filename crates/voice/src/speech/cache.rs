//! What was rendered, as WAV files in a folder: named by what made them, the longest unused go first.
//!
//! A file gets its name once it is whole, so that neither two writers nor a crash leave half of one; what a crash left
//! without a name goes with the next clearing.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::audio::{self, Pcm};
use crate::speech::SpeechError;

/// The bytes that a cache holds by default.
pub const MOST: u64 = 1024 * 1024 * 1024;
/// A file without a name that is this old belongs to no writer any more.
const LEFT_OVER: Duration = Duration::from_secs(600);
const ENDING: &str = ".wav";
/// What files begin with until they are whole.
const UNNAMED: &str = ".speech-";

/// What names a rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn new(engine: &str, voice: &str, text: &str, rate: u32) -> Self {
        let mut hash = Sha256::new();
        for part in [engine, voice, text, &rate.to_string()] {
            // With its length, so that no two lists of parts are alike.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(format!("{:x}", hash.finalize()))
    }
}

/// A folder of renderings.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    most: u64,
}

impl Cache {
    /// A cache in `folder` (made where it is missing) of at most `most` bytes; 1 GB where none are named.
    pub fn new(folder: impl Into<PathBuf>, most: Option<u64>) -> Self {
        Self { folder: folder.into(), most: most.unwrap_or(MOST) }
    }

    pub(crate) async fn get(&self, key: &Key, rate: u32) -> Option<Pcm> {
        let path = self.path(key);
        let read = move || {
            let sound = audio::read(&std::fs::read(&path).ok()?, rate).ok()?;
            // Used now: others go first.
            let _ = std::fs::File::options()
                .append(true)
                .open(&path)
                .and_then(|file| file.set_modified(SystemTime::now()));
            Some(sound)
        };
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    pub(crate) async fn put(&self, key: &Key, sound: &Pcm) -> Result<(), SpeechError> {
        let (cache, path, wav) = (self.clone(), self.path(key), sound.to_wav());
        let write = move || {
            std::fs::create_dir_all(&cache.folder)?;
            let mut file = tempfile::Builder::new().prefix(UNNAMED).tempfile_in(&cache.folder)?;
            std::io::Write::write_all(&mut file, &wav)?;
            file.persist(&path)?;
            cache.clear(&path)
        };
        let failed = |error: String| SpeechError::Cache { folder: self.folder.clone(), error };
        tokio::task::spawn_blocking(write)
            .await
            .map_err(|e| failed(e.to_string()))?
            .map_err(|e: std::io::Error| failed(e.to_string()))
    }

    /// Deletes the longest unused until the rest is within the bound; never the one just written.
    fn clear(&self, newest: &Path) -> std::io::Result<()> {
        let now = SystemTime::now();
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder)?.flatten() {
            // What another writer deleted meanwhile is passed over.
            let Ok(about) = entry.metadata() else { continue };
            let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name
                .strip_suffix(ENDING)
                .is_some_and(|key| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
            {
                files.push((used, about.len(), path));
            } else if name.starts_with(UNNAMED) && now.duration_since(used).is_ok_and(|age| age > LEFT_OVER) {
                let _ = std::fs::remove_file(path);
            }
        }
        let mut size: u64 = files.iter().map(|(_, size, _)| size).sum();
        files.sort();
        for (_, of_file, path) in files {
            if size <= self.most {
                break;
            }
            if path != newest && std::fs::remove_file(path).is_ok() {
                size -= of_file;
            }
        }
        Ok(())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{}{ENDING}", key.0))
    }
}
