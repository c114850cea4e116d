//! The step that ends a call.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Branch, Event, Kind, Move, Phase, Span, opt_out::Yes};

/// Ends the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HangUp {
    hang_up: Yes,
}

impl Kind for HangUp {
    fn branches(&self) -> Vec<Branch<'_>> {
        Vec::new()
    }

    fn ends(&self) -> Option<Span> {
        Some(Span::exactly(SignedDuration::ZERO))
    }

    fn enter(&self, _phase: &mut Phase) -> Move {
        Move::hang_up()
    }

    fn on(&self, _phase: &mut Phase, _event: &Event) -> Move {
        Move::none()
    }
}
