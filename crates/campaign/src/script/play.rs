//! A step that plays an upload.

use serde::{Deserialize, Serialize};

use super::{Branch, Event, Kind, Move, Phase, Prompt, StepId};
use crate::AudioId;

/// Plays an upload and goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Play {
    /// The upload.
    #[serde(rename = "play")]
    pub audio: AudioId,
    /// The step that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<StepId>,
}

impl Kind for Play {
    fn branches(&self) -> Vec<Branch<'_>> {
        vec![Branch::alone("next", self.next.as_ref())]
    }

    fn prompts(&self) -> Vec<(&'static str, Prompt)> {
        vec![("play", Prompt::Play(self.audio))]
    }

    fn enter(&self, phase: &mut Phase) -> Move {
        Move::stay(phase.play(Prompt::Play(self.audio)))
    }

    fn on(&self, _phase: &mut Phase, event: &Event) -> Move {
        on(self.next.as_ref(), event)
    }
}

/// A prompt that was heard to its end leads on.
pub(super) fn on(next: Option<&StepId>, event: &Event) -> Move {
    match event {
        Event::Played(_) => Move::go("next", next),
        _ => Move::none(),
    }
}
