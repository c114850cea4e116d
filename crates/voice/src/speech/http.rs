//! A speech engine over HTTP, in the shape of `OpenAI`, which many local servers speak.

use std::time::Duration;

use serde_json::json;

use crate::audio::MOST_BYTES;
use crate::speech::engine::SpeechError;

/// The most of an error's body that is told, in characters.
const LONGEST_SAID: usize = 300;

/// A service: `POST {base}/v1/audio/speech` with a bearer token.
#[derive(Clone)]
pub struct Http {
    url: String,
    token: Option<String>,
    model: String,
    voice: String,
    client: reqwest::Client,
}

impl std::fmt::Debug for Http {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("url", &self.url).field("model", &self.model).finish_non_exhaustive()
    }
}

impl Http {
    /// A service at `base`, with the voice where a text names none.
    pub fn new(
        base: &str,
        token: Option<String>,
        model: impl Into<String>,
        voice: impl Into<String>,
    ) -> Self {
        let url = format!("{}/v1/audio/speech", base.trim_end_matches('/'));
        Self { url, token, model: model.into(), voice: voice.into(), client: reqwest::Client::new() }
    }

    pub(crate) fn identity(&self) -> String {
        format!("http\0{}\0{}\0{}", self.url, self.model, self.voice)
    }

    pub(crate) fn name(&self) -> String {
        format!("the speech service {}", self.url)
    }

    /// The WAV that the service makes of the text.
    pub(crate) async fn render(
        &self,
        voice: &str,
        text: &str,
        limit: Duration,
    ) -> Result<Vec<u8>, SpeechError> {
        match tokio::time::timeout(limit, self.ask(voice, text)).await {
            Ok(Ok(wav)) => Ok(wav),
            Ok(Err(error)) => Err(SpeechError::Service { url: self.url.clone(), error }),
            Err(_) => Err(SpeechError::TimedOut { engine: self.name(), limit }),
        }
    }

    async fn ask(&self, voice: &str, text: &str) -> Result<Vec<u8>, String> {
        let voice = if voice.is_empty() { &self.voice } else { voice };
        let body = json!({"model": self.model, "voice": voice, "input": text, "response_format": "wav"});
        let mut request = self.client.post(&self.url).json(&body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let in_words = |error: reqwest::Error| {
            let error = error.without_url();
            std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
        };
        let mut answer = request.send().await.map_err(in_words)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(in_words)? {
            if bytes.len() + part.len() > MOST_BYTES {
                return Err("it sent more than 25 MB".to_owned());
            }
            bytes.extend_from_slice(&part);
        }
        if status.is_success() {
            return Ok(bytes);
        }
        let said = String::from_utf8_lossy(&bytes);
        let said: String = said.chars().filter(|letter| !letter.is_control()).take(LONGEST_SAID).collect();
        Err(format!("it answered {status} {said}").trim_end().to_owned())
    }
}
