//! A step that hands the sound to a voice agent.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Branch, Command, Event, Kind, Move, Phase, Span, StepId};

/// Passes the sound to and from a voice agent until that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// To which agent.
    pub stream: Streaming,
    /// The step that follows when the agent is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<StepId>,
    /// The step that follows where the agent cannot be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<StepId>,
}

/// Where the sound is streamed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streaming {
    /// The address: `wss://agent.example/calls`.
    pub to: String,
}

impl Kind for Stream {
    fn branches(&self) -> Vec<Branch<'_>> {
        vec![Branch::alone("ended", self.ended.as_ref()), Branch::alone("failed", self.failed.as_ref())]
    }

    fn misshapen(&self) -> Vec<(String, String)> {
        vec![("stream".to_owned(), "streams are not available yet".to_owned())]
    }

    fn stays(&self, _branch: &str, _prompts: SignedDuration) -> Span {
        // How long the other end takes is for it to say.
        Span::up_to(SignedDuration::MAX)
    }

    fn enter(&self, _phase: &mut Phase) -> Move {
        Move::stay(Command::Stream(self.stream.clone()))
    }

    fn on(&self, _phase: &mut Phase, event: &Event) -> Move {
        match event {
            Event::Left => Move::go("ended", self.ended.as_ref()),
            Event::NotTakenOver => Move::go("failed", self.failed.as_ref()),
            _ => Move::none(),
        }
    }
}
