//! The step that opts a person out.

use serde::{Deserialize, Serialize};

use super::{Branch, Event, Kind, Move, Phase, StepId};

/// Opts the person out, at once, and goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptOut {
    opt_out: Yes,
    /// The step that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<StepId>,
}

/// The `true` beside the name of a step that has nothing else to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "bool", into = "bool")]
pub(super) struct Yes;

impl TryFrom<bool> for Yes {
    type Error = &'static str;

    fn try_from(yes: bool) -> Result<Self, Self::Error> {
        if yes { Ok(Self) } else { Err("this can only be true; leave the step out instead") }
    }
}

impl From<Yes> for bool {
    fn from(_: Yes) -> Self {
        true
    }
}

impl Kind for OptOut {
    fn branches(&self) -> Vec<Branch<'_>> {
        vec![Branch::alone("next", self.next.as_ref())]
    }

    fn enter(&self, phase: &mut Phase) -> Move {
        Move { commands: phase.opt_out().into_iter().collect(), ..Move::go("next", self.next.as_ref()) }
    }

    fn on(&self, _phase: &mut Phase, _event: &Event) -> Move {
        Move::none()
    }
}
