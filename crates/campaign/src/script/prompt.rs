//! What a person hears: a text that is spoken, or an upload.

use serde::{Deserialize, Serialize};

use crate::{
    AudioId,
    text::{BadText, Text},
};

/// A text that is spoken, with placeholders, or an upload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Prompt {
    /// A text, spoken.
    Say {
        /// The text, with placeholders.
        text: String,
        /// The voice, as the speech engine calls it; none: the engine's own.
        voice: Option<String>,
    },
    /// An upload.
    Play(AudioId),
}

/// What is wrong with a prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a prompt has either \"say\" (with \"voice\", if you like) or \"play\"")]
pub struct BadPrompt;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    say: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    voice: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    play: Option<AudioId>,
}

impl TryFrom<Written> for Prompt {
    type Error = BadPrompt;

    fn try_from(written: Written) -> Result<Self, BadPrompt> {
        match written {
            Written { say: Some(text), voice, play: None } => Ok(Self::Say { text, voice }),
            Written { say: None, voice: None, play: Some(audio) } => Ok(Self::Play(audio)),
            _ => Err(BadPrompt),
        }
    }
}

impl From<Prompt> for Written {
    fn from(prompt: Prompt) -> Self {
        match prompt {
            Prompt::Say { text, voice } => Self { say: Some(text), voice, play: None },
            Prompt::Play(audio) => Self { say: None, voice: None, play: Some(audio) },
        }
    }
}

impl Prompt {
    /// The text that is spoken; none of an upload.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Say { text, .. } => Some(text),
            Self::Play(_) => None,
        }
    }

    /// Checks that it can be rendered for contacts who have `fields`.
    ///
    /// # Errors
    /// As for [`Text::parse`] and [`Text::check`].
    pub fn check(&self, fields: &[String]) -> Result<(), BadText> {
        match self {
            Self::Say { text, .. } => Text::parse(text)?.check(fields),
            Self::Play(_) => Ok(()),
        }
    }
}
