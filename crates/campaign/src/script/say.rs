//! A step that says a text.

use serde::{Deserialize, Serialize};

use super::{Branch, Event, Kind, Move, Phase, Prompt, StepId, play};

/// Says a text and goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// The text, with placeholders.
    #[serde(rename = "say")]
    pub text: String,
    /// The voice, as the speech engine calls it; none: the engine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// The step that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<StepId>,
}

impl Say {
    fn prompt(&self) -> Prompt {
        Prompt::Say { text: self.text.clone(), voice: self.voice.clone() }
    }
}

impl Kind for Say {
    fn branches(&self) -> Vec<Branch<'_>> {
        vec![Branch::alone("next", self.next.as_ref())]
    }

    fn prompts(&self) -> Vec<(&'static str, Prompt)> {
        vec![("say", self.prompt())]
    }

    fn texts_mut(&mut self) -> Vec<&mut String> {
        vec![&mut self.text]
    }

    fn enter(&self, phase: &mut Phase) -> Move {
        Move::stay(phase.play(self.prompt()))
    }

    fn on(&self, _phase: &mut Phase, event: &Event) -> Move {
        play::on(self.next.as_ref(), event)
    }
}
