//! The sounds of scripts: spoken texts and uploads, each rendered and encoded once and shared by the calls that play it.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use campaign::{AudioId, Script, script::Prompt};

use crate::{
    audio::{self, Pcm},
    call::Sounds,
    sdp::Codec,
    speech::Speech,
};

/// The most sound that is kept ready to be played: an hour takes some 250 MB, with its encodings.
const MOST_KEPT: Duration = Duration::from_secs(3_600);
/// The samples of what is played where there is nothing to say: a fifth of a second.
const SILENCE: usize = RATE as usize / 5;
/// The rate that texts are rendered at: of the widest codec.
const RATE: u32 = 16_000;

/// Where uploads are kept.
#[async_trait::async_trait]
pub trait Library: Send + Sync {
    /// The bytes of an upload.
    ///
    /// # Errors
    /// In words, where it cannot be read.
    async fn upload(&self, id: AudioId) -> Result<Vec<u8>, String>;
}

/// Renders prompts.
pub struct Prompts {
    speech: Result<Speech, String>,
    library: Box<dyn Library>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    sounds: HashMap<Prompt, Arc<audio::Prompt>>,
    /// In the order in which they came.
    order: VecDeque<Prompt>,
    /// How long they all sound.
    length: Duration,
}

impl Kept {
    /// Keeps a sound; the oldest go where there is too much.
    fn keep(&mut self, prompt: &Prompt, sound: &Arc<audio::Prompt>) {
        if self.sounds.insert(prompt.clone(), sound.clone()).is_none() {
            self.order.push_back(prompt.clone());
            self.length += sound.length();
        }
        while self.length > MOST_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.sounds.remove(&oldest);
            self.length = self.length.saturating_sub(gone.map_or(Duration::ZERO, |sound| sound.length()));
        }
    }
}

fn silence() -> Pcm {
    Pcm::new(RATE, vec![0; SILENCE])
}

impl Prompts {
    /// Prompts by a speech engine, or by none, with the words why there is none.
    pub fn new(speech: Result<Speech, String>, library: Box<dyn Library>) -> Self {
        Self { speech, library, kept: Mutex::default() }
    }

    /// The sound of one prompt.
    ///
    /// # Errors
    /// In words, where the speech engine fails or the upload cannot be read.
    pub async fn sound(&self, prompt: &Prompt) -> Result<Arc<audio::Prompt>, String> {
        if let Some(sound) = self.kept().sounds.get(prompt) {
            return Ok(sound.clone());
        }
        let pcm = match prompt {
            // A text that comes to nothing for somebody is nobody's fault.
            Prompt::Say { text, .. } if text.trim().is_empty() => silence(),
            Prompt::Say { text, voice } => {
                let speech = self.speech.as_ref().map_err(Clone::clone)?;
                let voice = voice.as_deref().unwrap_or_default();
                speech.speak(voice, text, RATE).await.map_err(|e| e.to_string())?
            }
            Prompt::Play(id) => {
                let bytes = self.library.upload(*id).await?;
                let read = tokio::task::spawn_blocking(move || audio::read(&bytes, RATE)).await;
                read.map_err(|e| e.to_string())?.map_err(|e| format!("the upload {id}: {e}"))?
            }
        };
        let sound = Arc::new(audio::Prompt::new(pcm));
        self.kept().keep(prompt, &sound);
        Ok(sound)
    }

    /// Measures the speech engine, if there is one.
    pub async fn measure(&self) {
        if let Ok(speech) = &self.speech
            && let Err(error) = speech.measure().await
        {
            tracing::warn!(%error, "the speech engine does not work");
        }
    }

    /// The seconds that rendering a character of a text takes; none where no speech engine works.
    pub fn pace(&self) -> Option<f64> {
        self.speech.as_ref().ok()?.pace()
    }

    /// The sounds of everything that a call may play, encoded for `codecs`.
    ///
    /// # Errors
    /// As for [`Prompts::sound`].
    pub async fn of(
        &self,
        script: &Script,
        farewell: Option<&Prompt>,
        codecs: &[Codec],
    ) -> Result<Ready, String> {
        let mut ready = HashMap::new();
        if let Some(farewell) = farewell {
            // Whoever opts out is heard without a word, too.
            let sound = match self.sound(farewell).await {
                Ok(sound) => sound,
                Err(_) => Arc::new(audio::Prompt::new(silence())),
            };
            ready.insert(farewell.clone(), sound);
        }
        for prompt in script.prompts() {
            if let Entry::Vacant(place) = ready.entry(prompt) {
                let sound = self.sound(place.key()).await?;
                place.insert(sound);
            }
        }
        let each = ready.values().flat_map(|sound| codecs.iter().map(move |codec| (sound, *codec)));
        let to_encode: Vec<_> = each
            .filter(|(sound, codec)| !sound.is_encoded(*codec))
            .map(|(sound, codec)| (sound.clone(), codec))
            .collect();
        // Encoding G.722 takes a while: not on the runtime's own threads, and not while a call waits for its next frame. For
        // every call but the first all of it is there.
        if !to_encode.is_empty() {
            let encode = move || {
                for (sound, codec) in &to_encode {
                    sound.frames(*codec);
                }
            };
            tokio::task::spawn_blocking(encode).await.map_err(|e| e.to_string())?;
        }
        Ok(Ready(ready))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Prompts are only put in and taken out whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sounds of one call, ready to be played.
#[derive(Debug)]
pub struct Ready(HashMap<Prompt, Arc<audio::Prompt>>);

impl Sounds for Ready {
    fn of(&self, prompt: &Prompt) -> Option<Arc<audio::Prompt>> {
        self.0.get(prompt).cloned()
    }
}
